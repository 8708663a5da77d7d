"""PostgreSQL's text form of a value becomes the JSON value that Debezium would write.

Pure. Debezium's rules are those of ``decimal.handling.mode=string`` and else its defaults: adaptive
time precision (milliseconds up to three digits, microseconds above), dates as days, ``timestamptz``
and ``timetz`` as text in UTC, ``bytea`` as base64. What has no rule here arrives as its text.

The session must write times in ISO form and in UTC, floats in full and ``bytea`` in
hexadecimal: ``connection.py`` asks for that.

Source: PostgreSQL manual, chapter 8 "Data Types"; Debezium's documentation, "PostgreSQL connector:
Data type mappings"; the golden records in ``tests/data/debezium``.
"""

import binascii
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from cdc_sms.model.captured_row import Undecodable

Converter = Callable[[bytes], object]
"""From the bytes of the server's text form to a JSON value; raises ValueError if it can't."""

_EPOCH = datetime.fromisoformat("1970-01-01")
"""Without a time zone, as the values that are counted from it: all are in UTC."""

_DAY_US = 86_400_000_000

# pg_type.dat: the object ids of the built-in types
BOOL, BYTEA, INT8, INT2, INT4, OID = 16, 17, 20, 21, 23, 26
FLOAT4, FLOAT8 = 700, 701
DATE, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ, NUMERIC = 1082, 1083, 1114, 1184, 1266, 1700

FIRST_USER_TYPE = 16_384
"""Types with lower object ids are the server's own and mean the same everywhere."""


def converter(type_id: int, modifier: int) -> Converter:
    """Return what turns a column's values into Debezium's JSON values.

    Args:
        type_id: the object id of the column's type; for a domain that of its base type.
        modifier: ``atttypmod``; -1 where the type has none. For times the number of digits.
    """
    made = _BY_PRECISION.get(type_id)
    if made is not None:
        return made(6 if modifier < 0 else modifier)
    return _PLAIN.get(type_id, _text)


_UNAVAILABLE = "__debezium_unavailable_value"
_UNAVAILABLE_BYTES = binascii.b2a_base64(_UNAVAILABLE.encode(), newline=False).decode()


def unavailable(type_id: int) -> str:
    """Return what stands for a TOAST value that an update left alone: the log leaves it out.

    Source: Debezium's documentation, "PostgreSQL connector: Toasted values".
    """
    return _UNAVAILABLE_BYTES if type_id == BYTEA else _UNAVAILABLE


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
    text = raw.decode()
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except ValueError:
        infinite = _INFINITE_TIMESTAMPS_US.get(text)
        return _far_moment_us(text) if infinite is None else infinite
    return since.days * _DAY_US + since.seconds * 1_000_000 + since.microseconds


def _timestamp_ms(raw: bytes) -> int:
    return _timestamp_us(raw) // 1000


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
    NUMERIC: _numeric,
    TIMETZ: _timetz,
}

_BY_PRECISION: Mapping[int, Callable[[int], Converter]] = {
    TIME: _time,
    TIMESTAMP: _timestamp,
    TIMESTAMPTZ: _timestamptz,
}
