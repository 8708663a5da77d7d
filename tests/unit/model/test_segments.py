"""GSM-7, UCS-2, and how many segments."""

import pytest

from cdc_sms.model.segments import (
    GSM7_BASIC,
    GSM7_EXTENSION,
    Encoding,
    character_name,
    count_segments,
)


def test_the_alphabet_has_its_127_characters_and_the_extension_its_10() -> None:
    # 128 positions, of which one is the escape to the extension table
    assert len(GSM7_BASIC) == 127
    assert len(GSM7_EXTENSION) == 10
    assert not GSM7_BASIC & GSM7_EXTENSION


@pytest.mark.parametrize(
    ("text", "encoding", "units", "count"),
    [
        pytest.param("", Encoding.GSM7, 0, 1, id="empty"),
        pytest.param("a" * 160, Encoding.GSM7, 160, 1, id="a full single one"),
        pytest.param("a" * 161, Encoding.GSM7, 161, 2, id="one septet too many for a single one"),
        pytest.param("a" * 306, Encoding.GSM7, 306, 2, id="two full ones"),
        pytest.param("a" * 307, Encoding.GSM7, 307, 3, id="one septet too many for two"),
        pytest.param("€" * 80, Encoding.GSM7, 160, 1, id="extended characters cost two"),
        pytest.param("€" * 80 + "a", Encoding.GSM7, 161, 2, id="extended and one more"),
        pytest.param("€" * 153, Encoding.GSM7, 306, 3, id="an escape pair is not torn"),
        pytest.param("ł" * 70, Encoding.UCS2, 70, 1, id="a full single one of UCS-2"),
        pytest.param("ł" * 71, Encoding.UCS2, 71, 2, id="one too many of UCS-2"),
        pytest.param("ł" * 134, Encoding.UCS2, 134, 2, id="two full ones of UCS-2"),
        pytest.param("ł" * 135, Encoding.UCS2, 135, 3, id="one too many for two of UCS-2"),
        pytest.param("😀" * 35, Encoding.UCS2, 70, 1, id="a character beyond the BMP is two units"),
        pytest.param("😀" * 67, Encoding.UCS2, 134, 3, id="a surrogate pair is not torn"),
        pytest.param("a\tb", Encoding.UCS2, 3, 1, id="a tab is not in GSM-7"),
    ],
)
def test_text_is_counted_in_segments(text: str, encoding: Encoding, units: int, count: int) -> None:
    segments = count_segments(text)

    assert (segments.encoding, segments.units, segments.count) == (encoding, units, count)


def test_the_first_character_that_forces_ucs2_is_the_guilty_one() -> None:
    segments = count_segments("It\u2019s Łódź")

    assert segments.guilty == "\u2019"


def test_a_text_of_gsm7_has_no_guilty_character() -> None:
    assert count_segments("10 € {ok}").guilty is None


@pytest.mark.parametrize(
    ("character", "name"),
    [
        pytest.param("\u2019", "U+2019 RIGHT SINGLE QUOTATION MARK", id="named"),
        pytest.param("\x07", "U+0007 a character without a name", id="nameless"),
        pytest.param("😀", "U+1F600 GRINNING FACE", id="beyond the BMP"),
    ],
)
def test_a_character_is_named_by_its_code_point(character: str, name: str) -> None:
    assert character_name(character) == name
