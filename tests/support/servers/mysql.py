"""MySQL, and what MariaDB has in common with it; their programs run in folders of our own."""

import secrets
import shutil
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pymysql
from pymysql.connections import Connection

from support.servers.debian import Unpacked, unpacked
from support.servers.machine import LOOPBACK, Process, is_root, launch, run
from support.servers.server import Server

# Else a server's own defaults: a test that needs another setting makes it.
SETTINGS = {
    "bind_address": LOOPBACK,
    "log_bin": "binlog",
    "binlog_format": "ROW",
    "max_connections": "300",
    "innodb_buffer_pool_size": "128M",
    "default_time_zone": "+00:00",
}
# What keeps a server's files in its data's folder, by names that no path is too long for.
PLACES = {"socket": "server.sock", "pid_file": "server.pid"}
# What MySQL has to be told besides: no second protocol, no files of Debian's or anyone's.
CONFINED = {"mysqlx": "OFF", "secure_file_priv": "NULL", **PLACES}
PORT = 3306


@dataclass(frozen=True)
class MysqlAddress:
    """Where a MySQL or a MariaDB listens, and its superuser.

    ``scheme`` is ``mysql`` or ``mariadb``, as in cdc-sms's DSN. ``ca`` is the file of the
    authority that signed the server's certificate, where the server is ours.
    """

    scheme: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    ca: str = ""

    @property
    def dsn(self) -> str:
        """The server's URL with the password, as an environment variable names it for tests."""
        name, secret = quote(self.user, safe=""), quote(self.password, safe="")
        return f"{self.scheme}://{name}:{secret}@{self.host}:{self.port}/"

    def dsn_of(self, database: str, *, user: str | None = None) -> str:
        """Return cdc-sms's DSN of a database, for the superuser or another user.

        Without the password, which it takes from ``CDC_SMS_SOURCE__PASSWORD``.
        """
        name = quote(user or self.user, safe="")
        return f"{self.scheme}://{name}@{self.host}:{self.port}/{quote(database, safe='')}"

    @classmethod
    def parse(cls, dsn: str) -> "MysqlAddress":
        """Read an address that somebody gave us, with its password."""
        parts = urlsplit(dsn)
        return cls(
            scheme=parts.scheme,
            host=parts.hostname or LOOPBACK,
            port=parts.port or PORT,
            user=unquote(parts.username or "root"),
            password=unquote(parts.password or ""),
        )

    def connect(self, database: str | None = None, **options: Any) -> "Connection[Any]":
        """Return a connection, which commits each statement; ``options`` are PyMySQL's."""
        settings = {"autocommit": True, "connect_timeout": 5, "charset": "utf8mb4", **options}
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=database,
            **settings,
        )


class BinlogServer(Server[MysqlAddress]):
    """A MySQL or a MariaDB with a data folder of its own: ``root`` by a password, over TCP.

    Root runs it as root: it listens on loopback only and belongs to tests.
    """

    scheme: str

    def __init__(self, name: str, settings: Mapping[str, str]) -> None:
        """Name it; the settings come beside those that all have."""
        super().__init__()
        self.name = name
        self._own_settings = settings

    @abstractmethod
    def program(self) -> list[str]:
        """Return the start of the server's command line."""

    @abstractmethod
    def make_data(self, program: list[str], password: str) -> None:
        """Make the system tables in ``data``, which is missing."""

    @property
    @abstractmethod
    def authority(self) -> Path:
        """The certificate by which the server's own can be verified."""

    @property
    def data(self) -> Path:
        """The folder with its tables and its log."""
        return self.folder / "data"

    def address(self) -> MysqlAddress:
        """Return where it is, or will be once it runs again."""
        return MysqlAddress(
            scheme=self.scheme,
            host=LOOPBACK,
            port=self.port(),
            user="root",
            password=self.recall("password"),
            ca=str(self.authority),
        )

    def launch(self) -> Process:
        """Start the server, on new data if it has none."""
        # Of its own: a server that starts clears away what others left there, and still need.
        scratch = self.folder / "tmp"
        scratch.mkdir(exist_ok=True)
        as_root = ["--user=root"] if is_root() else []
        program = [*self.program(), f"--tmpdir={scratch}", *as_root]
        if self.recall("password") is None:
            shutil.rmtree(self.data, ignore_errors=True)
            password = secrets.token_urlsafe(12)
            self.make_data(program, password)
            self.remember(password=password)
        # Left by a kill. A zombie, which nobody may have buried yet, is taken for alive.
        for left in self.data.glob("*.sock*"):
            left.unlink()
        options = [f"--{name}={value}" for name, value in self.settings().items()]
        return launch([*program, *options], folder=self.folder)

    def answers(self) -> bool:
        """Connect as its superuser."""
        with self.address().connect() as connection, connection.cursor() as cursor:
            return bool(cursor.execute("SELECT 1"))

    def settings(self) -> Mapping[str, str]:
        """Return what it is started with."""
        return {
            **SETTINGS,
            "datadir": str(self.data),
            "port": str(self.port()),
            # Not of two servers on this machine: a reader must not take one for the other.
            "server_id": str(self.port()),
            **PLACES,
            **self._own_settings,
        }


class MysqlServer(BinlogServer):
    """MySQL 9.7 of Debian sid, with GTIDs and the certificates that it makes itself."""

    scheme = "mysql"

    def __init__(self, name: str = "mysql", settings: Mapping[str, str] | None = None) -> None:
        """Name it, where it isn't the machine's first; ``settings`` differ from the others'."""
        gtids = {"gtid_mode": "ON", "enforce_gtid_consistency": "ON"}
        super().__init__(name, {**gtids, **CONFINED, **(settings or {})})

    def install(self) -> None:
        """Fetch its programs."""
        self._programs()

    def program(self) -> list[str]:
        """Return the start of its command line."""
        programs = self._programs()
        basedir = f"--basedir={programs.root / 'usr'}"
        return [*programs.command("usr/sbin/mysqld"), "--no-defaults", basedir]

    def make_data(self, program: list[str], password: str) -> None:
        """Have it make its tables, then set the password by running it once without a network."""
        confined = [f"--{name}={value}" for name, value in CONFINED.items()]
        offline = ["--skip_networking", "--disable_log_bin", *confined]
        program = [*program, f"--datadir={self.data}"]
        run([*program, "--initialize-insecure", "--disable_log_bin"])
        first = self.folder / "first.sql"
        first.touch(mode=0o600)
        first.write_text(_FIRST.format(password=password))
        run([*program, *offline, f"--init_file={first}"])
        first.unlink()

    @property
    def authority(self) -> Path:
        """Its own authority, made with its data."""
        return self.data / "ca.pem"

    def _programs(self) -> Unpacked:
        return unpacked(self.name, "sid", "mysql-server-core")


_FIRST = """\
CREATE USER 'root'@'%' IDENTIFIED BY '{password}';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION;
ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';
SHUTDOWN;
"""


MYSQL = MysqlServer()
