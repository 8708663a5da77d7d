"""What the servers ask of the machine: a folder, ports, packages, users, processes."""

import fcntl
import hashlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from support.waiting import until

REPOSITORY = Path(__file__).parents[3]
LOOPBACK = "127.0.0.1"
# Below Linux's ephemeral range: a client that keeps trying a stopped server's port could
# otherwise be given that very port as its own, and connect to itself.
PORTS = range(20_000, 32_000)


class ServerUnavailableError(Exception):
    """A server can't be had on this machine: its name, what is missing, the remedy."""


def services_folder() -> Path:
    """Return the folder that holds every server's data, log, pid and ports; make it if missing."""
    folder = Path(os.environ.get("CDC_SMS_SERVICES_DIR") or REPOSITORY / ".services").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def is_root() -> bool:
    """Tell whether packages can be installed and other users be run as."""
    return os.geteuid() == 0


def say(sentence: str) -> None:
    """Tell a person what is going on; standard output belongs to the command's result."""
    print(sentence, file=sys.stderr, flush=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes, for as long as it takes to start or stop a server."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_free(port: int) -> bool:
    """Tell whether a server could listen on a port of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a port nobody listens on, outside the range that clients are given theirs from."""
    tries = random.sample(PORTS, 200)
    for port in tries:
        if is_free(port):
            return port
    raise ServerUnavailableError(f"none of {len(tries)} ports tried in {PORTS} is free")


def run(
    command: Sequence[str], *, user: str | None = None, reading: Path = Path(os.devnull)
) -> str:
    """Run a command to its end and return what it printed; that is the error if it fails.

    ``reading`` is the file that it gets as its standard input.

    Its output goes through a file: a daemon that it leaves behind would hold a pipe open.
    """
    words = [*as_user(user), *command]
    with tempfile.TemporaryFile() as output, reading.open("rb") as given:
        finished = subprocess.run(
            words,
            stdin=given,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            check=False,
        )
        output.seek(0)
        printed = output.read().decode(errors="replace")
    if finished.returncode != 0:
        raise ServerUnavailableError(
            f"{' '.join(words)!r} ended with {finished.returncode}:\n{printed}"
        )
    return printed


def can(user: str | None, test: str, path: Path) -> bool:
    """Tell whether a user may read (-r), write (-w) or enter (-x) a path."""
    command = [*as_user(user), "test", test, str(path)]
    return subprocess.run(command, cwd="/", check=False).returncode == 0


def as_user(user: str | None) -> list[str]:
    """Return the words that, before a command, make another user run it."""
    if user is None:
        return []
    known = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={known.pw_uid}", f"--regid={known.pw_gid}", "--clear-groups"]


def install_packages(server: str, *packages: str) -> None:
    """Install Debian packages, if this is Debian and we are root."""
    if not is_root() or shutil.which("apt-get") is None:
        raise ServerUnavailableError(
            f"{server} needs the packages {' '.join(packages)}: install them, "
            f"or name a server by CDC_SMS_TEST_{server.upper()}"
        )
    say(f"{server}: installing {' '.join(packages)}")
    with _apt_to_ourselves(), no_cluster_of_the_distribution():
        run([*apt_get(), "update"])
        run([*apt_get(), "install", "--yes", "--no-install-recommends", *packages])


def update_package_lists() -> None:
    """Have apt learn what its sources hold; only root may."""
    with _apt_to_ourselves():
        run([*apt_get(), "update"])


def apt_get(**settings: str) -> list[str]:
    """Return the start of apt-get's command line: quiet, never asking, patient."""
    settings = {"DPkg::Lock::Timeout": "600", **settings}
    options = [f"--option={name}={value}" for name, value in settings.items()]
    return ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", *options]


def _apt_to_ourselves() -> AbstractContextManager[None]:
    return locked(services_folder() / "apt.lock")


@contextmanager
def no_cluster_of_the_distribution() -> Iterator[None]:
    """Keep Debian's PostgreSQL package from making and starting a cluster of its own."""
    folder = Path("/etc/postgresql-common/createcluster.d")
    settings = folder / "cdc-sms-tests.conf"
    folder.mkdir(parents=True, exist_ok=True)
    settings.write_text("create_main_cluster = false\n")
    try:
        yield
    finally:
        settings.unlink()


def install_jars(server: str, name: str, *artifacts: str) -> Path:
    """Bring artifacts ("group:name:version") and what they need from Maven into a folder.

    Returns:
        The folder, alone in a folder of its own, which is named for the artifacts: other
        versions go elsewhere, so that no running server loses its jars.
    """
    pom = _POM.format(
        dependencies="".join(
            "<dependency><groupId>{}</groupId><artifactId>{}</artifactId>"
            "<version>{}</version></dependency>".format(*artifact.split(":"))
            for artifact in artifacts
        )
    )
    version = hashlib.sha256(pom.encode()).hexdigest()[:8]
    folder = services_folder() / "jars" / f"{name}-{version}" / name
    if folder.exists():
        return folder
    if shutil.which("mvn") is None:
        install_packages(server, "maven", "default-jre-headless")
    say(f"{server}: fetching {' '.join(artifacts)}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    services = services_folder()
    with locked(services / "jars.lock"), tempfile.TemporaryDirectory(dir=services) as work:
        unfinished = Path(work) / name
        (Path(work) / "pom.xml").write_text(pom)
        run(
            [
                "mvn",
                "-q",
                "-B",
                f"--file={work}/pom.xml",
                "dependency:copy-dependencies",
                "-DincludeScope=runtime",
                f"-DoutputDirectory={unfinished}",
            ]
        )
        if not folder.exists():
            unfinished.rename(folder)
    return folder


_POM = """<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>cdc-sms</groupId><artifactId>test-servers</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>{dependencies}</dependencies>
</project>
"""


@dataclass(frozen=True)
class Process:
    """A process that may have been started by another of ours: its pid and when it was born.

    The time of birth tells it from a stranger that was given the same pid later.
    """

    pid: int
    born: int

    @classmethod
    def find(cls, pid: int) -> "Process | None":
        """Return the living process with a pid, or None."""
        return cls(pid, born) if (born := _born(pid)) else None

    @property
    def is_alive(self) -> bool:
        """Tell whether it runs; a zombie does not."""
        return _born(self.pid) == self.born

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still lives."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def await_end(self, within_s: float) -> None:
        """Wait until it is gone."""
        until(
            lambda: not self.is_alive,
            within_s=within_s,
            what=f"process {self.pid} to end",
        )

    def children(self) -> "list[Process]":
        """Return its living children."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        pids = listed.read_text().split() if listed.exists() else []
        return [child for pid in pids if (child := Process.find(int(pid)))]


def _born(pid: int) -> int | None:
    """Return a living process's time of birth in ticks after the machine's start, proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        threads = sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, start_time = fields[0], fields[19]
    # The first thread of a killed process is a zombie before the others let go of its sockets.
    return None if state in "ZX" and threads <= 1 else int(start_time)


def launch(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str] | None = None
) -> Process:
    """Start a daemon that outlives us, logging to ``folder/log``; return its process."""
    pid_file = folder / "pid"
    pid_file.unlink(missing_ok=True)
    shell = ["setsid", "--fork", "sh", "-c", 'echo $$ >"$0.new"; mv "$0.new" "$0"; exec "$@"']
    with (folder / "log").open("ab") as log:
        subprocess.run(
            [*shell, str(pid_file), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            check=True,
        )
    until(pid_file.exists, within_s=10, what=f"{pid_file}")
    process = Process.find(int(pid_file.read_text()))
    if process is None:
        raise ServerUnavailableError(f"{command[0]} ended at once: see {folder / 'log'}")
    return process
