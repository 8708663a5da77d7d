"""A captured row becomes a record: key and value as Debezium's JsonConverter writes them.

Pure. Without schemas; the fields and their order are those of Debezium's connectors. The key's
bytes are the very same, so that both put a row on the same partition. The value is the same field
by field; how its JSON is written (``1.0E7`` or ``10000000.0``) is not part of that. What differs
between the connectors is ``source``: see ``source_block.py``.

Source: Debezium's documentation, "PostgreSQL connector: Data change events"; the golden records in
``tests/data/debezium``.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

import orjson

from cdc_sms.envelope.source_block import SourceBlock
from cdc_sms.model.captured_row import CapturedRow, CapturedTable, Undecodable

TOO_LARGE, UNDECODABLE = "too_large", "undecodable"
"""Why a record doesn't hold its whole row."""


class EncodedRecord(NamedTuple):
    """A record as it goes to the topic.

    Attributes:
        key: None where the row's key can't be decoded.
        value: the envelope.
        trimmed: why the value doesn't hold the whole row; None where it does.
    """

    key: bytes | None
    value: bytes
    trimmed: str | None = None


class Encoder:
    """Encodes the rows of one source.

    Args:
        source: how its records say where a row was read.
        max_record_bytes: a larger record is trimmed.

    Thread: one owner.
    """

    def __init__(self, *, source: SourceBlock, max_record_bytes: int) -> None:
        self._source = source
        self._max_record_bytes = max_record_bytes
        self._table: CapturedTable | None = None
        self._template = b""
        self._key: Sequence[tuple[bytes, int]] = ()

    def encode_all(self, rows: Sequence[CapturedRow], *, now_us: int) -> list[EncodedRecord]:
        """Return each row's record, in the same order; see :meth:`encode`."""
        return [self.encode(row, now_us=now_us) for row in rows]

    def encode(self, row: CapturedRow, *, now_us: int) -> EncodedRecord:
        """Return the row's record, which never exceeds the largest size.

        Args:
            row: any; what of it can't be written is left out, and the record says so.
            now_us: when it is encoded, in microseconds since 1970.
        """
        table = row.table
        if table is not self._table:
            self._table = table
            self._template = self._template_of(table)
            self._key = [(_text(name) + b":", table.columns.index(name)) for name in table.key]
        try:
            after = orjson.dumps(dict(zip(table.columns, row.values, strict=True)))
        except TypeError:
            return self._without_undecodable(row, now_us)
        record = EncodedRecord(self._key_of(row), self._value(row, after, now_us))
        if _size(record) > self._max_record_bytes:
            return shrunk(record, limit_bytes=self._max_record_bytes)
        return record

    def _key_of(self, row: CapturedRow) -> bytes:
        values = row.values
        return b"{%b}" % b",".join([name + _key_value(values[at]) for name, at in self._key])

    def _value(self, row: CapturedRow, after: bytes, now_us: int) -> bytes:
        return self._template % (
            b"null" if row.before is None else _object(row.table, row.before),
            after,
            *self._source.fill(row),
            row.operation.encode(),
            now_us // 1000,
            now_us,
            now_us,
        )

    def _template_of(self, table: CapturedTable) -> bytes:
        return (
            b'{"before":%b,"after":%b,"source":'
            + self._source.template(table)
            + b',"transaction":null,"op":"%b","ts_ms":%d,"ts_us":%d,"ts_ns":%d000}'
        )

    def _without_undecodable(self, row: CapturedRow, now_us: int) -> EncodedRecord:
        """Encode what can be read; a key that can't be is written as bytes beside the row."""
        columns = dict(zip(row.table.columns, row.values, strict=True))
        value = self._value(row, _object(row.table, row.values), now_us)
        unread = {
            name: base64.b64encode(raw.raw).decode()
            for name in row.table.key
            if isinstance(raw := columns[name], Undecodable)
        }
        key = None if unread else self._key_of(row)
        if unread:
            value = value[:-1] + b',"undecodable":' + orjson.dumps(unread) + b"}"
        record = EncodedRecord(key, value, UNDECODABLE)
        return shrunk(record, limit_bytes=self._max_record_bytes)


def _object(table: CapturedTable, values: Sequence[object]) -> bytes:
    """Return an image of the row with what of it can be read."""
    columns = zip(table.columns, values, strict=True)
    return orjson.dumps({n: value for n, value in columns if not isinstance(value, Undecodable)})


def shrunk(record: EncodedRecord, *, limit_bytes: int) -> EncodedRecord:
    """Return the record with its largest values left out, so that it fits.

    Args:
        record: of an :class:`Encoder`.
        limit_bytes: for key and value together, with what Kafka adds to them.

    Returns:
        The record itself where it fits already. Columns that are left out are absent from
        ``after``; the key's stay as long as anything else can go. ``before`` goes first.
    """
    excess = _size(record) - limit_bytes
    if excess <= 0:
        return record
    envelope = orjson.loads(record.value)
    if envelope["before"] is not None:
        excess -= len(orjson.dumps(envelope["before"]))
        envelope["before"] = None
    row: dict[str, object] = envelope["after"]
    key = orjson.loads(record.key) if record.key else {}
    sizes = {name: len(orjson.dumps(value)) for name, value in row.items()}
    for name in sorted(sizes, key=lambda name: (name in key, -sizes[name])):
        if excess <= 0:
            break
        del row[name]
        excess -= sizes[name]
    return EncodedRecord(record.key, orjson.dumps(envelope), record.trimmed or TOO_LARGE)


_OVERHEAD_BYTES = 200
"""What Kafka's record and batch formats and our header add at most."""


def _size(record: EncodedRecord) -> int:
    return len(record.value) + len(record.key or b"") + _OVERHEAD_BYTES


def _key_value(value: object) -> bytes:
    match value:
        case bool():
            return b"true" if value else b"false"
        case int():
            return b"%d" % value
        case str():
            return _text(value)
        case float():
            return _java_number(value)
        case list():
            return b"[%b]" % b",".join(map(_key_value, value))
        case _:
            return b"null"


# Jackson, which JsonConverter writes with: short escapes where JSON has them, hexadecimal digits in
# upper case, and characters beyond the basic plane as two escapes; everything else as it is.
_ESCAPED = re.compile('["\\\\\x00-\x1f\U00010000-\U0010ffff]')
_SHORT: Mapping[str, str] = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
}


def _text(text: str) -> bytes:
    return f'"{_ESCAPED.sub(_escape, text)}"'.encode()


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if character in _SHORT:
        return _SHORT[character]
    units = character.encode("utf-16-be")
    pairs = (units[at : at + 2] for at in range(0, len(units), 2))
    return "".join(f"\\u{int.from_bytes(pair):04X}" for pair in pairs)


_SMALLEST_DOUBLE = 5e-324


def _java_number(number: float) -> bytes:
    """Return a float as Java prints a double: plain from 0.001 up to 10,000,000.

    Never with one digit alone: the smallest double is 4.9E-324.

    Source: Java API, Double.toString.
    """
    if abs(number) == _SMALLEST_DOUBLE:
        return b"-4.9E-324" if number < 0 else b"4.9E-324"
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return repr(number).encode()
    sign, digits, exponent = Decimal(repr(number)).as_tuple()
    assert isinstance(exponent, int)  # NaN and the infinities came as text
    written = "".join(map(str, digits))
    fraction = written[1:].rstrip("0") or "0"
    power = len(written) - 1 + exponent
    return f"{'-' if sign else ''}{written[0]}.{fraction}E{power}".encode()
