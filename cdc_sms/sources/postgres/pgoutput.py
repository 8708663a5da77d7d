r"""The stream that a logical replication slot of plugin ``pgoutput`` sends, from bytes.

Pure: no socket, no waiting. :class:`Decoder` takes the stream's messages one by one, as
``source.py`` receives them, and collects rows in a :class:`~cdc_sms.sources.base.Batch`.

Layout, all integers big-endian. The stream's messages::

    w  XLogData       lsn:8  wal_end:8  clock:8  pgoutput message
    k  keepalive      wal_end:8  clock:8  reply_requested:1
    r  status update  written:8  flushed:8  applied:8  clock:8  reply_requested:1   (ours)

pgoutput's messages, protocol version 1::

    B  begin     final_lsn:8  committed:8  xid:4
    C  commit    flags:1  commit_lsn:8  end_lsn:8  committed:8
    R  relation  oid:4  schema\0  table\0  identity:1  n:2
                 n times: flags:1  name\0  type:4  modifier:4
    I  insert    oid:4  'N'  n:2
                 n times: 'n' | 'u' | 't' length:4 text
    U  update    oid:4  ['K' | 'O'  n:2  n times as above]  'N'  n:2  n times as above
    M  message   flags:1  lsn:8  prefix\0  length:4 content
    O  origin    lsn:8  name\0
    Y  type: of no interest

Clocks are microseconds since 2000-01-01.

Source: PostgreSQL manual, 55.4 "Streaming Replication Protocol", 55.5 "Logical Streaming
Replication Protocol", 55.9 "Logical Replication Message Formats".
"""

import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from cdc_sms.errors import LogDecodeError, SetupError
from cdc_sms.model.captured_row import CapturedRow, CapturedTable, Transaction
from cdc_sms.model.change_event import Operation
from cdc_sms.model.position import Lsn
from cdc_sms.sources.base import Batch, Heartbeat
from cdc_sms.sources.postgres.values import (
    NAME,
    BaseType,
    Converter,
    convert_one,
    converter,
    unavailable,
)

POSTGRES_EPOCH_US = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970."""

DATA, KEEPALIVE = 0x77, 0x6B  # w k
_BEGIN, _COMMIT, _RELATION, _INSERT, _UPDATE = 0x42, 0x43, 0x52, 0x49, 0x55  # B C R I U
_MESSAGE, _ORIGIN, _TYPE = 0x4D, 0x4F, 0x59  # M O Y
_NEW, _OLD, _OLD_KEY = 0x4E, 0x4F, 0x4B  # N O K
_NULL, _TEXT, _UNCHANGED = 0x6E, 0x74, 0x75  # n t u

_HEADER = struct.Struct(">QQq")
_HEADER_BYTES = 25
_BEGIN_BODY = struct.Struct(">QqI")
_ORIGIN_BODY = struct.Struct(">Q")
_COMMIT_BODY = struct.Struct(">QQq")
_KEEPALIVE_BODY = struct.Struct(">QqB")
_STATUS = struct.Struct(">cQQQqB")
_RELATION_ID = struct.Struct(">I")
_COLUMN = struct.Struct(">Ii")
_MESSAGE_HEADER = struct.Struct(">BQ")

HEARTBEAT = "cdc-sms"
"""The prefix of the messages that we write into the log: slot, server and timeline in words."""


def status_update(position: int, *, clock_us: int, wants_reply: bool) -> bytes:
    """Return the message that confirms the log up to a position.

    Args:
        position: everything before it is safe; the server may forget it.
        clock_us: the present, in microseconds since 1970.
        wants_reply: ask the server for a keepalive, as a proof of life.
    """
    sent_us = clock_us - POSTGRES_EPOCH_US
    return _STATUS.pack(b"r", position, position, position, sent_us, wants_reply)


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the log describes it.

    Attributes:
        name: its name.
        type_id: its type's object id.
        modifier: its type modifier.
        is_required: whether it is NOT NULL, which the catalogue says, and the log doesn't.
    """

    name: str
    type_id: int
    modifier: int
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as the log describes it before its first row, and again after each change."""

    id: int
    schema: str
    name: str
    columns: tuple[Column, ...]


def parse_relation(body: bytes) -> Relation:
    """Read a relation message, its type byte included."""
    (oid,) = _RELATION_ID.unpack_from(body, 1)
    schema, position = _string(body, 5)
    name, position = _string(body, position)
    count = int.from_bytes(body[position + 1 : position + 3])
    position += 3
    columns = []
    for _ in range(count):
        column, position = _string(body, position + 1)
        columns.append(Column(column, *_COLUMN.unpack_from(body, position)))
        position += _COLUMN.size
    # a built-in schema comes as an empty name
    return Relation(oid, schema or "pg_catalog", name, tuple(columns))


def _string(body: bytes, start: int) -> tuple[str, int]:
    end = body.index(0, start)
    return body[start:end].decode(), end + 1


BaseTypes = Callable[[Sequence[Column]], Mapping[int, BaseType]]
"""From columns to what the catalogue says of those types that aren't built in, by object id."""

Required = Callable[[int], Collection[str]]
"""From a table's object id to its columns that are NOT NULL."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a row of one relation is made into."""

    table: CapturedTable
    converters: tuple[Converter, ...]
    unavailable: tuple[object, ...]
    kept: tuple[int, ...] | None
    """Which columns are captured, where some are left out for their type."""

    def of_the_kept(self, values: list[object]) -> list[object]:
        """Return the values of the columns that are captured."""
        return values if self.kept is None else [values[place] for place in self.kept]


def converters_of(
    columns: Sequence[Column], base_types: Mapping[int, BaseType]
) -> tuple[Converter | None, ...]:
    """Return each column's converter, None where its type is left out.

    A domain is written as its base type.
    """
    return tuple(
        converter(_base_type(column, base_types), is_required=column.is_required)
        for column in columns
    )


def _base_type(column: Column, base_types: Mapping[int, BaseType]) -> BaseType:
    """Return a column's type; a modifier of the column's own comes before its domain's."""
    found = base_types.get(column.type_id)
    if found is None:
        return BaseType(column.type_id, column.modifier)
    return found if column.modifier < 0 else found._replace(modifier=column.modifier)


def _left_out(_raw: bytes) -> None:
    """Convert nothing."""


class Decoder:
    """Reads one stream from its beginning to its end.

    Args:
        key: the primary key's columns, in the key's order.
        slot: whose heartbeats are ours.
        base_types: asked when a relation comes.
        required: asked then, if the answer changes how a value is written.

    Thread: one owner.
    """

    def __init__(
        self, *, key: tuple[str, ...], slot: str, base_types: BaseTypes, required: Required
    ) -> None:
        self._key = key
        self._slot = slot
        self._base_types = base_types
        self._required = required
        self._shapes: dict[int, _Shape] = {}
        self._transaction: Transaction | None = None
        self._former_position: int | None = None

    def take(self, message: bytes, batch: Batch) -> bool:
        """Read one message of the stream into the batch.

        Args:
            message: the whole of it.
            batch: its rows and its position are added to; the position only between
                transactions.

        Returns:
            True where the server asks for a reply now.

        Raises:
            LogDecodeError: the bytes are not understood.
            SetupError: the table lost a column of its key.
        """
        try:
            if message[0] == DATA:
                self._take_data(message, batch)
                return False
            if message[0] == KEEPALIVE:
                return self._take_keepalive(message, batch)
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise _not_understood(message) from error
        raise _not_understood(message)

    def _take_data(self, message: bytes, batch: Batch) -> None:
        kind = message[_HEADER_BYTES]
        if kind == _INSERT:
            batch.rows.append(self._row(message))
        elif kind == _UPDATE:
            batch.rows.append(self._updated_row(message))
        elif kind == _BEGIN:
            self._begin(message)
        elif kind == _COMMIT:
            self._commit(message, batch)
        elif kind == _RELATION:
            self._relation(parse_relation(message[_HEADER_BYTES:]))
        elif kind == _MESSAGE:
            batch.heartbeat = self._heartbeat(message) or batch.heartbeat
        elif kind == _ORIGIN:
            self._origin(message)
        elif kind != _TYPE:
            raise _not_understood(message)

    def _begin(self, message: bytes) -> None:
        _, committed, xid = _BEGIN_BODY.unpack_from(message, _HEADER_BYTES + 1)
        self._transaction = Transaction(xid, committed + POSTGRES_EPOCH_US, self._former_position)

    def _origin(self, message: bytes) -> None:
        """Read where the transaction was replicated from; comes before its rows."""
        if self._transaction is None:
            raise _not_understood(message)
        (position,) = _ORIGIN_BODY.unpack_from(message, _HEADER_BYTES + 1)
        name, _ = _string(message, _HEADER_BYTES + 1 + _ORIGIN_BODY.size)
        self._transaction = self._transaction._replace(origin=(name, position))

    def _commit(self, message: bytes, batch: Batch) -> None:
        _, end, committed = _COMMIT_BODY.unpack_from(message, _HEADER_BYTES + 2)
        _, _, clock = _HEADER.unpack_from(message, 1)
        self._transaction = None
        self._former_position = batch.position = end
        batch.age_s = max(0, clock - committed) / 1e6

    def _heartbeat(self, message: bytes) -> Heartbeat | None:
        """Read a message in the log; None: it isn't ours."""
        _, position = _MESSAGE_HEADER.unpack_from(message, _HEADER_BYTES + 1)
        prefix, start = _string(message, _HEADER_BYTES + 1 + _MESSAGE_HEADER.size)
        if prefix != HEARTBEAT:
            return None
        slot, _, said = message[start + 4 :].decode().partition(" ")
        server, _, history = said.partition(" ")
        if slot != self._slot or not history.isdigit():
            return None
        return Heartbeat(position, server, int(history))

    def _take_keepalive(self, message: bytes, batch: Batch) -> bool:
        wal_end, _, reply_requested = _KEEPALIVE_BODY.unpack_from(message, 1)
        if self._transaction is None:
            batch.position = max(wal_end, batch.position or 0)
        return bool(reply_requested)

    def _relation(self, relation: Relation) -> None:
        names = tuple(column.name for column in relation.columns)
        missing = [column for column in self._key if column not in names]
        if missing:
            raise SetupError(
                f"The table {relation.schema}.{relation.name} lost its key column "
                f"{', '.join(missing)}.",
                hint="Map the table's present key in [table.columns], then start again.",
            )
        base_types = self._base_types(relation.columns)
        described = self._described(relation, base_types)
        converters = converters_of(described, base_types)
        kept = tuple(place for place, convert in enumerate(converters) if convert is not None)
        columns = tuple(names[place] for place in kept)
        key = tuple(column for column in self._key if column in columns)
        self._shapes[relation.id] = _Shape(
            CapturedTable(relation.schema, relation.name, columns, key),
            tuple(convert or _left_out for convert in converters),
            tuple(
                unavailable(column.type_id, _base_type(column, base_types))
                for column in relation.columns
            ),
            None if len(kept) == len(names) else kept,
        )

    def _described(
        self, relation: Relation, base_types: Mapping[int, BaseType]
    ) -> tuple[Column, ...]:
        """Return the columns with what only the catalogue says, where it matters."""
        if all(_base_type(column, base_types).id != NAME for column in relation.columns):
            return relation.columns
        required = self._required(relation.id)
        return tuple(replace(c, is_required=c.name in required) for c in relation.columns)

    def _row(self, message: bytes) -> CapturedRow:
        shape = self._shapes.get(_RELATION_ID.unpack_from(message, _HEADER_BYTES + 1)[0])
        transaction = self._transaction
        if shape is None or transaction is None or message[_HEADER_BYTES + 5] != _NEW:
            raise _not_understood(message)
        try:
            values = row_values(message, _HEADER_BYTES + 6, shape.converters)
        except ValueError:
            values = row_values(message, _HEADER_BYTES + 6, _careful(shape.converters))
        return CapturedRow(
            shape.table,
            values if shape.kept is None else shape.of_the_kept(values),
            Operation.CREATE,
            int.from_bytes(message[1:9]),
            transaction,
        )

    def _updated_row(self, message: bytes) -> CapturedRow:
        """Read an update; the old image comes where the key changed or the table says so."""
        shape = self._shapes.get(_RELATION_ID.unpack_from(message, _HEADER_BYTES + 1)[0])
        if shape is None or self._transaction is None:
            raise _not_understood(message)
        position, before = _HEADER_BYTES + 5, None
        if message[position] in (_OLD, _OLD_KEY):
            before, position = image_values(
                message, position + 1, shape.converters, shape.unavailable
            )
        if message[position] != _NEW:
            raise _not_understood(message)
        values, position = image_values(message, position + 1, shape.converters, shape.unavailable)
        if position != len(message):
            raise _not_understood(message)
        return CapturedRow(
            shape.table,
            shape.of_the_kept(values),
            Operation.UPDATE,
            int.from_bytes(message[1:9]),
            self._transaction,
            before=None if before is None else shape.of_the_kept(before),
        )


def image_values(
    message: bytes, start: int, converters: Sequence[Converter], unavailable: Sequence[object]
) -> tuple[list[object], int]:
    """Read one of an update's images of a row, which may leave out values that didn't change.

    Args:
        message: holds the image.
        start: where the image's number of columns stands.
        converters: one for each column; what they can't read is marked.
        unavailable: what stands for a value that is left out, one for each column.

    Returns:
        The values, and where the image ends.

    Raises:
        LogDecodeError: the image has another form, or another number of columns.
    """
    if int.from_bytes(message[start : start + 2]) != len(converters):
        raise _not_understood(message)
    position = start + 2
    values: list[object] = []
    for convert, left_out in zip(converters, unavailable, strict=True):
        kind = message[position]
        if kind == _TEXT:
            first = position + 5
            position = first + int.from_bytes(message[position + 1 : first])
            values.append(convert_one(convert, message[first:position]))
        elif kind in (_NULL, _UNCHANGED):
            position += 1
            values.append(None if kind == _NULL else left_out)
        else:
            raise _not_understood(message)
    return values, position


def row_values(message: bytes, start: int, converters: Sequence[Converter]) -> list[object]:
    """Read a row's values.

    Args:
        message: holds the row.
        start: where the row's number of columns stands.
        converters: one for each column.

    Raises:
        LogDecodeError: the row has another form, or another number of columns.
        ValueError: a converter could not read its value.
    """
    if int.from_bytes(message[start : start + 2]) != len(converters):
        raise _not_understood(message)
    position = start + 2
    values: list[object] = []
    append = values.append
    for convert in converters:
        if message[position] == _TEXT:
            first = position + 5
            position = first + int.from_bytes(message[position + 1 : first])
            append(convert(message[first:position]))
        elif message[position] == _NULL:
            position += 1
            append(None)
        else:  # 'u', a TOAST value that an update left alone: no insert has one
            raise _not_understood(message)
    if position != len(message):
        raise _not_understood(message)
    return values


def _careful(converters: Sequence[Converter]) -> list[Converter]:
    """Return converters that mark what they can't read instead of raising."""

    def careful(convert: Converter) -> Converter:
        return lambda raw: convert_one(convert, raw)

    return [careful(convert) for convert in converters]


def _not_understood(message: bytes) -> LogDecodeError:
    position = Lsn.from_bytes(message[1:9]) if len(message) > 9 else Lsn(0)
    kind = message[: 1 if len(message) <= _HEADER_BYTES else _HEADER_BYTES + 1][-1:]
    return LogDecodeError(
        f"A message of {len(message)} bytes and kind {kind!r} at {position} of PostgreSQL's log "
        "is not understood.",
        hint="Report it with the server's version; the slot keeps the log from here on.",
    )
