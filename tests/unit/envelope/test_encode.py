"""Records are what Debezium writes: the key byte for byte, the value field by field."""

import json
from typing import Any

import pytest
from support.golden import KEYS, VERSIONS, captured_rows, debezium_records

from cdc_sms.envelope.encode import TOO_LARGE, UNDECODABLE, EncodedRecord, Encoder, shrunk
from cdc_sms.envelope.source_block import PostgresBlock
from cdc_sms.model.captured_row import CapturedRow, CapturedTable, Transaction, Undecodable
from cdc_sms.model.change_event import Operation

NOW_US = 1_795_507_631_123_456
TABLE = CapturedTable("public", "sms", ("id", "recipient", "body"), ("id",))


def encoder(*, max_record_bytes: int = 4_000_000) -> Encoder:
    return Encoder(
        source=PostgresBlock(name="cdc-sms", database="shop", version="1.2.3"),
        max_record_bytes=max_record_bytes,
    )


def row(*values: object, table: CapturedTable = TABLE, **changes: Any) -> CapturedRow:
    made = CapturedRow(table, values, Operation.CREATE, 300, Transaction(7, 1_000_001, 200))
    return made._replace(**changes)


def value_of(record: EncodedRecord) -> dict[str, Any]:
    return dict(json.loads(record.value))


@pytest.mark.parametrize("table", KEYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_keys_are_debeziums_byte_for_byte(version: str, table: str) -> None:
    records = [encoder().encode(row, now_us=NOW_US) for row in captured_rows(version, table)]

    assert [record.key for record in records] == [
        record.key for record in debezium_records(version, table)
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_values_have_debeziums_fields_in_debeziums_order(version: str) -> None:
    ours = value_of(encoder().encode(captured_rows(version, "sms")[0], now_us=NOW_US))
    debeziums = debezium_records(version, "sms")[0].value

    assert list(ours) == list(debeziums)
    assert list(ours["source"]) == list(debeziums["source"])


SAYS_WHO_WE_ARE = {"version", "name", "db"}
DEPENDS_ON_THE_READER = {"sequence"}


@pytest.mark.parametrize("table", KEYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_source_is_what_debezium_wrote(version: str, table: str) -> None:
    theirs = debezium_records(version, table)
    ours = [value_of(encoder().encode(r, now_us=NOW_US)) for r in captured_rows(version, table)]

    differences = [
        (record.key, field, our["source"][field], their)
        for our, record in zip(ours, theirs, strict=True)
        for field, their in record.value["source"].items()
        if field not in SAYS_WHO_WE_ARE | DEPENDS_ON_THE_READER and our["source"][field] != their
    ]

    assert differences == []


def test_the_envelope_says_when_it_was_written() -> None:
    value = value_of(encoder().encode(row(1, "+48", "x"), now_us=NOW_US))

    assert value["ts_ms"] == NOW_US // 1000
    assert (value["ts_us"], value["ts_ns"]) == (NOW_US, NOW_US * 1000)
    assert (value["op"], value["before"], value["transaction"]) == ("c", None, None)


def test_the_sequence_is_two_positions_as_text() -> None:
    value = value_of(encoder().encode(row(1, "+48", "x"), now_us=NOW_US))
    first = row(1, "+48", "x", transaction=Transaction(7, 1_000_001, None))

    assert json.loads(value["source"]["sequence"]) == ["200", "300"]
    assert json.loads(
        value_of(encoder().encode(first, now_us=NOW_US))["source"]["sequence"]
    ) == [None, "300"]  # fmt: skip


def test_a_replicated_row_says_where_it_comes_from() -> None:
    replicated = row(1, "+48", "x", transaction=Transaction(7, 1_000_001, 200, ('an "origin"', 9)))

    source = value_of(encoder().encode(replicated, now_us=NOW_US))["source"]

    assert (source["origin"], source["origin_lsn"]) == ('an "origin"', 9)


def test_a_row_of_a_snapshot_says_so() -> None:
    read = row(1, "+48", "x", operation=Operation.READ, transaction=Transaction(None, 5, None))

    value = value_of(encoder().encode(read, now_us=NOW_US))

    assert (value["op"], value["source"]["snapshot"], value["source"]["txId"]) == (
        "r",
        "true",
        None,
    )


def test_names_with_any_character_are_written() -> None:
    odd = CapturedTable('a"b', "100%", ('k"1', "%s"), ('k"1',))

    record = encoder().encode(row(1, "x", table=odd), now_us=NOW_US)

    assert json.loads(record.key or b"") == {'k"1': 1}
    assert value_of(record)["after"] == {'k"1': 1, "%s": "x"}
    assert value_of(record)["source"]["table"] == "100%"


def test_a_table_that_changes_is_encoded_anew() -> None:
    one = encoder()
    wider = CapturedTable("public", "sms", ("body", "id"), ("id",))

    one.encode(row(1, "+48", "x"), now_us=NOW_US)
    record = one.encode(row("y", 2, table=wider), now_us=NOW_US)

    assert (record.key, value_of(record)["after"]) == (b'{"id":2}', {"body": "y", "id": 2})


def test_a_row_that_is_too_large_keeps_its_key_and_what_fits() -> None:
    record = encoder(max_record_bytes=10_000).encode(row(1, "+48", "x" * 20_000), now_us=NOW_US)

    assert record.key == b'{"id":1}'
    assert record.trimmed == TOO_LARGE
    assert value_of(record)["after"] == {"id": 1, "recipient": "+48"}
    assert len(record.value) + len(record.key) <= 10_000


def test_a_row_that_just_fits_is_whole() -> None:
    record = encoder(max_record_bytes=10_000).encode(row(1, "+48", "x" * 9_000), now_us=NOW_US)

    assert record.trimmed is None
    assert value_of(record)["after"]["body"] == "x" * 9_000


def test_the_largest_value_goes_first_and_the_key_last() -> None:
    table = CapturedTable("public", "sms", ("id", "a", "b"), ("id",))
    whole = encoder().encode(row("k" * 3_000, "a" * 2_000, "b" * 2_500, table=table), now_us=NOW_US)

    without_b = shrunk(whole, limit_bytes=9_500)
    without_both = shrunk(whole, limit_bytes=7_000)

    assert list(value_of(without_b)["after"]) == ["id", "a"]
    assert list(value_of(without_both)["after"]) == ["id"]


def test_an_undecodable_value_is_left_out_and_said() -> None:
    record = encoder().encode(row(1, "+48", Undecodable(b"\xff")), now_us=NOW_US)

    assert record.key == b'{"id":1}'
    assert record.trimmed == UNDECODABLE
    assert value_of(record)["after"] == {"id": 1, "recipient": "+48"}


def test_an_undecodable_key_becomes_a_record_without_key_that_holds_its_bytes() -> None:
    record = encoder().encode(row(Undecodable(b"\xff\xfe"), "+48", "x"), now_us=NOW_US)

    assert record.key is None
    assert record.trimmed == UNDECODABLE
    assert value_of(record)["undecodable"] == {"id": "//4="}
    assert value_of(record)["source"]["lsn"] == 300


@pytest.mark.parametrize(
    ("number", "written"),
    [(1.0, "1.0"), (1e7, "1.0E7"), (9e-4, "9.0E-4"), (5e-324, "4.9E-324"), (-5e-324, "-4.9E-324")],
)
def test_a_double_in_a_key_is_written_as_java_prints_it(number: float, written: str) -> None:
    record = encoder().encode(row(number, "+48", "x"), now_us=NOW_US)

    assert record.key == f'{{"id":{written}}}'.encode()


def test_records_come_in_the_rows_order() -> None:
    records = encoder().encode_all([row(n, "+48", "x") for n in range(3)], now_us=NOW_US)

    assert [record.key for record in records] == [b'{"id":0}', b'{"id":1}', b'{"id":2}']
