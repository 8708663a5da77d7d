"""What became of a dead letter."""

from datetime import timedelta
from typing import Any

import pytest
from support.factories import NOW, message

from cdc_sms.databases.acts import Act
from cdc_sms.model.acts import DROPPED
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.state import DeadLetterClass, State
from cdc_sms.operate.letter_standing import (
    DISCARD,
    REPLAY,
    Known,
    Letter,
    Standing,
    standing,
)


def _letter(letter: DeadLetterClass | None = DeadLetterClass.PERMANENT) -> Letter:
    has_message = letter not in {None, DeadLetterClass.UNDECODABLE}
    return Letter(1, 7, NOW, letter, "code", "sms/1@a" if has_message else None)


def _failed(**changes: Any) -> Delivery:
    plain = {
        "dead_letter_class": DeadLetterClass.PERMANENT,
        "dlq_partition": 1,
        "dlq_offset": 7,
    }
    return message(State.FAILED, **{**plain, **changes})


def _act(command: str) -> Act:
    return Act("a", command, "me", "x", {"letter": "1:7"}, {}, NOW, NOW + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (_failed(), Standing.OPEN),
        (_failed(dead_letter_class=None), Standing.DISCARDED),
        (_failed(dead_letter_class=None, failure_code=DROPPED), Standing.DROPPED),
        (message(State.SENT, dlq_partition=1, dlq_offset=7), Standing.SENT),
        (message(State.PENDING, round=2), Standing.REPLAYED),
        (message(State.SENT, round=2), Standing.SENT),
        (_failed(dlq_offset=9, round=2), Standing.REPLAYED),
        (_failed(dlq_offset=9), Standing.SUPERSEDED),
        (None, Standing.UNKNOWN),
    ],
    ids=[
        "present",
        "discarded",
        "dropped",
        "accepted late",
        "on its way again",
        "sent in a later round",
        "given up again",
        "written twice",
        "pruned",
    ],
)
def test_letter_of_a_message_stands_as_the_ledger_says(
    known: Delivery | None, expected: Standing
) -> None:
    assert standing(_letter(), Known(known)) is expected


def test_letter_is_edited_where_it_was_corrected_itself_not_an_earlier_one() -> None:
    corrected = _failed(override='{"text":"x"}')

    assert standing(_letter(), Known(corrected, edited=True)) is Standing.EDITED
    assert standing(_letter(), Known(corrected)) is Standing.OPEN


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (Known(message(State.SENT, unclear_at=NOW)), Standing.OPEN),
        (Known(message(State.SENT, unclear_at=NOW), _act(REPLAY)), Standing.REPLAYED),
        (Known(message(State.SENT), _act(DISCARD)), Standing.DISCARDED),
        (Known(message(State.PENDING, round=2)), Standing.REPLAYED),
    ],
    ids=["present", "replayed and unclear anew", "discarded", "another letter of it replayed"],
)
def test_unclear_letter_stands_as_its_own_acts_say(known: Known, expected: Standing) -> None:
    assert standing(_letter(DeadLetterClass.UNCLEAR), known) is expected


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        (None, Standing.OPEN),
        (_act(REPLAY), Standing.REPLAYED),
        (_act(DISCARD), Standing.DISCARDED),
    ],
    ids=["nothing was done", "replayed", "discarded"],
)
def test_letter_without_a_message_stands_as_the_audit_says(
    done: Act | None, expected: Standing
) -> None:
    assert standing(_letter(DeadLetterClass.UNDECODABLE), Known(None, done)) is expected


def test_somebody_else_s_record_is_no_letter() -> None:
    assert standing(_letter(None), Known()) is Standing.FOREIGN


def test_only_what_waits_for_a_person_is_not_settled() -> None:
    waiting = {one for one in Standing if not one.is_settled}

    assert waiting == {Standing.OPEN, Standing.EDITED, Standing.UNKNOWN, Standing.FOREIGN}
