"""The binlog as a replica is sent it, packet by packet: rows of one table, and how far it was read.

Pure. What other tables write passes by with one look at its type byte, or at the table's name;
nothing of it is decoded. Rows are those of committed transactions: the log holds no others, but
for distributed transactions (XA), whose rows are held until they are committed.

Source: MySQL source documentation, "Replication Protocol", "Binary Log Event"; MariaDB,
"Replication Protocol".
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol, cast
from uuid import UUID

from pymysqlreplication.constants import BINLOG

from cdc_sms.errors import LogDecodeError, PositionLost
from cdc_sms.model.captured_row import BinlogTransaction, CapturedRow
from cdc_sms.sources.base import Batch, Heartbeat
from cdc_sms.sources.binlog import events
from cdc_sms.sources.binlog.dictionary import Dictionary
from cdc_sms.sources.binlog.gtid import DomainPosition, Gtids, GtidSet
from cdc_sms.sources.binlog.payload import Payload
from cdc_sms.sources.binlog.position import BinlogPosition, coordinate
from cdc_sms.sources.binlog.rows import Images
from cdc_sms.sources.binlog.statements import Meaning, Reader, Statement
from cdc_sms.sources.binlog.table_map import (
    UnfittingError,
    described,
    hidden_columns,
    parse,
    signature,
)

BATCH_ROWS = 500
BATCH_BYTES = 1 << 22
"""What a batch may take of a transaction that is compressed as a whole."""

RUN = 10_000
"""Ids of transactions that are kept as the log has them; more are gathered into a set."""

_SKIP, _TABLE_MAP, _ROWS, _XID, _GTID, _MARIADB_GTID, _QUERY, _OTHER, _PAYLOAD, _UNKNOWN = range(10)

_WRITES = frozenset(
    {
        BINLOG.WRITE_ROWS_EVENT_V1,
        BINLOG.WRITE_ROWS_EVENT_V2,
        events.MARIADB_WRITE_ROWS_COMPRESSED_V1,
        events.MARIADB_WRITE_ROWS_COMPRESSED,
    }
)
_UPDATES = frozenset(
    {
        BINLOG.UPDATE_ROWS_EVENT_V1,
        BINLOG.UPDATE_ROWS_EVENT_V2,
        BINLOG.PARTIAL_UPDATE_ROWS_EVENT,
        events.MARIADB_UPDATE_ROWS_COMPRESSED_V1,
        events.MARIADB_UPDATE_ROWS_COMPRESSED,
    }
)
_COMPRESSED = frozenset(
    {
        events.MARIADB_WRITE_ROWS_COMPRESSED_V1,
        events.MARIADB_WRITE_ROWS_COMPRESSED,
        events.MARIADB_UPDATE_ROWS_COMPRESSED_V1,
        events.MARIADB_UPDATE_ROWS_COMPRESSED,
    }
)
_WITH_EXTRA = frozenset(
    {
        BINLOG.WRITE_ROWS_EVENT_V2,
        BINLOG.UPDATE_ROWS_EVENT_V2,
        events.MARIADB_WRITE_ROWS_COMPRESSED,
        events.MARIADB_UPDATE_ROWS_COMPRESSED,
    }
)
_OTHERS = frozenset(
    {
        BINLOG.ROTATE_EVENT,
        BINLOG.FORMAT_DESCRIPTION_EVENT,
        BINLOG.INCIDENT_EVENT,
        BINLOG.XA_PREPARE_EVENT,
        BINLOG.EXECUTE_LOAD_QUERY_EVENT,
        events.MARIADB_QUERY_COMPRESSED,
        events.GTID_TAGGED,
    }
)
_LOAD_BYTES = 13
"""What EXECUTE_LOAD_QUERY has behind the fields of QUERY."""


def _acts() -> tuple[int, ...]:
    acts = [_UNKNOWN] * 256
    for kinds, act in (
        (events.KNOWN_TO_SKIP, _SKIP),
        (_WRITES | _UPDATES, _ROWS),
        (_OTHERS, _OTHER),
        ({BINLOG.TABLE_MAP_EVENT}, _TABLE_MAP),
        ({BINLOG.XID_EVENT}, _XID),
        ({BINLOG.GTID_LOG_EVENT, BINLOG.ANONYMOUS_GTID_LOG_EVENT}, _GTID),
        ({BINLOG.MARIADB_GTID_EVENT}, _MARIADB_GTID),
        ({BINLOG.QUERY_EVENT}, _QUERY),
        ({events.TRANSACTION_PAYLOAD}, _PAYLOAD),
    ):
        for kind in kinds:
            acts[kind] = act
    return tuple(acts)


_ACTS = _acts()

_PACKET = struct.Struct("<IBIB")
"""Length and number of a packet, its first byte, the event's time and its type."""
_U32 = struct.Struct("<I")
_TIME_AND_SERVER = struct.Struct("<IBI")
_PACKET_BYTES = 4
_EVENT_AT = 5
"""Where an event begins in its packet: behind the packet's header and a byte that says OK."""
_LARGEST = 0xFFFFFF
"""A packet of this length goes on in the next one."""
_WRAPS = 1 << 32
"""An event says where it ends in 32 bits; a file may be longer."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What the stream looks for, by the names that the server has for it.

    Attributes:
        schema: the business table's database.
        table: its name.
        ledger_schema: the database of the table of heartbeats.
        heartbeats: that table's name.
        slot: whose heartbeats.
        reads_updates: whether updates of the business table matter.
    """

    schema: str
    table: str
    ledger_schema: str
    heartbeats: str
    slot: str
    reads_updates: bool


class Lookup(Protocol):
    """Asks for the table as it is in the dictionary now."""

    def __call__(self, file: str, offset: int, *, certainly: bool) -> Dictionary | None:
        """Return the table; None: it is gone.

        Args:
            file: where in the log it is wanted.
            offset: in the file.
            certainly: what it returns must hold for the rows there.

        Raises:
            LogDecodeError: it isn't known what held there.
        """
        ...


class Stream:
    """Reads one stream, from one position on.

    Args:
        position: where it begins.
        watched: the tables that matter.
        charsets: the character set of each collation's number.
        lookup: asks the dictionary.
        server: what the server calls itself.
        mariadb: whether the server is MariaDB.
        has_checksums: whether the first events end with one; later ones say so themselves.

    Attributes:
        missing: see :meth:`take`.
        skip: the same.
        is_refused: the same.
        committed_us: when the last transaction with rows was committed; microseconds since 1970.

    Thread: one owner.
    """

    def __init__(
        self,
        position: BinlogPosition,
        *,
        watched: Watched,
        charsets: Mapping[int, str],
        lookup: Lookup,
        server: str,
        mariadb: bool,
        has_checksums: bool,
    ) -> None:
        self._mariadb = mariadb
        self._watched = watched
        self._charsets = charsets
        self._lookup = lookup
        self._server = server
        self._reader = Reader(watched.schema, watched.table, reads_updates=watched.reads_updates)
        self._signature = signature(watched.schema, watched.table)
        self._beat_signature = signature(watched.ledger_schema, watched.heartbeats)
        self._signatures = (self._signature, self._beat_signature)
        slot = watched.slot.encode()
        self._beat_key = bytes([len(slot)]) + slot
        self._checksum = events.CHECKSUM_BYTES if has_checksums else 0
        # where we are
        self._file = position.file
        self._offset = position.offset
        is_of_this_server = position.server == server
        self._expected_created = position.created if is_of_this_server else None
        self._created = self._expected_created
        self._table = position.table
        self._moved = False
        # by ids of transactions a server sends from the beginning of the file that has the next
        # one: until that one has ended there is no place to go on from
        self._has_place = is_of_this_server
        # the transaction that is being read
        self._gtid: bytes | events.Gtid | None = None
        self._is_open = False
        self._thread: bytes | None = None
        self._transaction: BinlogTransaction | None = None
        self._mapped: dict[bytes, Images | None] = {}
        self._own_bytes = 0
        self._beats = False
        self._is_held = False
        self._xa_rows: list[CapturedRow] = []
        self._names: dict[bytes, str] = {}
        # those that were read since the last mark, and of them the last few as the log has them
        self._passed: Gtids = self._no_gtids()
        self._run: list[bytes | events.Gtid] = []
        # distributed transactions that are prepared
        self._held: dict[str, list[CapturedRow]] = {}
        self._prepared = dict.fromkeys(position.prepared)
        # descriptions by what TABLE_MAP says
        self._images: dict[bytes, Images] = {}
        # a packet that is larger than what was read of it
        self._continues = False
        self._payload: Payload | None = None
        self.missing = 0
        self.skip = 0
        self.is_refused = False
        self.committed_us = 0

    @property
    def file(self) -> str:
        """Return the file that is being read."""
        return self._file

    @property
    def offset(self) -> int:
        """Return where in it the last whole transaction ended."""
        return self._offset

    def has_moved(self) -> bool:
        """Say whether there is a position that was not marked yet."""
        is_between = self._transaction is None and self._payload is None
        return self._moved and is_between and not self._held and self._offset < _WRAPS

    def mark(self) -> tuple[BinlogPosition, Gtids]:
        """Return the position behind the last whole transaction, without its ``gtids``.

        Returns:
            It, and the ids of the transactions since the last mark.
        """
        self._moved = False
        self._gather()
        passed, self._passed = self._passed, self._no_gtids()
        position = BinlogPosition(
            server=self._server,
            file=self._file,
            offset=self._offset,
            created=self._created,
            prepared=tuple(self._prepared),
            table=self._table,
        )
        return position, passed

    def _no_gtids(self) -> Gtids:
        return DomainPosition() if self._mariadb else GtidSet()

    def _gather(self) -> None:
        absorb(self._passed, self._run)
        self._run.clear()

    def take(self, data: bytes, at: int, batch: Batch) -> int:
        """Read packets into a batch until it is full or they end.

        Args:
            data: what the server sent.
            at: where the next packet begins, or goes on.
            batch: gets rows and heartbeats.

        Returns:
            Where it stopped. ``missing`` then says how many bytes behind the data's end the next
            packet needs at least, ``skip`` how many of them need not even be kept;
            ``is_refused`` that there stands something else than an event.

        Raises:
            LogDecodeError: an event is not understood.
            PositionLost: rows of ours are not in the log.
        """
        try:
            return self._take(data, at, batch)
        except (IndexError, ValueError, struct.error, zlib.error) as error:
            self._fail(f"an event is not as expected ({type(error).__name__})", error)

    def _take(self, data: bytes, at: int, batch: Batch) -> int:  # noqa: C901, PLR0912, PLR0915
        # One loop without calls: this is what unrelated traffic costs. What it changes of the
        # transaction is kept in locals, and written back before anything else looks at it.
        self.missing = self.skip = 0
        if self._payload is not None:
            at = self._inflate(data, at, batch)
            if self._is_inside() or len(batch.rows) >= BATCH_ROWS:
                return at
        size = len(data)
        unpack, acts, signatures = _PACKET.unpack_from, _ACTS, self._signatures
        begin_at = 5 + self._checksum
        mapped, run = self._mapped, self._run.append
        gtid, is_open = self._gtid, self._is_open
        committed = -1
        last = size - _PACKET.size
        while at <= last:
            length, first, _time, kind = unpack(data, at)
            length &= _LARGEST
            following = at + _PACKET_BYTES + length
            if self._continues:
                self._continues = length == _LARGEST
                if following > size:
                    self.skip, at = following - size, size
                    break
                at = following
                continue
            act = acts[kind]
            if first:
                self.is_refused = True
                break
            if act == _SKIP or (act == _ROWS and not mapped):
                if length == _LARGEST:
                    self._continues = True
                if following > size:
                    self.skip, at = following - size, size
                    break
                at = following
                continue
            if act == _PAYLOAD or following > size or length == _LARGEST:
                self._gtid, self._is_open = gtid, is_open
                committed = self._moved_to(data, committed)
                before = at
                at = self._take_large(data, at, batch)
                gtid, is_open = self._gtid, self._is_open
                begin_at = 5 + self._checksum
                if at == before or self._is_inside() or len(batch.rows) >= BATCH_ROWS:
                    break
                continue
            if act == _TABLE_MAP:
                if data.startswith(signatures, at + 32):
                    self._gtid = gtid
                    self._map(data, at + _EVENT_AT, following - self._checksum, None)
            elif act == _XID:
                committed = at
                is_open = False
                if gtid is not None:
                    run(gtid)
                    gtid = None
                if mapped:
                    committed = self._moved_to(data, committed)
                    self._gtid = None
                    self._end(batch)
            elif act == _ROWS:
                self._gtid = gtid
                event_at = at + _EVENT_AT
                place = self._place(data, event_at)
                self._rows(kind, data, event_at, following - self._checksum, batch, place)
                if len(batch.rows) >= BATCH_ROWS:
                    at = following
                    break
            elif act == _GTID:
                gtid = data[at + 24 : at + 73]
            elif act == _MARIADB_GTID:
                gtid = data[at + 5 : at + 37]
                is_open = not data[at + 36] & events.STANDALONE
                if data[at + 36] & events.PREPARED:
                    self._is_held = True
            elif act == _QUERY and data.startswith(b"BEGIN", following - begin_at):
                is_open = True
                self._thread = data[at + 24 : at + 28]
            else:
                self._gtid, self._is_open = gtid, is_open
                committed = self._moved_to(data, committed)
                self._event(kind, data, at + _EVENT_AT, following - self._checksum, batch)
                gtid, is_open = self._gtid, self._is_open
                begin_at = 5 + self._checksum
                if len(batch.rows) >= BATCH_ROWS:
                    at = following
                    break
            at = following
        self._gtid, self._is_open = gtid, is_open
        self._moved_to(data, committed)
        if len(self._run) > RUN:
            self._gather()
        if not self.skip and not self.is_refused:
            self._look_at_rest(data, at)
        return at

    def _is_inside(self) -> bool:
        return self._payload is not None

    def _look_at_rest(self, data: bytes, at: int) -> None:
        """Find a packet that is too short for an event; say how much of the next one is missing."""
        rest = len(data) - at
        if rest > _PACKET_BYTES:
            length = _U32.unpack_from(data, at)[0] & _LARGEST
            self.is_refused = data[at + _PACKET_BYTES] != 0 and not self._continues
            self.missing = max(self.missing, length + _PACKET_BYTES - rest, 1)

    def _moved_to(self, data: bytes, committed: int) -> int:
        """Take note of where the transaction ended whose last packet begins at ``committed``."""
        if committed >= 0:
            self._move(_U32.unpack_from(data, committed + _EVENT_AT + 13)[0])
        return -1

    def _move(self, end: int) -> None:
        if not end:  # it doesn't say: the next one will
            return
        high = self._offset & -_WRAPS
        if high + end < self._offset:
            high += _WRAPS
        self._offset = high + end
        self._moved = self._has_place = True

    # larger than one packet, or than what was read

    def _take_large(self, data: bytes, at: int, batch: Batch) -> int:
        """Read an event of any size; return ``at`` itself where it isn't there yet."""
        if data[at + 9] == events.TRANSACTION_PAYLOAD:
            return self._begin_payload(data, at, batch)
        parts: list[bytes] = []
        position, length = at, _LARGEST
        while length == _LARGEST:
            if position + _PACKET_BYTES > len(data):
                self.missing = position + _PACKET_BYTES - len(data)
                return at
            length = _U32.unpack_from(data, position)[0] & _LARGEST
            following = position + _PACKET_BYTES + length
            if following > len(data):
                self.missing = following - len(data)
                return at
            parts.append(data[position + _PACKET_BYTES : following])
            position = following
        event = b"".join(parts)
        self._event(event[5], event, 1, len(event) - self._checksum, batch)
        return position

    def _begin_payload(self, data: bytes, at: int, batch: Batch) -> int:
        head = min(len(data), at + _PACKET_BYTES + (_U32.unpack_from(data, at)[0] & _LARGEST))
        needed = min(at + 80, at + _PACKET_BYTES + (_U32.unpack_from(data, at)[0] & _LARGEST))
        if head < needed:  # its fields are within the first bytes
            self.missing = needed - len(data)
            return at
        self._payload = Payload(data, at, checksum_bytes=self._checksum)
        return self._inflate(data, self._payload.begin, batch)

    def _inflate(self, data: bytes, at: int, batch: Batch) -> int:
        """Read on in a transaction that is compressed as a whole."""
        payload = self._payload
        assert payload is not None
        begun = self._own_bytes
        while len(batch.rows) < BATCH_ROWS and self._own_bytes - begun < BATCH_BYTES:
            at = payload.feed(data, at)
            self._take_inner(payload, batch)
            if payload.has_ended:
                self._payload = None
                self._move(payload.end)
                break
            if at == len(data) or payload.is_starved(data, at):
                break
        return at

    def _take_inner(self, payload: Payload, batch: Batch) -> None:
        def is_skipped(kind: int) -> bool:
            return _ACTS[kind] == _SKIP or (_ACTS[kind] == _ROWS and not self._mapped)

        for kind, event in payload.events(is_skipped):
            if kind == BINLOG.XID_EVENT:
                self._is_open = False
                self._append_gtid()
                # the position is the whole payload's: known where it ends
                self._end(batch, offset=payload.end)
            else:
                self._event(kind, event, 0, len(event), batch, position=payload.position)

    # one event

    def _event(
        self, kind: int, data: bytes, at: int, end: int, batch: Batch, position: int | None = None
    ) -> None:
        """Read an event that may matter.

        Args:
            kind: its type.
            data: holds it.
            at: where it begins.
            end: where its content ends.
            batch: gets what comes of it.
            position: where it stands in the file; None: it says so itself.
        """
        act = _ACTS[kind]
        if act == _ROWS:
            if position is None:
                position = self._place(data, at)
            self._rows(kind, data, at, end, batch, position)
        elif act == _TABLE_MAP:
            if data.startswith(self._signatures, at + 27):
                self._map(data, at, end, position)
        elif act == _QUERY:
            self._statement(events.query(data, at, end), data, at, batch)
        elif act == _XID:
            self._end_at(data, at, batch)
        elif act == _GTID:
            body = at + events.HEADER_BYTES
            self._gtid = data[body : body + events.GTID_BYTES]
        elif act == _OTHER:
            self._other(kind, data, at, end, batch)
        elif act == _UNKNOWN and not events.header(data, at).flags & events.IGNORABLE:
            self._fail(f"an event of type {kind} is not known")

    def _place(self, data: bytes, at: int) -> int:
        """Return where in the file an event begins that belongs to a transaction."""
        found = events.place(data, at)
        if found >= 0:
            return found
        # MariaDB from 11 on: only the first and the last event of a transaction say where they
        # are. Between them it is where it would be if the transaction held rows of ours alone.
        begin = events.place(self._gtid, 0) if isinstance(self._gtid, bytes) else self._offset
        return begin + self._own_bytes

    def _other(self, kind: int, data: bytes, at: int, end: int, batch: Batch) -> None:
        match kind:
            case BINLOG.ROTATE_EVENT:
                self._rotate(events.rotation(data, at, end))
            case BINLOG.FORMAT_DESCRIPTION_EVENT:
                self._begin_file(data, at, end + self._checksum)
            case BINLOG.XA_PREPARE_EVENT:
                self._prepare(events.prepared(data, at), data, at, batch)
            case BINLOG.EXECUTE_LOAD_QUERY_EVENT:
                self._statement(events.query(data, at, end, extra=_LOAD_BYTES), data, at, batch)
            case events.MARIADB_QUERY_COMPRESSED:
                self._statement(events.query(data, at, end, compressed=True), data, at, batch)
            case events.GTID_TAGGED:
                self._gtid = events.tagged_gtid(data[at + events.HEADER_BYTES : end])
            case _:
                self._lose("the server says that it failed to log a transaction")

    def _rotate(self, rotation: events.Rotation) -> None:
        if rotation == (self._file, self._offset):
            return
        self._file, self._offset = rotation
        self._moved = self._has_place

    def _begin_file(self, data: bytes, at: int, end: int) -> None:
        self._checksum = events.CHECKSUM_BYTES if events.has_checksums(data, end) else 0
        self._created = events.header(data, at).timestamp
        expected, self._expected_created = self._expected_created, None
        if expected not in (None, self._created):
            raise PositionLost(
                f"The file {self._file} is not the one that was read: the log was reset.",
                hint="A new position is made, and pending rows are captured.",
            )
        # a server that was started anew numbers tables anew, and may have left the end of its last
        # file in the middle of a transaction
        self._mapped.clear()
        self._transaction = self._thread = self._gtid = None
        self._is_open = self._is_held = self._beats = False
        self._own_bytes = 0
        self._xa_rows = []

    # transactions

    def _append_gtid(self) -> None:
        if self._gtid is not None:
            self._run.append(self._gtid)
            self._gtid = None

    def _end_at(self, data: bytes, at: int, batch: Batch) -> None:
        """End the transaction with the event at ``at``."""
        self._is_open = False
        self._append_gtid()
        if self._payload is None:
            self._move(events.header(data, at).end)
        self._end(batch)

    def _end(self, batch: Batch, *, offset: int | None = None) -> None:
        """Take note of what the transaction that has just ended brought."""
        if self._beats:
            self._beats = False
            place = coordinate(self._file, self._offset if offset is None else offset)
            batch.heartbeat = Heartbeat(position=place, server=self._server, history=0)
        self._mapped.clear()
        self._transaction = self._thread = None
        self._is_held = False
        self._own_bytes = 0

    def _statement(self, query: events.Query, data: bytes, at: int, batch: Batch) -> None:
        statement = self._reader.read(query.database, query.text)
        match statement.meaning:
            case Meaning.BEGINS:
                self._is_open = True
                self._thread = _U32.pack(query.thread)
                return
            case Meaning.XA_BEGINS:  # of its thread Debezium says nothing
                self._is_open = self._is_held = True
                return
            case Meaning.WRITES_TABLE:
                self._lose(
                    "a session logs statements instead of rows, and one writes to "
                    f"{self._watched.table}",
                    hint="Have every session keep binlog_format = ROW, and the roles that may "
                    "change it be few.",
                )
            case Meaning.WRITES_SOMETHING:
                batch.doubt = (
                    "a session logs statements instead of rows, and what one of them wrote by a "
                    "trigger, a view or a function is not in the log"
                )
            case Meaning.CHANGES_TABLE:
                self._table = None
                self._images.clear()
            case Meaning.XA_COMMITS | Meaning.XA_ROLLS_BACK:
                self._finish(statement, batch)
                self._is_open = False
            case Meaning.ENDS:
                self._is_open = False
            case Meaning.NOTHING:
                pass
        if not self._is_open:
            self._end_at(data, at, batch)

    def _prepare(self, found: events.Prepared, data: bytes, at: int, batch: Batch) -> None:
        rows, self._xa_rows = self._xa_rows, []
        if found.in_one_phase:
            batch.rows.extend(rows)
        elif rows:
            self._held[found.xid] = rows
        else:
            self._prepared[found.xid] = None
        self._end_at(data, at, batch)

    def _finish(self, statement: Statement, batch: Batch) -> None:
        """Let go what was held; its rows say the transaction of their PREPARE, as Debezium's."""
        rows = self._held.pop(statement.xid, None)
        is_known = rows is not None or statement.xid in self._prepared
        self._prepared.pop(statement.xid, None)
        if statement.meaning is Meaning.XA_ROLLS_BACK:
            return
        if not is_known:
            batch.doubt = "a distributed transaction was prepared before our position"
        batch.rows.extend(rows or ())

    def _transaction_of(self, data: bytes, at: int) -> BinlogTransaction:
        """Return the transaction that the event at ``at`` belongs to."""
        if self._transaction is None:
            timestamp, _kind, server_id = _TIME_AND_SERVER.unpack_from(data, at)
            gtid, committed_us = self._named()
            thread = self._thread
            self._transaction = BinlogTransaction(
                self._file,
                gtid,
                server_id,
                committed_us or timestamp * 1_000_000,
                None if thread is None else _U32.unpack(thread)[0],
            )
        return self._transaction

    def _named(self) -> tuple[str | None, int | None]:
        """Return the transaction's id as Debezium writes it, and when it was committed."""
        gtid = self._gtid
        if gtid is None:
            return None, None
        if isinstance(gtid, events.Gtid):
            tag = f"{gtid.tag}:" if gtid.tag else ""
            return f"{gtid.uuid}:{tag}{gtid.number}", gtid.committed_us
        if len(gtid) == events.MARIADB_GTID_BYTES:
            return str(events.mariadb_gtid(gtid)), None
        raw, number, committed_us = events.numbered(gtid)
        name = self._names.get(raw)
        if name is None:
            name = self._names[raw] = f"{UUID(bytes=raw)}:"
        return f"{name}{number}" if number else None, committed_us

    # rows

    def _map(self, data: bytes, at: int, end: int, position: int | None) -> None:
        """Take note of how rows of a table that matters are written."""
        table_id = data[at + 19 : at + 25]
        if data.startswith(self._beat_signature, at + 27):
            self._mapped[table_id] = None
            return
        content = data[at + 27 + len(self._signature) : end]
        images = self._images.get(content)
        if images is None:
            place = self._place(data, at) if position is None else position
            images = self._images[content] = self._describe(content, place)
        self._mapped[table_id] = images

    def _describe(self, content: bytes, place: int) -> Images:
        found = parse(content, mariadb=self._mariadb)
        try:
            table = self._table or self._look_up(place, certainly=not found.says_names)
            try:
                columns, key = described(found, table, self._charsets)
            except UnfittingError:  # changed where the log doesn't tell
                table = self._look_up(place, certainly=True)
                columns, key = described(found, table, self._charsets)
        except UnfittingError as error:
            self._fail(
                f"rows of {self._watched.table} are written in a form that the table doesn't "
                "have any more, and the log doesn't describe it",
                error,
                hint=CHANGED_TABLE_HINT,
            )
        if not key or not {*key} <= {column.name for column in columns}:
            self._fail(f"rows of {self._watched.table} have no primary key", None)
        names = (self._watched.schema, self._watched.table)
        hidden = hidden_columns(found, table)
        return Images(*names, columns, key, mariadb=self._mariadb, hidden=hidden)

    def _look_up(self, place: int, *, certainly: bool) -> Dictionary | None:
        self._table = self._lookup(self._file, place, certainly=certainly)
        return self._table

    def _rows(self, kind: int, data: bytes, at: int, end: int, batch: Batch, position: int) -> None:
        table_id = data[at + 19 : at + 25]
        if table_id not in self._mapped:
            return
        images = self._mapped[table_id]
        if images is None:
            self._beats |= self._beat_key in data[at:end]
            return
        is_update = kind in _UPDATES
        if is_update and not self._watched.reads_updates:
            return
        if kind == BINLOG.PARTIAL_UPDATE_ROWS_EVENT:
            self._lose(
                f"an update of {self._watched.table} is logged in part",
                hint="SET GLOBAL binlog_row_value_options = '';",
            )
        self._check(data, at, end)
        self._own_bytes += end - at
        transaction = self._transaction or self._transaction_of(data, at)
        self.committed_us = transaction.committed_us
        begin = at + 27
        if kind in _WITH_EXTRA:
            begin += int.from_bytes(data[begin : begin + 2], "little")
        if kind in _COMPRESSED:
            header_end = begin + images.head_bytes(is_update=is_update)
            data = data[begin:header_end] + events.uncompressed(data[header_end:end])
            begin, end = 0, len(data)
        target = self._xa_rows if self._is_held else batch.rows
        if is_update:
            images.updated(data, begin, end, position, transaction, target)
        else:
            images.inserted(data, begin, end, position, transaction, target)

    def _check(self, data: bytes, at: int, end: int) -> None:
        """Compare the checksum of an event that we take rows from."""
        if self._checksum and self._payload is None and not events.is_whole(data, at, end):
            self._fail("an event's checksum is wrong")

    # what stops the stream

    def _fail(self, why: str, cause: Exception | None = None, *, hint: str = "") -> NoReturn:
        raise LogDecodeError(
            f"The log is not understood in {self._file} behind {self._offset}: {why}.",
            hint=hint or "Report it with the server's version.",
        ) from cause

    def _lose(self, why: str, *, hint: str = "") -> NoReturn:
        raise PositionLost(
            f"Rows are missing in the log, in {self._file} behind {self._offset}: {why}.",
            hint=hint or "A new position is made, and pending rows are captured.",
        )


CHANGED_TABLE_HINT = (
    "Run SET GLOBAL binlog_row_metadata = FULL; so that the log describes the table from now on, "
    "and start once with 'cdc-sms capture --accept-gap', which captures the pending rows and goes "
    "on from the present."
)


def absorb(gtids: Gtids, run: Sequence[bytes | events.Gtid]) -> None:
    """Add transactions to a set, in the log's order."""
    if isinstance(gtids, DomainPosition):
        last = {cast("bytes", raw)[27:31]: raw for raw in run}
        for raw in last.values():
            found = events.mariadb_gtid(cast("bytes", raw))
            gtids.add(found.domain, found.server_id, found.number)
    else:
        _absorb_numbered(gtids, run)


def _absorb_numbered(gtids: GtidSet, run: Sequence[bytes | events.Gtid]) -> None:
    member, start, number = b"", 0, 0
    for raw in run:
        if isinstance(raw, events.Gtid):
            gtids.add((raw.uuid, raw.tag), raw.number)
            continue
        this = int.from_bytes(raw[17:25], "little")
        if not this:  # the server numbers nothing
            continue
        if this == number and raw[1:17] == member:
            number += 1
            continue
        if number > start:
            gtids.add_interval((UUID(bytes=member), ""), start, number)
        member, start, number = raw[1:17], this, this + 1
    if number > start:
        gtids.add_interval((UUID(bytes=member), ""), start, number)
