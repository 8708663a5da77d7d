from dataclasses import replace

import pytest
from support.factories import STATUS, message, row

from cdc_sms.deliver.write_back import may_write, word_of
from cdc_sms.model.business_row import BusinessRow
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.state import State

SENT = message(State.SENT, row_word="sending", content_digest=row().digest)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (State.SENDING, "sending"),
        (State.PENDING, "pending"),
        (State.SENT, "sent"),
        (State.FAILED, "failed"),
        (State.EXPIRED, "failed"),
        (State.RETRYING, None),
        (State.IN_DOUBT, None),
        (State.CANCELLED, None),
        (State.SCHEDULED, None),
    ],
)
def test_each_state_has_the_word_that_the_row_shows(state: State, word: str | None) -> None:
    assert word_of(message(state), STATUS) == word


def test_pending_is_not_written_back_where_sending_never_was() -> None:
    assert word_of(message(State.PENDING), STATUS.model_copy(update={"sending": None})) is None


@pytest.mark.parametrize(
    ("stands", "allowed"),
    [
        (row(word="sending"), True),
        (row(), True),
        (row(text="corrected meanwhile"), False),
        (row(word="stopped"), False),
        (row(word="sending", message_id="sms/1@b"), False),
    ],
    ids=[
        "our word",
        "pending with what was sent",
        "pending with another text",
        "the business's own word",
        "another message's row",
    ],
)
def test_row_is_written_only_over_our_word_or_over_what_was_sent(
    stands: BusinessRow, allowed: bool
) -> None:
    assert may_write(SENT, stands, STATUS, has_created_at=True) is allowed


@pytest.mark.parametrize(
    ("before", "stands", "allowed"),
    [
        (SENT, row(word="sending"), True),
        (SENT, row(), False),
        (replace(SENT, row_word=None), row(), True),
        (SENT, row(word="sending", text="another"), False),
    ],
    ids=["last word", "pending again", "never written", "other content"],
)
def test_without_created_at_only_the_last_word_and_the_same_content_prove_the_row(
    before: Delivery, stands: BusinessRow, allowed: bool
) -> None:
    assert may_write(before, stands, STATUS, has_created_at=False) is allowed
