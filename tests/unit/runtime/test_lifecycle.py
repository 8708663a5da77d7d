"""Signals that end a role."""

import os
import signal
import threading

import pytest

from cdc_sms.runtime.lifecycle import stopped_by_signals


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


def test_hangup_asks_for_the_keys_to_be_read_again_and_stops_nothing() -> None:
    reloaded = threading.Event()

    with stopped_by_signals(reloaded.set) as stop:
        os.kill(os.getpid(), signal.SIGHUP)

        assert reloaded.wait(5)
        assert not stop.is_set()
