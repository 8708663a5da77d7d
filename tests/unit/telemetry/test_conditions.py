"""A condition is told at its start and at its end, and measured between them."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, Gauge

from cdc_sms.telemetry.conditions import Condition


class StillClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 24, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic_s(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def gauge() -> Gauge:
    return Gauge("rows", "Rows that are owed.", registry=CollectorRegistry())


def _value(gauge: Gauge) -> float:
    return float(next(iter(gauge.collect())).samples[0].value)


def test_condition_is_told_once_at_its_start_and_once_at_its_end(
    clock: StillClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    breaker = Condition("breaker", clock=clock, provider="justsend")

    breaker.on("five failures in a row")
    clock.seconds = 20.0
    breaker.on("five failures in a row")
    clock.seconds = 30.5
    breaker.off()
    breaker.off()

    assert [record.getMessage() for record in caplog.records] == [
        "breaker.started",
        "breaker.ended",
    ]
    assert vars(caplog.records[0])["provider"] == "justsend"
    assert vars(caplog.records[1])["lasted_s"] == 30.5


def test_another_reason_is_told_and_does_not_begin_it_anew(
    clock: StillClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    hold = Condition("hold", clock=clock)

    hold.on("the key is refused")
    clock.seconds = 5.0
    hold.on("no funds")

    assert caplog.messages == ["hold.started", "hold.changed"]
    assert hold.reason == "no funds"
    assert hold.since == datetime(2026, 11, 24, tzinfo=UTC)


def test_gauge_shows_the_amount_while_it_lasts(clock: StillClock, gauge: Gauge) -> None:
    owed = Condition("owed_write_backs", clock=clock, gauge=gauge)

    owed.on("rows are locked", amount=3)
    during = _value(gauge)
    owed.on("rows are locked", amount=2)
    later = _value(gauge)
    owed.off()

    assert (during, later, _value(gauge)) == (3.0, 2.0, 0.0)


def test_condition_that_never_began_says_nothing(
    clock: StillClock, gauge: Gauge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    condition = Condition("hold", clock=clock, gauge=gauge)
    condition.off()

    assert caplog.messages == []
    assert not condition.is_on
    assert _value(gauge) == 0.0
