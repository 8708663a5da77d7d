"""A value as SELECT shows it becomes the JSON value that Debezium writes: for the snapshot.

Pure. What the same row has in the stream it has here too, with one exception, which is Debezium's
own: a JSON document of MySQL is the server's text here (with a blank behind each colon and comma),
and the library's in the stream.

The session must have its time zone at UTC and ``character_set_results`` at NULL, so that every text
comes in its column's own character set, and must use the text protocol (PyMySQL's). Each column is
selected as :func:`selected` says.

Source: MySQL manual, "Text Protocol"; Debezium 3.6, ``BinlogFieldReader``.
"""

import struct
from collections.abc import Callable, Mapping

from cdc_sms.model.captured_row import Undecodable
from cdc_sms.sources.binlog import times
from cdc_sms.sources.binlog.charsets import decoder
from cdc_sms.sources.binlog.column import Column
from cdc_sms.sources.binlog.values import (
    as_connector_takes,
    as_debezium_reads,
    base64,
    geometry,
    point,
    short_float,
    vector,
)

_Read = Callable[[bytes], object]


def text_converter(column: Column, *, mariadb: bool) -> Callable[[bytes | None], object]:
    """Return what turns a column's selected values into Debezium's JSON values.

    Args:
        column: what is declared; of the log's own description only the ``metadata`` of times and
            of BIT counts.
        mariadb: whether the server is MariaDB.

    Returns:
        A function of the bytes that the server sent; None is NULL. It returns
        :class:`Undecodable` for what can't be read.
    """
    read = _reader(as_connector_takes(column, mariadb=mariadb), mariadb=mariadb)

    def convert(raw: bytes | None) -> object:
        if raw is None:
            return None
        try:
            return read(raw)
        except ValueError:
            return Undecodable(raw)

    return convert


def selected(column: Column, name: str) -> str:
    """Return the expression that selects a column.

    Args:
        column: any.
        name: its name, quoted.
    """
    # the server shows six digits of a FLOAT, and all of a double
    return f"{name} + 0e0" if column.declared == "float" else name


def _reader(column: Column, *, mariadb: bool) -> _Read:
    if column.declared == "timestamp":
        return times.timestamp_of_text(column, column.metadata, mariadb=mariadb)
    made = _BY_COLUMN.get(column.declared)
    if made is not None:
        return made(column)
    return _BY_DECLARATION.get(column.declared) or _text(column)


def _text(column: Column) -> _Read:
    return base64 if column.charset in {None, "binary"} else decoder(column.charset)


def _utf_8(raw: bytes) -> str:
    return raw.decode("utf_8", "replace")


def _words(column: Column) -> _Read:
    decode = decoder(column.charset or "utf8mb4")
    if column.declared == "enum":
        return lambda raw: as_debezium_reads(decode(raw))
    # a word of SET has no comma
    return lambda raw: ",".join(map(as_debezium_reads, decode(raw).split(",")))


def _bigint(column: Column) -> _Read:
    if not column.unsigned:
        return int
    return lambda raw: (int(raw) + (1 << 63)) % (1 << 64) - (1 << 63)


def _float(column: Column) -> _Read:
    if column.scale is None:
        return lambda raw: short_float(float(raw))
    return lambda raw: _SINGLE.unpack(_SINGLE.pack(float(raw)))[0]


_SINGLE = struct.Struct("<f")


def _decimal(raw: bytes) -> str:
    text = raw.decode("ascii")
    # ZEROFILL shows zeros in front
    whole, dot, fraction = text.partition(".")
    return f"{whole.lstrip('0') or '0'}{dot}{fraction}"


def _bit(column: Column) -> _Read:
    if column.metadata == 1:
        return lambda raw: raw[-1:] == b"\x01"
    return lambda raw: base64(raw[::-1])


def _year(raw: bytes) -> int:
    return int(raw) or _YEAR_ZERO


_YEAR_ZERO = 1900
"""The log holds years as counted from it, and zero for the year 0000."""

_GEOMETRIES = (
    "geometry",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geomcollection",
    "geometrycollection",
)

_BY_DECLARATION: Mapping[str, _Read] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int"), int),
    **dict.fromkeys(_GEOMETRIES, geometry),
    "point": point,
    "decimal": _decimal,
    "double": float,
    "year": _year,
    "time": times.time_of_text,
    "json": _utf_8,
    "vector": vector,
    "uuid": _utf_8,
    "inet4": _utf_8,
    "inet6": _utf_8,
}
_BY_COLUMN: Mapping[str, Callable[[Column], _Read]] = {
    "bigint": _bigint,
    "float": _float,
    "bit": _bit,
    "date": times.date_of_text,
    "datetime": lambda column: times.datetime_of_text(column, column.metadata),
    "enum": _words,
    "set": _words,
}
