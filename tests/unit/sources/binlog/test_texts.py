"""What a SELECT shows arrives as the log's values do."""

from typing import Any

import pytest

from cdc_sms.model.captured_row import Undecodable
from cdc_sms.sources.binlog.column import Column
from cdc_sms.sources.binlog.texts import selected, text_converter


def column(declared: str, metadata: int = 0, **more: Any) -> Column:
    """Return a column as the data dictionary describes it."""
    return Column("c", 0, metadata, declared, **more)


@pytest.mark.parametrize(
    ("of", "raw", "expected"),
    [
        pytest.param(column("int"), None, None, id="null"),
        pytest.param(column("tinyint"), b"-128", -128, id="tinyint"),
        pytest.param(column("int", unsigned=True), b"0004294967295", 2**32 - 1, id="zerofill"),
        pytest.param(column("bigint"), b"-9223372036854775808", -(2**63), id="bigint"),
        pytest.param(column("bigint", unsigned=True), b"9223372036854775807", 2**63 - 1,
                     id="bigint unsigned"),
        pytest.param(column("bigint", unsigned=True), b"18446744073709551615", -1,
                     id="bigint unsigned above 2^63 is negative"),
        pytest.param(column("decimal"), b"-0.05", "-0.05", id="decimal"),
        pytest.param(column("decimal"), b"0012.30", "12.30", id="decimal with zeros in front"),
        pytest.param(column("decimal"), b"0000", "0", id="decimal zero"),
        pytest.param(column("float"), b"1.100000023841858", 1.1, id="float"),
        pytest.param(column("float", scale=2), b"1.10", 1.100000023841858, id="float with scale"),
        pytest.param(column("double"), b"1.1", 1.1, id="double"),
        pytest.param(column("bit", 1), b"\x01", True, id="bit(1) true"),
        pytest.param(column("bit", 1), b"\x00", False, id="bit(1) false"),
        pytest.param(column("bit", 1 | 1 << 8), b"\x01\x02", "AgE=", id="bit(9)"),
        pytest.param(column("year"), b"2026", 2026, id="year"),
        pytest.param(column("year"), b"0000", 1900, id="year zero"),
        pytest.param(column("date"), b"2026-11-24", 20_781, id="date"),
        pytest.param(column("date"), b"0015-01-01", 16_436, id="date of two digits"),
        pytest.param(column("date"), b"0000-00-00", None, id="zero date"),
        pytest.param(column("date", nullable=False), b"2026-00-01", 0, id="zero month"),
        pytest.param(column("datetime"), b"2026-11-24 05:47:11", 1_795_499_231_000, id="datetime"),
        pytest.param(column("datetime", 6), b"1969-12-31 23:59:59.999999", -1, id="datetime(6)"),
        pytest.param(column("datetime", 3), b"1969-12-31 23:59:59.999", -1, id="datetime(3)"),
        pytest.param(column("datetime", 6), b"0000-00-00 00:00:00.000000", None,
                     id="zero datetime"),
        pytest.param(column("timestamp"), b"2026-11-24 05:47:11", "2026-11-24T05:47:11Z",
                     id="timestamp"),
        pytest.param(column("timestamp", 6), b"2026-11-24 05:47:11.120000",
                     "2026-11-24T05:47:11.120000Z", id="timestamp(6)"),
        pytest.param(column("timestamp", 2), b"2026-11-24 05:47:11.12",
                     "2026-11-24T05:47:11.12Z", id="timestamp(2)"),
        pytest.param(column("timestamp"), b"0000-00-00 00:00:00", None, id="zero timestamp"),
        pytest.param(column("time"), b"-838:59:59", -3_020_399_000_000, id="the least time"),
        pytest.param(column("time", 6), b"-00:00:00.000001", -1, id="a negative microsecond"),
        pytest.param(column("time", 1), b"05:00:00.5", 18_000_500_000, id="time(1)"),
        pytest.param(column("varchar", charset="latin1"), b"\x80\xe9", "€é", id="latin1"),
        pytest.param(column("char", charset="ucs2"), b"\x20\xac", "€", id="ucs2"),
        pytest.param(column("text", charset="utf8mb4"), "😀".encode(), "😀", id="utf8mb4"),
        pytest.param(column("binary"), b"hi\0\0", "aGkAAA==", id="binary"),
        pytest.param(column("longblob"), b"", "", id="no bytes"),
        pytest.param(column("enum", charset="utf8mb4"), b"a,b", "a\\,b", id="enum"),
        pytest.param(column("enum", charset="latin1"), b"", "", id="enum zero"),
        pytest.param(column("set", charset="latin1"), b"\xe9,b", "é,b", id="set"),
        pytest.param(column("json"), b'{"a": 1}', '{"a": 1}', id="json"),
        pytest.param(column("geometry"), b"\xe6\x10\0\0ABC", {"wkb": "QUJD", "srid": 4326},
                     id="geometry"),
        pytest.param(column("uuid"), b"123e4567-e89b-12d3-a456-426655440000",
                     "123e4567-e89b-12d3-a456-426655440000", id="uuid"),
        pytest.param(column("vector"), b"\0\0\0\x3f", [0.5], id="vector"),
    ],
)  # fmt: skip
def test_a_selected_value_becomes_its_json_form(
    of: Column, raw: bytes | None, expected: object
) -> None:
    value = text_converter(of, mariadb=False)(raw)

    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("of", "raw"),
    [
        pytest.param(column("int"), b"seven", id="a number in words"),
        pytest.param(column("date"), b"2026-02-31", id="no such day"),
        pytest.param(column("datetime"), b"24.11.2026", id="a date in German form"),
        pytest.param(column("time"), b"noon", id="a time in words"),
        pytest.param(column("timestamp"), b"\xff", id="no text"),
        pytest.param(column("point"), b"\0\0\0\0", id="no point"),
    ],
)
def test_what_cannot_be_read_is_marked_with_its_bytes(of: Column, raw: bytes) -> None:
    assert text_converter(of, mariadb=False)(raw) == Undecodable(raw)


def test_mariadbs_zero_timestamp_is_the_first_second_of_1970() -> None:
    convert = text_converter(column("timestamp", 3), mariadb=True)

    assert convert(b"0000-00-00 00:00:00.000") == "1970-01-01T00:00:00.000Z"


def test_only_a_float_is_selected_by_an_expression() -> None:
    assert selected(column("float"), "`f`") == "`f` + 0e0"
    assert selected(column("int"), "`i`") == "`i`"
