"""What a run needs of a database, whatever its kind."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Engine

from cdc_sms.config.settings import Sections
from cdc_sms.envelope.encode import EncodedRecord
from conformance.compare import Difference
from conformance.site import MARKER, PARTITIONS
from conformance.statements import Statement


class StatementError(Exception):
    """The server refuses a statement of the file."""

    def __init__(self, statement: Statement, reason: str) -> None:
        """Say which one, and the server's reason."""
        super().__init__(f"statement {statement.number} (line {statement.line}) failed: {reason}")


@dataclass(frozen=True)
class Table:
    """A table of the file.

    Attributes:
        schema: on MySQL and MariaDB the database.
        name: bare.
        key: the primary key's columns; empty where it has none.
        reals: its columns of 32-bit floats.
    """

    schema: str
    name: str
    key: tuple[str, ...]
    reals: tuple[str, ...]


class Database(Protocol):
    """One fresh database, for one run."""

    sections: Sections
    """The configuration of cdc-sms that both readers are made from."""
    connector_changes: Mapping[str, str]
    """The connector's properties that differ from the production's."""
    engine: Engine
    """As deliver opens it."""
    stops: list[Difference]
    """Where our reader gave up."""

    @property
    def in_transaction(self) -> bool:
        """Say whether the file's session is within a transaction, or has locked tables."""
        ...

    def prepare(self, statement: Statement) -> None:
        """Commit what the server would commit by itself before the statement."""
        ...

    def run(self, statement: Statement) -> None:
        """Run one statement of the file; raises StatementError."""
        ...

    def end(self) -> None:
        """Give up what the file left open: a transaction, locks."""
        ...

    def mark(self) -> int:
        """Write a mark into the log; return its number."""
        ...

    def captured(self, mark: int) -> list[EncodedRecord]:
        """Return what our reader makes of the log up to a mark."""
        ...

    def inserted(self, *, may_remove: bool) -> Counter[str] | None:
        """Return how many rows the server says were inserted since the last time, by table.

        Args:
            may_remove: rows may have been deleted meanwhile.

        Returns:
            None where it can't be told.
        """
        ...

    def tables(self) -> Mapping[str, Table]:
        """Return the tables that are there now, by schema and name; all that got rows lately."""
        ...


def sections(
    *, dsn: str, password: str, bootstrap: str, prefix: str, slot: str, table: str = MARKER
) -> Sections:
    """Return the configuration: its table is the marker, whose rows are never pending."""
    return Sections.model_validate(
        {
            "source": {"dsn": dsn, "password": password},
            "table": {
                "name": table,
                "columns": {
                    "key": "id",
                    "recipient": "recipient",
                    "text": "body",
                    "status": "status",
                },
            },
            "kafka": {"bootstrap_servers": bootstrap, "prefix": prefix, "partitions": PARTITIONS},
            "capture": {"slot": slot},
            "providers": {"justsend": {"sender": "Acme"}},
        }
    )
