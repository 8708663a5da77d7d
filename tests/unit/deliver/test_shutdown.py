import logging
from datetime import UTC, datetime

import pytest

from cdc_sms.deliver.shutdown import Shutdown
from cdc_sms.errors import DatabaseUnavailable


class SteppingClock:
    """A clock that each look moves by one second."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 24, tzinfo=UTC)

    def monotonic_s(self) -> float:
        self._seconds += 1.0
        return self._seconds


def test_phase_is_logged_with_its_name_and_duration(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    shutdown = Shutdown(SteppingClock(), grace_s=40)

    with shutdown.phase("settle"):
        pass

    assert caplog.messages == ["shutdown.phase_ended"]
    assert vars(caplog.records[0])["phase"] == "settle"
    assert vars(caplog.records[0])["lasted_s"] == 1.0


def test_phase_that_fails_is_told_and_the_next_one_comes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    shutdown = Shutdown(SteppingClock(), grace_s=40)

    with shutdown.phase("settle"):
        raise DatabaseUnavailable("the database is gone", hint="wait")
    with shutdown.phase("commit"):
        pass

    assert caplog.messages == ["shutdown.phase_failed", "shutdown.phase_ended"]
    assert vars(caplog.records[0])["why"] == "the database is gone"


def test_bug_in_a_phase_is_not_hidden() -> None:
    shutdown = Shutdown(SteppingClock(), grace_s=40)

    with pytest.raises(KeyError), shutdown.phase("settle"):
        raise KeyError("x")


def test_grace_runs_out_over_all_phases_and_is_never_negative() -> None:
    shutdown = Shutdown(SteppingClock(), grace_s=2)

    assert shutdown.left_s == 1.0
    assert shutdown.left_s == 0.0
    assert shutdown.left_s == 0.0
