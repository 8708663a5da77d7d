"""Packed decimals are read with every digit."""

import pytest

from cdc_sms.sources.binlog.decimals import decimal_text, packed_size


@pytest.mark.parametrize(
    ("precision", "scale", "packed", "expected"),
    [
        pytest.param(14, 4, "810dfb38d204d2", "1234567890.1234", id="the manual's example"),
        pytest.param(14, 4, "7ef204c72dfb2d", "-1234567890.1234", id="it, negative"),
        pytest.param(10, 2, "8000000000", "0.00", id="zero keeps its scale"),
        pytest.param(10, 2, "7ffffffffa", "-0.05", id="a negative fraction"),
        pytest.param(5, 0, "803039", "12345", id="no fraction"),
        pytest.param(4, 4, "84d2", "0.1234", id="no whole part"),
        pytest.param(20, 10, "80000000010000000001", "1.0000000001", id="digits beyond a group"),
        pytest.param(1, 0, "89", "9", id="one digit"),
        pytest.param(65, 0, "e3" + "3b9ac9ff" * 7, "9" * 65, id="the longest"),
    ],
)
def test_a_packed_decimal_becomes_its_text(
    precision: int, scale: int, packed: str, expected: str
) -> None:
    raw = bytes.fromhex(packed)

    assert len(raw) == packed_size(precision, scale)
    assert decimal_text(raw, precision=precision, scale=scale) == expected
