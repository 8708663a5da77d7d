"""Binary JSON becomes the very characters that Debezium writes."""

import struct

import pytest

from cdc_sms.sources.binlog.json_binary import json_text


def opaque(type_code: int, raw: bytes) -> bytes:
    """Return an opaque value of up to 127 bytes."""
    return bytes([15, type_code, len(raw)]) + raw


def packed_time(number: int) -> bytes:
    """Return a packed time or date, which is signed."""
    return struct.pack("<q", number)


def string(text: str) -> bytes:
    """Return a string value of up to 127 bytes."""
    encoded = text.encode()
    return bytes([12, len(encoded)]) + encoded


HALF_PAST_FIVE = (5 << 12 | 30 << 6) << 24
DAY = (2026 * 13 + 11) << 5 | 24


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b"\x04\x00", "null", id="null"),
        pytest.param(b"\x04\x01", "true", id="true"),
        pytest.param(b"\x04\x02", "false", id="false"),
        pytest.param(b"\x05\x00\x80", "-32768", id="int16"),
        pytest.param(b"\x06\xff\xff", "65535", id="uint16"),
        pytest.param(b"\x07\xff\xff\xff\x7f", "2147483647", id="int32"),
        pytest.param(b"\x08\xff\xff\xff\xff", "-1", id="uint32, as the library has it"),
        pytest.param(b"\x09" + struct.pack("<q", -(2**63)), str(-(2**63)), id="int64"),
        pytest.param(b"\x0a" + b"\xff" * 8, str(2**64 - 1), id="uint64"),
        pytest.param(b"\x0b" + struct.pack("<d", 1.5), "1.5", id="a double"),
        pytest.param(b"\x0b" + struct.pack("<d", 1.0), "1.0", id="a whole double"),
        pytest.param(b"\x0b" + struct.pack("<d", -0.0), "-0.0", id="negative zero"),
        pytest.param(b"\x0b" + struct.pack("<d", 0.001), "0.001", id="the least without exponent"),
        pytest.param(b"\x0b" + struct.pack("<d", 1e7), "10000000", id="a double in full"),
        pytest.param(b"\x0b" + struct.pack("<d", 2.5e20), "250000000000000000000",
                     id="a large double in full"),
        pytest.param(b"\x0b" + struct.pack("<d", 2**-11), "0.00048828125",
                     id="a small double in full"),
        pytest.param(b"\x0b" + struct.pack("<d", 1e-4),
                     "0.000100000000000000004792173602385929598312941379845142364501953125",
                     id="a small double to its last digit"),
        pytest.param(string('a"b\\c/é😀\t\n\r\b\f\x01\x1f\x7f'),
                     '"a\\"b\\\\c/é😀\\t\\n\\r\\b\\f\\u0001\\u001F\x7f"', id="a string, escaped"),
        pytest.param(b"\x0c\x80\x01" + b"x" * 128, f'"{"x" * 128}"', id="a longer string"),
        pytest.param(b"\x00\x00\x00\x04\x00", "{}", id="an empty object"),
        pytest.param(b"\x02\x00\x00\x04\x00", "[]", id="an empty array"),
        pytest.param(
            bytes.fromhex("02 0300 0d00 05 0100 04 0000 04 0100"), "[1,null,true]",
            id="values in place"),
        pytest.param(
            bytes.fromhex("00 0200 1a00 1200 0100 1300 0200 0c 1500 05 ffff 61 6262 0478797a7a"),
            '{"a":"xyzz","bb":-1}', id="an object"),
        pytest.param(
            bytes.fromhex("02 0100 0f00 02 0700 0100 0800 07 0700 39300000"[:-9])
            + bytes.fromhex("39300000"), "[[12345]]", id="an array within an array"),
        pytest.param(
            bytes.fromhex("03 02000000 12000000 07 40e20100 08 01000000"), "[123456,]",
            id="a uint32 in a large array, which the library drops"),
        pytest.param(opaque(246, bytes.fromhex("0e04810dfb38d204d2")), "1234567890.1234",
                     id="a decimal"),
        pytest.param(opaque(10, packed_time(DAY << 41)), '"2026-11-24"', id="a date"),
        pytest.param(opaque(11, packed_time(HALF_PAST_FIVE)), '"05:30:00"', id="a time"),
        pytest.param(opaque(11, packed_time(HALF_PAST_FIVE + 120)), '"05:30:00.00012"',
                     id="a time with a fraction"),
        pytest.param(opaque(11, packed_time(-((1 << 12 | 2 << 6 | 3) << 24))), '"02:0-3:0-3"',
                     id="a negative time, as the library has it"),
        pytest.param(opaque(11, packed_time(-((1 << 12 | 2 << 6 | 3) << 24) - 500_000)),
                     '"02:0-3:0-4.00000-5"', id="a negative fraction, as the library has it"),
        pytest.param(opaque(12, packed_time((DAY << 41) + HALF_PAST_FIVE)),
                     '"2026-11-24 05:30:00"', id="a datetime"),
        pytest.param(opaque(7, packed_time((DAY << 41) + HALF_PAST_FIVE + 123_456)),
                     '"2026-11-24 05:30:00.123456"', id="a timestamp"),
        pytest.param(opaque(252, b"\xff\xfe"), '"//4="', id="bytes"),
        pytest.param(opaque(16, b"\x05"), '"BQ=="', id="bits"),
        pytest.param(b'{"a": 1}', '{"a": 1}', id="text, as MariaDB keeps it"),
    ],
)  # fmt: skip
def test_a_document_becomes_debeziums_text(raw: bytes, expected: str) -> None:
    assert json_text(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\x0d\x00", id="an unknown type"),
        pytest.param(b"\x04\x07", id="an unknown literal"),
        pytest.param(b"\x07\x00", id="a number that is cut"),
        pytest.param(b"\x0c\x05abc", id="a string that is cut"),
        pytest.param(b"\x0c\xff\xff\xff\xff\xff\xff", id="a length without end"),
        pytest.param(b"\x00\x02\x00\x10\x00", id="an object that is cut"),
        pytest.param(b"\x0c", id="nothing behind the type"),
    ],
)
def test_what_is_no_document_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|cut"):
        json_text(raw)
