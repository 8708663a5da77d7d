import random
from dataclasses import replace
from datetime import timedelta

import pytest
from support.factories import NOW, SETTINGS, TOKEN, claim, look, message

from cdc_sms.deliver.decide import Finished, OwesDeadLetter, Wait
from cdc_sms.deliver.route import Route, route
from cdc_sms.deliver.settle import Settlement, result_of, settled
from cdc_sms.model.outcome import Failed, FailureClass, InDoubt, Outcome, Sent
from cdc_sms.model.state import DeadLetterClass, State

TRANSIENT = Failed(FailureClass.TRANSIENT, "connect_failed", "no connection")
PERMANENT = Failed(FailureClass.PERMANENT, "INVALID_VALUE", "refused")
ACCOUNT = Failed(FailureClass.ACCOUNT, "NO_AUTHENTICATION", "key")
DOUBT = InDoubt("timeout", "no answer in time")


def routed(outcome: Outcome, *, attempts: int = 0, counted: bool = True) -> Route:
    return route(
        outcome,
        attempts=attempts,
        counted=counted,
        settings=SETTINGS,
        random_source=random.Random(1),
    )


def settlement(outcome: Outcome | None) -> Settlement:
    way = None if outcome is None else routed(outcome)
    return Settlement(claim(), outcome, way, NOW, 1)


@pytest.mark.parametrize(
    ("outcome", "attempts", "counted", "state", "letter"),
    [
        (Sent("1"), 0, True, State.SENT, None),
        (PERMANENT, 0, True, State.FAILED, DeadLetterClass.PERMANENT),
        (ACCOUNT, 0, False, None, None),
        (TRANSIENT, 0, True, State.RETRYING, None),
        (TRANSIENT, 7, True, State.FAILED, DeadLetterClass.EXHAUSTED),
        (TRANSIENT, 7, False, State.RETRYING, None),
        (DOUBT, 0, True, State.IN_DOUBT, None),
    ],
    ids=[
        "sent",
        "permanent",
        "account goes back",
        "transient",
        "last attempt",
        "the breaker's failure never exhausts",
        "in doubt",
    ],
)
def test_route_sends_each_outcome_where_it_belongs(
    outcome: Outcome, attempts: int, counted: bool, state: State | None, letter: object
) -> None:
    way = routed(outcome, attempts=attempts, counted=counted)

    assert (way.state, way.dead_letter) == (state, letter)


def test_failure_that_the_breaker_takes_burns_no_attempt() -> None:
    way = routed(TRANSIENT, counted=False)

    assert not way.counted
    assert way.pause_s == 0


def test_acceptance_settles_the_claim_as_sent() -> None:
    after = settled(claim().message, settlement(Sent("912345")), NOW, "justsend")

    assert (after.state, after.claim_token, after.attempts) == (State.SENT, None, 1)
    assert (after.provider_message_id, after.accepted_at) == ("912345", NOW)


@pytest.mark.parametrize(
    "state", [State.IN_DOUBT, State.FAILED, State.CANCELLED, State.RETRYING, State.SENDING]
)
def test_late_acceptance_makes_any_other_state_sent_and_clears_the_token(state: State) -> None:
    taken_over = message(state, claim_token="someone-else")

    after = settled(taken_over, settlement(Sent("1")), NOW, "justsend")

    assert (after.state, after.claim_token) == (State.SENT, None)


@pytest.mark.parametrize("outcome", [TRANSIENT, PERMANENT, DOUBT, None])
def test_late_outcome_that_is_no_acceptance_changes_nothing(outcome: Outcome | None) -> None:
    taken_over = message(State.SENDING, claim_token="someone-else")

    assert settled(taken_over, settlement(outcome), NOW, "justsend") == taken_over


def test_settling_twice_changes_nothing_more() -> None:
    once = settled(claim().message, settlement(PERMANENT), NOW, "justsend")

    assert settled(once, settlement(PERMANENT), NOW, "justsend") == once


def test_claim_given_back_returns_to_its_former_state_uncounted() -> None:
    doubtful = replace(claim().message, former_state=State.IN_DOUBT, doubts=1, attempts=1)

    after = settled(doubtful, settlement(None), NOW, "justsend")

    assert (after.state, after.attempts, after.doubts) == (State.IN_DOUBT, 1, 1)
    assert after.claim_token is None


def test_account_failure_gives_the_claim_back_with_the_reason_noted() -> None:
    after = settled(claim().message, settlement(ACCOUNT), NOW, "justsend")

    assert (after.state, after.attempts) == (State.PENDING, 0)
    assert after.failure_code == "NO_AUTHENTICATION"


def test_doubt_is_counted_and_pauses() -> None:
    after = settled(claim().message, settlement(DOUBT), NOW, "justsend")

    assert (after.state, after.doubts, after.attempts) == (State.IN_DOUBT, 1, 1)
    assert after.due_at == NOW + timedelta(seconds=SETTINGS.doubt_pause_s)


def test_offset_goes_only_when_the_message_is_done() -> None:
    failed = message(State.FAILED, dead_letter_class=DeadLetterClass.PERMANENT)
    lettered = replace(failed, dlq_partition=0, dlq_offset=5)

    assert isinstance(result_of(look(), message(State.SENT), NOW), Finished)
    assert isinstance(result_of(look(), failed, NOW), OwesDeadLetter)
    assert isinstance(result_of(look(), lettered, NOW), Finished)
    assert isinstance(result_of(look(), message(State.RETRYING), NOW), Wait)
    assert isinstance(result_of(look(), message(State.IN_DOUBT), NOW), Wait)
    assert claim().token == TOKEN
