"""The stream's messages, as a real server sent them."""

import struct

import pytest
from support.golden import VERSIONS, decoded, stream_messages

from cdc_sms.errors import LogDecodeError, SetupError
from cdc_sms.model.captured_row import Transaction, Undecodable
from cdc_sms.model.change_event import Operation
from cdc_sms.model.position import Lsn
from cdc_sms.sources.base import Batch, Heartbeat
from cdc_sms.sources.postgres.pgoutput import Column, Decoder, parse_relation, status_update

RELATION_ID = 4711


def data(body: bytes, *, lsn: int = 100, clock: int = 0) -> bytes:
    return b"w" + struct.pack(">QQq", lsn, lsn, clock) + body


def begin(*, xid: int = 7, committed: int = 1_000_000) -> bytes:
    return data(b"B" + struct.pack(">QqI", 200, committed, xid))


def commit(*, end: int = 300, committed: int = 1_000_000, clock: int = 0) -> bytes:
    return data(b"C" + struct.pack(">BQQq", 0, 200, end, committed), clock=clock)


def relation(*columns: tuple[str, int]) -> bytes:
    described = b"".join(
        b"\1" + name.encode() + b"\0" + struct.pack(">Ii", type_id, -1) for name, type_id in columns
    )
    head = struct.pack(">I", RELATION_ID) + b"public\0sms\0d" + struct.pack(">H", len(columns))
    return data(b"R" + head + described)


def insert(*values: bytes | None) -> bytes:
    body = b"".join(
        b"n" if value is None else b"t" + struct.pack(">I", len(value)) + value for value in values
    )
    return data(b"I" + struct.pack(">IcH", RELATION_ID, b"N", len(values)) + body)


def update(new: list[bytes | None], *, old: list[bytes | None] | None = None) -> bytes:
    def image(mark: bytes, values: list[bytes | None]) -> bytes:
        texts = [b"n" if v is None else b"t" + struct.pack(">I", len(v)) + v for v in values]
        return mark + struct.pack(">H", len(values)) + b"".join(texts)

    images = (b"" if old is None else image(b"O", old)) + image(b"N", new)
    return data(b"U" + struct.pack(">I", RELATION_ID) + images)


def keepalive(wal_end: int, *, reply_requested: bool = False) -> bytes:
    return b"k" + struct.pack(">QqB", wal_end, 0, reply_requested)


def taken(*messages: bytes, key: tuple[str, ...] = ("id",)) -> Batch:
    decoder = Decoder(key=key, slot="ours", base_types=lambda _: {}, required=lambda _: ())
    batch = Batch()
    for message in messages:
        decoder.take(message, batch)
    return batch


def message(content: bytes, *, prefix: bytes = b"cdc-sms", lsn: int = 400) -> bytes:
    said = struct.pack(">BQ", 0, lsn) + prefix + b"\0" + struct.pack(">I", len(content)) + content
    return data(b"M" + said)


COLUMNS = relation(("id", 20), ("body", 25))


@pytest.mark.parametrize("version", VERSIONS)
def test_relation_names_schema_table_and_columns(version: str) -> None:
    message = next(m for m in stream_messages(version) if m[:1] == b"w" and m[25:26] == b"R")

    relation = parse_relation(message[25:])

    assert (relation.schema, relation.name) == ("public", "sms")
    assert relation.columns[:2] == (Column("id", 20, -1), Column("c_smallint", 21, -1))
    assert Column("c_time_3", 1083, 3) in relation.columns


@pytest.mark.parametrize("version", VERSIONS)
def test_a_position_is_the_end_of_a_commit(version: str) -> None:
    messages = stream_messages(version)
    last_commit = [m for m in messages if m[:1] == b"w" and m[25:26] == b"C"][-1]
    up_to_it = messages[: messages.index(last_commit) + 1]

    batch = decoded([m for m in up_to_it if m[25:26] in (b"B", b"C")], table="sms")

    assert batch.position == int.from_bytes(last_commit[35:43])


def test_a_batch_has_no_position_before_its_transaction_has_ended() -> None:
    batch = taken(begin(), COLUMNS, insert(b"1", b"x"))

    assert len(batch.rows) == 1
    assert batch.position is None


def test_a_keepalive_between_transactions_moves_the_position() -> None:
    batch = taken(begin(), commit(end=300), keepalive(450))

    assert batch.position == 450


def test_a_keepalive_within_a_transaction_moves_nothing() -> None:
    batch = taken(begin(), COLUMNS, insert(b"1", b"x"), keepalive(450))

    assert batch.position is None


def test_a_keepalive_never_moves_the_position_back() -> None:
    batch = taken(begin(), commit(end=300), keepalive(250))

    assert batch.position == 300


def test_our_heartbeat_comes_back_with_its_place_server_and_timeline() -> None:
    batch = taken(message(b"ours 7001 3", lsn=400))

    assert batch.heartbeat == Heartbeat(position=400, server="7001", history=3)
    assert batch.position is None


@pytest.mark.parametrize(
    "foreign",
    [message(b"another 7001 3"), message(b"ours 7001 3", prefix=b"theirs"), message(b"ours")],
)
def test_messages_of_others_are_no_heartbeat(foreign: bytes) -> None:
    assert taken(foreign).heartbeat is None


@pytest.mark.parametrize("requested", [True, False])
def test_a_keepalive_says_whether_a_reply_is_due(requested: bool) -> None:
    decoder = Decoder(key=("id",), slot="ours", base_types=lambda _: {}, required=lambda _: ())

    assert decoder.take(keepalive(1, reply_requested=requested), Batch()) is requested


def test_a_row_carries_its_transaction_and_the_end_of_the_one_before() -> None:
    batch = taken(begin(), commit(end=300), begin(xid=8, committed=5), COLUMNS, insert(b"1", None))

    (row,) = batch.rows
    assert row.transaction == Transaction(
        id=8, committed_us=946_684_800_000_005, former_position=300
    )
    assert (row.position, list(row.values)) == (100, [1, None])


def test_a_replicated_transactions_rows_say_where_they_come_from() -> None:
    origin = data(b"O" + struct.pack(">Q", 77) + b"elsewhere\0")

    batch = taken(
        begin(), origin, COLUMNS, insert(b"1", None), commit(), begin(), insert(b"2", None)
    )

    assert [row.transaction.origin for row in batch.rows] == [("elsewhere", 77), None]  # type: ignore[union-attr]


def test_a_name_that_may_not_be_null_is_known_from_the_catalogue() -> None:
    asked: list[int] = []

    def required(table: int) -> set[str]:
        asked.append(table)
        return {"id"}

    decoder = Decoder(key=("id",), slot="ours", base_types=lambda _: {}, required=required)
    batch = Batch()
    for told in (begin(), relation(("id", 19), ("body", 19)), insert(b"a", b"b")):
        decoder.take(told, batch)

    assert (list(batch.rows[0].values), asked) == (["", None], [RELATION_ID])


def test_a_changed_table_is_decoded_as_it_was_when_the_row_was_written() -> None:
    changed = relation(("id", 20), ("body", 25), ("price", 23))

    batch = taken(begin(), COLUMNS, insert(b"1", b"x"), changed, insert(b"2", b"y", b"3"), commit())

    assert [row.table.columns for row in batch.rows] == [("id", "body"), ("id", "body", "price")]
    assert [list(row.values) for row in batch.rows] == [[1, "x"], [2, "y", 3]]


def test_an_undecodable_value_spoils_no_other() -> None:
    batch = taken(begin(), COLUMNS, insert(b"1", b"\xff"))

    assert list(batch.rows[0].values) == [1, Undecodable(b"\xff")]


def test_a_lost_key_column_stops_with_its_name() -> None:
    with pytest.raises(SetupError, match=r"public\.sms lost its key column id"):
        taken(begin(), relation(("number", 20)))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"x", id="a kind of message that is not known"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"w\0\0", id="a header cut short"),
        pytest.param(data(b"Z"), id="a kind of pgoutput message that is not known"),
        pytest.param(data(b"I" + b"\0" * 20), id="a row of a table that was not described"),
    ],
)
def test_bytes_that_are_not_understood_stop_the_log(message: bytes) -> None:
    with pytest.raises(LogDecodeError):
        taken(message)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(insert(b"1", b"x", b"y"), id="more values than columns"),
        pytest.param(insert(b"1", b"48600700800")[:-3], id="a value cut short"),
        pytest.param(insert(b"1", b"48600700800") + b"z", id="bytes behind the last value"),
        pytest.param(insert(b"1", b"48600700800").replace(b"t\0\0\0\x0b", b"u\0\0\0\x0b"),
                     id="a value that is not there"),
    ],
)  # fmt: skip
def test_a_row_that_is_not_understood_is_named_without_its_content(row: bytes) -> None:
    with pytest.raises(LogDecodeError) as caught:
        taken(begin(), COLUMNS, row)

    assert "48600700800" not in str(caught.value) + caught.value.hint
    assert str(Lsn(100)) in str(caught.value)


def test_a_status_update_confirms_one_position_three_times() -> None:
    message = status_update(0x1_0000_0002, clock_us=946_684_800_000_003, wants_reply=True)

    assert message == b"r" + struct.pack(">QQQqB", *[0x1_0000_0002] * 3, 3, 1)


def test_an_update_carries_both_images_where_the_log_has_them() -> None:
    batch = taken(begin(), COLUMNS, update([b"1", b"new"], old=[b"1", b"old"]))

    (row,) = batch.rows
    assert (row.operation, list(row.values), row.before) == (
        Operation.UPDATE,
        [1, "new"],
        [1, "old"],
    )


def test_an_update_without_an_old_image_has_none() -> None:
    batch = taken(begin(), COLUMNS, update([b"1", None]))

    (row,) = batch.rows
    assert (list(row.values), row.before) == ([1, None], None)


def test_a_value_that_an_update_left_alone_is_debeziums_placeholder() -> None:
    unchanged = data(b"U" + struct.pack(">IcH", RELATION_ID, b"N", 2) + b"t\0\0\0\0011" + b"u")

    batch = taken(begin(), COLUMNS, unchanged)

    assert list(batch.rows[0].values) == [1, "__debezium_unavailable_value"]


def test_an_update_that_ends_early_is_not_understood() -> None:
    with pytest.raises(LogDecodeError):
        taken(begin(), COLUMNS, update([b"1", b"new"])[:-2])
