"""Which corrections can be sent."""

import pytest

from cdc_sms.config.settings import Sections
from cdc_sms.errors import ActRefused
from cdc_sms.model.override import Override
from cdc_sms.operate.letter_edit import correction

SECTIONS = Sections.model_validate(
    {
        "source": {"dsn": "postgresql://sms@localhost/shop"},
        "table": {"name": "sms", "columns": {"key": "id", "recipient": "phone", "text": "body"}},
        "kafka": {"bootstrap_servers": "localhost:9092"},
        "providers": {"justsend": {"max_segments": 2}},
    }
)


def _correction(
    recipient: str | None = None, text: str | None = None, sender: str | None = None
) -> Override:
    return correction(SECTIONS, recipient=recipient, text=text, sender=sender)


def test_number_is_kept_in_its_international_form() -> None:
    assert _correction(recipient="600 100 200") == Override(recipient="+48600100200")


def test_text_and_sender_are_kept_as_they_are() -> None:
    assert _correction(text=" Żółw ", sender="ACME") == Override(text=" Żółw ", sender="ACME")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Nothing is to be corrected"),
        ({"recipient": "12"}, "no valid telephone number"),
        ({"recipient": "Anna"}, "no telephone number"),
        ({"text": ""}, "The text is empty"),
        ({"text": "a" * 307}, "3 segments of GSM-7; max_segments allows 2"),
        ({"text": "ż" * 135}, "because of U\\+017C"),
        ({"sender": " "}, "The sender is empty"),
        ({"sender": "A\x00B"}, "The sender is empty"),
        ({"sender": "A" * 17}, "16 printable characters"),
    ],
    ids=[
        "nothing",
        "short number",
        "no number",
        "empty text",
        "long text",
        "one character makes it long",
        "blank sender",
        "control character",
        "long sender",
    ],
)
def test_nonsense_is_refused_without_repeating_it(given: dict[str, str], said: str) -> None:
    with pytest.raises(ActRefused, match=said) as refused:
        _correction(**given)

    assert not any(value.strip() and value in str(refused.value) for value in given.values())
