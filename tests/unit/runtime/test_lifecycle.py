"""Signals, watched threads, and the phases of an end."""

import logging
import os
import signal
import threading
from datetime import UTC, datetime

import pytest
from support.waiting import until

from cdc_sms.errors import DatabaseUnavailable
from cdc_sms.runtime.lifecycle import Shutdown, WatchedThreads, stopped_by_signals


class SteppingClock:
    """A clock that each look moves by one second."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 24, tzinfo=UTC)

    def monotonic_s(self) -> float:
        self._seconds += 1.0
        return self._seconds


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_signal_sets_the_stop_event_while_the_main_thread_waits_for_it(
    number: signal.Signals,
) -> None:
    with stopped_by_signals() as stop:
        threading.Timer(0.05, os.kill, (os.getpid(), number)).start()

        was_set = stop.wait(5)

    assert was_set


def test_handlers_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    with stopped_by_signals():
        pass

    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert not [thread for thread in threading.enumerate() if thread.name == "signals"]


def test_thread_that_dies_stops_the_role_and_its_error_is_the_role_s() -> None:
    stop = threading.Event()
    threads = WatchedThreads(stop)

    def dies() -> None:
        raise DatabaseUnavailable("gone", hint="wait")

    threads.start("ledger", dies)
    threads.start("sender", lambda: _wait(stop))

    assert stop.wait(5)
    assert threads.join(within_s=5) == []
    with pytest.raises(DatabaseUnavailable, match="gone"):
        threads.raise_if_dead()


def test_thread_that_ends_by_itself_has_died_too() -> None:
    stop = threading.Event()
    threads = WatchedThreads(stop)

    threads.start("sender", lambda: None)

    assert stop.wait(5)
    with pytest.raises(RuntimeError, match="sender ended without being told to"):
        threads.raise_if_dead()


def test_bug_in_a_thread_is_logged_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    threads = WatchedThreads(threading.Event())

    threads.start("sender", lambda: _raise(KeyError("x")))
    threads.join(within_s=5)

    died = [record for record in caplog.records if record.getMessage() == "thread.died"]
    assert len(died) == 1
    assert died[0].exc_info
    with pytest.raises(KeyError):
        threads.raise_if_dead()


def test_threads_that_end_when_told_to_are_no_error() -> None:
    stop = threading.Event()
    threads = WatchedThreads(stop)
    threads.start("sender", lambda: _wait(stop))

    stop.set()

    assert threads.join(within_s=5) == []
    threads.raise_if_dead()


def test_thread_that_does_not_end_in_time_is_named() -> None:
    stop, release = threading.Event(), threading.Event()
    threads = WatchedThreads(stop)
    threads.start("sender", lambda: _wait(release))
    stop.set()

    still_running = threads.join(within_s=0)

    release.set()
    until(lambda: threads.join(within_s=0) == [], within_s=5)
    assert still_running == ["sender"]


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


def _wait(event: threading.Event) -> None:
    event.wait()


def _raise(error: Exception) -> None:
    raise error
