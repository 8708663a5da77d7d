"""The data dictionary's words are read as they were declared."""

import pytest

from cdc_sms.sources.binlog.dictionary import enum_words


@pytest.mark.parametrize(
    ("column_type", "expected"),
    [
        pytest.param("enum('a')", ("a",), id="one word"),
        pytest.param("set('a','b','c d')", ("a", "b", "c d"), id="several"),
        pytest.param("enum('it''s','a,b','(x)','')", ("it's", "a,b", "(x)", ""), id="marks"),
        pytest.param("enum('''','''''')", ("'", "''"), id="apostrophes alone"),
        pytest.param(r"enum('back\\slash','\\')", ("back\\slash", "\\"), id="backslashes"),
        pytest.param(r"enum('a\nb\r\0','\\n')", ("a\nb\r\0", "\\n"), id="line ends and zeros"),
    ],
)
def test_words_are_taken_out_of_the_type(column_type: str, expected: tuple[str, ...]) -> None:
    assert enum_words(column_type) == expected
