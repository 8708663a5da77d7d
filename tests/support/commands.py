"""``cdc-sms`` as real processes, as its users run it: start, watch, signal, kill."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from support.waiting import until

# What a person's shell would have and a program may need; the rest of the environment, which
# may hold settings of the person's own cdc-sms, stays out.
INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "CI", "CDC_SMS_SERVICES_DIR")


class Command:
    """One process, the leader of a group of its own; its output goes to files.

    Signals go to the process alone, as an operator's would; only ``kill`` with
    ``whole_group`` reaches the processes that it started.
    """

    def __init__(
        self, words: list[str], *, folder: Path, environment: Mapping[str, str], cwd: Path
    ) -> None:
        """Start it.

        Args:
            words: the command line.
            folder: where its output goes, ``out`` and ``err``.
            environment: its whole environment.
            cwd: its working folder.
        """
        self.words = words
        self._out = folder / "out"
        self._err = folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=cwd,
                env=dict(environment),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Tell whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """What it has written to standard output so far."""
        return self._out.read_text(errors="replace")

    @property
    def errors(self) -> str:
        """What it has written to standard error so far: its log, for a role."""
        return self._err.read_text(errors="replace")

    def await_line(self, pattern: str, *, within_s: float = 30) -> re.Match[str]:
        """Wait until a line of its output or its log matches; return the match.

        Raises:
            AssertionError: it ended before, or the line did not come in time.
        """
        sought = re.compile(pattern)

        def found() -> re.Match[str] | None:
            running = self.is_running
            for line in (self.errors + self.output).splitlines():
                if match := sought.search(line):
                    return match
            assert running, f"{self} ended before a line matched {pattern!r}\n{self.told()}"
            return None

        found_match = until(found, within_s=within_s, what=f"{self} to say {pattern!r}")
        assert found_match is not None
        return found_match

    def await_url(self, url: str, *, within_s: float = 30) -> requests.Response:
        """Wait until an address answers 200, such as its ``/health/ready``; return the answer."""

        def answered() -> requests.Response | None:
            assert self.is_running, f"{self} ended before {url} answered\n{self.told()}"
            answer = requests.get(url, timeout=5)
            return answer if answer.status_code == requests.codes.ok else None

        answer = until(
            answered,
            within_s=within_s,
            what=f"{url} of {self}",
            ignoring=(requests.ConnectionError, requests.Timeout),
        )
        assert answer is not None
        return answer

    def wait(self, *, within_s: float = 30) -> int:
        """Wait for its end; return its exit code, minus the signal's number if one ended it."""
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} runs after {within_s:g} s\n{self.told()}") from None

    def terminate(self) -> None:
        """Ask it to end in order: SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """Do what Ctrl-C does: SIGINT."""
        self._process.send_signal(signal.SIGINT)

    def kill(self, *, whole_group: bool = False) -> None:
        """End it at once, as ``kill -9`` does, and wait for that."""
        if whole_group:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Keep it from running, its connections open, until ``thaw``: SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after ``freeze``: SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def __str__(self) -> str:
        return f"'{' '.join(self.words[2:])}' (pid {self.pid})"

    @property
    def memory_bytes(self) -> int:
        """Its resident memory now, proc(5)."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        [resident] = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
        return int(resident) * 1024

    def told(self) -> str:
        """Return the end of what it wrote, for a failed test's report."""
        return f"its output: {self.output[-2000:]}\nits log: {self.errors[-4000:]}"


class Commands:
    """Starts commands for one test and ends what it leaves running."""

    def __init__(self, folder: Path, *, tells: bool = True) -> None:
        """Put homes and output below a folder of the test's own.

        Args:
            folder: its own.
            tells: whether each command's output is printed at the end.
        """
        self._folder = folder
        self._tells = tells
        self._started: list[Command] = []

    def __call__(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Command:
        """Start ``cdc-sms`` with arguments and return at once.

        Args:
            arguments: what follows ``cdc-sms`` on the command line.
            environment: variables beside a small clean environment, with an empty HOME.
            cwd: its working folder; a fresh one otherwise.
        """
        return self.program(
            sys.executable, "-m", "cdc_sms", *arguments, environment=environment, cwd=cwd
        )

    def program(
        self,
        *words: str,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Command:
        """Start any other program in the same way, such as one of ``scripts/``."""
        folder = self._folder / f"command-{len(self._started) + 1}"
        home = folder / "home"
        home.mkdir(parents=True)
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        command = Command(
            list(words),
            folder=folder,
            environment={**inherited, "HOME": str(home), **(environment or {})},
            cwd=cwd or home,
        )
        self._started.append(command)
        return command

    def run(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        within_s: float = 60,
        expect: int | None = 0,
    ) -> Command:
        """Start ``cdc-sms``, wait for its end and check its exit code (None: any will do)."""
        command = self(*arguments, environment=environment, cwd=cwd)
        code = command.wait(within_s=within_s)
        assert expect in (None, code), f"{command} ended with {code}\n{command.told()}"
        return command

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill what runs; print what each said, which pytest shows if the test failed."""
        for command in self._started:
            command.kill(whole_group=True)
            if self._tells:
                print(f"--- {command} ended with {command.wait()}\n{command.told()}")
