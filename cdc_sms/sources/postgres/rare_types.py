"""Types that few columns have become the JSON values that Debezium writes: the rules of each.

Pure. Intervals, money, bit strings, points, ``hstore``, PostGIS and pgvector. What is common
stands in ``values.py``.

Source: Debezium's ``PostgresValueConverter``, ``MicroDuration``, ``PostgresMoney`` and
``Vectors``; PostgreSQL's driver for Java: ``PGInterval``, ``HStoreConverter``.
"""

import base64
import re
import struct
from collections.abc import Callable, Mapping

Converter = Callable[[bytes], object]

_MAX_LONG = 2**63 - 1
_DAYS_PER_MONTH = 30.4375  # 365.25 / 12.0, in Debezium's words

_INTERVAL = re.compile(
    r"(?:(?P<years>[+-]?\d+) years? ?)?(?:(?P<months>[+-]?\d+) mons? ?)?"
    r"(?:(?P<days>[+-]?\d+) days? ?)?"
    r"(?:(?P<sign>[+-]?)(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.(?P<f>\d+))?)?"
)


def interval(raw: bytes) -> int:
    """Return about how many microseconds an interval has: a month is 30.4375 days.

    Reckoned with doubles, in the order in which Debezium does it. An infinite one, which
    PostgreSQL 17 brought, is none to it.
    """
    if raw in (b"infinity", b"-infinity"):
        return 0
    found = _INTERVAL.fullmatch(raw.decode())
    if found is None:
        raise ValueError("an interval in an unknown form")
    sign = -1 if found["sign"] == "-" else 1
    months = int(found["years"] or 0) * 12 + int(found["months"] or 0)
    days = months * _DAYS_PER_MONTH + int(found["days"] or 0)
    fraction = sign * int((found["f"] or "").ljust(6, "0")) / 1e6
    seconds = sign * int(found["seconds"] or 0) + fraction
    minutes = (days * 24 + sign * int(found["hours"] or 0)) * 60
    minutes += sign * int(found["minutes"] or 0)
    microseconds = (minutes * 60 + seconds) * 1e6
    return max(-_MAX_LONG - 1, min(_MAX_LONG, int(microseconds)))


def money(raw: bytes) -> str:
    """Return an amount without its currency and separators: ``-$1,234.50`` is ``-1234.50``."""
    text = raw.decode()
    is_negative = text[:1] in ("-", "(")
    digits = text.strip("-()").replace(",", "")
    if digits and not (digits[0].isdecimal() or digits[0] == "."):
        digits = digits[1:]
    if not re.fullmatch(r"\d*\.?\d+", digits):
        raise ValueError("an amount in an unknown form")
    return f"-{digits}" if is_negative else digits


def bits(length: int) -> Converter:
    """Return what turns a bit string: one bit is a boolean, more are bytes, the last bit first.

    Args:
        length: as declared; -1 where it isn't.
    """
    return _one_bit if length == 1 else _many_bits


def _one_bit(raw: bytes) -> bool | None:
    return bool(int(raw, 2)) if raw else None


def _many_bits(raw: bytes) -> str:
    number = int(raw or b"0", 2)
    return _base64(number.to_bytes((number.bit_length() + 7) // 8, "little"))


def point(raw: bytes) -> dict[str, object]:
    """Return a point as its numbers and as well-known binary."""
    x, y = (float(number) for number in raw.decode().strip("()").split(","))
    return {
        "x": _number(x),
        "y": _number(y),
        "wkb": _base64(struct.pack("<BIdd", 1, 1, x, y)),
        "srid": None,
    }


def _number(number: float) -> object:
    return number if abs(number) < float("inf") else _JAVA_NAMES[repr(number)]


_JAVA_NAMES = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}

_HAS_SRID = 0x20000000


def geometry(raw: bytes) -> dict[str, object]:
    """Return a geometry of PostGIS as its extended well-known binary and its reference system."""
    ewkb = bytes.fromhex(raw.decode("ascii"))
    order = "<" if ewkb[:1] == b"\x01" else ">"
    kind, srid = struct.unpack_from(f"{order}II", ewkb, 1)
    return {"wkb": _base64(ewkb), "srid": srid if kind & _HAS_SRID else None}


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def hstore(raw: bytes) -> str:
    """Return an ``hstore`` as the text of a JSON object, its keys in the order of Java's hashes."""
    pairs = {
        _ESCAPED.sub(r"\1", found[1]): None if found[2] is None else _ESCAPED.sub(r"\1", found[2])
        for found in _PAIR.finditer(raw.decode())
    }
    ordered = hash_order({key: java_hash(key) for key in pairs}, capacity=16)
    written = (f"{_json(key)}:{_json(pairs[key])}" for key in ordered)
    return "{" + ",".join(written) + "}"


_CONTROL = re.compile('["\\\\\x00-\x1f]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def _json(text: str | None) -> str:
    """Write a text as Jackson does."""
    if text is None:
        return "null"
    return f'"{_CONTROL.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    return _SHORT.get(found[0]) or f"\\u{ord(found[0]):04X}"


def java_hash(text: str) -> int:
    """Return ``String.hashCode`` of a text, as 32 bits without a sign."""
    units = text.encode("utf-16-be", "surrogatepass")
    value = 0
    for at in range(0, len(units), 2):
        value = value * 31 + int.from_bytes(units[at : at + 2]) & 0xFFFFFFFF
    return value


def hash_order(hashes: Mapping[str, int], *, capacity: int) -> list[str]:
    """Return keys in the order in which a ``HashMap`` gives them.

    Args:
        hashes: of the keys, in the order in which they were put in.
        capacity: of the map when it was made, a power of two.

    Source: Java API, ``HashMap``: a table of lists, doubled when it is three quarters full.
    """
    while len(hashes) > capacity * 3 // 4:
        capacity *= 2
    buckets = {key: (value ^ value >> 16) & capacity - 1 for key, value in hashes.items()}
    return sorted(hashes, key=buckets.__getitem__)


def vector(raw: bytes) -> list[object]:
    """Return a vector of pgvector as its numbers."""
    return [_number(float(number)) for number in raw.decode().strip("[]").split(",")]


def sparse_vector(raw: bytes) -> dict[str, object]:
    """Return a sparse vector as its dimensions and the pairs of index and number."""
    written, _, dimensions = raw.decode().partition("/")
    pairs = dict(pair.split(":") for pair in written.strip("{}").split(",") if pair)
    capacity = 1
    while capacity < len(pairs):
        capacity *= 2
    ordered = hash_order({key: int(key) for key in pairs}, capacity=capacity)
    return {
        "dimensions": int(dimensions),
        "vector": [[int(key), _number(float(pairs[key]))] for key in ordered],
    }
