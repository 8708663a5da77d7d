"""What a kind of database has to say beside its expressions: how one connects, and what it means.

Its expressions and types are those of :mod:`cdc_sms.databases.expressions`, which each dialect's
file compiles for itself.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, exc
from sqlalchemy import Dialect as SqlalchemyDialect

from cdc_sms.config.settings import SourceSettings
from cdc_sms.errors import CdcSmsError

FAR_PAST = datetime(2, 1, 1)  # noqa: DTZ001 - a bound in any zone
FAR_FUTURE = datetime(9998, 12, 31)  # noqa: DTZ001 - a bound in any zone
"""They stand for times that Python has none for: infinity, years before Christ, dates of zeros."""


class Snapshot(Protocol):
    """Which transactions a read saw."""

    def sees(self, transaction_id: int) -> bool:
        """Say whether the read saw this transaction's work.

        Args:
            transaction_id: as the log writes it.
        """


@dataclass(frozen=True, slots=True)
class Slot:
    """The replication slot, as the server sees it.

    Attributes:
        name: its name.
        active: whether a reader streams from it now.
        plugin: the output plugin.
        confirmed_lsn: what the reader has confirmed; None before the first time.
        retained_bytes: log that the server keeps for it.
        unconfirmed_bytes: log that was written and not yet confirmed.
        wal_status: reserved, extended, unreserved or lost.
    """

    name: str
    active: bool
    plugin: str | None
    confirmed_lsn: str | None
    retained_bytes: int | None
    unconfirmed_bytes: int | None
    wal_status: str | None


class Dialect(Protocol):
    """One kind of database.

    Thread: any; it holds nothing that changes.
    """

    @property
    def url(self) -> str:
        """Return the URL by which SQLAlchemy knows its dialect and driver."""

    @property
    def driver_error(self) -> type[Exception]:
        """Return the class of all the driver's errors."""

    @property
    def has_zero_dates(self) -> bool:
        """Say whether a date may be one of zeros."""

    def teach(self, sqlalchemys: SqlalchemyDialect) -> None:
        """Teach SQLAlchemy's own dialect of an engine what it lacks."""

    def connect(self, source: SourceSettings, *, role: str) -> Any:
        """Open a connection on which a dead link is noticed within half a minute, on both ends.

        Raises:
            Exception: the driver's errors, for :meth:`classified`.
        """

    def prepare(self, connection: Any, *, lock_timeout_s: float) -> None:
        """Set up a fresh session.

        In UTC; waiting for a lock, also a table's, for as long as given; committing as durably
        as the server is set to, but never without waiting for the disk where a session can say
        it; and ended by the server when its client is gone, with all that it had locked.

        Raises:
            SetupError: the server's settings don't let transactions be what they must be.
        """

    def place(self, connection: Any) -> tuple[str, int | None]:
        """Return what the server calls itself, and how far its log is on its disk.

        A copy of its files calls itself the same. The second is None where the server writes no
        log, or the user may not ask. It prints as the server's people write it.

        Args:
            connection: the driver's.
        """

    def classified(self, driver: Exception, error: exc.SQLAlchemyError | None) -> CdcSmsError:
        """Return our error for the driver's; it names the code, never a value.

        Args:
            driver: its error.
            error: what SQLAlchemy made of it, which knows the statement.
        """

    def spoils_session(self, driver: Exception) -> bool:
        """Say whether a session can't be used again after this error, though it is connected."""

    def snapshot(self, text: str | None) -> Snapshot | None:
        """Read what ``ReadBy`` said; None where the database can't say it."""

    def was_never_begun(self, connection: Connection, snapshot: Snapshot, xid: int) -> bool:
        """Say whether a transaction that a read didn't see is still to come.

        Then the history that it is of is not this database's.

        Args:
            connection: the caller's transaction, which stands afterwards.
            snapshot: of the read.
            xid: the transaction, as the log writes it.
        """

    def is_transactional(self, connection: Connection, schema: str, table: str) -> bool:
        """Say whether what a transaction writes to a table is undone when it is rolled back."""

    def collations(self, connection: Connection, schema: str, table: str) -> dict[str, str]:
        """Return the collations of text columns, where texts of a statement must be given them."""
        ...

    def changing_columns(self, connection: Connection, schema: str, table: str) -> set[str]:
        """Return the columns that an UPDATE of others changes as well, by their declaration."""

    def reading(
        self, connection: Connection, *, longest_statement_ms: int
    ) -> AbstractContextManager[None]:
        """Make the connection's transaction a read-only one of bounded statements.

        Its execution options say REPEATABLE READ already, and read-only where those can.
        """

    def try_lock(self, connection: Connection, name: str) -> bool:
        """Take a lock of the server that ends with its session; False: another session has it.

        Args:
            connection: outside any transaction; used for nothing else.
            name: the lock's, on this server.
        """

    def slot(self, connection: Connection, name: str) -> Slot | None:
        """Return the replication slot; None where there is none of that name, or are none."""
