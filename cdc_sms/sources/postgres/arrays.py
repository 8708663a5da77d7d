"""PostgreSQL's arrays become the JSON arrays that Debezium writes.

Pure. Debezium takes an array's elements through Java's older classes of dates and times, which
know no microseconds and count days before 15 October 1582 by the Julian calendar: an element is
not always what the same value is alone. An array of arrays loses its inner values there; texts
among them are written here as the server writes them.

Source: PostgreSQL manual, 8.15.6 "Array Input and Output Syntax"; Debezium's
``PostgresValueConverter.convertArray``; ``java.sql.Date``, ``Time`` and ``Timestamp``.
"""

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

Element: TypeAlias = "str | list[Element] | None"
Converter = Callable[[bytes], object]


def array(convert: Converter, *, is_text: bool = False, takes_null: bool = True) -> Converter:
    """Return what turns an array's text into a list.

    Args:
        convert: turns an element.
        is_text: elements are texts: then an inner array becomes its own text, else null.
        takes_null: otherwise an array with a NULL in it is null as a whole.
    """

    def one(element: Element) -> object:
        if isinstance(element, list):
            return _text(element) if is_text else None
        return None if element is None else convert(element.encode())

    def converted(raw: bytes) -> object:
        elements = parsed(raw.decode())
        if not takes_null and None in elements:
            return None
        return [one(element) for element in elements]

    return converted


def numerics(convert: Converter) -> Converter:
    """Return the same for ``numeric[]``, which Java has no NaN and no infinity for: null."""
    convert_array = array(convert)

    def converted(raw: bytes) -> object:
        return None if b"N" in raw.replace(b"NULL", b"") or b"I" in raw else convert_array(raw)

    return converted


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{},]|[^{},"]+', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parsed(text: str) -> list[Element]:
    """Read an array's text: its elements, NULL as None, inner arrays as lists.

    Raises:
        ValueError: it is no array.
    """
    if text.startswith("["):  # bounds that don't begin with 1
        text = text.partition("=")[2]
    tokens = iter(_TOKEN.findall(text))
    if next(tokens, "") != "{":
        raise ValueError("an array in an unknown form")
    return _elements(tokens)


def _elements(pieces: Iterator[str]) -> list[Element]:
    found: list[Element] = []
    for piece in pieces:
        if piece == "}":
            return found
        if piece == "{":
            found.append(_elements(pieces))
        elif piece[0] == '"':
            found.append(_ESCAPED.sub(r"\1", piece[1:-1]))
        elif piece != ",":
            found.append(None if piece == "NULL" else piece)
    raise ValueError("an array without an end")


def _text(element: Element) -> str:
    if isinstance(element, list):
        return "{" + ",".join(map(_text, element)) + "}"
    return "NULL" if element is None else element


# Java's hybrid calendar: from this day on Gregorian, before it Julian.
_CHANGE = (1582, 10, 15)
_DAY_US = 86_400_000_000
_DATE = re.compile(r"(\d{4,})-(\d\d)-(\d\d)(.*?)( BC)?", re.DOTALL)


def _parts(text: str) -> tuple[int, int, int, str, bool]:
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError("a time in an unknown form")
    year, month, day, rest, bc = found.groups()
    return int(year), int(month), int(day), rest, bc is not None


def dates(convert: Converter) -> Converter:
    """Return what turns a ``date`` in an array, from what turns one alone."""
    infinite = {b"infinity": -622_191_234, b"-infinity": -625_821_272}

    def converted(raw: bytes) -> object:
        known = infinite.get(raw)
        return convert(_fields(raw)) if known is None else known

    return converted


def zoned_timestamps(convert: Converter, digits: int) -> Converter:
    """Return what turns a ``timestamptz`` in an array.

    Args:
        convert: turns one alone.
        digits: of its seconds.
    """
    fraction = f".{'0' * digits}" if digits else ""
    before_all = f"+292269055-12-02T23:00:00{fraction}Z"

    def converted(raw: bytes) -> object:
        if raw == b"infinity":
            return "infinity"
        return before_all if raw == b"-infinity" else convert(_fields(raw))

    return converted


def _fields(raw: bytes) -> bytes:
    """Return a date as Java's getters say it: without its era, and no day is left out."""
    year, month, day, rest, bc = _parts(raw.decode())
    if not bc and (1582, 10, 4) < (year, month, day) < _CHANGE:
        day += 10
    return f"{year:04}-{month:02}-{day:02}{rest}".encode()


def timestamp_us(raw: bytes, *, alone: Callable[[bytes], int]) -> int:
    """Return microseconds since 1970 of a ``timestamp`` in an array.

    Args:
        raw: the server's text.
        alone: turns one that is not in an array.
    """
    year, month, day, rest, bc = _parts(raw.decode())
    if not bc and (year, month, day) >= _CHANGE:
        return alone(raw)
    moment_us = alone(b"2000-01-01" + rest.encode()) - alone(b"2000-01-01 00:00:00")
    return _julian_days(1 - year if bc else year, month, day) * _DAY_US + moment_us


def _julian_days(year: int, month: int, day: int) -> int:
    """Return days since 1970 of a day of the Julian calendar.

    Source: the Julian day number's usual formula; 1970-01-01 is number 2,440,588.
    """
    shift = (14 - month) // 12
    years, months = year + 4800 - shift, month + 12 * shift - 3
    return day + (153 * months + 2) // 5 + 365 * years + years // 4 - 32_083 - 2_440_588


def clock_us(microseconds: int) -> int:
    """Return a time of day as ``java.sql.Time`` holds it: whole milliseconds of one day."""
    return microseconds % _DAY_US // 1000 * 1000
