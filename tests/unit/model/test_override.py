"""A correction: kept as text, added to, laid over the row."""

import pytest
from support.factories import row

from cdc_sms.model.override import Override

NONE = Override()
SOME = Override(recipient="+48600100999", text="Żółw")


@pytest.mark.parametrize("override", [NONE, SOME], ids=["nothing", "something"])
def test_correction_is_read_as_it_was_kept(override: Override) -> None:
    assert Override.from_text(override.as_text()) == override


def test_message_without_a_correction_has_an_empty_one() -> None:
    assert Override.from_text(None) == NONE


def test_what_is_corrected_is_named_without_its_value() -> None:
    assert NONE.changed == []
    assert SOME.changed == ["recipient", "text"]


def test_later_correction_wins_where_it_says_something() -> None:
    both = SOME.over(Override(text="Ola", sender="ACME"))

    assert both == Override(recipient="+48600100999", text="Ola", sender="ACME")


def test_row_is_corrected_but_still_known_by_its_own_content() -> None:
    plain = row(sender="Shop")

    corrected = SOME.corrected(plain)

    assert (corrected.recipient, corrected.text, corrected.sender) == (
        "+48600100999",
        "Żółw",
        "Shop",
    )
    assert corrected.digest == plain.digest


def test_row_without_a_correction_stays_as_it_is() -> None:
    assert NONE.corrected(row()) == row()
