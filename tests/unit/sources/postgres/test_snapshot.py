"""Rows of COPY's text format are read value by value."""

import pytest

from cdc_sms.errors import LogDecodeError
from cdc_sms.model.captured_row import Undecodable
from cdc_sms.sources.postgres.snapshot import copied_values

NUMBER, TEXT = int, bytes.decode


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(rb"plain", "plain", id="as it is"),
        pytest.param(rb"", "", id="an empty text"),
        pytest.param(rb"\N", None, id="NULL"),
        pytest.param(rb"\\N", r"\N", id="a text that looks like NULL"),
        pytest.param(rb"a\tb\nc\rd\\e", "a\tb\nc\rd\\e", id="control characters"),
        pytest.param(rb"\b\f\v", "\b\f\v", id="rare control characters"),
        pytest.param(rb"\\\\t", r"\\t", id="backslashes before a letter"),
        pytest.param("żółć 😀".encode(), "żółć 😀", id="any letters"),
        pytest.param(b"\xff", Undecodable(b"\xff"), id="bytes in no encoding"),
    ],
)
def test_a_copied_value_is_read(written: bytes, expected: object) -> None:
    line = b"1\t" + written + b"\n"

    assert copied_values(line, (NUMBER, TEXT)) == [1, expected]


def test_another_number_of_values_is_not_understood() -> None:
    with pytest.raises(LogDecodeError, match="3 values, not 2"):
        copied_values(b"1\t2\t3\n", (NUMBER, TEXT))
