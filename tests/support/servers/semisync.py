"""A MySQL or MariaDB pair: a primary whose commits wait, once written, for a replica to have them.

By AFTER_SYNC a transaction is in the log, and sent to whoever reads it, before anybody can see
its rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support.servers.mysql import BinlogServer, MysqlAddress
from support.waiting import until


@dataclass(frozen=True)
class Words:
    """What a dialect says.

    Attributes:
        install_primary: prepares the primary.
        install_replica: prepares the replica.
        replica_settings: what the replica is started with.
        follow: makes the replica follow host, port, user and password.
        wait: makes the primary's commits wait.
        wait_no_more: ends that.
        clients: the status variable that counts the replicas that are waited for.
    """

    install_primary: Sequence[str]
    install_replica: Sequence[str]
    replica_settings: Mapping[str, str]
    follow: Sequence[str]
    wait: Sequence[str]
    wait_no_more: str
    clients: str


MARIADB_WORDS = Words(
    install_primary=(),
    install_replica=(),
    replica_settings={"rpl_semi_sync_slave_enabled": "ON"},
    follow=(
        (
            "CHANGE MASTER TO MASTER_HOST = %s, MASTER_PORT = %s, MASTER_USER = %s,"
            " MASTER_PASSWORD = %s, MASTER_CONNECT_RETRY = 1, MASTER_USE_GTID = slave_pos"
        ),
        "START SLAVE",
    ),
    wait=(
        "SET GLOBAL rpl_semi_sync_master_timeout = 4294967295",
        "SET GLOBAL rpl_semi_sync_master_wait_no_slave = ON",
        "SET GLOBAL rpl_semi_sync_master_wait_point = 'AFTER_SYNC'",
        "SET GLOBAL rpl_semi_sync_master_enabled = ON",
    ),
    wait_no_more="SET GLOBAL rpl_semi_sync_master_enabled = OFF",
    clients="Rpl_semi_sync_master_clients",
)
MYSQL_WORDS = Words(
    install_primary=("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'",),
    install_replica=(
        "INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'",
        "SET GLOBAL rpl_semi_sync_replica_enabled = ON",
    ),
    # Loose: at the first start the plug-in isn't there yet.
    replica_settings={"loose_rpl_semi_sync_replica_enabled": "ON"},
    follow=(
        (
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = %s, SOURCE_PORT = %s, SOURCE_USER = %s,"
            " SOURCE_PASSWORD = %s, SOURCE_CONNECT_RETRY = 1, SOURCE_AUTO_POSITION = 1,"
            " GET_SOURCE_PUBLIC_KEY = 1"
        ),
        "START REPLICA",
    ),
    wait=(
        "SET GLOBAL rpl_semi_sync_source_timeout = 4294967295",
        "SET GLOBAL rpl_semi_sync_source_wait_point = 'AFTER_SYNC'",
        "SET GLOBAL rpl_semi_sync_source_enabled = ON",
    ),
    wait_no_more="SET GLOBAL rpl_semi_sync_source_enabled = OFF",
    clients="Rpl_semi_sync_source_clients",
)


class SemisyncReplica:
    """A replica that follows a primary from its first start on, and is waited for on request.

    Args:
        primary: runs before it starts, with all of its log.
        server: the replica, empty.
        words: the dialect of both.
    """

    def __init__(self, primary: BinlogServer, server: BinlogServer, words: Words) -> None:
        self._primary = primary
        self._server = server
        self._words = words
        self._follows = False

    def start(self) -> object:
        """Start it; what it follows it remembers."""
        address = self._server.start()
        if not self._follows:
            source = self._primary.address()
            follow, begin = self._words.follow
            _say(self._primary.address(), *self._words.install_primary)
            _say(address, *self._words.install_replica)
            _say(address, follow, values=(source.host, source.port, source.user, source.password))
            _say(address, begin)
            self._follows = True
        return address

    def kill(self) -> None:
        """Kill it."""
        self._server.kill()

    def discard(self) -> None:
        """Kill it and remove its data."""
        self._server.discard()

    @contextmanager
    def synchronous(self) -> Iterator[None]:
        """Have the primary's commits wait for it, for a while."""
        primary = self._primary.address()
        _say(primary, *self._words.wait)
        try:
            until(
                lambda: _say(primary, f"SHOW STATUS LIKE '{self._words.clients}'")[0][1] == "1",
                within_s=30,
                what="the replica to be waited for",
            )
            yield
        finally:
            _say(primary, self._words.wait_no_more)


def _say(address: MysqlAddress, *statements: str, values: Sequence[object] = ()) -> Any:
    """Run statements; return the rows of the last."""
    rows: Any = ()
    with address.connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, values or None)
            rows = cursor.fetchall()
    return rows
