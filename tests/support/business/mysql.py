"""A business application on MySQL or MariaDB."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import LiteralString

import pymysql

from support.business.base import Business, Database, Position, Session

TABLE: LiteralString = """
CREATE TABLE sms (
    id bigint AUTO_INCREMENT PRIMARY KEY,
    phone varchar(64),
    body longtext,
    sender varchar(64),
    status varchar(20) NOT NULL DEFAULT 'pending',
    created_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    send_after timestamp(6) NULL,
    expires_at timestamp(6) NULL,
    provider_message_id varchar(64),
    sent_at timestamp(6) NULL,
    error_text text,
    attempts int
) CHARACTER SET utf8mb4
"""

OUTSIDE = {
    "Gtid",
    "Gtid_tagged",
    "Anonymous_Gtid",
    "Previous_gtids",
    "Gtid_list",
    "Binlog_checkpoint",
    "Start_encryption",
    "Rotate",
    "Stop",
}
"""Events that begin a transaction, or stand between two. Source: both manuals, SHOW BINLOG EVENTS;
MySQL's log_event.cc, ``Log_event::get_type_str``."""


class MysqlBusiness(Business):
    """A database of MySQL or of MariaDB, as its address says."""

    table = TABLE
    restart = "TRUNCATE TABLE sms"
    lock_table = "LOCK TABLES {} WRITE"
    text = "longtext"
    id_of_created_at = (
        "concat('sms/', s.id, '@', date_format("
        "convert_tz(s.created_at, @@session.time_zone, '+00:00'), '%Y-%m-%dT%H:%i:%s.%fZ'))"
    )

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        is_mariadb = database.dsn.startswith("mariadb:")
        self.source = "mariadb" if is_mariadb else "mysql"
        # MySQL 9.7 can't show its older list while anybody's statement holds an emoji
        self._sessions: LiteralString = (
            f"{'information_schema' if is_mariadb else 'performance_schema'}.processlist"
        )

    def readable_by(self, host: str, port: int) -> str:
        """Return the address without TLS."""
        return f"{self.dsn_by(host, port)}?ssl_mode=disabled"

    def session(self, *, commits: bool = False) -> Session:
        """Open a connection."""
        server = self.database.server
        return Session(
            pymysql.connect(
                host=server.host,
                port=server.port,
                user=server.user,
                password=server.password,
                database=self.database.name,
                charset="utf8mb4",
                autocommit=commits,
                connect_timeout=5,
            )
        )

    def publish(self, name: str) -> None:
        """Do nothing: the binlog holds every table."""
        del name

    def waits(self) -> int:
        """Count the sessions that wait for a lock: of rows, or of the whole table."""
        [(count,)] = self.database.execute(
            f"SELECT count(*) FROM {self._sessions} p"
            " LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id"
            " WHERE p.db = database()"
            " AND (p.state LIKE 'Waiting for%lock%' OR t.trx_state = 'LOCK WAIT')"
        )
        return int(count)

    def log_end_by(self, session: Session) -> Position:
        """Return the place at which the next event of the binlog will be."""
        asked: LiteralString = (
            "SHOW MASTER STATUS" if self.source == "mariadb" else "SHOW BINARY LOG STATUS"
        )
        [(file, at, *_)] = session.execute(asked)
        return _place(str(file), int(at))

    def confirmed(self, saved: Callable[[], Sequence[str]]) -> Position:
        """Return the last position on the topic."""
        return max(map(position_of, saved()), default=(0, 0))

    def torn(self, saved: Callable[[], Sequence[str]]) -> Sequence[Position]:
        """Look at each in the log itself."""
        positions = {position_of(text): json.loads(text)["file"] for text in saved()}
        between = {
            place for file in set(positions.values()) for place in self._between_transactions(file)
        }
        return sorted(positions.keys() - between)

    def _between_transactions(self, file: str) -> set[Position]:
        events = self.database.execute(f"SHOW BINLOG EVENTS IN '{file}'")
        ends = {_place(file, int(event[4])) for event in events[-1:]}
        return ends | {_place(file, int(at)) for _, at, kind, *_ in events if kind in OUTSIDE}

    def end_readers(self) -> int:
        """Kill the threads that send the binlog to who asked for it from this database."""
        readers = self.database.execute(
            f"SELECT id FROM {self._sessions} WHERE command LIKE 'Binlog Dump%' AND db = database()"
        )
        for (number,) in readers:
            with suppress(pymysql.OperationalError):  # it ended by itself
                self.database.execute("KILL CONNECTION %s", number)
        return len(readers)


def position_of(saved: str) -> Position:
    """Return the place that a record of the topic of positions names."""
    stored = json.loads(saved)
    return _place(stored["file"], stored["offset"])


def _place(file: str, at: int) -> Position:
    return int(file.rpartition(".")[2]), at
