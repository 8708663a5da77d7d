"""How the log holds each type of MySQL and MariaDB, and the JSON value that Debezium writes for it.

Pure. Debezium's rules are those of ``decimal.handling.mode=string`` and else its defaults: unsigned
BIGINT as a signed number of 64 bits, BIT(1) as a boolean, more bits and all bytes as base64, FLOAT
with the digits of 32 bits, ENUM and SET as their words, geometries as their WKB. Each rule is a
:class:`Fixed` or a :class:`Sized`: what to take from the row, and an expression over it, from which
``row.py`` writes the function that reads a table's rows.

Source: MySQL source documentation, ``Table_map_event``; Debezium 3.6 and, for MariaDB, 3.5,
``BinlogValueConverters``; mysql-binlog-connector-java 0.41, ``AbstractRowsEventDataDeserializer``.
"""

import binascii
import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from cdc_sms.errors import LogDecodeError
from cdc_sms.sources.binlog import addresses, times
from cdc_sms.sources.binlog.charsets import UTF_8, decoder
from cdc_sms.sources.binlog.column import Column
from cdc_sms.sources.binlog.decimals import decimal_reader, packed_size
from cdc_sms.sources.binlog.json_binary import json_text


class TypeCode(IntEnum):
    """The log's own types.

    Source: MySQL source documentation, ``enum_field_types``; MariaDB's ``mysql_com.h``.
    """

    TINY = 1
    SHORT = 2
    LONG = 3
    FLOAT = 4
    DOUBLE = 5
    TIMESTAMP = 7
    LONGLONG = 8
    INT24 = 9
    DATE = 10
    TIME = 11
    DATETIME = 12
    YEAR = 13
    NEWDATE = 14
    VARCHAR = 15
    BIT = 16
    TIMESTAMP2 = 17
    DATETIME2 = 18
    TIME2 = 19
    BLOB_COMPRESSED = 140
    VARCHAR_COMPRESSED = 141
    VECTOR = 242
    JSON = 245
    NEWDECIMAL = 246
    ENUM = 247
    SET = 248
    BLOB = 252
    VAR_STRING = 253
    STRING = 254
    GEOMETRY = 255


class Fixed(NamedTuple):
    """A value of a fixed width.

    Attributes:
        codes: what ``struct`` takes from the row, little-endian.
        expression: the JSON value; ``{0}``, ``{1}`` stand for what was taken, ``{own}`` for
            ``own``.
        own: what the column has for itself.
    """

    codes: str
    expression: str
    own: object = None


class Sized(NamedTuple):
    """A value with its length in front.

    Attributes:
        prefix: how many bytes the length takes, little-endian.
        expression: the JSON value; ``{raw}`` stands for its bytes, ``{own}`` for ``own``.
        own: what the column has for itself.
    """

    prefix: int
    expression: str
    own: object = None


Reading = Fixed | Sized


def reading(column: Column, *, mariadb: bool) -> Reading:
    """Return how a column's values are read.

    Args:
        column: any.
        mariadb: whether the server is MariaDB.

    Raises:
        LogDecodeError: the log's type is unknown: nothing behind it in the row can be found.
    """
    if column.type_code in _TIMESTAMPS:
        return _timestamp(column, mariadb=mariadb)
    column = as_connector_takes(column, mariadb=mariadb)
    return _BY_TYPE.get(column.type_code, _unknown)(column)


def as_connector_takes(column: Column, *, mariadb: bool) -> Column:
    """Return the column as Debezium's connector takes it: MariaDB's reads cp932 as GB2312."""
    if mariadb and column.charset == "cp932":
        return replace(column, charset="gb2312")
    return column


def _unknown(column: Column) -> Reading:
    raise LogDecodeError(
        f"Column {column.name} has the log's type {column.type_code}, which is unknown.",
        hint="Change the column's type, or let Debezium capture this table.",
    )


# Expressions


def base64(raw: bytes) -> str:
    """Write bytes as JsonConverter does."""
    return binascii.b2a_base64(raw, newline=False).decode()


def short_float(number: float) -> float | str:
    """Return the double whose digits are just enough to mean this number of 32 bits."""
    if not math.isfinite(number):
        return _NOT_FINITE[repr(number)]
    packed = _FLOAT.pack(number)
    for digits in (6, 7, 8):
        candidate = float(f"{number:.{digits}g}")
        if _FLOAT.pack(candidate) == packed:
            return candidate
    return float(f"{number:.9g}")


_FLOAT = struct.Struct("<f")
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
"""JSON has no number for these; JsonConverter writes Java's names."""


def geometry(raw: bytes) -> Mapping[str, object]:
    """Read a geometry: four bytes of SRID, then WKB."""
    return {"wkb": base64(raw[4:]), "srid": _srid(raw)}


def point(raw: bytes) -> Mapping[str, object]:
    """Read a POINT; Debezium writes its coordinates too."""
    if len(raw) != 25:
        raise ValueError("no point in two dimensions")
    order = "<" if raw[4] else ">"
    kind, x, y = struct.unpack_from(f"{order}Idd", raw, 5)
    if kind != 1:
        raise ValueError("no point in two dimensions")
    return {"x": x, "y": y, "wkb": base64(raw[4:]), "srid": _srid(raw)}


def _srid(raw: bytes) -> int | None:
    if len(raw) < 4:
        raise ValueError("a geometry without SRID")
    return int.from_bytes(raw[:4], "little", signed=True) or None


def vector(raw: bytes) -> Sequence[float | str]:
    """Read a vector of 32-bit floats."""
    if len(raw) % 4:
        return []
    return [short_float(number) for number in struct.unpack(f"<{len(raw) // 4}f", raw)]


FUNCTIONS: Mapping[str, object] = {
    "base64": base64,
    "geometry": geometry,
    "json_text": json_text,
    "point": point,
    "short_float": short_float,
    "vector": vector,
}
"""What the expressions call."""


# Numbers


def _integer(signed: str, unsigned: str) -> Callable[[Column], Reading]:
    return lambda column: Fixed(unsigned if column.unsigned else signed, "{0}")


def _int24(column: Column) -> Reading:
    return Fixed("HB" if column.unsigned else "Hb", "{0} | {1} << 16")


def _float(column: Column) -> Reading:
    # FLOAT(10, 2) is a double to Debezium: widened, with the digits that this brings
    return Fixed("f", "short_float({0})" if column.scale is None else "{0}")


def _decimal(column: Column) -> Reading:
    precision, scale = divmod(column.metadata, 256)
    size = packed_size(precision, scale)
    return Fixed(f"{size}s", "{own}({0})", decimal_reader(precision, scale))


def _bit(column: Column) -> Reading:
    bits = (column.metadata >> 8) * 8 + (column.metadata & 0xFF)
    if bits == 1:
        return Fixed("B", "{0} & 1 == 1")
    return Fixed(f"{(bits + 7) // 8}s", "base64({0}[::-1])")


# Words


def _enum(column: Column, size: int) -> Reading:
    words = ("", *map(as_debezium_reads, column.words))
    return Fixed({1: "B", 2: "H"}[size], "{own}[{0}]", words)


def _set(column: Column, size: int) -> Reading:
    words = tuple(map(as_debezium_reads, column.words))

    def read(raw: bytes) -> str:
        members = int.from_bytes(raw, "little")
        return ",".join(word for place, word in enumerate(words) if members >> place & 1)

    return Fixed(f"{size}s", "{own}({0})", read)


def as_debezium_reads(word: str) -> str:
    """Return a word of ENUM or SET as Debezium takes it from ``SHOW CREATE TABLE``.

    Which it reads nearly as it stands: a backslash stays two, a comma gets one.
    """
    shown = word.translate(_SHOWN)
    return shown.replace(",", "\\,").replace("\\'", "'").replace("''", "'")


_SHOWN = str.maketrans({"\\": "\\\\", "\0": "\\0", "\n": "\\n", "\r": "\\r", "'": "''"})


# Text and bytes


def _texts(column: Column, prefix: int) -> Reading:
    if column.charset is None or column.charset == "binary":
        return Sized(prefix, "base64({raw})")
    if column.charset in UTF_8:
        return Sized(prefix, "str({raw}, 'utf-8', 'replace')")
    return Sized(prefix, "{own}({raw})", decoder(column.charset))


def _prefix(longest: int) -> int:
    return 1 if longest < 256 else 2


def _varchar(column: Column) -> Reading:
    prefix = _prefix(column.metadata)
    return _by_declaration(column, prefix) or _texts(column, prefix)


def _blob(column: Column) -> Reading:
    return _by_declaration(column, column.metadata) or _texts(column, column.metadata)


def _string(column: Column) -> Reading:
    """Read CHAR, BINARY, ENUM or SET: the metadata's first byte tells which."""
    kind, length = divmod(column.metadata, 256)
    if kind & 0x30 != 0x30:  # two bits of the length stand there, turned over
        length |= (kind & 0x30 ^ 0x30) << 4
        kind |= 0x30
    if kind == TypeCode.ENUM:
        return _enum(column, length)
    if kind == TypeCode.SET:
        return _set(column, length)
    prefix = _prefix(length)
    declared = _by_declaration(column, prefix)
    if declared is not None:
        return declared
    if column.charset is None or column.charset == "binary":
        # the log leaves zeros at the end out, BINARY has them
        return Sized(prefix, "base64({raw}.ljust({own}, b'\\0'))", length)
    return _texts(column, prefix)


def _by_declaration(column: Column, prefix: int) -> Reading | None:
    """Return how a type is read that the log writes as if it were text or bytes."""
    match column.declared:
        case "vector":
            return Sized(prefix, "vector({raw})")
        case "uuid":
            return Sized(prefix, "{own}({raw})", _key_uuid if column.is_key else _uuid)
        case "inet4":
            return Sized(prefix, "{own}({raw})", addresses.inet4)
        case "inet6":
            return Sized(prefix, "{own}({raw})", addresses.inet6)
        case _:
            return None


def _uuid(raw: bytes) -> str:
    # the log leaves zeros at the end out, and Debezium takes them for left out at the beginning
    return str(UUID(bytes=raw.rjust(16, b"\0")))


def _key_uuid(raw: bytes) -> str:
    # here Debezium's slip would be another row's key, or none's
    return str(UUID(bytes=raw.ljust(16, b"\0")))


def _compressed(column: Column, prefix: int) -> Reading:
    convert = base64 if column.charset is None else decoder(column.charset)
    return Sized(prefix, "{own}({raw})", lambda raw: convert(uncompressed(raw)))


def uncompressed(raw: bytes) -> bytes:
    """Return what a compressed column of MariaDB holds.

    Its first byte: the method in the upper half (0: not compressed, 8: zlib), then whether zlib's
    own frame is missing, then how many bytes of the original's length follow.

    Source: MariaDB's ``sql/field.cc``, ``compress_zlib``.
    """
    if not raw:
        return raw
    if raw[0] == 0:
        return raw[1:]
    if raw[0] >> 4 != 8:
        raise ValueError("an unknown way of compression")
    window = -zlib.MAX_WBITS if raw[0] & 8 else zlib.MAX_WBITS
    try:
        return zlib.decompress(raw[1 + (raw[0] & 7) :], window)
    except zlib.error:
        raise ValueError("the compressed value is damaged") from None


def _json(column: Column) -> Reading:
    # a row that was converted from a table without JSON may hold no document at all
    empty = None if column.nullable else "{}"
    return Sized(column.metadata, "json_text({raw}) if {raw} else {own}", empty)


def _geometry(column: Column) -> Reading:
    name = "point" if column.declared == "point" else "geometry"
    return Sized(column.metadata, f"{name}({{raw}})")


# Times


def _time_of(width: int, make: Callable[[Column], times.Read]) -> Callable[[Column], Reading]:
    def reading_of(column: Column) -> Reading:
        size = width + times.fraction_size(column.metadata)
        return Fixed(f"{size}s", "{own}({0})", make(column))

    return reading_of


def _old(width: int, make: Callable[[Column], times.Read]) -> Callable[[Column], Reading]:
    return lambda column: Fixed(f"{width}s", "{own}({0})", make(column))


_TIMESTAMPS = frozenset({TypeCode.TIMESTAMP, TypeCode.TIMESTAMP2})


def _timestamp(column: Column, *, mariadb: bool) -> Reading:
    if column.type_code == TypeCode.TIMESTAMP:
        return Fixed("4s", "{own}({0})", times.old_timestamp_reader(column, mariadb=mariadb))
    size = 4 + times.fraction_size(column.metadata)
    return Fixed(f"{size}s", "{own}({0})", times.timestamp_reader(column, mariadb=mariadb))


_BY_TYPE: Mapping[int, Callable[[Column], Reading]] = {
    TypeCode.TINY: _integer("b", "B"),
    TypeCode.SHORT: _integer("h", "H"),
    TypeCode.INT24: _int24,
    TypeCode.LONG: _integer("i", "I"),
    TypeCode.LONGLONG: _integer("q", "q"),
    TypeCode.FLOAT: _float,
    TypeCode.DOUBLE: lambda _column: Fixed("d", "{0}"),
    TypeCode.NEWDECIMAL: _decimal,
    TypeCode.BIT: _bit,
    TypeCode.YEAR: lambda _column: Fixed("B", "{0} + 1900"),
    TypeCode.DATE: _old(3, times.date_reader),
    TypeCode.NEWDATE: _old(3, times.date_reader),
    TypeCode.DATETIME2: _time_of(5, times.datetime_reader),
    TypeCode.TIME2: _time_of(3, times.time_reader),
    TypeCode.DATETIME: _old(8, times.old_datetime_reader),
    TypeCode.TIME: _old(3, lambda _column: times.old_time),
    TypeCode.VARCHAR: _varchar,
    TypeCode.VAR_STRING: _varchar,
    TypeCode.STRING: _string,
    TypeCode.BLOB: _blob,
    TypeCode.VARCHAR_COMPRESSED: lambda column: _compressed(column, _prefix(column.metadata)),
    TypeCode.BLOB_COMPRESSED: lambda column: _compressed(column, column.metadata),
    TypeCode.JSON: _json,
    TypeCode.GEOMETRY: _geometry,
    TypeCode.VECTOR: lambda column: Sized(column.metadata, "vector({raw})"),
}
