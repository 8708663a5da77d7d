"""The business table of a test on MySQL or MariaDB, and the readers of its log."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from cdc_sms.config.settings import CaptureSettings, SourceSettings, TableSettings
from cdc_sms.model.clock import SystemClock
from cdc_sms.sources.base import Positions
from cdc_sms.sources.binlog.source import BinlogSource
from support.fixtures.binlog_databases import BinlogDatabase

TABLE = """
CREATE TABLE sms (
    id bigint AUTO_INCREMENT PRIMARY KEY,
    recipient varchar(20) NOT NULL DEFAULT '+48600700800',
    body longtext,
    status varchar(10) NOT NULL DEFAULT 'pending'
) CHARACTER SET utf8mb4
"""
HEARTBEATS = """
CREATE TABLE cdc_sms_heartbeat (
    name varchar(63) PRIMARY KEY, beat bigint NOT NULL, written_at datetime(6) NOT NULL
)
"""


def table_of(database: BinlogDatabase, *, status: str | None = "status") -> TableSettings:
    """Return the settings of the table ``sms``."""
    columns = {"key": "id", "recipient": "recipient", "text": "body", "status": status}
    return TableSettings.model_validate({"name": f"{database.name}.sms", "columns": columns})


@dataclass
class KeptPositions:
    """A reader's position, kept by the test over the readers that it starts."""

    text: str | None = None
    saved: list[str] = field(default_factory=list[str])

    def load(self) -> str | None:
        """Return what was saved last."""
        return self.text

    def save(self, position: str) -> None:
        """Keep it."""
        self.text = position
        self.saved.append(position)

    def forget(self) -> None:
        """Take it back."""
        self.text = None


class BinlogBusiness:
    """The table ``sms`` of a test's database."""

    def __init__(self, database: BinlogDatabase, table: str = TABLE) -> None:
        """Make the tables, one of which is another one's."""
        self.database = database
        self.positions = KeptPositions()
        for statement in (table, HEARTBEATS, "CREATE TABLE other (id int, x longtext)"):
            database.execute(statement)

    def source(
        self,
        *,
        through: BinlogDatabase | None = None,
        status: str | None = "status",
        dsn: str = "",
        positions: Positions | None = None,
        **capture: Any,
    ) -> BinlogSource:
        """Return another reader of the log.

        Args:
            through: how it reaches the database.
            status: the mapped status column.
            dsn: what is added to the DSN.
            positions: where its position is kept; None: here.
            capture: its settings.
        """
        database = through or self.database
        return BinlogSource(
            source=SourceSettings.model_validate(
                {"dsn": database.dsn + dsn, "password": database.server.password}
            ),
            table=table_of(self.database, status=status),
            capture=CaptureSettings.model_validate({"slot": self.database.name, **capture}),
            ledger_schema=self.database.name,
            positions=positions or self.positions,
            clock=SystemClock(),
        )

    def execute(self, statement: str) -> None:
        """Run statements in one transaction, which they may end."""
        with closing(self.database.connect(autocommit=False)) as connection:
            with connection.cursor() as cursor:
                for one in filter(None, (one.strip() for one in statement.split(";"))):
                    cursor.execute(one)
            connection.commit()

    def insert(self, ids: Iterable[int], body: str = "hello") -> None:
        """Insert pending rows with these ids in one transaction."""
        with closing(self.database.connect(autocommit=False)) as connection:
            with connection.cursor() as cursor:
                rows = [(one, body) for one in ids]
                cursor.executemany("INSERT INTO sms (id, body) VALUES (%s, %s)", rows)
            connection.commit()

    def write_elsewhere(self) -> None:
        """Write to the log, but not to the business table."""
        self.database.execute("INSERT INTO other (id) VALUES (1), (2), (3)")

    def reset_log(self) -> None:
        """Have the server throw its log away and begin another one."""
        is_mariadb = self.database.dsn.startswith("mariadb")
        self.execute("RESET MASTER" if is_mariadb else "RESET BINARY LOGS AND GTIDS")

    def drop_position(self) -> None:
        """Drop what is kept of the reader's position."""
        self.positions.forget()
