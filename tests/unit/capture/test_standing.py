"""How capture stands is said once at each change, and shown as it is."""

import logging
import random
from datetime import UTC, datetime, timedelta

import pytest

from cdc_sms.capture.standing import LONGEST_PAUSE_S, TURN_S, Standing, State
from cdc_sms.errors import BrokerUnavailable, CdcSmsError, DatabaseUnavailable, SourceUnavailable
from cdc_sms.sources.base import HeldByAnother, Start
from cdc_sms.telemetry.metrics import Metrics

START = datetime(2026, 11, 24, tzinfo=UTC)
AWAY = SourceUnavailable("The server is away.", hint="Wait.")
HELD = HeldByAnother("Another one reads.", hint="Nothing.")


class TestClock:
    """A clock that the test moves."""

    __test__ = False

    def __init__(self) -> None:
        self.s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.s)

    def monotonic_s(self) -> float:
        return self.s


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def standing(clock: TestClock, metrics: Metrics) -> Standing:
    return Standing(metrics=metrics, clock=clock, random_source=random.Random(1))


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_an_outage_is_said_once_and_its_end_once(
    standing: Standing, events: pytest.LogCaptureFixture
) -> None:
    standing.reads(Start.STREAM)
    for _ in range(3):
        standing.met(AWAY)
    standing.reads(Start.STREAM)

    assert events.messages == ["stream.started", "stream.lost", "stream.started"]


def test_another_reason_is_said_too(standing: Standing, events: pytest.LogCaptureFixture) -> None:
    standing.met(HELD)
    standing.met(AWAY)

    assert events.messages == ["capture.standing_by", "stream.lost"]


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (HELD, "capture.standing_by"),
        (AWAY, "stream.lost"),
        (BrokerUnavailable("x", hint="y"), "produce.failed"),
        (DatabaseUnavailable("x", hint="y"), "ledger.lost"),
    ],
)
def test_an_event_is_named_for_what_failed(
    standing: Standing, events: pytest.LogCaptureFixture, error: CdcSmsError, event: str
) -> None:
    standing.met(error)

    assert events.messages == [event]


def test_pauses_grow_to_a_limit_and_are_short_again_after_progress(standing: Standing) -> None:
    pauses = [standing.met(AWAY) for _ in range(10)]
    standing.turned(oldest_s=0, progress=True)
    again = standing.met(AWAY)

    assert pauses[0] < 0.21
    assert LONGEST_PAUSE_S / 2 <= pauses[-1] <= LONGEST_PAUSE_S
    assert again < 0.21


def test_the_gauge_shows_whether_the_log_is_read(standing: Standing, metrics: Metrics) -> None:
    def shown() -> bool:
        return b"cdc_sms_source_connected 1.0" in metrics.render("capture")

    before = shown()
    standing.reads(Start.SNAPSHOT)
    during = shown()
    standing.met(AWAY)

    assert (before, during, shown()) == (False, True, False)


def test_a_snapshot_becomes_a_stream(standing: Standing, events: pytest.LogCaptureFixture) -> None:
    standing.reads(Start.NEW_SNAPSHOT)
    during = standing.state
    standing.completed_snapshot()

    assert (during, standing.state) == (State.SNAPSHOT, State.STREAMING)
    assert events.messages == ["snapshot.started", "snapshot.completed", "stream.started"]


def test_a_state_keeps_its_beginning_while_it_lasts(standing: Standing, clock: TestClock) -> None:
    clock.s = 5
    standing.met(AWAY)
    clock.s = 9
    standing.met(AWAY)

    assert standing.since == START + timedelta(seconds=5)
    assert standing.why == AWAY.message


def test_a_broker_that_is_silent_is_named_once(
    standing: Standing, events: pytest.LogCaptureFixture
) -> None:
    standing.reads(Start.STREAM)
    for oldest_s in (1, 6, 7):
        standing.turned(oldest_s=oldest_s, progress=False)
    why = standing.why
    standing.turned(oldest_s=0, progress=True)

    assert why == "Kafka acknowledges nothing."
    assert standing.why is None
    assert events.messages == ["stream.started", "broker.awaited", "broker.reached"]


def test_a_loop_that_does_not_turn_is_told_from_one_that_waits(
    standing: Standing, clock: TestClock
) -> None:
    clock.s = TURN_S - 1
    waits = standing.is_turning
    clock.s = TURN_S + 1
    stuck = standing.is_turning
    standing.turned(oldest_s=0, progress=False)

    assert (waits, stuck, standing.is_turning) == (True, False, True)
