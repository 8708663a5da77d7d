"""A database server of a case's own, and the replica that its commits wait for."""

from contextlib import AbstractContextManager
from typing import Protocol

from support.servers.postgres import DebianPostgres
from support.servers.semisync import MARIADB_WORDS, MYSQL_WORDS, SemisyncReplica
from support.servers.standby import StandbyPostgres

from faults.servers import DatabaseServer, binlog_server


class Replica(Protocol):
    """A replica that the primary's commits can be made to wait for."""

    def start(self) -> object:
        """Start it; the first time it takes a copy, or begins to follow."""

    def kill(self) -> None:
        """Kill it."""

    def discard(self) -> None:
        """Kill it and remove its data."""

    def synchronous(self) -> AbstractContextManager[None]:
        """Have the primary's commits wait for it, for a while."""


def pair(source: str, name: str) -> tuple[DatabaseServer, Replica]:
    """Return a primary and its replica, neither started yet.

    Args:
        source: ``postgres``, ``mysql`` or ``mariadb``.
        name: tells them from others' servers.
    """
    if source == "postgres":
        postgres = DebianPostgres(f"postgres-primary-{name}")
        return postgres, StandbyPostgres(postgres, f"postgres-standby-{name}")
    words = MYSQL_WORDS if source == "mysql" else MARIADB_WORDS
    primary = binlog_server(source, f"{source}-primary-{name}")
    replica = binlog_server(source, f"{source}-replica-{name}", words.replica_settings)
    return primary, SemisyncReplica(primary, replica, words)
