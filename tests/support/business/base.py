"""What a business application does in its database, and the few statements that differ there.

Everything else is SQL that all three databases read alike: ``concat``, ``VALUES`` with several
rows, sub-selects; parameters are ``%s`` for both drivers.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, ClassVar, LiteralString, Protocol, Self
from urllib.parse import quote, urlsplit

import psycopg
import pymysql

ROWS_A_STATEMENT = 1_000
AWAY: tuple[type[Exception], ...] = (psycopg.OperationalError, pymysql.Error)
"""What an application meets whose server is away; PyMySQL tells it by several errors."""

Position = tuple[int, ...]
"""A place in a database's log; a later one is greater."""


class Address(Protocol):
    """A database server, and its superuser."""

    @property
    def host(self) -> str:
        """Its host."""

    @property
    def port(self) -> int:
        """Its port."""

    @property
    def user(self) -> str:
        """The superuser."""

    @property
    def password(self) -> str:
        """The superuser's password."""


class Database(Protocol):
    """A database of one test or one case."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def server(self) -> Address:
        """The server that it is on."""

    @property
    def dsn(self) -> str:
        """Its URL."""

    def execute(self, statement: LiteralString, *values: object) -> list[Any]:
        """Run one statement in a transaction of its own; return its rows, if it has any."""


class Session:
    """One connection of the application's: it keeps its transaction, and its locks, until told.

    Args:
        connection: of either driver; it does not commit by itself.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, statement: LiteralString, *values: object) -> list[Any]:
        """Run one statement; return its rows, if it has any."""
        cursor = self._connection.cursor()
        cursor.execute(statement, values or None)
        return list(cursor.fetchall()) if cursor.description else []

    def insert(
        self, rows: Iterable[Sequence[object]], columns: LiteralString = "phone, body"
    ) -> None:
        """Insert rows into ``sms``, many a statement."""
        left = iter(rows)
        while some := list(islice(left, ROWS_A_STATEMENT)):
            one = f"({', '.join(['%s'] * len(some[0]))})"
            statement = f"INSERT INTO sms ({columns}) VALUES {', '.join([one] * len(some))}"
            self.execute(statement, *(value for row in some for value in row))

    def commit(self) -> None:
        """Commit what was done."""
        self._connection.commit()

    def rollback(self) -> None:
        """Take it back."""
        self._connection.rollback()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up: what was not committed is taken back, and every lock is free."""
        self._connection.close()


class Business(ABC):
    """An application's database.

    Args:
        database: where.

    Attributes:
        source: the dialect, as ``--source`` names it.
        table: makes ``sms``.
        restart: empties ``sms``; keys begin at 1 again.
        lock_table: keeps everybody else from a table, by its name, until the session ends.
        text: the type of a text of any length.
        id_of_created_at: a row's message id, where created-at is mapped; ``s`` is the row.
    """

    source: str
    table: ClassVar[LiteralString]
    restart: ClassVar[LiteralString]
    lock_table: ClassVar[LiteralString]
    text: ClassVar[LiteralString]
    id_of_created_at: ClassVar[LiteralString]

    def __init__(self, database: Database) -> None:
        self.database = database

    @property
    def password(self) -> str:
        """The user's password."""
        return self.database.server.password

    @property
    def dsn(self) -> str:
        """The address for a configuration: without the password."""
        server = self.database.server
        return self.dsn_by(server.host, server.port)

    def dsn_by(self, host: str, port: int) -> str:
        """Return the address by way of another host and port."""
        scheme = urlsplit(self.database.dsn).scheme
        user = quote(self.database.server.user, safe="")
        return f"{scheme}://{user}@{host}:{port}/{self.database.name}"

    @abstractmethod
    def readable_by(self, host: str, port: int) -> str:
        """Return the same, so that whoever stands between can read what is said."""

    @abstractmethod
    def session(self, *, commits: bool = False) -> Session:
        """Open a connection; ``commits``: each statement by itself."""

    def insert(
        self, rows: Iterable[Sequence[object]], columns: LiteralString = "phone, body"
    ) -> None:
        """Insert rows in one transaction."""
        with self.session() as session:
            session.insert(rows, columns)
            session.commit()

    @abstractmethod
    def publish(self, name: str) -> None:
        """Make what Debezium's connector reads from, where its own user may not make it."""

    @abstractmethod
    def waits(self) -> int:
        """Count the sessions of this database that wait for a lock."""

    def log_end(self) -> Position:
        """Return where the server's log ends."""
        with self.session(commits=True) as session:
            return self.log_end_by(session)

    @abstractmethod
    def log_end_by(self, session: Session) -> Position:
        """Ask by a session that is there."""

    @abstractmethod
    def confirmed(self, saved: Callable[[], Sequence[str]]) -> Position:
        """Return up to where the built-in reader has confirmed the log.

        Args:
            saved: reads the topic of positions, for the databases whose reader keeps them there.
        """

    @abstractmethod
    def torn(self, saved: Callable[[], Sequence[str]]) -> Sequence[Position]:
        """Return the stored positions that do not lie between two transactions.

        Args:
            saved: as of :meth:`confirmed`.
        """

    @abstractmethod
    def end_readers(self) -> int:
        """End the connections over which this database's log is read; return how many."""
