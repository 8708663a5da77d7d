"""How a role lives: signals, watched threads, the phases of its end.

A role is told to stop by an event and by nothing else; whoever may end it early (a signal, a
thread that died) sets that event.
"""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from cdc_sms.errors import CdcSmsError
from cdc_sms.model.clock import Clock, SystemClock
from cdc_sms.serve.app import HttpServer
from cdc_sms.serve.health import Health, health_routes
from cdc_sms.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Role(Health, Protocol):
    """A long-running part of cdc-sms: capture, deliver or serve."""

    def run(self, stop: threading.Event) -> None:
        """Work until the event is set, then end in order.

        Raises:
            CdcSmsError: a person is needed; message, hint and exit code say for what.
        """
        ...


def run_role(role: Role, *, address: str, setting: str, metrics: Metrics) -> None:
    """Run a role with its HTTP side until a signal or an error ends it.

    Args:
        role: not yet running.
        address: where its HTTP side answers.
        setting: the key that the address comes from.
        metrics: what ``/metrics`` shows.

    Raises:
        ConfigurationError: the address can't be listened on.
        CdcSmsError: what ended the role.
    """
    clock = SystemClock()
    started_s = clock.monotonic_s()
    server = HttpServer(address, health_routes(role, metrics), setting=setting)
    server.start()
    logger.info("role.started", extra={"address": server.url, "pid": os.getpid()})
    try:
        with stopped_by_signals() as stop:
            role.run(stop)
    finally:
        server.close()
        lasted_s = round(clock.monotonic_s() - started_s, 3)
        logger.info("role.stopped", extra={"lasted_s": lasted_s})


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set; a second signal ends the process at once.

    The signals' numbers come through a socket to a thread that waits for them: a Python-level
    handler would wait for the main thread to leave C code, and could deadlock on the event
    when it interrupts the very code that waits for it.

    Thread: the main thread only.
    """
    stop = threading.Event()
    near, far = socket.socketpair()
    far.setblocking(False)
    former_fd = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
    former = {number: signal.signal(number, _noted) for number in STOP_SIGNALS}
    watcher = threading.Thread(target=_watch, args=(near, stop), name="signals", daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(former_fd)
        far.close()
        watcher.join()
        near.close()


def _noted(number: int, frame: FrameType | None) -> None:
    """Keep the signal from its default action; the socket carries it."""
    del number, frame


def _watch(near: socket.socket, stop: threading.Event) -> None:
    while received := near.recv(1):
        number = signal.Signals(received[0])
        if number not in STOP_SIGNALS:
            continue
        if stop.is_set():
            logger.warning("stop.forced", extra={"signal": number.name})
            os._exit(128 + number)
        logger.info("stop.requested", extra={"signal": number.name})
        stop.set()


class WatchedThreads:
    """The threads of one role: if one dies, the role stops and ends with its error.

    Args:
        stop: set when a thread dies, and what the threads themselves watch.

    Thread: the role's main thread starts and joins; the threads report by themselves.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._error: BaseException | None = None

    def start(self, name: str, target: Callable[[], None]) -> threading.Thread:
        """Run the target in a thread of that name.

        Args:
            name: what logs and errors call it.
            target: ends when the stop event is set; to return before that is to die.
        """
        thread = threading.Thread(target=self._run, args=(name, target), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def join(self, *, within_s: float) -> list[str]:
        """Wait for all threads together.

        Returns:
            The names of those that still run.
        """
        clock = SystemClock()
        deadline_s = clock.monotonic_s() + within_s
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - clock.monotonic_s()))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def raise_if_dead(self) -> None:
        """Raise the error of the first thread that died, if one did."""
        with self._lock:
            if self._error is not None:
                raise self._error

    def _run(self, name: str, target: Callable[[], None]) -> None:
        try:
            target()
        except CdcSmsError as error:
            self._died(name, error)
        except Exception as error:
            logger.exception("thread.died", extra={"thread_name": name})
            self._died(name, error)
        else:
            if not self._stop.is_set():
                self._died(name, RuntimeError(f"the thread {name} ended without being told to"))

    def _died(self, name: str, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
        logger.error("role.stopping", extra={"thread_name": name, "error": type(error).__name__})
        self._stop.set()


class Shutdown:
    """The phases of a role's end, within one grace; each logs its name and duration.

    Args:
        clock: measures the grace, from the construction on.
        grace_s: what all phases together may take; seconds.

    Thread: the one that ends the role.
    """

    def __init__(self, clock: Clock, *, grace_s: float) -> None:
        self._clock = clock
        self._deadline_s = clock.monotonic_s() + grace_s

    @property
    def left_s(self) -> float:
        """Return what is left of the grace, in seconds; never negative."""
        return max(0.0, self._deadline_s - self._clock.monotonic_s())

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Run one phase; an error of a server that went away is logged, and the next phase comes.

        What could not be done is left to what makes it good later: leases, redelivery.
        """
        started_s = self._clock.monotonic_s()
        trouble = None
        try:
            yield
        except CdcSmsError as error:
            trouble = error.message
        facts = {"phase": name, "lasted_s": round(self._clock.monotonic_s() - started_s, 3)}
        if trouble is None:
            logger.info("shutdown.phase_ended", extra=facts)
        else:
            logger.warning("shutdown.phase_failed", extra={**facts, "why": trouble})
