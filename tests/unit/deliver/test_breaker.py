from datetime import UTC, datetime

import pytest

from cdc_sms.deliver.breaker import Breaker, BreakerState
from cdc_sms.model.outcome import Failed, FailureClass, InDoubt, Sent

TRANSIENT = Failed(FailureClass.TRANSIENT, "connect_failed", "no connection")
PERMANENT = Failed(FailureClass.PERMANENT, "INVALID_VALUE", "refused")
ACCOUNT = Failed(FailureClass.ACCOUNT, "NO_AUTHENTICATION", "key")


class HandClock:
    def __init__(self) -> None:
        self.s = 100.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic_s(self) -> float:
        return self.s


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def breaker(clock: HandClock) -> Breaker:
    return Breaker(failures=3, pause_s=30, clock=clock)


def opened(breaker: Breaker) -> Breaker:
    for _ in range(3):
        breaker.note(TRANSIENT, probe=False)
    return breaker


def test_breaker_opens_after_failures_in_a_row_and_the_last_one_is_not_counted(
    breaker: Breaker,
) -> None:
    counted = [breaker.note(TRANSIENT, probe=False) for _ in range(3)]

    assert counted == [True, True, False]
    assert breaker.state is BreakerState.OPEN


def test_acceptance_in_between_starts_the_count_anew(breaker: Breaker) -> None:
    for outcome in (TRANSIENT, TRANSIENT, Sent("1"), TRANSIENT, TRANSIENT):
        breaker.note(outcome, probe=False)

    assert breaker.state is BreakerState.CLOSED


def test_permanent_refusal_neither_trips_nor_resets(breaker: Breaker) -> None:
    for outcome in (TRANSIENT, TRANSIENT, PERMANENT, TRANSIENT):
        breaker.note(outcome, probe=False)

    assert breaker.state is BreakerState.OPEN


def test_doubts_trip_it_like_failures(breaker: Breaker) -> None:
    for _ in range(3):
        breaker.note(InDoubt("timeout", "no answer"), probe=False)

    assert breaker.state is BreakerState.OPEN


def test_answer_that_names_a_pause_opens_at_once_for_that_long(
    breaker: Breaker, clock: HandClock
) -> None:
    limited = Failed(FailureClass.TRANSIENT, "http_429", "too many", retry_after_s=120.0)

    counted = breaker.note(limited, probe=False)

    assert not counted
    assert breaker.probe_in_s() == pytest.approx(120)


def test_failures_while_open_are_not_counted_and_put_the_probe_off(
    breaker: Breaker, clock: HandClock
) -> None:
    opened(breaker)
    clock.s += 20

    assert not breaker.note(TRANSIENT, probe=False)
    assert breaker.probe_in_s() == pytest.approx(30)


def test_late_acceptance_does_not_close_an_open_breaker(breaker: Breaker) -> None:
    opened(breaker).note(Sent("1"), probe=False)

    assert breaker.state is BreakerState.OPEN


@pytest.mark.parametrize("outcome", [Sent("1"), PERMANENT], ids=["accepted", "refused for good"])
def test_probe_closes_it_when_the_message_is_accepted_or_refused_for_good(
    breaker: Breaker, outcome: Sent | Failed
) -> None:
    opened(breaker).balance_answered(points=10)
    before = breaker.state

    breaker.note(outcome, probe=True)

    assert (before, breaker.state) == (BreakerState.PROBING, BreakerState.CLOSED)


def test_probe_that_fails_opens_it_again(breaker: Breaker) -> None:
    opened(breaker).balance_answered(points=10)

    assert not breaker.note(TRANSIENT, probe=True)
    assert breaker.state is BreakerState.OPEN


def test_account_failure_holds_until_the_balance_has_points(
    breaker: Breaker, clock: HandClock
) -> None:
    counted = breaker.note(ACCOUNT, probe=False)
    clock.s += 30
    due = breaker.probe_in_s()
    empty = breaker.balance_answered(points=0)
    still_held = breaker.state
    topped_up = breaker.balance_answered(points=5)

    assert (counted, due, empty, topped_up) == (False, 0, False, True)
    assert (still_held, breaker.state) == (BreakerState.HELD, BreakerState.PROBING)
