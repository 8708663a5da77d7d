"""MySQL's binary JSON becomes the text that Debezium writes.

Pure. The text is not what ``SELECT`` shows: no blanks, doubles in full, opaque values as bare
base64. It must be the very characters of the library that Debezium reads the log with, its slips
included (unsigned numbers of 32 bits as signed ones, negative times), or one row would have two
records.

A value is a type byte and what follows. An object or array holds its count and size, the places
and lengths of its keys, then a type byte and a place, or the value itself where it fits in there,
for each value; places count from the container's own beginning. "Small" ones use two bytes for each
number, "large" ones four.

Source: MySQL source documentation, ``sql-common/json_binary.h``; mysql-binlog-connector-java 0.41,
``JsonBinary`` and ``JsonStringFormatter``.
"""

import binascii
import math
import struct
from collections.abc import Callable, Mapping
from decimal import Decimal

from cdc_sms.sources.binlog.decimals import decimal_text

_SMALL_OBJECT, _LARGE_OBJECT, _SMALL_ARRAY, _LARGE_ARRAY = 0, 1, 2, 3
_LITERAL, _INT16, _UINT16, _INT32, _UINT32, _INT64, _UINT64, _DOUBLE = 4, 5, 6, 7, 8, 9, 10, 11
_STRING, _OPAQUE = 12, 15

_FIRST_NO_TYPE = 0x10
"""A first byte from here on to 0x7f begins JSON as text, as MariaDB keeps it."""

_LITERALS = {0: "null", 1: "true", 2: "false"}

_DECIMAL_TYPES = frozenset({0, 246})
_DATE_TYPE = 10
_TIME_TYPES = frozenset({11, 19})
_DATETIME_TYPES = frozenset({7, 12, 17, 18})

_ESCAPES = str.maketrans(
    {chr(code): f"\\u{code:04X}" for code in range(32)}
    | {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
)


def json_text(raw: bytes) -> str:
    """Return a JSON value's text.

    Raises:
        ValueError: it is no binary JSON.
    """
    if _FIRST_NO_TYPE <= raw[0] < 0x80:
        return raw.decode("utf_8", "replace")
    try:
        return _value(raw[0], raw, 1)
    except (IndexError, struct.error):
        raise ValueError("the document is cut") from None


def _value(kind: int, raw: bytes, at: int) -> str:
    read = _READERS.get(kind)
    if read is None:
        raise ValueError("a JSON value of an unknown type")
    return read(raw, at)


def _number(code: str) -> Callable[[bytes, int], str]:
    layout = struct.Struct(code)
    return lambda raw, at: str(layout.unpack_from(raw, at)[0])


def _literal(raw: bytes, at: int) -> str:
    literal = _LITERALS.get(raw[at])
    if literal is None:
        raise ValueError("a JSON literal that is none")
    return literal


def _double(raw: bytes, at: int) -> str:
    (number,) = struct.unpack_from("<d", raw, at)
    # Java would write an exponent here, so the library writes the double's exact value instead
    if number and not 1e-3 <= abs(number) < 1e7:
        return format(Decimal(number), "f")
    return repr(number)


def _string(raw: bytes, at: int) -> str:
    length, at = _variable_length(raw, at)
    return _quoted(_taken(raw, at, length))


def _quoted(raw: bytes) -> str:
    return f'"{raw.decode("utf_8", "replace").translate(_ESCAPES)}"'


def _variable_length(raw: bytes, at: int) -> tuple[int, int]:
    """Return a length of up to 32 bits in groups of seven, and the place behind it."""
    length = 0
    for shift in range(0, 35, 7):
        length |= (raw[at] & 0x7F) << shift
        at += 1
        if raw[at - 1] < 0x80:
            return length, at
    raise ValueError("a JSON length without an end")


def _taken(raw: bytes, at: int, length: int) -> bytes:
    if at + length > len(raw):
        raise ValueError("the document is cut")
    return raw[at : at + length]


# Objects and arrays


def _container(*, is_object: bool, is_large: bool) -> Callable[[bytes, int], str]:
    code, width = ("I", 4) if is_large else ("H", 2)
    header, entry = struct.Struct(f"<{code}{code}"), struct.Struct(f"<B{code}")
    key_entry = struct.Struct(f"<{code}H")
    inline = _INLINE_LARGE if is_large else _INLINE_SMALL

    def values(raw: bytes, start: int, at: int, count: int) -> list[str]:
        found = []
        for place in range(at, at + count * entry.size, entry.size):
            kind, offset = entry.unpack_from(raw, place)
            read = inline.get(kind)
            within = _value(kind, raw, start + offset) if read is None else read(raw, place + 1)
            found.append(within)
        return found

    def array(raw: bytes, start: int) -> str:
        count, _size = header.unpack_from(raw, start)
        return f"[{','.join(values(raw, start, start + 2 * width, count))}]"

    def keyed(raw: bytes, start: int) -> str:
        count, _size = header.unpack_from(raw, start)
        at = start + 2 * width
        places = [
            key_entry.unpack_from(raw, place)
            for place in range(at, at + count * key_entry.size, key_entry.size)
        ]
        keys = [_quoted(_taken(raw, start + offset, length)) for offset, length in places]
        found = values(raw, start, at + count * key_entry.size, count)
        return f"{{{','.join(map(':'.join, zip(keys, found, strict=True)))}}}"

    return keyed if is_object else array


# Opaque values: those of SQL types that JSON has not


def _opaque(raw: bytes, at: int) -> str:
    kind = raw[at]
    length, at = _variable_length(raw, at + 1)
    within = _taken(raw, at, length)
    if kind in _DECIMAL_TYPES:
        return decimal_text(within[2:], precision=within[0], scale=within[1])
    if kind == _DATE_TYPE:
        return f'"{_date(_packed(within)[0])}"'
    if kind in _TIME_TYPES:
        return f'"{_time(*_packed(within))}"'
    if kind in _DATETIME_TYPES:
        whole, microseconds = _packed(within)
        clock = _clock((whole >> 12) % 32, (whole >> 6) % 64, whole % 64, microseconds)
        return f'"{_date(whole)} {clock}"'
    return f'"{binascii.b2a_base64(within, newline=False).decode()}"'


def _packed(raw: bytes) -> tuple[int, int]:
    """Return the part in front of the point, and microseconds as Java's remainder has them."""
    (packed,) = struct.unpack_from("<q", raw)
    return packed >> 24, _remainder(packed, 1 << 24)


def _remainder(number: int, divisor: int) -> int:
    """Return Java's remainder, which has the sign of the number."""
    return int(math.copysign(abs(number) % divisor, number))


def _date(whole: int) -> str:
    year, month = divmod((whole >> 22) % (1 << 17), 13)
    return f"{year:04}-{month:02}-{(whole >> 17) % 32:02}"


def _time(whole: int, microseconds: int) -> str:
    hours = _remainder(whole >> 12, 1 << 10)
    minutes, seconds = _remainder(whole >> 6, 1 << 6), _remainder(whole, 1 << 6)
    return _clock(-hours if whole < 0 else hours, minutes, seconds, microseconds)


def _clock(hours: int, minutes: int, seconds: int, microseconds: int) -> str:
    """Write a time as the library does: signs that its arithmetic leaves stand behind a zero."""
    clock = ":".join(_two_digits(part) for part in (hours, minutes, seconds))
    if not microseconds:
        return clock
    if microseconds > 0:
        return f"{clock}.{microseconds:06}".rstrip("0")
    return f"{clock}.00000-{str(-microseconds).rstrip('0')}"


def _two_digits(part: int) -> str:
    return f"0{part}" if part < 10 else str(part)


_INLINE_SMALL: Mapping[int, Callable[[bytes, int], str]] = {
    _LITERAL: _literal,
    _INT16: _number("<h"),
    _UINT16: _number("<H"),
}
_INLINE_LARGE: Mapping[int, Callable[[bytes, int], str]] = {
    **_INLINE_SMALL,
    _INT32: _number("<i"),
    # the library reads it and then writes nothing at all
    _UINT32: lambda _raw, _at: "",
}
_READERS: Mapping[int, Callable[[bytes, int], str]] = {
    _SMALL_OBJECT: _container(is_object=True, is_large=False),
    _LARGE_OBJECT: _container(is_object=True, is_large=True),
    _SMALL_ARRAY: _container(is_object=False, is_large=False),
    _LARGE_ARRAY: _container(is_object=False, is_large=True),
    _LITERAL: _literal,
    _INT16: _number("<h"),
    _UINT16: _number("<H"),
    _INT32: _number("<i"),
    _UINT32: _number("<i"),  # as signed: the library's mask is of 32 bits too, and masks nothing
    _INT64: _number("<q"),
    _UINT64: _number("<Q"),
    _DOUBLE: _double,
    _STRING: _string,
    _OPAQUE: _opaque,
}
