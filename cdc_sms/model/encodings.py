"""A key's JSON value becomes the value that the database's own connection reads from the column.

Pure. Debezium writes one column in many ways: by type, by precision, by a handful of settings. The
kind of the business table's column and, where the key came with its schema, the schema's name for
the encoding say which one it is. What can't be told, or not *exactly*, is refused: a wrong key
would look at another row and miss its own.

Without a schema a value is what Debezium writes with the settings of ``debezium/``, or what can
only be written by other settings: a number that no ``DATETIME(6)`` can be in microseconds is one
of nanoseconds.

Source: Debezium's documentation, "Data type mappings" of the PostgreSQL, MySQL, MariaDB, SQL
Server and Oracle connectors; their settings ``decimal.handling.mode``, ``time.precision.mode``,
``binary.handling.mode`` and ``bigint.unsigned.handling.mode``.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from cdc_sms.errors import EnvelopeError

T = TypeVar("T")


class ColumnKind(StrEnum):
    """What a column holds, as far as its encoding goes."""

    INTEGER = "integer"
    TEXT = "text"
    BOOLEAN = "boolean"
    NUMERIC = "numeric"
    FLOAT = "float"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    """Without a time zone."""
    TIMESTAMPTZ = "timestamptz"
    UUID = "uuid"
    BYTES = "bytes"
    BITS = "bits"
    """MySQL's ``BIT``, which the connection reads as a whole number."""
    OTHER = "other"
    """Whatever the connection reads as text."""


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One column of the primary key.

    Attributes:
        name: the column's name.
        kind: what it holds.
        scale: of a numeric column, digits after the point; None: any number of them.
        precision: of a time or timestamp, the digits of a second that it keeps; None: the
            database's default, six. Of a numeric column, all its digits.
        is_unsigned: of an integer, whether it is unsigned and of 64 bits: MySQL's
            ``BIGINT UNSIGNED``.
        length: of a column of bytes, how many it holds at most; None: any number of them.
        number_unit: of a time, what Debezium by default writes a number of (``us``); None: it
            goes by the precision.
        has_zero_dates: whether a date of zeros can be in it, for which Debezium writes the epoch.
    """

    name: str
    kind: ColumnKind
    scale: int | None = None
    precision: int | None = None
    is_unsigned: bool = False
    length: int | None = None
    number_unit: str | None = None
    has_zero_dates: bool = False

    @property
    def second_digits(self) -> int:
        """Return how many digits of a second a time or timestamp keeps."""
        return 6 if self.precision is None else self.precision


KeyValue = int | str | bool | Decimal | float | date | time | datetime | UUID | bytes


def decode_value(value: object, column: KeyColumn, type_hint: str | None) -> KeyValue:
    """Return one column's value as the connection reads it.

    Args:
        value: as JSON has it.
        column: what the business table's column is.
        type_hint: the schema's name for the encoding (``io.debezium.time.MicroTimestamp``,
            ``org.apache.kafka.connect.data.Decimal:2``, ``int64``); None without a schema: then
            it is what Debezium writes with the settings of ``debezium/``.

    Returns:
        ``int``, ``str``, ``bool``, ``Decimal``, ``float``, ``date``, ``time``, ``bytes``,
        ``UUID``; a ``datetime`` naive for a timestamp, aware in UTC for one with a time zone.

    Raises:
        EnvelopeError: not exactly known; names column and encoding, never the value.
    """
    try:
        return _decoded(value, column, type_hint)
    except _Inexact as reason:
        raise EnvelopeError(
            f"The key's column {column.name} ({column.kind}) can't be decoded: {reason}.",
            hint=f"{_REMEDIES.get(column.kind, '')} The settings in debezium/ do.".strip(),
        ) from None


def _decoded(value: object, column: KeyColumn, hint: str | None) -> KeyValue:
    decoded = _DECODERS[column.kind](value, column, hint)
    if column.has_zero_dates and decoded in _EPOCHS:
        raise _Inexact("it may stand for a date of zeros")
    return decoded


class _Inexact(Exception):  # noqa: N818 - a reason, on its way to an error
    """Why a value can't be decoded; a few words."""


_REMEDIES = {
    ColumnKind.NUMERIC: "Set decimal.handling.mode=string.",
    ColumnKind.INTEGER: "Set decimal.handling.mode=string, bigint.unsigned.handling.mode=long.",
    ColumnKind.BYTES: "Leave binary.handling.mode at bytes.",
    ColumnKind.TIME: "Leave time.precision.mode at its default.",
    ColumnKind.TIMESTAMP: "Leave time.precision.mode at its default.",
    ColumnKind.TIMESTAMPTZ: "Leave time.precision.mode at its default.",
}

_MAX_EXACT_DOUBLE = 2**53 - 1  # 2**53 itself may have been 2**53 + 1
_MAX_DOUBLE_DIGITS = 10**15  # as many decimal digits as any double keeps apart
_LONGEST_NUMBER = 1000
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE_BASE64 = re.compile(r"(?:[0-9eE+]{4})+")
_CONNECT_DECIMAL = "org.apache.kafka.connect.data.Decimal"


# Numbers


def _integer(value: object, column: KeyColumn, hint: str | None) -> int:
    number = _number(value, column, hint)
    if number != number.to_integral_value():
        raise _Inexact("it is no whole number")
    whole = int(number)
    if not column.is_unsigned:
        return whole
    if (
        -(2**63) <= whole < 0
    ):  # Connect's integers have a sign: the upper half is written as its complement
        whole += 2**64
    if not 0 <= whole < 2**64:
        raise _Inexact("it is out of range")
    return whole


def _numeric(value: object, column: KeyColumn, hint: str | None) -> Decimal:
    number = _number(value, column, hint)
    return number if column.scale is None else _with_scale(number, column.scale)


def _with_scale(number: Decimal, scale: int) -> Decimal:
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # never NaN or infinite
    missing = exponent + scale
    if missing >= 0:
        return Decimal((sign, digits + (0,) * missing if any(digits) else (0,), -scale))
    if any(digits[missing:]):
        raise _Inexact(f"it has more than {scale} digits after the point")
    return Decimal((sign, digits[:missing] or (0,), -scale))


def _number(value: object, column: KeyColumn, hint: str | None) -> Decimal:
    """Read a number in any of the modes: text, double, or unscaled bytes with their scale."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, dict):
        return _variable_scale(value)
    if isinstance(value, float):
        return _from_double(value, column)
    if not isinstance(value, str):
        raise _Inexact(f"{_form(value)} is no number")
    if hint is not None and hint.startswith(f"{_CONNECT_DECIMAL}:"):
        return _unscaled(value, hint.removeprefix(f"{_CONNECT_DECIMAL}:"))
    if len(value) > _LONGEST_NUMBER or not _NUMBER.fullmatch(value):
        return _unscaled_by_column(value, column, hint)
    if hint is None and column.scale and _WHOLE_BASE64.fullmatch(value):
        raise _Inexact("the text may be a number or base64")
    return Decimal(value)


def _unscaled_by_column(text: str, column: KeyColumn, hint: str | None) -> Decimal:
    """Read a Connect decimal that came without its schema: the column knows the scale.

    A text of digits alone is a number. As base64 it would begin with a bit of one, as every
    digit does: it would be negative. So where base64 can look like a number (there is no point
    in it), no negative number is read from base64 at all: the next one might be misread.
    """
    scale = 0 if column.is_unsigned else column.scale
    if hint is not None or scale is None:
        raise _Inexact("the text is no number")
    number = _unscaled(text, str(scale))
    if number < 0 and scale == 0:
        raise _Inexact("without its schema a negative number can't be told from digits")
    return number


def _variable_scale(struct: Mapping[object, object]) -> Decimal:
    scale, unscaled = struct.get("scale"), struct.get("value")
    if not isinstance(scale, int) or not isinstance(unscaled, str):
        raise _Inexact("the struct is no decimal")
    return _unscaled(unscaled, str(scale))


def _unscaled(text: str, scale: str) -> Decimal:
    """Read a Connect decimal: base64 of a big-endian two's complement, and its scale apart."""
    if not re.fullmatch(r"-?[0-9]{1,4}", scale):
        raise _Inexact("the schema doesn't tell the scale")
    if len(text) > _LONGEST_NUMBER:
        raise _Inexact("it is too long")
    if not text:
        raise _Inexact("there are no bytes")
    unscaled = int.from_bytes(_base64(text), "big", signed=True)
    digits = tuple(int(digit) for digit in str(abs(unscaled)))
    return Decimal((int(unscaled < 0), digits, -int(scale)))


def _from_double(value: float, column: KeyColumn) -> Decimal:
    scale = 0 if column.kind is ColumnKind.INTEGER else column.scale
    if not math.isfinite(value):
        raise _Inexact("it is no finite number")
    if scale == 0 and value == int(value):
        if abs(value) > _MAX_EXACT_DOUBLE:
            raise _Inexact("a double above 2^53 isn't exact")
        return Decimal(int(value))
    if scale is None or abs(value) * 10**scale >= _MAX_DOUBLE_DIGITS:
        raise _Inexact("a double isn't exact for this column")
    return Decimal(repr(value))


def _float(value: object, _column: KeyColumn, _hint: str | None) -> float:
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_EXACT_DOUBLE:
        return float(value)
    raise _Inexact(f"{_form(value)} is no finite double")


def _boolean(value: object, _column: KeyColumn, _hint: str | None) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in {0, 1}:  # MySQL's TINYINT(1)
        return value == 1
    raise _Inexact(f"{_form(value)} is neither true nor false")


# Text, identifiers, bytes


def _text(value: object, _column: KeyColumn, _hint: str | None) -> str:
    if isinstance(value, str):
        return value
    raise _Inexact(f"{_form(value)} is no text")


def _uuid(value: object, column: KeyColumn, hint: str | None) -> UUID:
    try:
        return UUID(_text(value, column, hint))
    except ValueError:
        raise _Inexact("the text is no UUID") from None


_HEXADECIMAL = re.compile(r"(?:[0-9a-f]{2})+")
_TO_STANDARD_ALPHABET = str.maketrans("-_", "+/")


def _bytes(value: object, column: KeyColumn, hint: str | None) -> bytes:
    """Read bytes: base64 by default; as text, in a mode that only the text itself can tell.

    Where a text is both base64 and hexadecimal, the column's length may still tell them apart.
    """
    text = _text(value, column, hint)
    if hint == "bytes":
        return _base64(text)
    written = text.removeprefix(r"\x")  # PostgreSQL's own form
    if written != text and not _HEXADECIMAL.fullmatch(written):
        raise _Inexact("the text is not hexadecimal")
    readings = set[bytes]()
    if _HEXADECIMAL.fullmatch(written):
        readings.add(bytes.fromhex(written))
    if written == text and not (readings and len(text) % 4):
        readings.add(_base64(text.translate(_TO_STANDARD_ALPHABET)))
    if len(readings) > 1 and column.length is not None:
        readings = {reading for reading in readings if len(reading) <= column.length}
    if len(readings) != 1:
        raise _Inexact("the text may be hexadecimal or base64")
    return readings.pop()


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _Inexact("the text is no base64") from None


def _bits(value: object, column: KeyColumn, hint: str | None) -> int:
    """Read a ``BIT``: one bit is a truth value, more are bytes, the lowest first."""
    if isinstance(value, bool):
        return int(value)
    return int.from_bytes(_base64(_text(value, column, hint)), "little")


# Times: all arithmetic in whole nanoseconds


_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}

_UNITS: Mapping[str, str] = {
    "io.debezium.time.Time": "ms",
    "io.debezium.time.MicroTime": "us",
    "io.debezium.time.NanoTime": "ns",
    "io.debezium.time.Timestamp": "ms",
    "io.debezium.time.MicroTimestamp": "us",
    "io.debezium.time.NanoTimestamp": "ns",
    "org.apache.kafka.connect.data.Time": "ms",
    "org.apache.kafka.connect.data.Timestamp": "ms",
}

_DIGITS = {"ms": 3, "us": 6, "ns": 9}

_MAY_BE_MILLISECONDS = "the number may be of milliseconds or microseconds"
_DAY_NS = 86_400 * 10**9
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock arithmetic; UTC is put on at the end
_EPOCHS = frozenset({_EPOCH, _EPOCH.replace(tzinfo=UTC), _EPOCH.date()})
_SOON_AFTER_THE_EPOCH_NS = 10**17
"""March 1973. A number of microseconds below it is more likely one of milliseconds."""
_LAST_NS = 253_402_300_799 * 10**9
"""The year 9999. A number of microseconds above it is one of nanoseconds."""
_INFINITE = frozenset(
    number // unit
    for number in (9_223_372_036_825_200_000, -9_223_372_036_832_400_000)
    for unit in (1, 1000)
)
"""What Debezium writes for PostgreSQL's ``infinity``, in microseconds and in milliseconds."""


def _unit(column: KeyColumn, hint: str | None) -> str:
    """Return what a time's number is of; without a schema, by Debezium's default."""
    if hint is None:
        digits = column.second_digits
        return column.number_unit or ("ms" if digits <= 3 else "us" if digits <= 6 else "ns")
    if hint not in _UNITS:
        raise _Inexact(f"{hint} is no encoding of it")
    return _UNITS[hint]


def _nanoseconds(value: int, unit: str, column: KeyColumn) -> int:
    if _DIGITS[unit] < column.second_digits:
        raise _Inexact("milliseconds cut off what the column keeps")
    return value * _NS[unit]


def _date(value: object, column: KeyColumn, hint: str | None) -> date:
    if isinstance(value, int) and not isinstance(value, bool):
        if hint not in {None, "io.debezium.time.Date", "org.apache.kafka.connect.data.Date"}:
            raise _Inexact(f"{hint} is no encoding of it")
        try:
            return _EPOCH.date() + timedelta(days=value)
        except OverflowError:
            raise _Inexact("it is out of range") from None
    written = re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2})Z?", _text(value, column, hint))
    if written is None:
        raise _Inexact("the text is no date")
    return _or_out_of_range(lambda: date.fromisoformat(written[1]))


def _time(value: object, column: KeyColumn, hint: str | None) -> time:
    if isinstance(value, int) and not isinstance(value, bool):
        unit = _unit(column, hint)
        of_day = _nanoseconds(value, unit, column)
        if hint is None and unit != "ms" and 0 < value < _DAY_NS // _NS["ms"]:
            raise _Inexact(_MAY_BE_MILLISECONDS)
    else:
        written = re.fullmatch(rf"{_CLOCK}Z?", _text(value, column, hint))
        if written is None:
            raise _Inexact("the text is no time")
        of_day = _of_day(written)
    if not 0 <= of_day < _DAY_NS:
        raise _Inexact("it is out of range")
    return (_EPOCH + _microseconds(of_day)).time()


_CLOCK = r"(?P<h>[0-9]{2}):(?P<m>[0-9]{2})(?::(?P<s>[0-9]{2})(?:\.(?P<f>[0-9]{1,9}))?)?"
_ZONE = r"(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
_MOMENT = re.compile(rf"(?P<day>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})[T ]{_CLOCK}{_ZONE}")


def _timestamp(value: object, column: KeyColumn, hint: str | None) -> datetime:
    if isinstance(value, int) and not isinstance(value, bool):
        return _since_the_epoch(value, column, hint)
    moment, offset = _written_moment(_text(value, column, hint))
    if offset:
        raise _Inexact("it has a time zone, and the column has none")
    return moment


def _timestamptz(value: object, column: KeyColumn, hint: str | None) -> datetime:
    if isinstance(value, int) and not isinstance(value, bool):
        return _since_the_epoch(value, column, hint).replace(tzinfo=UTC)
    moment, offset = _written_moment(_text(value, column, hint))
    if offset is None:
        raise _Inexact("it has no time zone")
    return _or_out_of_range(lambda: moment.replace(tzinfo=timezone(offset)).astimezone(UTC))


def _since_the_epoch(value: int, column: KeyColumn, hint: str | None) -> datetime:
    unit = _unit(column, hint)
    if value in _INFINITE:
        raise _Inexact("it stands for infinity")
    if hint is None:
        finer = (name for name, size in _NS.items() if size <= _NS[unit])
        unit = next((name for name in finer if abs(value) * _NS[name] <= _LAST_NS), unit)
    elapsed = _nanoseconds(value, unit, column)
    if hint is None and column.second_digits > 3 and abs(elapsed) < _SOON_AFTER_THE_EPOCH_NS:
        raise _Inexact(_MAY_BE_MILLISECONDS)
    return _or_out_of_range(lambda: _EPOCH + _microseconds(elapsed))


def _written_moment(text: str) -> tuple[datetime, timedelta | None]:
    """Read ISO 8601, to the nanosecond: ``fromisoformat`` drops what it can't hold."""
    written = _MOMENT.fullmatch(text)
    if written is None:
        raise _Inexact("the text is no timestamp")
    of_day = _of_day(written)
    if of_day >= _DAY_NS:
        raise _Inexact("it is out of range")
    moment = _or_out_of_range(
        lambda: datetime.fromisoformat(written["day"]) + _microseconds(of_day)
    )
    return moment, None if written["zone"] is None else _offset(written["zone"])


def _of_day(written: re.Match[str]) -> int:
    hours, minutes, seconds = int(written["h"]), int(written["m"]), int(written["s"] or 0)
    if minutes > 59 or seconds > 59:
        raise _Inexact("it is out of range")
    whole = (hours * 60 + minutes) * 60 + seconds
    return whole * _NS["s"] + int((written["f"] or "0").ljust(9, "0"))


def _offset(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -size if zone[0] == "-" else size


def _microseconds(nanoseconds: int) -> timedelta:
    whole, rest = divmod(nanoseconds, 1000)
    if rest:
        raise _Inexact("nanoseconds don't fit")
    return timedelta(microseconds=whole)


def _or_out_of_range(make: Callable[[], T]) -> T:
    try:
        return make()
    except (ValueError, OverflowError):
        raise _Inexact("it is out of range") from None


def _form(value: object) -> str:
    """Name a JSON value's form, never the value."""
    return _FORMS.get(type(value), "a list")


_FORMS: Mapping[type, str] = {
    type(None): "null",
    bool: "a truth value",
    int: "an integer",
    float: "a double",
    str: "a text",
    dict: "an object",
}


_DECODERS: Mapping[ColumnKind, Callable[[object, KeyColumn, str | None], KeyValue]] = {
    ColumnKind.INTEGER: _integer,
    ColumnKind.TEXT: _text,
    ColumnKind.BOOLEAN: _boolean,
    ColumnKind.NUMERIC: _numeric,
    ColumnKind.FLOAT: _float,
    ColumnKind.DATE: _date,
    ColumnKind.TIME: _time,
    ColumnKind.TIMESTAMP: _timestamp,
    ColumnKind.TIMESTAMPTZ: _timestamptz,
    ColumnKind.UUID: _uuid,
    ColumnKind.BYTES: _bytes,
    ColumnKind.BITS: _bits,
    ColumnKind.OTHER: _text,
}
