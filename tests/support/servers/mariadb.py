"""MariaDB: Debian 12's, and a newer one; their programs run in folders of our own."""

from collections.abc import Mapping
from pathlib import Path

from support.servers.certificates import make_certificate
from support.servers.debian import Unpacked, unpacked
from support.servers.machine import run
from support.servers.mysql import BinlogServer

# What mariadb-install-db has the server run, in its order. It can't run from a folder of ours.
SYSTEM_TABLES = (
    "*_system_tables.sql",
    "*_performance_tables.sql",
    "*_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "*_sys_schema.sql",
)
BEFORE = """
CREATE DATABASE mysql;
USE mysql;
SET @auth_root_socket = NULL;
"""
# The anonymous users would win over user@'%' where a client comes from this machine.
AFTER = """
DELETE FROM mysql.global_priv WHERE User IN ('', 'root');
FLUSH PRIVILEGES;
CREATE USER 'root'@'localhost' IDENTIFIED BY '{password}', 'root'@'%' IDENTIFIED BY '{password}';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'localhost', 'root'@'%' WITH GRANT OPTION;
"""


class MariadbServer(BinlogServer):
    """The MariaDB of a Debian release, with a certificate of ours: 10.11 makes none itself."""

    scheme = "mariadb"

    def __init__(self, name: str, release: str, settings: Mapping[str, str] | None = None) -> None:
        """Name it, and Debian's release; ``settings`` differ from the others'."""
        super().__init__(name, {"gtid_strict_mode": "ON", **(settings or {})})
        self._release = release

    def install(self) -> None:
        """Fetch its programs."""
        self._programs()

    def program(self) -> list[str]:
        """Return the start of its command line."""
        programs = self._programs()
        basedir = f"--basedir={programs.root / 'usr'}"
        return [*programs.command("usr/sbin/mariadbd"), "--no-defaults", basedir]

    def make_data(self, program: list[str], password: str) -> None:
        """Have it make its tables, and make its certificate."""
        self.data.mkdir()
        make_certificate(self.authority, self._key)
        [shared] = self._programs().root.glob("usr/share/m*/fill_help_tables.sql")
        tables = [next(shared.parent.glob(name)).read_text() for name in SYSTEM_TABLES]
        first = self.folder / "first.sql"
        first.touch(mode=0o600)
        first.write_text("\n".join([BEFORE, *tables, AFTER.format(password=password)]))
        # As mariadb-install-db has it: no engine enforced, packets for the largest statement.
        bootstrap = ["--bootstrap", "--enforce_storage_engine=", "--max_allowed_packet=8M"]
        run([*program, f"--datadir={self.data}", *bootstrap], reading=first)
        first.unlink()

    @property
    def authority(self) -> Path:
        """Its certificate, which signed itself."""
        return self.folder / "certificate.pem"

    @property
    def _key(self) -> Path:
        return self.folder / "key.pem"

    def settings(self) -> Mapping[str, str]:
        """Return what it is started with."""
        certificate, key = str(self.authority), str(self._key)
        tls = {"ssl_ca": certificate, "ssl_cert": certificate, "ssl_key": key}
        return {**tls, **super().settings()}

    def _programs(self) -> Unpacked:
        return unpacked(self.name, self._release, "mariadb-server-core")


MARIADB = MariadbServer("mariadb", "bookworm")
MARIADB118 = MariadbServer("mariadb118", "sid")
