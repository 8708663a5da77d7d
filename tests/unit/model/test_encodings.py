"""A key's JSON value, in every encoding that Debezium has for it, is what the connection reads."""

import base64
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

import pytest

from cdc_sms.errors import EnvelopeError
from cdc_sms.model.encodings import ColumnKind, KeyColumn, decode_value

DECIMAL = "org.apache.kafka.connect.data.Decimal"
IDENTIFIER = "0190f3b6-7c1e-7a52-9d3a-5b1f8c2d4e6f"
MOMENT = datetime(2026, 11, 24, 5, 47, 11, 123456)  # noqa: DTZ001 - a column without a zone
MOMENT_US = 1_795_499_231_123_456


def _column(kind: str, scale: int | None = None, precision: int | None = None) -> KeyColumn:
    return KeyColumn("nr", ColumnKind(kind), scale, precision)


def _unscaled(number: int) -> str:
    return base64.b64encode(number.to_bytes(9, "big", signed=True)).decode()


def _exactly(seen: object, expected: object) -> bool:
    return seen == expected and type(seen) is type(expected) and str(seen) == str(expected)


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        pytest.param(4711, None, 4711, id="number"),
        pytest.param(-(2**63), "int64", -(2**63), id="smallest bigint"),
        pytest.param(2**64 - 1, None, 2**64 - 1, id="largest unsigned"),
        pytest.param("9007199254740993", None, 9_007_199_254_740_993, id="decimal text"),
        pytest.param("4711.00", None, 4711, id="decimal text with a scale"),
        pytest.param(_unscaled(2**63 + 1), f"{DECIMAL}:0", 2**63 + 1, id="unscaled bytes"),
        pytest.param(4711.0, "double", 4711, id="double"),
        pytest.param({"scale": 0, "value": "Emc="}, None, 4711, id="variable scale"),
    ],
)
def test_integers_are_read_in_every_encoding(value: object, hint: str, expected: int) -> None:
    assert _exactly(decode_value(value, _column("integer"), hint), expected)


UNSIGNED = KeyColumn("nr", ColumnKind.INTEGER, is_unsigned=True)


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        pytest.param(4711, None, 4711, id="number"),
        pytest.param(-1, "int64", 2**64 - 1, id="long, the largest"),
        pytest.param(-(2**63), None, 2**63, id="long, the first that is negative"),
        pytest.param(2**63 - 1, "int64", 2**63 - 1, id="long, the last that is positive"),
        pytest.param("AP//////////", f"{DECIMAL}:0", 2**64 - 1, id="precise"),
        pytest.param("AP//////////", None, 2**64 - 1, id="precise without its schema"),
        pytest.param("Emc=", None, 4711, id="a small one, precise without its schema"),
        pytest.param("18446744073709551615", None, 2**64 - 1, id="text"),
    ],
)
def test_unsigned_integers_are_read_in_every_mode(value: object, hint: str, expected: int) -> None:
    assert _exactly(decode_value(value, UNSIGNED, hint), expected)


@pytest.mark.parametrize(
    ("text", "scale", "expected"),
    [
        ("Emc=", 0, "4711"),
        ("AP//////////", 0, str(2**64 - 1)),
        ("BM4=", 2, "12.30"),
        ("+KQy9A==", 2, "-1234567.80"),
        ("1230", 0, "1230"),
        ("AA==", 2, "0.00"),
    ],
)
def test_unscaled_bytes_without_their_schema_have_the_columns_scale(
    text: str, scale: int, expected: str
) -> None:
    assert _exactly(decode_value(text, _column("numeric", scale), None), Decimal(expected))


def test_a_positive_decimal_is_never_taken_for_another_number() -> None:
    column = _column("numeric", 0)

    for number in range(0, 9_000_000, 997):
        written = base64.b64encode(number.to_bytes(number.bit_length() // 8 + 1, "big")).decode()
        assert decode_value(written, column, None) == number


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, 1), (False, 0), ("AQg=", 2049), ("AAA=", 0), ("/////////38=", 2**63 - 1)],
)
def test_bits_are_read_as_a_whole_number(value: object, expected: int) -> None:
    assert _exactly(decode_value(value, _column("bits"), None), expected)


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        pytest.param("12.30", None, "12.30", id="text"),
        pytest.param("12.3", None, "12.30", id="text without its zeros"),
        pytest.param("-12.3000", None, "-12.30", id="text with more zeros"),
        pytest.param("1.23E+1", None, "12.30", id="text with an exponent"),
        pytest.param("0", None, "0.00", id="zero"),
        pytest.param("123456789012345678901234567890.12", None, None, id="more than 28 digits"),
        pytest.param(12, None, "12.00", id="number"),
        pytest.param(_unscaled(1230), f"{DECIMAL}:2", "12.30", id="unscaled bytes"),
        pytest.param(_unscaled(-1230), f"{DECIMAL}:2", "-12.30", id="negative unscaled bytes"),
        pytest.param({"scale": 1, "value": _unscaled(123)}, None, "12.30", id="variable scale"),
        pytest.param({"scale": -1, "value": "AQ=="}, None, "10.00", id="negative scale"),
        pytest.param(12.3, None, "12.30", id="double"),
        pytest.param(9_999_999_999_999.99, None, "9999999999999.99", id="largest exact double"),
    ],
)
def test_decimals_are_read_in_every_mode(value: object, hint: str, expected: str | None) -> None:
    decoded = decode_value(value, _column("numeric", scale=2), hint)

    assert _exactly(decoded, Decimal(expected or str(value)))


def test_a_decimal_of_any_scale_keeps_its_own() -> None:
    assert _exactly(decode_value("1.5000", _column("numeric"), None), Decimal("1.5000"))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        pytest.param("text", "PL-4711", "PL-4711", id="text"),
        pytest.param("text", "", "", id="empty text"),
        pytest.param("other", "10.0.0.1", "10.0.0.1", id="what is read as text"),
        pytest.param("boolean", True, True, id="boolean"),
        pytest.param("boolean", 0, False, id="tinyint"),
        pytest.param("float", 1.5, 1.5, id="double"),
        pytest.param("float", 2, 2.0, id="whole double"),
        pytest.param("uuid", IDENTIFIER, UUID(IDENTIFIER), id="uuid"),
        pytest.param("bytes", "AP/+", b"\0\xff\xfe", id="base64"),
        pytest.param(
            "bytes", "BEEF", b"\x04\x41\x05", id="base64: hexadecimal is in small letters"
        ),
        pytest.param("bytes", "AP_-", b"\0\xff\xfe", id="url-safe base64"),
        pytest.param("bytes", "00fffe", b"\0\xff\xfe", id="hexadecimal of an odd number of bytes"),
        pytest.param("bytes", "", b"", id="no bytes at all"),
        pytest.param("bytes", r"\x00fffe", b"\0\xff\xfe", id="postgresql's hexadecimal"),
    ],
)
def test_other_kinds_are_read(kind: str, value: object, expected: object) -> None:
    assert _exactly(decode_value(value, _column(kind), None), expected)


@pytest.mark.parametrize(
    ("text", "hint", "expected"),
    [
        pytest.param("AP/+", "bytes", b"\0\xff\xfe", id="bytes mode"),
        pytest.param("AP/+", "string", b"\0\xff\xfe", id="base64 mode"),
        pytest.param("AP_-", "string", b"\0\xff\xfe", id="url-safe mode"),
        pytest.param("00fffe", "string", b"\0\xff\xfe", id="hexadecimal mode"),
        pytest.param("c0ffee00" * 4, "bytes", base64.b64decode("c0ffee00" * 4), id="said so"),
    ],
)
def test_bytes_are_read_in_every_mode_that_can_be_told(
    text: str, hint: str, expected: bytes
) -> None:
    assert decode_value(text, _column("bytes"), hint) == expected


@pytest.mark.parametrize("hint", [None, "string"])
@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [
        ("0190f3b67c1e7a529d3a5b1f8c2d4e6f", 16, UUID(IDENTIFIER).bytes),
        ("AZDztnweelKdOlsfjC1Obw==", 16, UUID(IDENTIFIER).bytes),
        ("beef", 2, b"\xbe\xef"),
    ],
)
def test_the_columns_length_tells_hexadecimal_from_base64(
    text: str, length: int, expected: bytes, hint: str | None
) -> None:
    column = KeyColumn("nr", ColumnKind.BYTES, length=length)

    assert decode_value(text, column, hint) == expected


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (20_781, None),
        (20_781, "io.debezium.time.Date"),
        (20_781, "org.apache.kafka.connect.data.Date"),
        ("2026-11-24", None),
        ("2026-11-24Z", "io.debezium.time.IsoDate"),
    ],
)
def test_dates_are_read_in_every_encoding(value: object, hint: str | None) -> None:
    assert decode_value(value, _column("date"), hint) == date(2026, 11, 24)


@pytest.mark.parametrize(
    ("value", "hint", "precision", "expected"),
    [
        (20_831_123_456, None, None, time(5, 47, 11, 123456)),
        (20_831_123_456, None, 6, time(5, 47, 11, 123456)),
        (20_831_123, None, 3, time(5, 47, 11, 123000)),
        (20_831_000, None, 0, time(5, 47, 11)),
        (20_831_123, "io.debezium.time.Time", 3, time(5, 47, 11, 123000)),
        (20_831_123, "org.apache.kafka.connect.data.Time", 3, time(5, 47, 11, 123000)),
        (20_831_123_456, "io.debezium.time.MicroTime", 6, time(5, 47, 11, 123456)),
        (20_831_123_000, "io.debezium.time.MicroTime", 3, time(5, 47, 11, 123000)),
        (20_831_123_456_000, "io.debezium.time.NanoTime", 6, time(5, 47, 11, 123456)),
        ("05:47:11.123456Z", "io.debezium.time.IsoTime", 6, time(5, 47, 11, 123456)),
        ("05:47", None, 6, time(5, 47)),
    ],
)
def test_times_are_read_in_every_encoding(
    value: object, hint: str | None, precision: int | None, expected: time
) -> None:
    assert decode_value(value, _column("time", precision=precision), hint) == expected


def test_a_time_of_mysql_is_of_microseconds_whatever_its_precision() -> None:
    column = KeyColumn("nr", ColumnKind.TIME, precision=0, number_unit="us")

    assert decode_value(20_831_000_000, column, None) == time(5, 47, 11)
    assert decode_value(20_831_000, column, "io.debezium.time.Time") == time(5, 47, 11)
    assert decode_value(0, column, None) == time(0)


@pytest.mark.parametrize(
    ("value", "hint", "precision"),
    [
        pytest.param(MOMENT_US, None, None, id="by default"),
        pytest.param(MOMENT_US, None, 6, id="by the column's precision"),
        pytest.param(MOMENT_US, "io.debezium.time.MicroTimestamp", 6, id="microseconds"),
        pytest.param(MOMENT_US * 1000, "io.debezium.time.NanoTimestamp", 6, id="nanoseconds"),
        pytest.param(MOMENT_US * 1000, None, 6, id="nanoseconds by their size"),
        pytest.param(MOMENT_US * 1000, None, 7, id="nanoseconds by the column's precision"),
        pytest.param("2026-11-24T05:47:11.123456Z", "io.debezium.time.IsoTimestamp", 6, id="iso"),
        pytest.param("2026-11-24T05:47:11.123456000Z", None, 6, id="iso with nanoseconds"),
        pytest.param("2026-11-24 05:47:11.123456", None, 6, id="as databases print it"),
    ],
)
def test_timestamps_are_read_in_every_encoding(
    value: object, hint: str | None, precision: int | None
) -> None:
    assert _exactly(decode_value(value, _column("timestamp", None, precision), hint), MOMENT)


@pytest.mark.parametrize(
    "hint",
    [None, "io.debezium.time.Timestamp", "org.apache.kafka.connect.data.Timestamp"],
)
def test_a_column_of_milliseconds_is_read_from_milliseconds(hint: str | None) -> None:
    decoded = decode_value(MOMENT_US // 1000, _column("timestamp", precision=3), hint)

    assert decoded == MOMENT.replace(microsecond=123_000)


@pytest.mark.parametrize("factor", [1, 1_000, 1_000_000], ids=["ms", "us", "ns"])
def test_a_coarse_columns_number_is_told_by_its_size(factor: int) -> None:
    decoded = decode_value(MOMENT_US // 1000 * factor, _column("timestamp", precision=0), None)

    assert decoded == MOMENT.replace(microsecond=123_000)


def test_a_time_before_the_epoch_is_read() -> None:
    decoded = decode_value(-1, _column("timestamp"), "io.debezium.time.MicroTimestamp")

    assert decoded == datetime(1969, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        pytest.param("2026-11-24T05:47:11.123456Z", None, id="utc"),
        pytest.param("2026-11-24T06:47:11.123456+01:00", None, id="an offset"),
        pytest.param("2026-11-24 00:17:11.123456-0530", None, id="an offset without a colon"),
        pytest.param("2026-11-24 06:47:11.123456+01", None, id="hours only"),
        pytest.param(MOMENT_US, "io.debezium.time.MicroTimestamp", id="microseconds"),
        pytest.param(MOMENT_US, None, id="by default"),
    ],
)
def test_timestamps_with_a_time_zone_are_read_in_utc(value: object, hint: str | None) -> None:
    decoded = decode_value(value, _column("timestamptz"), hint)

    assert _exactly(decoded, MOMENT.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("value", "column", "hint", "reason"),
    [
        pytest.param(
            float(2**53),
            _column("integer"),
            None,
            "double above 2",
            id="a double of 2^53, which may have been 2^53 + 1",
        ),
        pytest.param(1e300, _column("integer"), None, "double above 2", id="a huge double"),
        pytest.param(float("inf"), _column("integer"), None, "finite", id="an infinite key"),
        pytest.param(1.5, _column("integer"), None, "no whole", id="half a number"),
        pytest.param("1.5", _column("integer"), None, "no whole", id="half a number as text"),
        pytest.param(True, _column("integer"), None, "truth value", id="a truth value"),
        pytest.param(None, _column("integer"), None, "null", id="null"),
        pytest.param([1], _column("integer"), None, "list", id="a list"),
        pytest.param("Emc=", _column("integer"), None, "no number", id="bytes, no schema"),
        pytest.param("Emc=", _column("integer"), f"{DECIMAL}:", "scale", id="bytes, no scale"),
        pytest.param("!!", _column("integer"), f"{DECIMAL}:0", "no base64", id="broken bytes"),
        pytest.param("", _column("integer"), f"{DECIMAL}:0", "no bytes", id="empty bytes"),
        pytest.param("A" * 4000, _column("integer"), f"{DECIMAL}:0", "too long", id="huge bytes"),
        pytest.param({}, _column("integer"), None, "no decimal", id="an empty struct"),
        pytest.param("9" * 2000, _column("integer"), None, "no number", id="a huge number"),
        pytest.param("NaN", _column("numeric"), None, "no number", id="not a number"),
        pytest.param("1.234", _column("numeric", 2), None, "more than 2", id="too many digits"),
        pytest.param(0.1, _column("numeric"), None, "isn't exact", id="a double of any scale"),
        pytest.param(
            1e16, _column("numeric", 2), None, "isn't exact", id="a double above its digits"
        ),
        pytest.param(float("nan"), _column("float"), None, "finite", id="a float not a number"),
        pytest.param(2, _column("boolean"), None, "neither true", id="a boolean of two"),
        pytest.param(7, _column("text"), None, "no text", id="a number for a text"),
        pytest.param("7", _column("uuid"), None, "no UUID", id="no uuid"),
        pytest.param("c0ffee00" * 4, _column("bytes"), None, "may be hex", id="base64 or hex"),
        pytest.param("c0ffee00", _column("bytes"), "string", "may be hex", id="hex or base64"),
        pytest.param(r"\xzz", _column("bytes"), None, "not hexadecimal", id="no hexadecimal"),
        pytest.param("ż", _column("bytes"), None, "no base64", id="no base64"),
        pytest.param(10**9, _column("date"), None, "out of range", id="a date too far"),
        pytest.param("2026-02-30", _column("date"), None, "out of range", id="no such date"),
        pytest.param("infinity", _column("date"), None, "no date", id="an infinite date"),
        pytest.param(1, _column("date"), "int64", "no encoding", id="a date of another encoding"),
        pytest.param(
            86_400_000_000, _column("time"), None, "out of range", id="24 o'clock as a number"
        ),
        pytest.param("24:00:00Z", _column("time"), None, "out of range", id="24 o'clock"),
        pytest.param("05:61", _column("time"), None, "out of range", id="61 minutes"),
        pytest.param("noon", _column("time"), None, "no time", id="no time"),
        pytest.param(
            20_831_123, _column("time"), "io.debezium.time.Time", "cut off", id="a time cut"
        ),
        pytest.param(
            MOMENT_US // 1000,
            _column("timestamp"),
            "io.debezium.time.Timestamp",
            "cut off",
            id="a timestamp cut to milliseconds",
        ),
        pytest.param(
            MOMENT_US // 1000,
            _column("timestamp"),
            None,
            "milliseconds or microseconds",
            id="milliseconds, no schema",
        ),
        pytest.param(
            MOMENT_US * 10**6, _column("timestamp"), None, "out of range", id="a number too far"
        ),
        pytest.param(
            20_831_123, _column("time"), None, "milliseconds or micro", id="a time, no schema"
        ),
        pytest.param("1230", _column("numeric", 2), None, "number or base64", id="two readings"),
        pytest.param("7Zk=", _column("numeric", 0), None, "negative number", id="negative bytes"),
        pytest.param("Emc=", _column("numeric"), None, "no number", id="bytes of any scale"),
        pytest.param("Emc=", _column("numeric", 0), "string", "no number", id="said to be text"),
        pytest.param(2**64, UNSIGNED, None, "out of range", id="above unsigned"),
        pytest.param(-(2**64), UNSIGNED, None, "out of range", id="below unsigned"),
        pytest.param(7, _column("bits"), None, "no text", id="bits as a number"),
        pytest.param("beef", _column("bytes"), None, "may be hex", id="four letters"),
        pytest.param(
            0, replace(_column("date"), has_zero_dates=True), None, "date of zeros", id="zero date"
        ),
        pytest.param(
            "1970-01-01T00:00:00Z",
            replace(_column("timestamptz"), has_zero_dates=True),
            None,
            "date of zeros",
            id="zero timestamp",
        ),
        pytest.param(
            MOMENT_US * 1000 + 1,
            _column("timestamp"),
            "io.debezium.time.NanoTimestamp",
            "nanoseconds",
            id="a timestamp finer than microseconds",
        ),
        pytest.param(
            9_223_372_036_825_200_000, _column("timestamp"), None, "infinity", id="infinity"
        ),
        pytest.param(
            -9_223_372_036_832_400,
            _column("timestamp", precision=3),
            None,
            "infinity",
            id="infinity in milliseconds",
        ),
        pytest.param(
            "2026-11-24T05:47:11.1234567Z",
            _column("timestamp"),
            None,
            "nanoseconds",
            id="a text finer than microseconds",
        ),
        pytest.param(
            "2026-11-24T05:47:11+01:00", _column("timestamp"), None, "has a time zone", id="a zone"
        ),
        pytest.param(
            "2026-11-24T05:47:11", _column("timestamptz"), None, "no time zone", id="no zone"
        ),
        pytest.param(
            "2026-11-24T25:00:00Z", _column("timestamptz"), None, "out of range", id="25 o'clock"
        ),
        pytest.param(
            "2026-13-01T00:00:00Z", _column("timestamptz"), None, "out of range", id="month 13"
        ),
        pytest.param(
            "2026-11-24T00:00:00+99:00", _column("timestamptz"), None, "range", id="a zone too far"
        ),
        pytest.param(
            "0001-01-01T00:00:00+01:00", _column("timestamptz"), None, "range", id="before year one"
        ),
        pytest.param("infinity", _column("timestamptz"), None, "no timestamp", id="infinity"),
        pytest.param(1, _column("timestamp"), "int64", "no encoding", id="a bare number"),
    ],
)
def test_what_can_not_be_decoded_exactly_is_refused(
    value: object, column: KeyColumn, hint: str | None, reason: str
) -> None:
    with pytest.raises(EnvelopeError, match=reason) as caught:
        decode_value(value, column, hint)

    assert caught.value.message.startswith(f"The key's column nr ({column.kind})")
    assert caught.value.hint


def test_a_refusal_never_tells_the_value() -> None:
    with pytest.raises(EnvelopeError) as caught:
        decode_value("+48600100200 x", _column("integer"), None)

    assert "600100200" not in caught.value.message
