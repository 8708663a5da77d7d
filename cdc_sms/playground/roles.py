"""The demo's real processes: the public commands with the demo's configuration file."""

import http.client
import os
import re
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from cdc_sms.playground.processes import Child, ended, run_to_end

STOPS_WITHIN_S = 15.0
_READY_WITHIN_S = 60.0
_LOOKS_AGAIN_AFTER_S = 0.05
_TIMEOUT_S = 5.0
_EVENT = re.compile(rb'"event":"([a-z_.]+)"')
_LOOPBACK = "127.0.0.1,localhost"


class Roles:
    """``cdc-sms capture``, ``deliver`` and ``serve``, each in a process of its own.

    Thread: the demo's main thread.

    Attributes:
        environment: what the processes run with.
    """

    def __init__(self, folder: Path, configuration: Path, secrets: Mapping[str, str]) -> None:
        """Take a configuration; nothing is started yet.

        Args:
            folder: where each process's log goes.
            configuration: the file that all of them read.
            secrets: environment variables beside it.
        """
        self._folder = folder
        self._configuration = configuration
        self.environment = {**_neutral(os.environ), **secrets}
        self._running: dict[str, Child] = {}

    def command(self, *words: str) -> None:
        """Run a command to its end.

        Raises:
            SetupError: it failed; the message is what it said last.
        """
        run_to_end(
            self._command_line(words),
            called=f"cdc-sms {' '.join(words)}",
            environment=self.environment,
        )

    def start(self, role: str) -> None:
        """Start a role; its log goes on where an earlier process of it stopped."""
        self._running[role] = Child(
            self._command_line([role]),
            log=self._log(role),
            environment=self.environment,
        )

    def await_ready(self, role: str, address: str) -> None:
        """Wait until a started role says that it is ready.

        Args:
            role: which.
            address: ``host:port`` where it answers.

        Raises:
            SetupError: it ended, or isn't ready in time.
        """
        deadline_s = time.monotonic() + _READY_WITHIN_S
        while (answer := _readiness(address)) is not None:
            self.check()
            if time.monotonic() > deadline_s:
                raise ended(f"cdc-sms {role}", f"isn't ready in {_READY_WITHIN_S:g} s", answer)
            time.sleep(_LOOKS_AGAIN_AFTER_S)

    def kill(self, role: str) -> None:
        """End a role as a power cut would (SIGKILL)."""
        self._running.pop(role).kill()

    def check(self) -> None:
        """See that every started role still runs.

        Raises:
            SetupError: one ended by itself; the message is what it said last.
        """
        for role, child in self._running.items():
            if child.exit_code is not None:
                raise ended(f"cdc-sms {role}", f"ended with {child.exit_code}", child.last_words())

    def events(self, role: str, names: Collection[str]) -> list[str]:
        """Return which of these events a role has logged so far, over all its processes."""
        log = self._log(role)
        lines = log.read_bytes().splitlines() if log.exists() else []
        return [name for line in lines if (name := _event(line)) in names]

    def close(self) -> None:
        """Stop all of them in order."""
        for child in self._running.values():
            child.ask_to_end()
        for child in self._running.values():
            child.await_end(within_s=STOPS_WITHIN_S)
        self._running.clear()

    def __enter__(self) -> Self:
        """Return the roles."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop all of them."""
        self.close()

    def _command_line(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "cdc_sms", *words, "--config", str(self._configuration)]

    def _log(self, role: str) -> Path:
        return self._folder / f"{role}.log"


def _readiness(address: str) -> str | None:
    """Return None if a role is ready, else what it says, or why it says nothing."""
    with closing(http.client.HTTPConnection(address, timeout=_TIMEOUT_S)) as connection:
        try:
            connection.request("GET", "/health/ready")
            answer = connection.getresponse()
            said = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return str(error)
    return None if answer.status == http.client.OK else said


def _neutral(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which only the demo's own configuration counts."""
    kept = {name: value for name, value in environment.items() if not name.startswith("CDC_SMS_")}
    return {**kept, "NO_PROXY": _LOOPBACK, "no_proxy": _LOOPBACK}


def _event(line: bytes) -> str:
    """Return the event of a log's line; nothing for a line that a kill cut, or none of ours."""
    found = _EVENT.search(line)
    return found[1].decode() if found else ""
