"""A stream that servers really sent is read right, wherever its bytes happen to be cut."""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cdc_sms.errors import LogDecodeError, PositionLost
from cdc_sms.model.captured_row import BinlogTransaction
from cdc_sms.model.change_event import Operation
from cdc_sms.sources.base import Batch
from cdc_sms.sources.binlog import stream as stream_module
from cdc_sms.sources.binlog import stream as streams
from cdc_sms.sources.binlog.dictionary import Declared, Dictionary
from cdc_sms.sources.binlog.gtid import DomainPosition, GtidSet
from cdc_sms.sources.binlog.position import BinlogPosition
from cdc_sms.sources.binlog.stream import Stream, Watched

DATA = Path(__file__).parents[3] / "data" / "binlog"
SERVERS = ("mysql-9.7", "mariadb-10.11")
TABLE_MAP, ROTATE, FORMAT, GTIDS, INCIDENT, QUERY, XID = 19, 4, 15, (33, 162), 26, 2, 16

BEFORE = Dictionary(
    (
        Declared("id", "bigint", nullable=False),
        Declared("recipient", "varchar", charset="utf8mb4", size=80, nullable=False),
        Declared("body", "longtext", charset="utf8mb4"),
        Declared("status", "varchar", charset="utf8mb4", size=40, nullable=False),
    ),
    ("id",),
)
AFTER = Dictionary((*BEFORE.columns, Declared("price", "int")), ("id",))


@dataclass
class Lookup:
    """A dictionary that knows the table behind its change."""

    asked: list[tuple[str, int, bool]] = field(default_factory=list[tuple[str, int, bool]])
    table: Dictionary | None = AFTER

    def __call__(self, file: str, offset: int, *, certainly: bool) -> Dictionary | None:
        self.asked.append((file, offset, certainly))
        return self.table


@dataclass(frozen=True)
class Recorded:
    """What one server sent."""

    packets: tuple[bytes, ...]
    mariadb: bool

    @property
    def schema(self) -> str:
        named = next(p for p in self.packets if p[5] == TABLE_MAP and b"\x03sms\0" in p)
        return named[29 : 29 + named[28]].decode()

    @property
    def begin(self) -> BinlogPosition:
        rotation = self.packets[0]
        offset, name = struct.unpack_from("<Q", rotation, 20)[0], rotation[28:-4].decode()
        return BinlogPosition("server", name, offset, table=BEFORE)

    def stream(
        self,
        position: BinlogPosition | None = None,
        lookup: Lookup | None = None,
        *,
        reads_updates: bool = False,
    ) -> Stream:
        return Stream(
            position or self.begin,
            watched=Watched(
                schema=self.schema,
                table="sms",
                ledger_schema=self.schema,
                heartbeats="cdc_sms_heartbeat",
                slot="reader",
                reads_updates=reads_updates,
            ),
            charsets={45: "utf8mb4", 224: "utf8mb4", 255: "utf8mb4"},
            lookup=lookup or Lookup(),
            server="server",
            mariadb=self.mariadb,
            has_checksums=True,
        )

    def without(self, matches: Callable[[bytes], bool]) -> "Recorded":
        return replace(self, packets=tuple(p for p in self.packets if not matches(p)))


@pytest.fixture(params=SERVERS)
def recorded(request: pytest.FixtureRequest) -> Recorded:
    return of(request.param)


def of(server: str) -> Recorded:
    lines = (DATA / f"{server}.stream.hex").read_text().split()
    return Recorded(tuple(map(bytes.fromhex, lines)), mariadb="mariadb" in server)


def packed(packets: tuple[bytes, ...]) -> bytes:
    """Return packets as they come over the connection."""
    return b"".join(
        struct.pack("<I", len(packet) | (number % 256) << 24) + packet
        for number, packet in enumerate(packets)
    )


def taken(stream: Stream, data: bytes, cut: int) -> Batch:
    """Have a stream read data that comes in parts of some size."""
    batch, rest, skip = Batch(), b"", 0
    for begin in range(0, len(data), cut):
        part = data[begin : begin + cut]
        dropped = min(skip, len(part))
        skip -= dropped
        rest += part[dropped:]
        while True:
            at = stream.take(rest, 0, batch)
            skip += stream.skip
            rest = rest[at:]
            assert not stream.is_refused
            if not at or not rest:
                break
    return batch


def bodies(batch: Batch) -> list[object]:
    return [row.values[row.table.columns.index("body")] for row in batch.rows]


EXPECTED: Mapping[bool, list[object]] = {
    True: ["one", "two", "three", None, "five", "nine"],
    False: ["one", "two", "three", None, "five", "six " * 500, "seven", "eight", "nine"],
}


@pytest.mark.parametrize("cut", [1 << 20, 997, 64, 7, 1])
def test_every_row_comes_once_wherever_the_bytes_are_cut(recorded: Recorded, cut: int) -> None:
    batch = taken(recorded.stream(), packed(recorded.packets), cut)

    assert bodies(batch) == EXPECTED[recorded.mariadb]


def test_rows_say_where_they_stand_and_what_they_came_with(recorded: Recorded) -> None:
    rows = taken(recorded.stream(), packed(recorded.packets), 1 << 20).rows

    one, two, three, four = rows[:4]
    assert isinstance(one.transaction, BinlogTransaction)
    assert one.transaction.gtid is not None
    assert (one.ordinal, two.ordinal) == (0, 1)
    assert one.position == two.position < three.position < four.position
    assert one.transaction == two.transaction != three.transaction == four.transaction
    assert (one.transaction.thread is None) is recorded.mariadb


def test_updates_come_where_they_are_wanted(recorded: Recorded) -> None:
    batch = taken(recorded.stream(reads_updates=True), packed(recorded.packets), 1 << 20)

    (update,) = [row for row in batch.rows if row.operation is Operation.UPDATE]
    assert list(update.values) == [1, "+48600700800", "one", "sent"]
    assert list(update.before or ()) == [1, "+48600700800", "one", "pending"]


def test_our_heartbeat_is_found_among_the_rows(recorded: Recorded) -> None:
    batch = taken(recorded.stream(), packed(recorded.packets), 1 << 20)

    assert batch.heartbeat is not None
    assert batch.heartbeat.server == "server"
    assert batch.heartbeat.position > recorded.begin.coordinate


def test_the_position_at_the_end_is_the_last_transactions(recorded: Recorded) -> None:
    stream = recorded.stream()
    taken(stream, packed(recorded.packets), 1 << 20)

    position, gtids = stream.mark()

    last = recorded.packets[-1]
    assert position.offset == struct.unpack_from("<I", last, 14)[0]
    assert position.table == AFTER
    assert isinstance(gtids, DomainPosition if recorded.mariadb else GtidSet)
    assert bool(gtids)


def test_ids_of_many_transactions_are_gathered_into_a_set(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = recorded.stream()
    taken(whole, packed(recorded.packets), 1 << 20)
    monkeypatch.setattr(stream_module, "RUN", 1)
    gathered = recorded.stream()

    taken(gathered, packed(recorded.packets), 64)

    assert gathered._run == [] or len(gathered._run) == 1
    assert str(gathered.mark()[1]) == str(whole.mark()[1])


def test_a_tag_is_kept() -> None:
    recorded = of("mysql-9.7")
    stream = recorded.stream()
    taken(stream, packed(recorded.packets), 1 << 20)

    assert ":tag:" in str(stream.mark()[1])


def test_reading_goes_on_from_every_position_without_a_gap(recorded: Recorded) -> None:
    whole = EXPECTED[recorded.mariadb]
    ends = list(_ends(recorded))

    for end, count in ends:
        position = recorded.begin.moved(offset=end, table=BEFORE if count < 5 else AFTER)
        rest = replace(recorded, packets=_behind(recorded, end))
        again = replace(recorded, packets=recorded.packets[:2] + rest.packets)
        assert (
            bodies(taken(recorded.stream(position), packed(again.packets), 1 << 20))
            == (whole[count:])
        )
    assert len(ends) > 5


def _ends(recorded: Recorded) -> Iterator[tuple[int, int]]:
    """Return each position that the stream gives, and how many rows are before it."""
    stream, batch = recorded.stream(), Batch()
    for packet in recorded.packets:
        stream.take(packed((packet,)), 0, batch)
        if stream.has_moved():
            yield stream.mark()[0].offset, len(batch.rows)


def _behind(recorded: Recorded, offset: int) -> tuple[bytes, ...]:
    def begins(packet: bytes) -> int:
        size, end = struct.unpack_from("<II", packet, 10)
        return int(end - size)

    return tuple(packet for packet in recorded.packets[2:] if begins(packet) >= offset)


def test_a_distributed_transaction_holds_the_position_until_it_is_over(
    recorded: Recorded,
) -> None:
    *before, _commit = recorded.packets
    stream = recorded.stream()
    held = taken(stream, packed(tuple(before)), 1 << 20)

    assert "nine" not in bodies(held)
    assert not stream.has_moved()


def test_rows_that_were_prepared_out_of_sight_are_a_doubt(recorded: Recorded) -> None:
    committed = recorded.packets[:2] + recorded.packets[-2:]

    batch = taken(recorded.stream(), packed(committed), 1 << 20)

    assert "prepared before our position" in str(batch.doubt)


def test_a_transaction_that_others_prepared_is_known_with_the_position(
    recorded: Recorded,
) -> None:
    committed = recorded.packets[:2] + recorded.packets[-2:]
    position = recorded.begin.moved(prepared=("X'68656c64',X'',1",))

    assert not taken(recorded.stream(position), packed(committed), 1 << 20).rows


def test_the_dictionary_is_asked_anew_behind_a_change(recorded: Recorded) -> None:
    lookup = Lookup()

    taken(recorded.stream(lookup=lookup), packed(recorded.packets), 1 << 20)

    ((file, offset, certainly),) = lookup.asked
    assert (file, certainly) == (recorded.begin.file, True)
    assert offset > recorded.begin.offset


def test_a_table_that_does_not_fit_its_rows_stops_the_stream(recorded: Recorded) -> None:
    position = recorded.begin.moved(table=AFTER)

    with pytest.raises(LogDecodeError, match="in a form that the table doesn't have") as caught:
        taken(recorded.stream(position), packed(recorded.packets), 1 << 20)

    assert "binlog_row_metadata" in caught.value.hint


def test_a_file_that_is_another_one_was_reset(recorded: Recorded) -> None:
    position = recorded.begin.moved(created=1)

    with pytest.raises(PositionLost, match="the log was reset"):
        taken(recorded.stream(position), packed(recorded.packets), 1 << 20)


def test_a_byte_that_was_altered_is_noticed(recorded: Recorded) -> None:
    packets = list(recorded.packets)
    at = next(n for n, packet in enumerate(packets) if b"three" in packet)
    packets[at] = packets[at].replace(b"three", b"thref")

    with pytest.raises(LogDecodeError, match="checksum"):
        taken(recorded.stream(), packed(tuple(packets)), 1 << 20)


def test_an_unknown_event_stops_the_stream_unless_it_may_be_ignored(recorded: Recorded) -> None:
    head = recorded.packets[:2]
    unknown = b"\0" + struct.pack("<IBIIIH", 0, 250, 1, 23, 500, 0) + bytes(4)
    ignorable = b"\0" + struct.pack("<IBIIIH", 0, 250, 1, 23, 500, 0x80) + bytes(4)

    taken(recorded.stream(), packed((*head, ignorable)), 1 << 20)
    with pytest.raises(LogDecodeError, match="type 250"):
        taken(recorded.stream(), packed((*head, unknown)), 1 << 20)


def test_an_incident_is_a_loss(recorded: Recorded) -> None:
    incident = b"\0" + struct.pack("<IBIIIH", 1, INCIDENT, 1, 25, 500, 0) + bytes(6)

    with pytest.raises(PositionLost, match="failed to log"):
        taken(recorded.stream(), packed((*recorded.packets[:2], incident)), 1 << 20)


def test_the_position_moves_into_the_next_file(recorded: Recorded) -> None:
    stream = recorded.stream()
    name = recorded.begin.file[:-1] + "9"
    content = struct.pack("<Q", 4) + name.encode() + bytes(4)
    rotate = b"\0" + struct.pack("<IBIIIH", 1, ROTATE, 1, 19 + len(content), 500, 0) + content

    taken(stream, packed((*recorded.packets[:2], rotate)), 1 << 20)

    position, _run = stream.mark()
    assert (position.file, position.offset) == (name, 4)


def test_another_servers_log_has_no_place_before_its_first_transaction(recorded: Recorded) -> None:
    stream = recorded.stream(recorded.begin.moved(server="the former", file="log.000009"))

    taken(stream, packed(recorded.packets[:2]), 1 << 20)
    had_a_place = stream.has_moved()
    taken(stream, packed(recorded.packets[2:]), 1 << 20)

    assert not had_a_place
    assert stream.has_moved()


def test_what_is_no_event_is_left_to_the_wire(recorded: Recorded) -> None:
    stream, end = recorded.stream(), struct.pack("<I", 5) + b"\xfe\0\0\0\0"

    assert stream.take(end, 0, Batch()) == 0
    assert stream.is_refused


def test_a_batch_is_bounded(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BATCH_ROWS", 1)
    stream, batch, data = recorded.stream(), Batch(), packed(recorded.packets)

    stream.take(data, 0, batch)

    assert bodies(batch) == ["one", "two"]  # an event is read whole
