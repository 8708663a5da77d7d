"""What a person's acts make of a message, and what they refuse."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from support.factories import NOW, message

from cdc_sms.errors import ActRefused
from cdc_sms.model.acts import (
    discarded,
    edited,
    is_in_doubt,
    replayed,
    resolved_as_sent,
    resolved_by_drop,
    resolved_by_resend,
)
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.override import Override
from cdc_sms.model.state import BY_A_PERSON, DeadLetterClass, State

LATER = NOW + timedelta(minutes=5)
Act = Callable[[Delivery], Delivery]

ACTS: dict[str, Act] = {
    "resolve sent": lambda m: resolved_as_sent(m, now=LATER),
    "resolve resend": lambda m: resolved_by_resend(m, now=LATER),
    "resolve drop": lambda m: resolved_by_drop(m, now=LATER),
    "replay": lambda m: replayed(m, now=LATER),
    "replay as second": lambda m: replayed(m, now=LATER, as_second=True),
    "discard": lambda m: discarded(m, now=LATER),
    "edit": lambda m: edited(m, Override(text="x"), now=LATER),
}


def _given_up(letter: DeadLetterClass = DeadLetterClass.PERMANENT) -> Delivery:
    return message(
        State.FAILED,
        dead_letter_class=letter,
        dlq_partition=1,
        dlq_offset=7,
        attempts=8,
        doubts=2,
        first_failed_at=NOW,
        emitted_at=NOW,
    )


MESSAGES = {
    "in doubt": message(State.IN_DOUBT, doubts=1),
    "left in doubt": _given_up(DeadLetterClass.IN_DOUBT),
    "given up": _given_up(),
    "settled": replace(_given_up(), dead_letter_class=None),
    "sent": message(State.SENT),
    "unclear": message(State.SENT, unclear_at=NOW),
    "expired": message(State.EXPIRED),
    "cancelled": message(State.CANCELLED),
    **{
        state.value: message(state)
        for state in (State.PENDING, State.SCHEDULED, State.SENDING, State.RETRYING)
    },
}

ALLOWED = {
    "resolve sent": {"in doubt", "left in doubt"},
    "resolve resend": {"in doubt", "left in doubt"},
    "resolve drop": {"in doubt", "left in doubt"},
    "replay": {"given up", "settled", "expired", "cancelled"},
    "replay as second": {"given up", "settled", "expired", "cancelled", "sent", "unclear"},
    "discard": {"given up", "unclear"},
    "edit": {"given up"},
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("what", MESSAGES)
def test_act_is_done_exactly_where_it_is_safe(act: str, what: str) -> None:
    before = MESSAGES[what]

    if what not in ALLOWED[act]:
        with pytest.raises(ActRefused) as refused:
            ACTS[act](before)
        assert before.id in refused.value.message
        assert "cdc-sms" in refused.value.hint
        return

    after = ACTS[act](before)
    assert after.state is before.state or after.state in BY_A_PERSON[before.state]
    assert after.changed_at == LATER


@pytest.mark.parametrize("what", ["given up", "left in doubt"])
def test_new_round_begins_with_fresh_attempts_and_keeps_the_doubts_counted(what: str) -> None:
    act = resolved_by_resend if what == "left in doubt" else replayed

    after = act(MESSAGES[what], now=LATER)

    assert (after.state, after.round, after.attempts) == (State.PENDING, 2, 0)
    assert (after.doubts, after.round_doubts) == (2, 0)
    assert (after.dlq_partition, after.dlq_offset, after.dead_letter_class) == (None, None, None)
    assert after.first_failed_at is None
    assert not after.is_done


def test_new_round_is_overdue_at_once_if_nobody_emits_it() -> None:
    after = replayed(_given_up(), now=LATER)

    assert (after.due_at, after.emitted_at) == (LATER, None)


def test_new_round_keeps_the_correction() -> None:
    corrected = edited(_given_up(), Override(text="x"), now=LATER)

    assert Override.from_text(replayed(corrected, now=LATER).override) == Override(text="x")


@pytest.mark.parametrize("what", ["in doubt", "left in doubt"])
@pytest.mark.parametrize("act", [resolved_as_sent, resolved_by_drop], ids=["sent", "drop"])
def test_resolved_message_is_done_and_owes_its_word(
    act: Callable[..., Delivery], what: str
) -> None:
    after = act(MESSAGES[what], now=LATER)

    assert after.is_done
    assert not is_in_doubt(after)
    assert (after.owes_write, after.next_write_at) == (True, LATER)


def test_resolved_as_sent_keeps_when_it_was_accepted() -> None:
    known = replace(MESSAGES["in doubt"], accepted_at=NOW)

    assert resolved_as_sent(known, now=LATER).accepted_at == NOW
    assert resolved_as_sent(MESSAGES["in doubt"], now=LATER).accepted_at == LATER


def test_discarded_dead_letter_stays_done_and_stands_no_more() -> None:
    after = discarded(_given_up(), now=LATER)

    assert after.is_done
    assert after.dead_letter_class is None


def test_discarded_unclear_one_has_its_row_put_right() -> None:
    after = discarded(MESSAGES["unclear"], now=LATER)

    assert (after.state, after.unclear_at, after.owes_write) == (State.SENT, None, True)


def test_edit_adds_to_an_earlier_one() -> None:
    once = edited(_given_up(), Override(text="x", sender="A"), now=NOW)

    twice = edited(once, Override(text="y"), now=LATER)

    assert Override.from_text(twice.override) == Override(text="y", sender="A")
