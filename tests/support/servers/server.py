"""What every server has in common: started once between processes, stopped by its last user."""

import fcntl
import json
import shutil
import signal
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from support.servers.machine import (
    Process,
    ServerUnavailableError,
    free_port,
    is_free,
    locked,
    say,
    services_folder,
)
from support.waiting import GaveUpError, until

A_co = TypeVar("A_co", covariant=True)


class Server(ABC, Generic[A_co]):
    """One server of this machine, whoever started it.

    It keeps its data and its ports over ``stop``, ``kill`` and ``start``. Any process may
    call any method: a lock between processes makes each of them whole.
    """

    name: str
    port_names: Sequence[str] = ("port",)
    ready_within_s: float = 90
    ends_within_s: float = 30

    def __init__(self, *, needs: "Sequence[Server[object]]" = ()) -> None:
        """Name the servers that have to run before this one starts."""
        self.needs = needs

    # What each server says of itself.

    @abstractmethod
    def install(self) -> None:
        """Bring onto the machine what is missing, or raise ServerUnavailableError."""

    @abstractmethod
    def launch(self) -> Process:
        """Start the process, making its data and settings if it has none."""

    @abstractmethod
    def address(self) -> A_co:
        """Return where it is, or will be once it runs again."""

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether it does its work, by asking it; any error means "not yet"."""

    def terminate(self, process: Process) -> None:
        """Ask the process to end in order."""
        process.send(signal.SIGTERM)

    def family(self, process: Process) -> list[Process]:
        """Return every process of the server, the one that would start others first."""
        return [process]

    # What anyone may ask.

    def start(self) -> A_co:
        """Return its address once it answers, starting it if it does not run.

        Raises:
            ServerUnavailableError: it can't be installed or does not start here.
        """
        for needed in self.needs:
            needed.start()
        with self._locked():
            if self._process() is None:
                self.install()
                self._settle_ports()
                say(f"{self.name}: starting")
                process = self.launch()
                self.remember(pid=process.pid, born=process.born)
            self._await_answer()
        return self.address()

    def stop(self) -> None:
        """Stop it in order, if it runs; its data and ports stay."""
        with self._locked():
            if process := self._process():
                say(f"{self.name}: stopping")
                self.terminate(process)
                try:
                    process.await_end(self.ends_within_s)
                except GaveUpError:
                    self._kill(process)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL), if it runs; its data and ports stay."""
        with self._locked():
            if process := self._process():
                self._kill(process)

    def restart(self) -> A_co:
        """Stop it and start it again."""
        self.stop()
        return self.start()

    def freeze(self) -> None:
        """Keep its processes from running (SIGSTOP) until ``thaw``; connections stay open."""
        if process := self._process():
            for member in self.family(process):
                member.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let its processes go on after ``freeze``."""
        if process := self._process():
            for member in self.family(process):
                member.send(signal.SIGCONT)

    def discard(self) -> None:
        """Kill it and remove its folder: for a server of one run's own, which nobody else uses."""
        self.thaw()
        self.kill()
        shutil.rmtree(self.folder)

    @property
    def is_running(self) -> bool:
        """Tell whether its process lives."""
        return self._process() is not None

    # Who wants it to run.

    def up(self) -> A_co:
        """Start it, and keep it running when those that borrow it are done."""
        for needed in self.needs:
            needed.up()
        address = self.start()
        self.remember(kept=True)
        return address

    def down(self) -> None:
        """Stop it, whoever uses it."""
        self.remember(kept=False)
        self.stop()

    @contextmanager
    def borrowed(self) -> Iterator[A_co]:
        """Have it running for a while; the last borrower stops it, unless it is kept ``up``."""
        with ExitStack() as stack:
            for needed in self.needs:
                stack.enter_context(needed.borrowed())
            users = stack.enter_context((self.folder / "users").open("a"))
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                yield self.start()
            finally:
                if self._is_last_of(users.fileno()) and not self.recall("kept", default=False):
                    self.stop()

    @staticmethod
    def _is_last_of(users: int) -> bool:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    # What it remembers between processes.

    @property
    def folder(self) -> Path:
        """Its own folder: data, log and what it remembers."""
        folder = services_folder() / self.name
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def log(self) -> Path:
        """The file it logs to."""
        return self.folder / "log"

    def recall(self, key: str, *, default: Any = None) -> Any:
        """Return what it remembers under a key."""
        return self._memory().get(key, default)

    def remember(self, **facts: Any) -> None:
        """Keep facts until they are changed, over stops and starts."""
        memory = self.folder / "memory.json"
        new = memory.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(self._memory() | facts, indent=1))
        new.replace(memory)

    def port(self, name: str = "port") -> int:
        """Return one of its ports."""
        ports: dict[str, int] = self.recall("ports", default={})
        if name not in ports:
            raise ServerUnavailableError(f"{self.name} was never started here")
        return ports[name]

    def _memory(self) -> dict[str, Any]:
        memory = self.folder / "memory.json"
        return dict(json.loads(memory.read_text())) if memory.exists() else {}

    def _settle_ports(self) -> None:
        ports: dict[str, int] = self.recall("ports", default={})
        for name in self.port_names:
            if name not in ports or not is_free(ports[name]):
                ports[name] = free_port()
        self.remember(ports=ports)

    def _process(self) -> Process | None:
        process = Process(pid=self.recall("pid", default=0), born=self.recall("born", default=0))
        return process if process.is_alive else None

    def _kill(self, process: Process) -> None:
        process.send(signal.SIGSTOP)  # it starts no child while we count them
        family = self.family(process)
        for member in family:
            member.send(signal.SIGKILL)
        for member in family:
            member.await_end(self.ends_within_s)

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self.folder / "lock")

    def _await_answer(self) -> None:
        def ended_or_answers() -> bool:
            return not self.is_running or self.answers()

        try:
            until(ended_or_answers, within_s=self.ready_within_s, ignoring=(Exception,))
            trouble = "" if self.is_running else "it ended"
        except GaveUpError as error:
            trouble = str(error)
        if trouble:
            lines = self.log.read_text(errors="replace").splitlines()[-20:]
            raise ServerUnavailableError(
                f"{self.name} did not start: {trouble}; its log {self.log} ends with:\n"
                + "\n".join(lines)
            )
