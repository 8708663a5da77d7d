"""``cdc-sms run``: every role as a process of its own, for a small installation.

A role that ends is started again after a pause, unless it ended because a person is needed:
then everything ends with it. The children watch their standard input, which only this process
holds open: they also end, in order, when this process is killed.
"""

import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from cdc_sms.model.backoff import Backoff
from cdc_sms.model.clock import Clock

STOP_WITH_PARENT = "--stop-with-parent"
"""The option that makes a role end when its standard input does."""

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
STEADY_S = 60.0
"""A role that ran longer had started well: its next pause is the first one again."""

NEEDS_A_PERSON = frozenset({2, 3, 4, 5})
_TURN_S = 0.2

logger = logging.getLogger(__name__)


class Supervisor:
    """Keeps one process for each role.

    Args:
        roles: the commands' names, in the order they are started.
        options: what each command is given, such as ``--config FILE``.
        grace_s: how long a stop waits for the roles before it kills them; seconds.
        clock: measures pauses and the grace.

    Thread: one owner.
    """

    def __init__(
        self, roles: Sequence[str], *, options: Sequence[str], grace_s: float, clock: Clock
    ) -> None:
        self._children = [_Child(role, options, clock) for role in roles]
        self._grace_s = grace_s
        self._clock = clock

    def run(self, stop: threading.Event) -> int:
        """Keep the roles running until the event is set or one needs a person.

        Returns:
            The exit code: 0 when told to stop, else that of the role that needs a person.
            No child is left in either case.
        """
        try:
            while not stop.wait(_TURN_S):
                for child in self._children:
                    code = child.look_after()
                    if code in NEEDS_A_PERSON:
                        return code
            return 0
        finally:
            self._stop_all()

    def _stop_all(self) -> None:
        deadline_s = self._clock.monotonic_s() + self._grace_s
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.await_end(max(0.1, deadline_s - self._clock.monotonic_s()))


class _Child:
    """One role's process, and when it is to be started next."""

    def __init__(self, role: str, options: Sequence[str], clock: Clock) -> None:
        self._role = role
        self._command = [sys.executable, "-m", "cdc_sms", role, *options, STOP_WITH_PARENT]
        self._clock = clock
        self._backoff = Backoff(
            first_s=FIRST_PAUSE_S,
            limit_s=LONGEST_PAUSE_S,
            random_source=random.Random(),  # noqa: S311 - jitter
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._start_at_s = clock.monotonic_s()

    def look_after(self) -> int | None:
        """Start it when it is time; return its exit code in the turn in which it ended."""
        now_s = self._clock.monotonic_s()
        if self._process is None:
            if now_s >= self._start_at_s:
                self._start(now_s)
            return None
        code = self._process.poll()
        if code is not None:
            self._ended(code, now_s)
        return code

    def terminate(self) -> None:
        """Ask it to stop in order."""
        if self._process is not None:
            self._process.terminate()

    def await_end(self, within_s: float) -> None:
        """Wait until it has ended; kill it when it takes longer."""
        if self._process is None:
            return
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            logger.warning("role.killed", extra=self._facts(waited_s=round(within_s, 1)))
            self._process.kill()
            self._process.wait()
        self._close_input()
        self._process = None

    def _start(self, now_s: float) -> None:
        # A group of its own: Ctrl-C reaches this process alone, which then stops the roles once.
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            self._command, stdin=subprocess.PIPE, process_group=0
        )
        self._started_s = now_s
        logger.info("role.launched", extra=self._facts())

    def _ended(self, code: int, now_s: float) -> None:
        facts = self._facts(exit_code=code, lasted_s=round(now_s - self._started_s, 1))
        self._close_input()
        self._process = None
        if code in NEEDS_A_PERSON:
            logger.error("role.needs_person", extra=facts)
            return
        if now_s - self._started_s >= STEADY_S:
            self._backoff.reset()
        pause_s = self._backoff.next_s()
        self._start_at_s = now_s + pause_s
        logger.warning("role.ended", extra={**facts, "restart_in_s": round(pause_s, 1)})

    def _close_input(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def _facts(self, **more: object) -> dict[str, object]:
        pid = self._process.pid if self._process else None
        return {"child": self._role, "child_pid": pid, **more}


def stop_with_parent(*, grace_s: float) -> None:
    """End this process in order when its standard input ends, which its parent holds open.

    Args:
        grace_s: how long the end may take before it is forced; seconds.
    """

    def watch() -> None:
        while os.read(0, 4096):
            pass
        logger.warning("parent.lost")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
