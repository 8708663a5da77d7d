"""PostgreSQL's text form of a value becomes the JSON value that Debezium would write.

Pure. Debezium's rules are those of ``decimal.handling.mode=string`` and else its defaults: adaptive
time precision (milliseconds up to three digits, microseconds above), dates as days, ``timestamptz``
and ``timetz`` as text in UTC, ``bytea`` as base64. A type that Debezium leaves out of its records
(``include.unknown.datatypes`` is off) has no converter here: geometric types but points,
multiranges, composite types, most types of extensions, and arrays of these and of domains.

The session must write times in ISO form and in UTC, floats in full and ``bytea`` in
hexadecimal: ``connection.py`` asks for that.

Source: PostgreSQL manual, chapter 8 "Data Types"; Debezium's documentation, "PostgreSQL connector:
Data type mappings", and its ``PostgresValueConverter``; the golden records in
``tests/data/debezium``, and ``scripts/conformance``.
"""

import binascii
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from cdc_sms.model.captured_row import Undecodable
from cdc_sms.sources.postgres import arrays, rare_types

Converter = Callable[[bytes], object]
"""From the bytes of the server's text form to a JSON value; raises ValueError if it can't."""

_EPOCH = datetime.fromisoformat("1970-01-01")
"""Without a time zone, as the values that are counted from it: all are in UTC."""

_DAY_US = 86_400_000_000

# pg_type.dat: the object ids of the built-in types
BOOL, BYTEA, CHAR, NAME, INT8, INT2, INT4, TEXT, OID = 16, 17, 18, 19, 20, 21, 23, 25, 26
INT2VECTOR, OIDVECTOR, JSON, XML, POINT = 22, 30, 114, 142, 600
CIDR, FLOAT4, FLOAT8, MACADDR8, MONEY, MACADDR, INET = 650, 700, 701, 774, 790, 829, 869
BPCHAR, VARCHAR, DATE, TIME, TIMESTAMP, TIMESTAMPTZ = 1042, 1043, 1082, 1083, 1114, 1184
INTERVAL, TIMETZ, BIT, VARBIT, NUMERIC, UUID = 1186, 1266, 1560, 1562, 1700, 2950
TSVECTOR, JSONB = 3614, 3802
INT4RANGE, NUMRANGE, TSRANGE, TSTZRANGE, DATERANGE, INT8RANGE = 3904, 3906, 3908, 3910, 3912, 3926

FIRST_USER_TYPE = 10_000
"""Types with lower object ids mean the same everywhere; of others the catalogue tells."""


class BaseType(NamedTuple):
    """What the catalogue says of a column's type; of a domain, of what lies below it.

    Attributes:
        id: the type's object id.
        modifier: ``atttypmod``; -1 where the type has none. For times the number of digits.
        name: the type's name; of an array its elements'. Needed of types that aren't built in.
        kind: ``typtype`` of the type, or of an array's elements: ``b`` base, ``e`` enum, ….
        is_array: whether it is an array.
    """

    id: int
    modifier: int
    name: str = ""
    kind: str = "b"
    is_array: bool = False


def converter(base: BaseType, *, is_required: bool = False) -> Converter | None:
    """Return what turns a column's values into Debezium's JSON values.

    Args:
        base: the column's type.
        is_required: the column is NOT NULL: a ``name`` that is lost is then an empty text.

    Returns:
        None where Debezium leaves columns of the type out.
    """
    if base.id == NAME and is_required:
        return _emptied
    if base.id >= FIRST_USER_TYPE:
        return _of_the_database(base)
    element = _ELEMENTS.get(base.id)
    if element is None:
        return _built_in(base.id, base.modifier)
    return _array(element, base.modifier)


def _built_in(type_id: int, modifier: int) -> Converter | None:
    made = _BY_MODIFIER.get(type_id)
    return _PLAIN.get(type_id) if made is None else made(modifier)


def _of_the_database(base: BaseType) -> Converter | None:
    """Return the converter of an enum or of an extension's type, or of an array of them.

    Debezium goes by the name: what else is called so has no value that it can read, or is text.
    """
    found = _OF_EXTENSIONS.get(base.name)
    if base.kind == "e" and found is None:
        found = _text
    if base.kind != "b" and found is not None and found is not _text:
        return _lost
    if found is None or not base.is_array:
        return found
    return arrays.array(found, is_text=True, takes_null=base.name in {"hstore", "citext"})


def _array(element: int, modifier: int) -> Converter | None:
    """Return the converter of a built-in array type."""
    if element == BIT:
        return _lost
    if element in (INT2VECTOR, OIDVECTOR):
        return _old_vectors
    alone = _built_in(element, modifier)
    assert alone is not None
    if element == NUMERIC:
        return arrays.numerics(alone)
    special = _IN_ARRAYS.get(element)
    convert = alone if special is None else special(alone, modifier)
    return arrays.array(convert, is_text=element in _TEXTS, takes_null=element != TSVECTOR)


_UNAVAILABLE = "__debezium_unavailable_value"
_UNAVAILABLE_BYTES = binascii.b2a_base64(_UNAVAILABLE.encode(), newline=False).decode()


def unavailable(type_id: int, base: BaseType) -> object:
    """Return what stands for a TOAST value that an update left alone: the log leaves it out.

    Args:
        type_id: the object id of the column's type itself.
        base: what lies below it.

    Returns:
        Debezium's word for it, in the form of the type where it has one; None where it has none.

    Source: Debezium's documentation, "PostgreSQL connector: Toasted values", and its
    ``UnchangedToastedPlaceholder``.
    """
    if type_id in _UNAVAILABLE_ARRAYS:
        return _UNAVAILABLE_ARRAYS[type_id]
    is_array = base.is_array or base.id in _ELEMENTS
    if is_array or base.id == VARBIT or base.name in {"vector", "halfvec", "sparsevec"}:
        return None
    if base.name == "hstore" and type_id == base.id:
        return f'{{"{_UNAVAILABLE}":"{_UNAVAILABLE}"}}'
    return _UNAVAILABLE_BYTES if base.id == BYTEA else _UNAVAILABLE


def convert_one(convert: Converter, raw: bytes) -> object:
    """Return the value, or what marks it as :class:`Undecodable`."""
    try:
        return convert(raw)
    except ValueError:
        return Undecodable(raw)


def _text(raw: bytes) -> str:
    return raw.decode()


def _boolean(raw: bytes) -> bool:
    return raw == b"t"


def _float(raw: bytes) -> float | str:
    # JSON has no number for these; JsonConverter writes Java's names, which are the server's
    return raw.decode() if raw in (b"NaN", b"Infinity", b"-Infinity") else float(raw)


_UNUSUAL_NUMERICS = {
    "NaN": "NAN",
    "Infinity": "POSITIVE_INFINITY",
    "-Infinity": "NEGATIVE_INFINITY",
}


def _numeric(raw: bytes) -> str:
    text = raw.decode()
    return _UNUSUAL_NUMERICS.get(text, text)


def _numeric_of(modifier: int) -> Converter:
    """Return the converter of a numeric; Debezium takes a negative scale for a large one.

    Source: PostgreSQL's numeric.c: the scale's 11 bits of the modifier, from 15 on with a sign.
    """
    scale = (modifier - 4) & 0x7FF
    if modifier < 0 or scale <= 1000:
        return _numeric
    zeros = "." + "0" * scale
    return lambda raw: _numeric(raw) + (zeros if raw[-1:].isdigit() else "")


def _bytea(raw: bytes) -> str:
    if raw[:2] != b"\\x":
        raise ValueError("bytea in another form than hexadecimal")
    return binascii.b2a_base64(bytes.fromhex(raw[2:].decode("ascii")), newline=False).decode()


# What Debezium writes for an infinite date, timestamp: its constants, cut to 32 bits for the date.
_INFINITE_DATES = {"infinity": -2_147_472_692, "-infinity": -2_147_472_691}
_INFINITE_TIMESTAMPS_US = {
    "infinity": 9_223_372_036_825_200_000,
    "-infinity": -9_223_372_036_832_400_000,
}


def _date(raw: bytes) -> int:
    text = raw.decode()
    try:
        return (datetime.fromisoformat(text) - _EPOCH).days
    except ValueError:
        infinite = _INFINITE_DATES.get(text)
        return _far_moment_us(text) // _DAY_US if infinite is None else infinite


def _timestamp_us(raw: bytes) -> int:
    return _in_a_long(_exact_us(raw))


def _timestamp_ms(raw: bytes) -> int:
    return _exact_us(raw) // 1000


def _exact_us(raw: bytes) -> int:
    """Return microseconds since 1970, which may be more than 64 bits hold."""
    text = raw.decode()
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except ValueError:
        infinite = _INFINITE_TIMESTAMPS_US.get(text)
        return _far_moment_us(text) if infinite is None else infinite
    return since.days * _DAY_US + since.seconds * 1_000_000 + since.microseconds


def _timestamp(digits: int) -> Converter:
    return _timestamp_ms if digits <= 3 else _timestamp_us


_MOMENT = re.compile(
    r"(?P<year>\d{4,})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?: (?P<clock>[\d:.]+))?(?:\+00)?(?P<bc> BC)?"
)


def _far_moment_us(text: str) -> int:
    """Return microseconds since 1970 of a time that Python's calendar doesn't reach."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError("a time in an unknown form")
    year = 1 - int(found["year"]) if found["bc"] else int(found["year"])
    # the calendar repeats itself every 400 years, which have 146,097 days
    cycles, year_of_cycle = divmod(year, 400)
    near = datetime.fromisoformat(f"{year_of_cycle + 2000}-{found['month']}-{found['day']}")
    days = (near - _EPOCH).days + (cycles - 5) * 146_097
    return days * _DAY_US + _clock_us(found["clock"] or "00:00:00")


_MAX_LONG = 2**63 - 1


def _in_a_long(microseconds: int) -> int:
    """Return a number as Java's 64 bits hold it.

    Whole seconds stop at the end; what of a second is added then goes on from the other end.
    """
    if microseconds <= _MAX_LONG:
        return microseconds
    fraction = microseconds % 1_000_000
    held = min(microseconds - fraction, _MAX_LONG) + fraction
    return held if held <= _MAX_LONG else held - 2**64


def _clock_us(text: str) -> int:
    """Return microseconds since midnight of ``05:47:11.123456``; ``24:00:00`` is a whole day."""
    fraction = text[9:]
    return (
        int(text[0:2]) * 3_600_000_000
        + int(text[3:5]) * 60_000_000
        + int(text[6:8]) * 1_000_000
        + (int(fraction.ljust(6, "0")) if fraction else 0)
    )


def _time_us(raw: bytes) -> int:
    return _clock_us(raw.decode())


def _time_ms(raw: bytes) -> int:
    return _clock_us(raw.decode()) // 1000


def _time(digits: int) -> Converter:
    return _time_ms if digits <= 3 else _time_us


def _timestamptz(digits: int) -> Converter:
    whole = 19  # 2026-11-24 05:47:11
    width = whole + 1 + digits if digits else whole

    def convert(raw: bytes) -> str:
        text = raw.decode()
        if len(text) > whole and text[10] == " " and text[-3:] == "+00":
            clock = text[11:-3]
            if len(text) == whole + 3 and digits:
                clock += "."
            return f"{text[:10]}T{clock}".ljust(width, "0") + "Z"
        return _far_timestamptz(text, digits)

    return convert


def _far_timestamptz(text: str, digits: int) -> str:
    """Write a time before our era or after the year 9999 as Java's ISO form does."""
    if text in _INFINITE_TIMESTAMPS_US:
        return text
    found = _MOMENT.fullmatch(text)
    if found is None or "+00" not in text:
        raise ValueError("a time in an unknown form")
    year = 1 - int(found["year"]) if found["bc"] else int(found["year"])
    sign = "-" if year < 0 else "+" if year > 9999 else ""
    clock, _, fraction = (found["clock"] or "").partition(".")
    padded = f".{fraction.ljust(digits, '0')}" if digits else ""
    return f"{sign}{abs(year):04}-{found['month']}-{found['day']}T{clock}{padded}Z"


_ZONED_CLOCK = re.compile(r"(?P<clock>[\d:.]+)(?P<sign>[+-])(?P<hours>\d\d)(?::(?P<rest>[\d:]+))?")


def _timetz(raw: bytes) -> str:
    found = _ZONED_CLOCK.fullmatch(raw.decode())
    if found is None:
        raise ValueError("a time with time zone in an unknown form")
    rest = [*(found["rest"] or "00").split(":"), "00"]
    offset_s = int(found["hours"]) * 3600 + int(rest[0]) * 60 + int(rest[1])
    offset_us = (-offset_s if found["sign"] == "-" else offset_s) * 1_000_000
    utc = timedelta(microseconds=(_clock_us(found["clock"]) - offset_us) % _DAY_US)
    text = (_EPOCH + utc).strftime("%H:%M:%S.%f").rstrip("0")
    return text.rstrip(".") + "Z"


def _lost(_raw: bytes) -> None:
    """Lose a value: Debezium has no rule for a ``name``, and takes a ``bit[]`` for one bit."""


def _emptied(_raw: bytes) -> str:
    """Lose a ``name`` that may not be null."""
    return ""


def _old_vector(raw: bytes) -> list[object] | None:
    """Lose an ``oidvector`` or ``int2vector``: to Debezium an array without brackets."""
    return [] if raw else None


def _old_vectors(raw: bytes) -> list[object] | None:
    """Lose an array of them, unless it is empty."""
    return [] if raw == b"{}" else None


def _time_in_array(_alone: Converter, modifier: int) -> Converter:
    unit = 1000 if 0 <= modifier <= 3 else 1
    return lambda raw: arrays.clock_us(_clock_us(raw.decode())) // unit


def _timetz_in_array(_alone: Converter, _modifier: int) -> Converter:
    return lambda raw: f"{_timetz(raw)[:8]}Z"


def _timestamp_in_array(alone: Converter, modifier: int) -> Converter:
    in_milliseconds = 0 <= modifier <= 3

    def convert(raw: bytes) -> object:
        if raw.decode() in _INFINITE_TIMESTAMPS_US:
            return alone(raw)
        exact = arrays.timestamp_us(raw, alone=_exact_us)
        return exact // 1000 if in_milliseconds else _in_a_long(exact)

    return convert


_PLAIN: Mapping[int, Converter] = {
    BOOL: _boolean,
    BYTEA: _bytea,
    INT8: int,
    INT2: int,
    INT4: int,
    OID: int,
    FLOAT4: _float,
    FLOAT8: _float,
    DATE: _date,
    TIMETZ: _timetz,
    INTERVAL: rare_types.interval,
    MONEY: rare_types.money,
    POINT: rare_types.point,
    NAME: _lost,
    OIDVECTOR: _old_vector,
    INT2VECTOR: _old_vector,
    **dict.fromkeys(
        (
            CHAR, TEXT, BPCHAR, VARCHAR, JSON, JSONB, XML, UUID, TSVECTOR, INET, CIDR, MACADDR,
            MACADDR8, INT4RANGE, INT8RANGE, NUMRANGE, TSRANGE, TSTZRANGE, DATERANGE,
        ),
        _text,
    ),
}  # fmt: skip
"""The converters of built-in types; columns of the others Debezium leaves out."""


def _digits(modifier: int) -> int:
    return 6 if modifier < 0 else modifier


_BY_MODIFIER: Mapping[int, Callable[[int], Converter]] = {
    TIME: lambda modifier: _time(_digits(modifier)),
    TIMESTAMP: lambda modifier: _timestamp(_digits(modifier)),
    TIMESTAMPTZ: lambda modifier: _timestamptz(_digits(modifier)),
    NUMERIC: _numeric_of,
    BIT: rare_types.bits,
    VARBIT: rare_types.bits,
}

_OF_EXTENSIONS: Mapping[str, Converter] = {
    "citext": _text,
    "isbn": _text,
    "ltree": _text,
    "hstore": rare_types.hstore,
    "geometry": rare_types.geometry,
    "geography": rare_types.geometry,
    "vector": rare_types.vector,
    "halfvec": rare_types.vector,
    "sparsevec": rare_types.sparse_vector,
}
"""By name: an extension's types have other object ids in each database."""

_ELEMENTS: Mapping[int, int] = {
    199: JSON, 651: CIDR, 775: MACADDR8, 1000: BOOL, 1001: BYTEA, 1002: CHAR, 1005: INT2,
    1006: INT2VECTOR, 1007: INT4, 1009: TEXT, 1013: OIDVECTOR, 1014: BPCHAR, 1015: VARCHAR,
    1016: INT8, 1021: FLOAT4, 1022: FLOAT8, 1028: OID, 1040: MACADDR, 1041: INET,
    1115: TIMESTAMP, 1182: DATE, 1183: TIME,
    1185: TIMESTAMPTZ, 1231: NUMERIC, 1270: TIMETZ, 1561: BIT, 2951: UUID, 3643: TSVECTOR,
    3807: JSONB, 3905: INT4RANGE, 3907: NUMRANGE, 3909: TSRANGE, 3911: TSTZRANGE,
    3913: DATERANGE, 3927: INT8RANGE,
}  # fmt: skip
"""The built-in array types that Debezium has a rule for, and the types of their elements."""

_UNAVAILABLE_ARRAYS: Mapping[int, object] = {
    **{key: [_UNAVAILABLE] for key in (199, 1009, 1014, 1015, 3807)},
    **{key: list(_UNAVAILABLE.encode()) for key in (1007, 1016, 1182)},
    1001: [_UNAVAILABLE_BYTES],
    2951: ["b68a35a7-17ad-35b3-af2a-ae46edb4545a"],
}
"""By object id: of texts, of whole numbers and dates, of bytes, of UUIDs (the word's MD5)."""

_TEXTS = frozenset(type_id for type_id, convert in _PLAIN.items() if convert is _text)

_IN_ARRAYS: Mapping[int, Callable[[Converter, int], Converter]] = {
    DATE: lambda alone, _: arrays.dates(alone),
    TIMESTAMPTZ: lambda alone, modifier: arrays.zoned_timestamps(alone, _digits(modifier)),
    TIMESTAMP: _timestamp_in_array,
    TIME: _time_in_array,
    TIMETZ: _timetz_in_array,
}
"""What in an array is not what it is alone."""
