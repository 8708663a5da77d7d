from dataclasses import replace
from datetime import timedelta

import pytest
from support.factories import NOW, SETTINGS, STATUS, TOKEN, gate, hold, look, message, row, rules

from cdc_sms.deliver.decide import (
    Claim,
    Decision,
    Finished,
    OwesDeadLetter,
    Wait,
    decide,
    finished_without_locks,
)
from cdc_sms.model.business_row import BusinessRow
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.state import TRANSITIONS, DeadLetterClass, State

LEASE_OVER = NOW - timedelta(seconds=SETTINGS.lease_grace_s + 1)


def decided(
    messages: list[Delivery], as_it_stands: BusinessRow | None, **changes: object
) -> Decision:
    row_is_locked = bool(changes.pop("row_is_locked", False))
    return decide(
        look(), messages, as_it_stands, row_is_locked=row_is_locked, now=NOW, rules=rules(**changes)
    )


def test_pending_message_is_claimed_with_the_token_and_a_lease() -> None:
    decision = decided([message()], row())

    assert isinstance(decision.result, Claim)
    [claimed] = decision.changed
    assert (claimed.state, claimed.claim_token) == (State.SENDING, TOKEN)
    assert claimed.lease_until == NOW + timedelta(seconds=SETTINGS.lease_s)
    assert claimed.former_state is State.PENDING
    assert claimed.content_digest == row().digest


def test_own_claim_is_recognised_when_the_reply_to_commit_was_lost() -> None:
    mine = message(State.SENDING, claim_token=TOKEN, former_state=State.PENDING)

    decision = decided([mine], row(word="sending"))

    assert isinstance(decision.result, Claim)
    [claimed] = decision.changed
    assert (claimed.claim_token, claimed.attempts, claimed.doubts) == (TOKEN, 0, 0)


@pytest.mark.parametrize(
    ("shown", "state"),
    [(None, State.CANCELLED), (row(word="stopped"), State.CANCELLED)],
    ids=["row gone", "cancelled"],
)
def test_own_claim_whose_row_went_meanwhile_is_no_doubt(
    shown: BusinessRow | None, state: State
) -> None:
    mine = message(State.SENDING, claim_token=TOKEN, former_state=State.PENDING)

    decision = decided([mine], shown)

    assert isinstance(decision.result, Finished)
    assert [(m.state, m.claim_token, m.doubts) for m in decision.changed] == [(state, None, 0)]


def test_message_that_another_member_holds_waits_for_lease_and_grace() -> None:
    decision = decided([message(State.SENDING)], row(word="sending"))

    assert isinstance(decision.result, Wait)
    assert decision.result.reason == "claimed"
    assert decision.result.delay_s is not None
    assert decision.result.delay_s > SETTINGS.lease_s
    assert decision.changed == []


def test_claim_that_ran_out_is_in_doubt_and_pauses() -> None:
    abandoned = message(State.SENDING, lease_until=LEASE_OVER)

    decision = decided([abandoned], row(word="sending"))

    assert isinstance(decision.result, Wait)
    assert decision.result.reason == State.IN_DOUBT
    [doubtful] = decision.changed
    assert (doubtful.state, doubtful.doubts, doubtful.claim_token) == (State.IN_DOUBT, 1, None)


def test_claim_that_ran_out_in_an_outage_is_not_taken_over_before_its_owner_could_settle() -> None:
    abandoned = message(State.SENDING, lease_until=LEASE_OVER)

    decision = decided([abandoned], row(word="sending"), may_take_over=False)

    assert isinstance(decision.result, Wait)
    assert decision.result.reason == "claimed"
    assert decision.changed == []


def test_message_in_doubt_once_is_sent_again_under_resend() -> None:
    doubtful = message(State.IN_DOUBT, doubts=1, row_word="sending")

    decision = decided([doubtful], row(word="sending"))

    assert isinstance(decision.result, Claim)


@pytest.mark.parametrize(
    ("doubts", "doubt"), [(2, "resend"), (1, "hold")], ids=["doubted twice", "rule says hold"]
)
def test_message_in_doubt_is_left_to_a_person(doubts: int, doubt: str) -> None:
    doubtful = message(State.IN_DOUBT, doubts=doubts, row_word="sending")
    settings = SETTINGS.model_copy(update={"doubt": doubt})

    decision = decided([doubtful], row(word="sending"), settings=settings)

    assert isinstance(decision.result, OwesDeadLetter)
    assert decision.result.dead_letter_class is DeadLetterClass.IN_DOUBT
    [given_up] = decision.changed
    assert given_up.state is State.FAILED


def test_row_cancelled_by_the_business_cancels_its_message() -> None:
    decision = decided([message()], row(word="stopped"))

    assert isinstance(decision.result, Finished)
    [cancelled] = decision.changed
    assert cancelled.state is State.CANCELLED


def test_row_cancelled_while_in_doubt_is_dead_lettered() -> None:
    doubtful = message(State.IN_DOUBT, doubts=1, row_word="sending")

    decision = decided([doubtful], row(word="stopped"))

    assert isinstance(decision.result, OwesDeadLetter)
    assert decision.result.dead_letter_class is DeadLetterClass.IN_DOUBT


def test_row_that_the_application_holds_is_looked_at_again_uncounted() -> None:
    decision = decided([message()], row(), row_is_locked=True)

    assert isinstance(decision.result, Wait)
    assert decision.result.reason == "row_locked"
    assert decision.changed == []


def test_nothing_is_claimed_while_a_hold_is_in_force() -> None:
    decision = decided([message()], row(), gate=gate(holds=[hold()]))

    assert isinstance(decision.result, Wait)
    assert decision.result.reason == "held"
    assert decision.changed == []


@pytest.mark.parametrize("shown", [row(word="sending"), None], ids=["row there", "row gone"])
def test_doubt_is_not_given_up_while_a_hold_is_in_force(shown: BusinessRow | None) -> None:
    doubtful = message(State.IN_DOUBT, doubts=2, row_word="sending")

    decision = decided([doubtful], shown, gate=gate(holds=[hold()]))

    assert isinstance(decision.result, Wait)
    assert decision.changed == []


def test_message_whose_row_is_gone_is_cancelled_and_finished() -> None:
    decision = decided([message()], None)

    assert isinstance(decision.result, Finished)
    assert [m.state for m in decision.changed] == [State.CANCELLED]


def test_message_in_doubt_whose_row_is_gone_is_dead_lettered() -> None:
    decision = decided([message(State.IN_DOUBT, doubts=1)], None)

    assert isinstance(decision.result, OwesDeadLetter)
    assert [m.state for m in decision.changed] == [State.FAILED]


def test_key_used_again_cancels_the_lost_message_and_claims_the_new_one() -> None:
    lost = message(id="sms/1@before")

    decision = decided([lost, message()], row())

    assert isinstance(decision.result, Claim)
    states = {m.id: m.state for m in decision.changed}
    assert states == {"sms/1@before": State.CANCELLED, "sms/1@a": State.SENDING}


def test_lost_message_that_is_being_sent_is_waited_for_before_the_new_one() -> None:
    lost = message(State.SENDING, id="sms/1@before")

    decision = decided([lost, message()], row())

    assert isinstance(decision.result, Wait)
    assert decision.changed == []


def test_failed_message_without_acknowledged_dead_letter_owes_it() -> None:
    failed = message(State.FAILED, dead_letter_class=DeadLetterClass.PERMANENT)

    decision = decided([failed], row(word="failed"))

    assert isinstance(decision.result, OwesDeadLetter)
    assert decision.result.dead_letter_class is DeadLetterClass.PERMANENT


def test_done_message_whose_row_reads_pending_goes_to_a_person_once() -> None:
    sent = message(State.SENT, row_word="sent")

    first = decided([sent], row())
    second = decided([replace(sent, unclear_at=NOW)], row())

    assert isinstance(first.result, OwesDeadLetter)
    assert first.result.dead_letter_class is DeadLetterClass.UNCLEAR
    assert isinstance(second.result, Finished)


def test_message_cancelled_before_any_attempt_is_pending_again_with_its_row() -> None:
    decision = decided([message(State.CANCELLED)], row())

    assert isinstance(decision.result, Claim)


def test_message_cancelled_after_an_attempt_and_pending_again_is_unclear() -> None:
    decision = decided([message(State.CANCELLED, attempts=1)], row())

    assert isinstance(decision.result, OwesDeadLetter)
    assert decision.result.dead_letter_class is DeadLetterClass.UNCLEAR


def test_message_between_attempts_waits_until_it_is_due() -> None:
    due_at = NOW + timedelta(seconds=20)

    decision = decided(
        [message(State.RETRYING, due_at=due_at, row_word="sending")], row(word="sending")
    )

    assert isinstance(decision.result, Wait)
    assert decision.result.delay_s == pytest.approx(20, abs=0.1)


def test_message_for_later_today_waits_in_memory_and_one_for_tomorrow_lets_its_offset_go() -> None:
    soon, later = NOW + timedelta(minutes=20), NOW + timedelta(days=1)

    near = decided([message()], row(send_after=soon))
    far = decided([message()], row(send_after=later))

    assert isinstance(near.result, Wait)
    assert isinstance(far.result, Finished)
    assert [m.state for m in near.changed + far.changed] == [State.SCHEDULED, State.SCHEDULED]
    assert far.changed[0].due_at == later


def test_message_whose_time_ran_out_expires_without_being_sent() -> None:
    decision = decided([message()], row(expires_at=NOW - timedelta(seconds=1)))

    assert isinstance(decision.result, Finished)
    assert [m.state for m in decision.changed] == [State.EXPIRED]


def test_message_in_doubt_whose_time_ran_out_is_left_to_a_person() -> None:
    doubtful = message(State.IN_DOUBT, doubts=1, row_word="sending")

    decision = decided([doubtful], row(word="sending", expires_at=NOW - timedelta(seconds=1)))

    assert isinstance(decision.result, OwesDeadLetter)


@pytest.mark.parametrize(
    ("messages", "shown", "how"),
    [
        ([message(State.SENT)], row(word="sent"), "sent"),
        ([message(State.SENT)], None, "gone"),
        ([], None, "gone"),
        ([message(State.SENT, unclear_at=NOW)], row(), "unclear"),
    ],
    ids=["done and shown", "done and gone", "never known and gone", "told to a person"],
)
def test_record_is_finished_without_locks_when_every_message_of_its_key_is_done(
    messages: list[Delivery], shown: BusinessRow | None, how: str
) -> None:
    finished = finished_without_locks(look(), messages, shown, STATUS)

    assert finished is not None
    assert finished.how == how


@pytest.mark.parametrize(
    ("messages", "shown"),
    [
        ([message()], row()),
        ([], row()),
        ([message(State.SENT)], row()),
        ([message(State.FAILED, dead_letter_class=DeadLetterClass.PERMANENT)], row(word="failed")),
    ],
    ids=["pending", "unknown row", "done but reads pending", "dead letter owed"],
)
def test_record_is_not_finished_while_anything_of_its_key_is_open(
    messages: list[Delivery], shown: BusinessRow
) -> None:
    assert finished_without_locks(look(), messages, shown, STATUS) is None


def test_table_without_status_column_is_claimed_by_the_ledger_alone() -> None:
    decision = decided([message()], row(word=None), status=None)

    assert isinstance(decision.result, Claim)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("word", ["pending", "sending", "stopped", None], ids=str)
@pytest.mark.parametrize("doubts", [0, 1, 2])
def test_every_decision_is_a_legal_transition(state: State, word: str | None, doubts: int) -> None:
    before = message(
        state, doubts=doubts, row_word="sending", lease_until=LEASE_OVER, dlq_offset=None
    )
    shown = None if word is None else row(word=word)

    for after in decided([before], shown).changed:
        via = {state, State.IN_DOUBT} if state is State.SENDING else {state}
        via |= {State.PENDING} if state is State.CANCELLED else set()
        assert any(after.state in {*TRANSITIONS[one], one} for one in via)
