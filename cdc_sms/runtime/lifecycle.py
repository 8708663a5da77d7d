"""How a role lives: its HTTP side, and the signals that end it.

A role is told to stop by an event and by nothing else.
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

from cdc_sms.model.clock import SystemClock
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


def run_role(
    role: Role,
    *,
    address: str,
    setting: str,
    metrics: Metrics,
    reload: Callable[[], None] | None = None,
) -> None:
    """Run a role with its HTTP side until a signal or an error ends it.

    Args:
        role: not yet running.
        address: where its HTTP side answers.
        setting: the key that the address comes from.
        metrics: what ``/metrics`` shows.
        reload: called at a SIGHUP, from the thread that watches signals.

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
        with stopped_by_signals(reload) as stop:
            role.run(stop)
    finally:
        server.close()
        lasted_s = round(clock.monotonic_s() - started_s, 3)
        logger.info("role.stopped", extra={"lasted_s": lasted_s})


@contextmanager
def stopped_by_signals(reload: Callable[[], None] | None = None) -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set; a second signal ends the process at once.

    SIGHUP, where ``reload`` is given, calls that; where it isn't, it does nothing.

    The signals' numbers come through a socket to a thread that waits for them: a Python-level
    handler would wait for the main thread to leave C code, and could deadlock on the event
    when it interrupts the very code that waits for it.

    Thread: the main thread only.
    """
    stop = threading.Event()
    near, far = socket.socketpair()
    far.setblocking(False)
    former_fd = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
    former = {number: signal.signal(number, _noted) for number in (*STOP_SIGNALS, signal.SIGHUP)}
    watcher = threading.Thread(
        target=_watch, args=(near, stop, reload), name="signals", daemon=True
    )
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


def _watch(near: socket.socket, stop: threading.Event, reload: Callable[[], None] | None) -> None:
    while received := near.recv(1):
        number = signal.Signals(received[0])
        if number is signal.SIGHUP and reload is not None:
            logger.info("reload.requested")
            reload()
        if number not in STOP_SIGNALS:
            continue
        if stop.is_set():
            logger.warning("stop.forced", extra={"signal": number.name})
            os._exit(128 + number)
        logger.info("stop.requested", extra={"signal": number.name})
        stop.set()
