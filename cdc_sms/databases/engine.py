"""Connections to the business database, whole transactions, and what its errors mean.

What differs between databases stands in :mod:`cdc_sms.databases.dialects`, one file for each.
"""

import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import ConnectionPoolEntry

from cdc_sms.config.settings import Kind, LedgerSettings, SourceSettings
from cdc_sms.databases.dialects.base import Dialect
from cdc_sms.databases.history import History
from cdc_sms.databases.refusals import RepeatTransaction
from cdc_sms.databases.schema import SCHEMA
from cdc_sms.errors import CdcSmsError, DatabaseUnavailable

Result = TypeVar("Result")

RESTED_S = 1.0
REPEATS = 20

_NAMES: Mapping[Kind, str] = {"postgres": "postgresql", "mysql": "mysql", "mariadb": "mariadb"}
"""SQLAlchemy's names."""


@cache
def _dialect(name: str) -> Dialect:
    """Return what a database differs in; its driver is loaded with it, and no other's."""
    match name:
        case "postgresql":
            from cdc_sms.databases.dialects.postgres import Postgres  # noqa: PLC0415 - 9 MB

            return Postgres()
        case "mysql" | "mariadb":
            from cdc_sms.databases.dialects.mysql import Mysql  # noqa: PLC0415 - 10 MB

            return Mysql(name)
        case _:
            raise AssertionError(f"no engine is opened for {name}")


def dialect_of(connection: Connection) -> Dialect:
    """Return what a connection's database differs in."""
    return _dialect(connection.dialect.name)


def open_engine(
    source: SourceSettings,
    ledger: LedgerSettings,
    *,
    role: str = "tool",
    history: History | None = None,
) -> Engine:
    """Open the business database for one role; nothing is connected yet.

    Every session runs in READ COMMITTED and UTC, waits for a lock only
    ``ledger.lock_timeout_s``, and commits as durably as the server is set to, but never without
    waiting for the disk. A dead link is noticed within half a minute on both ends: what a member
    that died had locked must not stay locked.

    Args:
        source: where the database is.
        ledger: where its own tables are.
        role: who connects, for the server's own lists.
        history: each new connection is checked against it: the server may be another one now,
            or a backup of itself.

    Raises:
        ConfigurationError: the DSN can't be read (checked with the configuration).
    """
    dialect = _dialect(_NAMES[source.kind])
    engine = create_engine(
        dialect.url,
        creator=lambda: dialect.connect(source, role=role),
        pool_size=2,
        max_overflow=2,
        isolation_level="READ COMMITTED",
        execution_options={"schema_translate_map": {SCHEMA: ledger.ledger_schema}},
    )

    dialect.teach(engine.dialect)

    @event.listens_for(engine, "checkin")
    def _note(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["rests_since_s"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        """See whether a connection that rested lives: a round trip that busy ones don't need."""
        rests_since_s = record.info.get("rests_since_s", time.monotonic())
        if time.monotonic() - rests_since_s < RESTED_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except dialect.driver_error as error:
            raise exc.DisconnectionError("it ended while it rested") from error

    # first: SQLAlchemy asks the server some things in a fresh session, and in this one's state
    @event.listens_for(engine, "connect", insert=True)
    def _prepare(connection: Any, _record: object) -> None:
        dialect.prepare(connection, lock_timeout_s=ledger.lock_timeout_s)
        if history is not None:
            seen = history.furthest
            place = dialect.place(connection)
            connection.rollback()  # the transaction that the question began
            history.check(*place, seen=seen)

    return engine


def place_of(connection: Connection) -> tuple[str, int | None]:
    """Return what the server calls itself, and the end of its log: see ``Dialect.place``.

    Raises:
        DatabaseUnavailable: the connection failed.
    """
    dialect = dialect_of(connection)
    try:
        return dialect.place(connection.connection.driver_connection)
    except dialect.driver_error as error:
        raise dialect.classified(error, None) from error


def in_transaction(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """Run the work in one transaction and commit it; repeat all of it after a deadlock.

    Args:
        engine: the database.
        work: may run several times; must not keep anything of a run that failed.

    Raises:
        DatabaseUnavailable: the connection failed; whether COMMIT was reached is not known.
        SetupError: a right is missing, or a setting of the server is not what it must be.
        MappingError: a table or column is gone.
        LockTimeout: a lock was held for too long: repeat it later.
        DatabaseError: anything else that the database refused.
    """
    for last in [False] * (REPEATS - 1) + [True]:
        try:
            return _once(engine, work)
        except RepeatTransaction:
            if last:
                raise
        except exc.SQLAlchemyError as error:
            ours = classified(error)
            if last or not isinstance(ours, RepeatTransaction):
                raise ours from error
    raise AssertionError("the last round returns or raises")


def _once(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """Run the work in one transaction; a session that an error spoilt is not used again."""
    with engine.connect() as connection:
        try:
            with connection.begin():
                return work(connection)
        except exc.DBAPIError as error:
            if isinstance(error.orig, Exception) and dialect_of(connection).spoils_session(
                error.orig
            ):
                connection.invalidate()
            raise


def classified(error: exc.SQLAlchemyError) -> CdcSmsError:
    """Return our error for SQLAlchemy's, by the table of the dialect whose driver raised it."""
    driver = getattr(error, "orig", None)
    if is_lost(error) or isinstance(error, exc.TimeoutError):
        name = type(driver or error).__name__
        return DatabaseUnavailable(
            f"The database can't be used now ({name}).",
            hint="Nothing is lost: cdc-sms goes on when the database answers again.",
        )
    is_mysqls = type(driver).__module__.startswith("pymysql")  # without loading it
    dialect = _dialect("mysql" if is_mysqls else "postgresql")
    return dialect.classified(driver if isinstance(driver, Exception) else error, error)


def is_lost(error: exc.SQLAlchemyError) -> bool:
    """Say whether the connection is gone, and the transaction with it."""
    return isinstance(error, exc.DBAPIError) and error.connection_invalidated
