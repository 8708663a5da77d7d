"""What the servers ask of the machine: a folder, ports, packages, users, processes."""

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.waiting import until

REPOSITORY = Path(__file__).parents[3]
LOOPBACK = "127.0.0.1"
# Below Linux's ephemeral range: a client that keeps trying a stopped server's port could
# otherwise be given that very port as its own, and connect to itself.
PORTS = range(20_000, 32_000)
SOCKET_PATH_BYTES = 107  # sun_path, unix(7), less its closing zero


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
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - the terminal is its audience


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
    tries = random.SystemRandom().sample(PORTS, 200)
    for port in tries:
        if is_free(port):
            return port
    raise ServerUnavailableError(f"no free port among {len(tries)} tried in {PORTS}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes, for as long as it takes to start or stop a server."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run(command: Sequence[str | Path], *, user: str | None = None, cwd: Path | None = None) -> str:
    """Run a command to its end and return what it printed; its output is the error if it fails.

    Its output goes through a file: a daemon left behind would hold a pipe open for ever.
    """
    with tempfile.TemporaryFile() as output:
        finished = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd or "/",
            check=False,
            **as_user(user),
        )
        output.seek(0)
        printed = output.read().decode(errors="replace")
    if finished.returncode != 0:
        words = " ".join(str(word) for word in command)
        raise ServerUnavailableError(f"{words!r} ended with {finished.returncode}:\n{printed}")
    return printed


def as_user(user: str | None) -> dict[str, object]:
    """Return the arguments by which subprocess runs a command as that user and nobody else."""
    return {} if user is None else {"user": user, "group": group_of(user), "extra_groups": []}


def group_of(user: str) -> int:
    """Return the primary group of a user."""
    import pwd

    return pwd.getpwnam(user).pw_gid
