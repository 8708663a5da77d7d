"""Times arrive as Debezium writes them, from the log and from a SELECT alike."""

from typing import Any

import pytest

from cdc_sms.model.captured_row import Undecodable
from cdc_sms.sources.binlog.column import Column
from cdc_sms.sources.binlog.row import row_decoder
from cdc_sms.sources.binlog.values import TypeCode

T = TypeCode


def read(of: Column, raw: bytes, *, mariadb: bool = False) -> object:
    """Return the only value of a row of one column."""
    values, end = row_decoder([of], mariadb=mariadb)(b"\0" + raw, 0)
    assert end == 1 + len(raw)
    return values[0]


def column(type_code: int, digits: int = 0, **more: Any) -> Column:
    """Return a column of a type of times."""
    return Column("c", type_code, digits, "", **more)


def datetime2(text: str, fraction: str = "") -> bytes:
    """Pack a DATETIME by its definition."""
    year, month, day, hour, minute, second = (int(part) for part in text.split())
    whole = (year * 13 + month) << 22 | day << 17 | hour << 12 | minute << 6 | second
    return (1 << 39 | whole).to_bytes(5, "big") + bytes.fromhex(fraction)


def time2(us: int, size: int = 0) -> bytes:
    """Pack a TIME of up to 34 hours by its definition."""
    seconds, fraction = divmod(abs(us), 1_000_000)
    whole = seconds // 3600 << 12 | seconds // 60 % 60 << 6 | seconds % 60
    number = whole << 8 * size | fraction // {0: 1_000_000, 1: 10_000, 2: 100, 3: 1}[size]
    return ((0x800000 << 8 * size) + (-number if us < 0 else number)).to_bytes(3 + size, "big")


@pytest.mark.parametrize(
    ("of", "raw", "expected"),
    [
        pytest.param(column(T.DATE), b"\x78\xd5\x0f", 20_781, id="a date"),
        pytest.param(column(T.DATE), (1969 << 9 | 12 << 5 | 31).to_bytes(3, "little"), -1,
                     id="a date before 1970"),
        pytest.param(column(T.DATE), (15 << 9 | 1 << 5 | 1).to_bytes(3, "little"), 16_436,
                     id="a year of two digits"),
        pytest.param(column(T.DATE), (70 << 9 | 1 << 5 | 1).to_bytes(3, "little"), 0,
                     id="a year of two digits in the last century"),
        pytest.param(column(T.DATE), (9999 << 9 | 12 << 5 | 31).to_bytes(3, "little"), 2_932_896,
                     id="the last date"),
        pytest.param(column(T.DATETIME2), datetime2("2026 11 24 5 47 11"), 1_795_499_231_000,
                     id="datetime in ms"),
        pytest.param(column(T.DATETIME2, 1), datetime2("1970 1 1 0 0 1", "32"), 1_500,
                     id="datetime(1)"),
        pytest.param(column(T.DATETIME2, 3), datetime2("1970 1 1 0 0 1", "04ce"), 1_123,
                     id="datetime(3)"),
        pytest.param(column(T.DATETIME2, 4), datetime2("1970 1 1 0 0 1", "04d2"), 1_123_400,
                     id="datetime(4) in µs"),
        pytest.param(column(T.DATETIME2, 6), datetime2("1969 12 31 23 59 59", "0f423f"), -1,
                     id="a microsecond before 1970"),
        pytest.param(column(T.DATETIME2, 3), datetime2("1969 12 31 23 59 59", "2706"), -1,
                     id="a millisecond before 1970"),
        pytest.param(column(T.TIME2), time2(0), 0, id="no time"),
        pytest.param(column(T.TIME2, 6), time2(-1, 3), -1, id="a negative microsecond"),
        pytest.param(column(T.TIME2, 2), time2(-10_000, 1), -10_000, id="a negative hundredth"),
        pytest.param(column(T.TIME2), bytes.fromhex("4b9105"), -3_020_399_000_000,
                     id="the least time"),
        pytest.param(column(T.TIME2), bytes.fromhex("b46efb"), 3_020_399_000_000,
                     id="the greatest time"),
        pytest.param(column(T.TIMESTAMP2), (1_795_499_231).to_bytes(4, "big"),
                     "2026-11-24T05:47:11Z", id="timestamp"),
        pytest.param(column(T.TIMESTAMP2, 1), (60).to_bytes(4, "big") + b"\x32",
                     "1970-01-01T00:01:00.5Z", id="timestamp(1)"),
        pytest.param(column(T.TIMESTAMP2, 3), (60).to_bytes(4, "big") + b"\x00\x0a",
                     "1970-01-01T00:01:00.001Z", id="timestamp(3)"),
        pytest.param(column(T.TIMESTAMP2, 6), (60).to_bytes(4, "big") + b"\x00\x00\x00",
                     "1970-01-01T00:01:00.000000Z", id="timestamp(6) has six digits"),
        pytest.param(column(T.DATETIME), (20_261_124_054_711).to_bytes(8, "little"),
                     1_795_499_231_000, id="old datetime"),
        pytest.param(column(T.TIME), (8_385_959).to_bytes(3, "little"), 3_020_399_000_000,
                     id="old time"),
        pytest.param(column(T.TIME), bytes.fromhex("492aff"), 6_020_705_000_000,
                     id="a negative old time, as Debezium takes it"),
        pytest.param(column(T.TIMESTAMP), (60).to_bytes(4, "little"), "1970-01-01T00:01:00Z",
                     id="old timestamp"),
    ],
)  # fmt: skip
def test_a_packed_time_becomes_its_json_form(of: Column, raw: bytes, expected: object) -> None:
    assert read(of, raw) == expected


ZEROS = [
    pytest.param(T.DATE, 0, b"\0\0\0", 0, id="zero date"),
    pytest.param(T.DATE, 0, (2026 << 9 | 5 << 5).to_bytes(3, "little"), 0, id="zero day"),
    pytest.param(T.DATE, 0, (5 << 5 | 5).to_bytes(3, "little"), 0, id="zero year"),
    pytest.param(T.DATETIME2, 6, datetime2("0 0 0 0 0 0", "000000"), 0, id="zero datetime"),
    pytest.param(T.DATETIME2, 0, datetime2("2026 0 1 5 0 0"), 0, id="zero month"),
    pytest.param(T.TIMESTAMP2, 3, b"\0" * 6, "1970-01-01T00:00:00Z", id="zero timestamp"),
    pytest.param(T.TIMESTAMP, 0, b"\0" * 4, "1970-01-01T00:00:00Z", id="old zero timestamp"),
    pytest.param(T.DATETIME, 0, b"\0" * 8, 0, id="old zero datetime"),
]


@pytest.mark.parametrize(("type_code", "digits", "raw", "otherwise"), ZEROS)
def test_a_zero_date_is_null_or_1970(
    type_code: int, digits: int, raw: bytes, otherwise: object
) -> None:
    assert read(column(type_code, digits), raw) is None
    assert read(column(type_code, digits, nullable=False), raw) == otherwise


@pytest.mark.parametrize(
    ("type_code", "digits", "raw", "default", "expected"),
    [
        (T.DATE, 0, b"\0\0\0", "2026-11-24", 20_781),
        (T.DATE, 0, b"\0\0\0", "0000-00-00", 0),
        (T.DATE, 0, b"\0\0\0", "curdate()", 0),
        (T.DATETIME2, 0, datetime2("0 0 0 0 0 0"), "1970-01-01 00:00:01", 1_000),
        (T.DATETIME2, 6, datetime2("0 0 0 0 0 0", "000000"), "1970-01-01 00:00:01.5", 1_500_000),
        (T.TIMESTAMP2, 0, b"\0" * 4, "2026-11-24 05:47:11", "2026-11-24T05:47:11Z"),
        (T.TIMESTAMP2, 6, b"\0" * 7, "2026-11-24 05:47:11.250000", "2026-11-24T05:47:11.250000Z"),
        (T.TIMESTAMP2, 0, b"\0" * 4, "0000-00-00 00:00:00", "1970-01-01T00:00:00Z"),
    ],
)
def test_a_zero_date_is_the_default_where_there_must_be_one(
    type_code: int, digits: int, raw: bytes, default: str, expected: object
) -> None:
    of = column(type_code, digits, nullable=False, default=default)

    assert read(of, raw) == expected


def test_mariadbs_zero_timestamp_is_the_first_second_of_1970() -> None:
    assert read(column(T.TIMESTAMP2, 3), b"\0" * 6, mariadb=True) == "1970-01-01T00:00:00.000Z"


def test_a_day_that_is_none_is_undecodable() -> None:
    raw = datetime2("2026 2 31 0 0 0")

    assert read(column(T.DATETIME2), raw) == Undecodable(raw)
