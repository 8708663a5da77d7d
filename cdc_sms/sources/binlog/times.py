"""Times of MySQL and MariaDB, packed as in the log or as text, become Debezium's JSON values.

Pure. Dates are days, DATETIME is milliseconds up to three digits and microseconds above, TIME
microseconds, TIMESTAMP text in UTC with as many digits as the column has. A date with a zero in it
is no date to Debezium: null where the column may be NULL, else the column's default or 1970. Years
below 100 are two-digit ones to it: 1970 to 2069.

All packed forms of five and more bytes are big-endian, as are all fractions: of so many decimal
digits as fit into their bytes (2, 4, 6).

Source: MySQL manual, "Date and Time Data Type Representation"; Debezium 3.6, ``RowDeserializers``
and ``BinlogValueConverters``.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta

from cdc_sms.sources.binlog.column import Column

Read = Callable[[bytes], object]
"""From a value's bytes to its JSON value; ValueError: there is no such time."""

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - all arithmetic is in UTC

_DAY_S = 86_400
_MICROSECONDS_OF = {1: 10_000, 2: 100, 3: 1}
"""What a fraction's last digit is worth, by the fraction's bytes."""

_EPOCH_TEXT = "1970-01-01T00:00:00Z"


def fraction_size(digits: int) -> int:
    """Return how many bytes the fraction of a time with so many digits takes."""
    return (digits + 1) // 2


# From the log


def date_reader(column: Column) -> Read:
    """Return what reads DATE: three bytes, little-endian: year, month and day in bits."""
    zero = _zero_day(column)

    def read(raw: bytes) -> object:
        packed = int.from_bytes(raw, "little")
        year, month, day = packed >> 9, packed >> 5 & 15, packed & 31
        return _days(year, month, day) if year and month and day else zero

    return read


def datetime_reader(column: Column) -> Read:
    """Return what reads DATETIME: sign, year and month, day, hour, minute, second in 40 bits."""
    digits = column.metadata
    size = fraction_size(digits)
    shift, mask = 8 * size, (1 << 8 * size) - 1
    worth = _MICROSECONDS_OF.get(size, 0)
    zero, in_milliseconds = _zero_moment(column, digits), digits <= 3

    def read(raw: bytes) -> object:
        packed = int.from_bytes(raw, "big")
        whole = packed >> shift
        year, month = divmod(whole >> 22 & 0x1FFFF, 13)
        day = whole >> 17 & 31
        if not (year and month and day):
            return zero
        seconds = (
            _days(year, month, day) * _DAY_S
            + (whole >> 12 & 31) * 3600
            + (whole >> 6 & 63) * 60
            + (whole & 63)
        )
        microseconds = seconds * 1_000_000 + (packed & mask) * worth
        return microseconds // 1000 if in_milliseconds else microseconds

    return read


def time_reader(column: Column) -> Read:
    """Return what reads TIME: hour, minute, second in 24 bits, counted from a middle."""
    size = fraction_size(column.metadata)
    shift, mask = 8 * size, (1 << 8 * size) - 1
    worth, middle = _MICROSECONDS_OF.get(size, 0), 0x800000 << shift

    def read(raw: bytes) -> object:
        offset = int.from_bytes(raw, "big") - middle
        packed = abs(offset)
        whole = packed >> shift
        seconds = (whole >> 12 & 1023) * 3600 + (whole >> 6 & 63) * 60 + (whole & 63)
        microseconds = seconds * 1_000_000 + (packed & mask) * worth
        return -microseconds if offset < 0 else microseconds

    return read


def timestamp_reader(column: Column, *, mariadb: bool) -> Read:
    """Return what reads TIMESTAMP: seconds since 1970 in four bytes, and a fraction.

    Args:
        column: any of the type.
        mariadb: Debezium's connector for it takes a zero for the first second of 1970.
    """
    digits = column.metadata
    size = fraction_size(digits)
    shift, mask = 8 * size, (1 << 8 * size) - 1
    zero = _zero_timestamp(column, digits, mariadb=mariadb)

    def read(raw: bytes) -> object:
        packed = int.from_bytes(raw, "big")
        if not packed:
            return zero
        return _timestamp_text(packed >> shift, packed & mask, 2 * size, digits)

    return read


# From the log of servers and tables before MySQL 5.6 and MariaDB 10.0: no fractions


def old_datetime_reader(column: Column) -> Read:
    """Return what reads the old DATETIME: eight bytes, little-endian: YYYYMMDDhhmmss."""
    zero = _zero_moment(column, 0)

    def read(raw: bytes) -> object:
        rest, clock = divmod(int.from_bytes(raw, "little"), 1_000_000)
        rest, day = divmod(rest, 100)
        year, month = divmod(rest, 100)
        if not (year and month and day):
            return zero
        return (_days(year, month, day) * _DAY_S + _clock_number_s(clock)) * 1000

    return read


def old_time(raw: bytes) -> object:
    """Read the old TIME: three bytes, little-endian: hhmmss."""
    return _clock_number_s(int.from_bytes(raw, "little")) * 1_000_000


def old_timestamp_reader(column: Column, *, mariadb: bool) -> Read:
    """Return what reads the old TIMESTAMP: seconds since 1970 in four bytes, little-endian."""
    zero = _zero_timestamp(column, 0, mariadb=mariadb)

    def read(raw: bytes) -> object:
        seconds = int.from_bytes(raw, "little")
        return _timestamp_text(seconds, 0, 0, 0) if seconds else zero

    return read


def _clock_number_s(clock: int) -> int:
    hours, rest = divmod(clock, 10_000)
    minutes, seconds = divmod(rest, 100)
    return hours * 3600 + minutes * 60 + seconds


# From the text that SELECT shows

_DATE = re.compile(r"(\d+)-(\d+)-(\d+)")
_MOMENT = re.compile(r"(\d+)-(\d+)-(\d+)(?:[ T](\d+):(\d+):(\d+)(?:\.(\d{0,6}))?)?")
_TIME = re.compile(r"(-?)(\d+):(\d+)(?::(\d+)(?:\.(\d{0,6}))?)?")


def date_of_text(column: Column) -> Read:
    """Return what reads a date's text, ``2026-11-24``."""
    zero = _zero_day(column)

    def read(raw: bytes) -> object:
        year, month, day = map(int, _found(_DATE, raw).groups())
        return _days(year, month, day) if year and month and day else zero

    return read


def datetime_of_text(column: Column, digits: int) -> Read:
    """Return what reads a DATETIME's text, ``2026-11-24 05:47:11.123456``."""
    zero, in_milliseconds = _zero_moment(column, digits), digits <= 3

    def read(raw: bytes) -> object:
        microseconds = _microseconds_of_moment(raw)
        if microseconds is None:
            return zero
        return microseconds // 1000 if in_milliseconds else microseconds

    return read


def time_of_text(raw: bytes) -> object:
    """Read a TIME's text, ``-838:59:59.000000``."""
    sign, *clock = _found(_TIME, raw).groups()
    microseconds = _clock_us(*clock)
    return -microseconds if sign else microseconds


def timestamp_of_text(column: Column, digits: int, *, mariadb: bool) -> Read:
    """Return what reads the text of a TIMESTAMP in a session whose time zone is UTC."""
    zero = _zero_timestamp(column, digits, mariadb=mariadb)

    def read(raw: bytes) -> object:
        microseconds = _microseconds_of_moment(raw)
        if microseconds is None:
            return zero
        return _timestamp_text(*divmod(microseconds, 1_000_000), 6, digits)

    return read


def _found(pattern: re.Pattern[str], raw: bytes) -> re.Match[str]:
    found = pattern.fullmatch(raw.decode())
    if found is None:
        raise ValueError("a time in an unknown form")
    return found


def _microseconds_of_moment(raw: bytes) -> int | None:
    """Return microseconds since 1970; None for a date with a zero in it."""
    years, months, days, *clock = _found(_MOMENT, raw).groups()
    year, month, day = int(years), int(months), int(days)
    if not (year and month and day):
        return None
    return _days(year, month, day) * _DAY_S * 1_000_000 + _clock_us(*clock)


def _clock_us(
    hours: str | None, minutes: str | None, seconds: str | None, fraction: str | None
) -> int:
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return whole * 1_000_000 + int((fraction or "").ljust(6, "0"))


# Shared


def _days(year: int, month: int, day: int) -> int:
    """Return days since 1970; ValueError: there is no such day."""
    if year < 100:
        year += 2000 if year < 70 else 1900
    return date(year, month, day).toordinal() - _EPOCH_DAY


def _timestamp_text(seconds: int, fraction: int, width: int, digits: int) -> str:
    """Write a moment as Java's ISO form does, with exactly so many digits.

    Args:
        seconds: since 1970.
        fraction: of a second, a number of ``width`` decimal digits.
        width: how many it has.
        digits: how many are written.
    """
    text = (_EPOCH + timedelta(0, seconds)).isoformat()
    if not digits:
        return f"{text}Z"
    return f"{text}.{f'{fraction:0{width}}'.ljust(digits, '0')[:digits]}Z"


def _zero_timestamp(column: Column, digits: int, *, mariadb: bool) -> object:
    """Return what stands for a zero TIMESTAMP; to the MariaDB connector it is a time."""
    if mariadb:
        return _timestamp_text(0, 0, 0, digits)
    if column.nullable:
        return None

    def read(raw: bytes) -> object:
        microseconds = _microseconds_of_moment(raw)
        if not microseconds:
            return _EPOCH_TEXT
        return _timestamp_text(*divmod(microseconds, 1_000_000), 6, digits)

    return _by_default(column, read, _EPOCH_TEXT)


def _zero_day(column: Column) -> object:
    return None if column.nullable else _by_default(column, _day_of_default, 0)


def _day_of_default(raw: bytes) -> object:
    microseconds = _microseconds_of_moment(raw)
    return 0 if microseconds is None else microseconds // (_DAY_S * 1_000_000)


def _zero_moment(column: Column, digits: int) -> object:
    if column.nullable:
        return None

    def read(raw: bytes) -> object:
        microseconds = _microseconds_of_moment(raw) or 0
        return microseconds // 1000 if digits <= 3 else microseconds

    return _by_default(column, read, 0)


def _by_default(column: Column, read: Read, otherwise: object) -> object:
    """Return the column's default, where it has one that is a time."""
    if column.default is None:
        return otherwise
    try:
        return read(column.default.encode())
    except ValueError:
        return otherwise
