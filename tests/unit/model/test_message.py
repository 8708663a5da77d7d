"""The one text that a column's value has in a message's id."""

from decimal import Decimal

import pytest

from cdc_sms.model.message import canonical


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("12.30"), "12.3"),
        (Decimal("1E+3"), "1000"),
        (Decimal(12345678901234567890123456789012), "12345678901234567890123456789012"),
        (Decimal("0.1234567890123456789012345678901"), "0.1234567890123456789012345678901"),
    ],
)
def test_a_number_keeps_all_its_digits_and_no_empty_ones(value: Decimal, text: str) -> None:
    assert canonical(value) == text
