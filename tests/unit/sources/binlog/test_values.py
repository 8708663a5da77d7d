"""Each type of the log arrives as Debezium writes it: by the manuals' definitions."""

import base64 as encoding
import struct
import zlib
from typing import Any

import pytest

from cdc_sms.model.captured_row import Undecodable
from cdc_sms.sources.binlog.column import Column
from cdc_sms.sources.binlog.row import row_decoder
from cdc_sms.sources.binlog.values import TypeCode, as_debezium_reads, uncompressed

T = TypeCode
ENUM, SET = T.ENUM << 8, T.SET << 8
CHAR = T.STRING << 8
POINT = bytes.fromhex("00000000 01 01000000 000000000000f03f 0000000000000040")
WKB = encoding.b64encode(POINT[4:]).decode()


def column(type_code: int, metadata: int = 0, declared: str = "", **more: Any) -> Column:
    """Return a column of which only its type matters."""
    return Column("c", type_code, metadata, declared, **more)


def read(of: Column, raw: bytes, *, mariadb: bool = False) -> object:
    """Return the only value of a row of one column."""
    values, end = row_decoder([of], mariadb=mariadb)(b"\0" + raw, 0)
    assert end == 1 + len(raw)
    return values[0]


def packed(value: float, *, code: str) -> bytes:
    """Return a number as the log holds it."""
    return struct.pack(f"<{code}", value)


@pytest.mark.parametrize(
    ("of", "raw", "expected"),
    [
        pytest.param(column(T.TINY), b"\x80", -128, id="tinyint"),
        pytest.param(column(T.TINY, unsigned=True), b"\xff", 255, id="tinyint unsigned"),
        pytest.param(column(T.SHORT), b"\x00\x80", -32768, id="smallint"),
        pytest.param(column(T.SHORT, unsigned=True), b"\xff\xff", 65535, id="smallint unsigned"),
        pytest.param(column(T.INT24), b"\x00\x00\x80", -(2**23), id="mediumint"),
        pytest.param(column(T.INT24), b"\xff\xff\xff", -1, id="mediumint -1"),
        pytest.param(column(T.INT24, unsigned=True), b"\xff\xff\xff", 2**24 - 1,
                     id="mediumint unsigned"),
        pytest.param(column(T.LONG), b"\x00\x00\x00\x80", -(2**31), id="int"),
        pytest.param(column(T.LONG, unsigned=True), b"\xff" * 4, 2**32 - 1, id="int unsigned"),
        pytest.param(column(T.LONGLONG), b"\x00" * 7 + b"\x80", -(2**63), id="bigint"),
        pytest.param(column(T.LONGLONG, unsigned=True), b"\xff" * 8, -1,
                     id="bigint unsigned above 2^63 is negative"),
        pytest.param(column(T.FLOAT, 4), packed(1.1, code="f"), 1.1, id="float"),
        pytest.param(column(T.FLOAT, 4), packed(16777216, code="f"), 16777216.0,
                     id="float of eight digits"),
        pytest.param(column(T.FLOAT, 4), b"\xff\xff\x7f\x7f", 3.4028235e38, id="largest float"),
        pytest.param(column(T.FLOAT, 4), b"\x01\x00\x00\x00", 1.4013e-45, id="smallest float"),
        pytest.param(column(T.FLOAT, 4), packed(-0.1, code="f"), -0.1, id="negative float"),
        pytest.param(column(T.FLOAT, 4, scale=2), packed(1.1, code="f"), 1.100000023841858,
                     id="float with a scale is widened"),
        pytest.param(column(T.DOUBLE, 8), packed(1.1, code="d"), 1.1, id="double"),
        pytest.param(column(T.NEWDECIMAL, 10 << 8 | 2), b"\x80\x00\x00\x7b\x05", "123.05",
                     id="decimal"),
        pytest.param(column(T.BIT, 1), b"\x01", True, id="bit(1) true"),
        pytest.param(column(T.BIT, 1), b"\x00", False, id="bit(1) false"),
        pytest.param(column(T.BIT, 1 | 1 << 8), b"\x01\x02", "AgE=", id="bit(9) little-endian"),
        pytest.param(column(T.BIT, 8 << 8), b"\x01\x02\x03\x04\x05\x06\x07\x08", "CAcGBQQDAgE=",
                     id="bit(64)"),
        pytest.param(column(T.YEAR), b"\x7e", 2026, id="year"),
        pytest.param(column(T.YEAR), b"\x00", 1900, id="year zero"),
        pytest.param(column(T.STRING, ENUM | 1, words=("a", "b")), b"\x02", "b", id="enum"),
        pytest.param(column(T.STRING, ENUM | 1, words=("a", "b")), b"\x00", "", id="enum zero"),
        pytest.param(column(T.STRING, ENUM | 2, words=("a",) * 299 + ("z",)), b"\x2c\x01", "z",
                     id="enum of two bytes"),
        pytest.param(column(T.STRING, SET | 1, words=("a", "b", "c")), b"\x05", "a,c", id="set"),
        pytest.param(column(T.STRING, SET | 1, words=("a", "b", "c")), b"\x00", "", id="empty set"),
        pytest.param(column(T.STRING, SET | 8, words=tuple(map(str, range(64)))),
                     b"\x01" + b"\x00" * 6 + b"\x80", "0,63", id="set of 64"),
        pytest.param(column(T.VARCHAR, 40, charset="utf8mb4"), b"\x06h\xc3\xa9\xe2\x82\xac", "hé€",
                     id="varchar"),
        pytest.param(column(T.VARCHAR, 400, charset="utf8mb4"), b"\x02\x00hi", "hi",
                     id="long varchar"),
        pytest.param(column(T.VARCHAR, 40, charset="latin1"), b"\x02\x80\xe9", "€é", id="latin1"),
        pytest.param(column(T.STRING, CHAR | 40, charset="utf8mb4"), b"\x02hi", "hi", id="char"),
        pytest.param(column(T.STRING, 0xCEFC, charset="utf8mb4"), b"\x02\x00hi", "hi",
                     id="char of 1020 bytes"),
        pytest.param(column(T.STRING, CHAR | 4), b"\x02hi", "aGkAAA==", id="binary is padded"),
        pytest.param(column(T.VARCHAR, 4), b"\x02hi", "aGk=", id="varbinary is not"),
        pytest.param(column(T.BLOB, 1), b"\x02\xff\xfe", "//4=", id="tinyblob"),
        pytest.param(column(T.BLOB, 3), b"\x02\x00\x00\xff\xfe", "//4=", id="mediumblob"),
        pytest.param(column(T.BLOB, 4, charset="utf8mb3"), b"\x02\x00\x00\x00hi", "hi",
                     id="longtext"),
        pytest.param(column(T.JSON, 4), b"\x03\x00\x00\x00\x05\x01\x00", "1", id="json"),
        pytest.param(column(T.JSON, 4), b"\x00\x00\x00\x00", None, id="no json"),
        pytest.param(column(T.JSON, 4, nullable=False), b"\x00\x00\x00\x00", "{}",
                     id="no json where it must be"),
        pytest.param(column(T.GEOMETRY, 1, "geometry"), b"\x19" + POINT,
                     {"wkb": WKB, "srid": None}, id="geometry"),
        pytest.param(column(T.GEOMETRY, 1, "point"), b"\x19\xe6\x10" + POINT[2:],
                     {"x": 1.0, "y": 2.0, "wkb": WKB, "srid": 4326}, id="point"),
        pytest.param(column(T.VECTOR, 1), b"\x08" + struct.pack("<2f", 0.1, -2), [0.1, -2.0],
                     id="vector"),
        pytest.param(column(T.VARCHAR, 8, "vector"), b"\x04" + struct.pack("<f", 0.5), [0.5],
                     id="vector of MariaDB"),
        pytest.param(column(T.STRING, CHAR | 16, "uuid"), b"\x02\x12\x3e",
                     "00000000-0000-0000-0000-00000000123e", id="uuid, as Debezium takes it"),
        pytest.param(column(T.STRING, CHAR | 16, "uuid", is_key=True), b"\x02\x12\x3e",
                     "123e0000-0000-0000-0000-000000000000", id="uuid in a key"),
        pytest.param(column(T.STRING, CHAR | 4, "inet4"), b"\x01\x0a", "10.0.0.0", id="inet4"),
        pytest.param(column(T.STRING, CHAR | 16, "inet6"), b"\x04\x20\x01\x0d\xb8", "2001:db8::",
                     id="inet6"),
        pytest.param(column(T.VARCHAR_COMPRESSED, 40, charset="utf8mb4"), b"\x03\x00hi", "hi",
                     id="compressed column, too short for it"),
    ],
)  # fmt: skip
def test_a_value_becomes_its_json_form(of: Column, raw: bytes, expected: object) -> None:
    value = read(of, raw)

    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("of", "raw"),
    [
        pytest.param(column(T.STRING, ENUM | 1, words=("a",)), b"\x02", id="an enum without word"),
        pytest.param(column(T.GEOMETRY, 1, "point"), b"\x01\x00", id="no point"),
        pytest.param(column(T.JSON, 1), b"\x02\x0e\x00", id="no json"),
        pytest.param(column(T.BLOB_COMPRESSED, 1), b"\x02\x81\x00", id="damaged compression"),
        pytest.param(column(T.BLOB_COMPRESSED, 1), b"\x02\x11\x00", id="unknown compression"),
    ],
)
def test_what_cannot_be_decoded_is_marked_with_its_bytes(of: Column, raw: bytes) -> None:
    assert read(of, raw) == Undecodable(raw)


@pytest.mark.parametrize("framed", [True, False])
def test_a_compressed_column_is_unpacked(framed: bool) -> None:
    text = b"many words " * 50
    pack = zlib.compressobj(wbits=15 if framed else -15)
    raw = bytes([0x82 | (0 if framed else 8)]) + len(text).to_bytes(2, "big")

    assert uncompressed(raw + pack.compress(text) + pack.flush()) == text


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("plain", "plain"),
        ("with, comma", "with\\, comma"),
        ("it's", "it's"),
        ("back\\slash", "back\\\\slash"),
        ("line\nend", "line\\nend"),
    ],
)
def test_a_word_is_what_debezium_takes_from_the_table_definition(word: str, expected: str) -> None:
    assert as_debezium_reads(word) == expected


def test_cp932_of_mariadb_is_read_as_debezium_reads_it() -> None:
    of = column(T.VARCHAR, 40, charset="cp932")

    assert read(of, b"\x02\xb0\xa1", mariadb=True) == "啊"
    assert read(of, b"\x02\xb0\xa1", mariadb=False) == "ｰ｡"
