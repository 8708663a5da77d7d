"""A PostgreSQL pair: a primary whose commits wait for its synchronous standby."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg

from support.servers.machine import run
from support.servers.postgres import DebianPostgres


class StandbyPostgres(DebianPostgres):
    """A copy of a primary that follows it; its first start takes the copy."""

    def __init__(self, primary: DebianPostgres, name: str) -> None:
        """Name it, and whom it follows."""
        super().__init__(name)
        self._primary = primary

    @contextmanager
    def synchronous(self) -> Iterator[None]:
        """Have the primary's commits wait for it, for a while.

        By its own name: a star would take a reader of the log for a standby as well.
        """
        self._set("'walreceiver'")
        try:
            yield
        finally:
            self._set("DEFAULT")

    def _set(self, names: LiteralString) -> None:
        with psycopg.connect(self._primary.address().dsn, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = {names}")
            connection.execute("SELECT pg_reload_conf()")

    def _make_cluster(self, home: Path) -> None:
        """Copy the primary (pg_basebackup); what it needs to follow it is written along."""
        run(
            [
                str(self.programs() / "pg_basebackup"),
                f"--pgdata={home / 'data'}",
                f"--dbname={self._primary.address().dsn}",
                "--write-recovery-conf",
                "--checkpoint=fast",
            ],
            user=self._runs_as,
        )
        self.remember(password=self._primary.address().password)
