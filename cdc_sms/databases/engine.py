"""Connections to the business database, whole transactions, and what its errors mean.

What differs between databases stands in this file and nowhere else: the session's settings, the
table of rows that a statement works on (:func:`rows_of`), the snapshot that a read saw
(:func:`snapshot`), insert-if-absent and the classification of errors.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import orjson
import psycopg
from psycopg.abc import Buffer, Loader
from psycopg.types.datetime import DateLoader, TimestampLoader, TimestamptzLoader
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Engine,
    Insert,
    Table,
    TableValuedAlias,
    Text,
    bindparam,
    case,
    cast,
    column,
    create_engine,
    event,
    exc,
    func,
    literal,
    literal_column,
    select,
    types,
)
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.pool import ConnectionPoolEntry

from cdc_sms.config.settings import LedgerSettings, SourceSettings
from cdc_sms.databases.history import History
from cdc_sms.databases.schema import SCHEMA
from cdc_sms.errors import CdcSmsError, DatabaseError, DatabaseUnavailable, MappingError, SetupError

Result = TypeVar("Result")

CONNECT_TIMEOUT_S = 10
DEAD_LINK_MS = 25_000
RESTED_S = 1.0
REPEATS = 20

_UNAVAILABLE = frozenset(
    {"25006", "25P03", "57014", "53100", "53200", "53300", "57P01", "57P02", "57P03"}
)
"""Read-only (a standby), idle too long, cancelled, disk full, out of memory, too many
connections, shutdown, crash, start-up. Source: PostgreSQL manual, Appendix A."""
_UNAVAILABLE_FAMILIES = frozenset({"08", "54", "58", "XX"})
"""Connection, program limit, system error, internal error."""
_STALE_PLAN = "0A000"
_REPEATABLE = frozenset({"40001", "40P01", _STALE_PLAN})
_MAPPING = frozenset({"42703", "42P01", "3F000"})


class RowRefused(DatabaseError):  # noqa: N818 - what the database did, not an error of ours
    """A statement on business rows was refused: lock time-out, trigger, constraint, type."""


class LockTimeout(RowRefused, DatabaseUnavailable):
    """Someone else held a lock for longer than we wait: the row refused; repeat it later."""


class RepeatTransaction(DatabaseError):  # noqa: N818 - what is to be done
    """Deadlock or serialization failure: the whole transaction is to be repeated."""


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
    password = source.password.get_secret_value() if source.password else None

    def connect() -> psycopg.Connection[Any]:
        options: dict[str, Any] = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": DEAD_LINK_MS,
            "application_name": f"cdc-sms {role}",
        }
        if password is not None:
            options["password"] = password
        return psycopg.connect(source.dsn, **options)

    engine = create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=2,
        max_overflow=2,
        isolation_level="READ COMMITTED",
        execution_options={"schema_translate_map": {SCHEMA: ledger.ledger_schema}},
    )

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
        except psycopg.Error as error:
            raise exc.DisconnectionError("it ended while it rested") from error

    @event.listens_for(engine, "connect")
    def _prepare(connection: psycopg.Connection[Any], _record: object) -> None:
        connection.autocommit = True
        milliseconds = str(int(ledger.lock_timeout_s * 1000))
        connection.execute(
            "SELECT set_config('TimeZone', 'UTC', false),"
            " set_config('lock_timeout', %s, false),"
            " set_config('DateStyle', 'ISO', false),"
            " set_config('idle_in_transaction_session_timeout', '30s', false),"
            " set_config('tcp_keepalives_idle', '10', false),"
            " set_config('tcp_keepalives_interval', '5', false),"
            " set_config('tcp_keepalives_count', '3', false),"
            " set_config('tcp_user_timeout', '25s', false),"
            " CASE WHEN current_setting('synchronous_commit') = 'off'"
            " THEN set_config('synchronous_commit', 'local', false) END",
            (milliseconds,),
        )
        if history is not None:
            server, position = connection.execute(_HISTORY).fetchone() or ("", None)
            history.check(server, position)
        connection.autocommit = False
        loaders: dict[str, type[Loader]] = {
            "timestamptz": _AwareLoader,
            "timestamp": _PlainLoader,
            "date": _DateLoader,
        }
        for name, loader in loaders.items():
            connection.adapters.register_loader(name, loader)

    return engine


_HISTORY = (
    "SELECT system_identifier::text, CASE WHEN NOT pg_is_in_recovery()"
    " THEN (pg_current_wal_flush_lsn() - '0/0')::bigint END FROM pg_control_system()"
)

FAR_PAST = datetime(2, 1, 1)  # noqa: DTZ001 - a bound in any zone
FAR_FUTURE = datetime(9998, 12, 31)  # noqa: DTZ001 - a bound in any zone


class _PlainLoader(TimestampLoader):
    """Reads times that Python has none for, ``infinity`` among them, as a bound."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            return FAR_PAST if bytes(data).startswith(b"-") or b"BC" in bytes(data) else FAR_FUTURE


class _AwareLoader(TimestamptzLoader):
    """The same for times with a zone."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            past = bytes(data).startswith(b"-") or b"BC" in bytes(data)
            return (FAR_PAST if past else FAR_FUTURE).replace(tzinfo=UTC)


def in_transaction(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """Run the work in one transaction and commit it; repeat all of it after a deadlock.

    Args:
        engine: the database.
        work: may run several times; must not keep anything of a run that failed.

    Raises:
        DatabaseUnavailable: the connection failed; whether COMMIT was reached is not known.
        SetupError: a right is missing.
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
    """Run the work in one transaction; a session whose plans are stale is not used again."""
    with engine.connect() as connection:
        try:
            with connection.begin():
                return work(connection)
        except exc.SQLAlchemyError as error:
            if getattr(getattr(error, "orig", None), "sqlstate", None) == _STALE_PLAN:
                connection.invalidate()
            raise


def classified(error: exc.SQLAlchemyError) -> CdcSmsError:
    """Return our error for the driver's; the table that says what is waited for.

    The message names the SQLSTATE and the driver's class, never values: PostgreSQL's own texts
    carry them.
    """
    driver = getattr(error, "orig", None)
    state = getattr(driver, "sqlstate", None) or ""
    name = type(driver or error).__name__
    said = f"{name}, SQLSTATE {state}" if state else name
    waits = state[:2] in _UNAVAILABLE_FAMILIES or state in _UNAVAILABLE
    if waits or is_lost(error) or isinstance(error, exc.TimeoutError):
        return DatabaseUnavailable(
            f"The database can't be used now ({said}).",
            hint="Nothing is lost: cdc-sms goes on when the database answers again.",
        )
    if state[:2] == "28" or state == "3D000":
        return SetupError(
            f"The database refused the connection ({said}).",
            hint="Check source.dsn, the user's password and pg_hba.conf.",
        )
    if not state and isinstance(driver, psycopg.OperationalError):
        return _connect_failure(driver)
    if state in _REPEATABLE:
        return RepeatTransaction(
            f"The transaction must be repeated ({said}).", hint="It is repeated by itself."
        )
    if state == "42501":
        return SetupError(
            f"The database user lacks a right ({said}).",
            hint="Grant SELECT and UPDATE on the mapped columns and all rights on the ledger.",
        )
    if state in _MAPPING:
        return MappingError(
            f"A mapped table or column is not in the database ({said}).",
            hint="Compare [table] in the configuration with the table, or run 'cdc-sms migrate'.",
        )
    if state == "55P03":
        return LockTimeout(
            f"A lock was held for longer than ledger.lock_timeout_s ({said}).",
            hint="It is tried again by itself; look for long transactions on the database.",
        )
    if state or isinstance(driver, psycopg.DataError):
        return RowRefused(
            f"The database refused a statement ({said}).",
            hint="Look for a trigger, constraint or lock on the table.",
        )
    return DatabaseError(
        f"The database driver failed ({said}).", hint="Report this with the log around it."
    )


def is_lost(error: exc.SQLAlchemyError) -> bool:
    """Say whether the connection is gone, and the transaction with it."""
    return isinstance(error, exc.DBAPIError) and error.connection_invalidated


def _connect_failure(driver: psycopg.OperationalError) -> CdcSmsError:
    """Tell a refused log-in from a server that doesn't answer: libpq gives both no SQLSTATE."""
    text = str(driver)
    refused = ("authentication failed", "no password supplied", "does not exist", "pg_hba.conf")
    if any(words in text for words in refused):
        return SetupError(
            "The database refused the log-in.",
            hint="Check source.dsn, the user's password and pg_hba.conf.",
        )
    return DatabaseUnavailable(
        "The database doesn't answer.",
        hint="Check source.dsn and that the server runs; cdc-sms waits for it.",
    )


# ---- what differs between databases -----------------------------------------------------------


def rows_of(columns: Sequence[tuple[str, types.TypeEngine[Any]]]) -> TableValuedAlias:
    """Return a table of rows that are handed to the statement as one parameter, ``rows``.

    One parameter and one constant statement whatever the number of rows: a set costs one
    round trip and is compiled and planned once. All columns are text; use :func:`typed`.

    Args:
        columns: name and type of each.

    Source: PostgreSQL manual, 9.16 JSON Functions, json_to_recordset.
    """
    parameter: BindParameter[Any] = bindparam("rows", type_=Text)
    return (
        func.json_to_recordset(cast(parameter, JSON))
        .table_valued(*(column(name, type_) for name, type_ in columns))
        .render_derived(name="given", with_types=True)
    )


def as_rows(rows: Sequence[dict[str, object]]) -> str:
    """Return the value of the parameter ``rows``; instants and numbers as JSON writes them."""
    return orjson.dumps(rows).decode()


def snapshot() -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Return the expressions that say when, and by which snapshot, a statement reads.

    Returns:
        The database's clock, and the snapshot's text for :meth:`Snapshot.parse`.
    """
    return func.now().label("read_at"), cast(func.pg_current_snapshot(), Text).label("read_by")


def log_position() -> ColumnElement[Any]:
    """Return the expression of how far the server's log is on its disk; NULL on a standby.

    What is only written may be gone after a power failure, though nothing was lost with it.

    Source: PostgreSQL manual, 9.28.3 Backup Control Functions.
    """
    flushed = func.pg_wal_lsn_diff(func.pg_current_wal_flush_lsn(), literal_column("'0/0'"))
    return case((func.pg_is_in_recovery(), None), else_=cast(flushed, types.BigInteger))


def insert_if_absent(table: Table) -> Insert:
    """Return an INSERT that leaves rows alone that are there already."""
    return postgresql_insert(table).on_conflict_do_nothing()


class _DateLoader(DateLoader):
    """The same for dates."""

    def load(self, data: Buffer) -> date:
        try:
            return super().load(data)
        except psycopg.DataError:
            past = bytes(data).startswith(b"-") or b"BC" in bytes(data)
            return (FAR_PAST if past else FAR_FUTURE).date()


_LOADERS: dict[str, type[Loader]] = {
    "timestamptz": _AwareLoader,
    "timestamp": _PlainLoader,
    "date": _DateLoader,
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions a read saw.

    Source: PostgreSQL manual, 9.27.8 pg_snapshot: ``xmin:xmax:xip_list``.
    """

    xmin: int
    xmax: int
    in_progress: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> "Snapshot":
        """Read the server's form, ``10:20:10,14``."""
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(int(x) for x in running.split(",") if x))

    def full(self, transaction_id: int) -> int:
        """Return a transaction's id with the epoch that is nearest to the present.

        Args:
            transaction_id: as the log writes it, 32 bits.
        """
        full = (self.xmax & ~0xFFFFFFFF) | (transaction_id & 0xFFFFFFFF)
        if full - self.xmax > 1 << 31 and full >= 1 << 32:
            return full - (1 << 32)
        return full + (1 << 32) if self.xmax - full > 1 << 31 else full

    def sees(self, transaction_id: int) -> bool:
        """Say whether the read saw this transaction's work.

        Args:
            transaction_id: as the log writes it, 32 bits.
        """
        full = self.full(transaction_id)
        return full < self.xmin or (full < self.xmax and full not in self.in_progress)


_FUTURE_TRANSACTION = "22023"


def was_never_begun(connection: Connection, full_id: int) -> bool:
    """Say whether a transaction's id is still to come: then its history is not this database's.

    Args:
        connection: the caller's transaction, which stands afterwards.
        full_id: with its epoch.

    Source: PostgreSQL manual, 9.28.3 pg_xact_status: an error where the id is in the future.
    """
    try:
        with connection.begin_nested():
            connection.execute(select(func.pg_xact_status(cast(literal(str(full_id)), _Xid8()))))
    except exc.SQLAlchemyError as error:
        if getattr(getattr(error, "orig", None), "sqlstate", None) == _FUTURE_TRANSACTION:
            return True
        raise
    return False


class _Xid8(types.UserDefinedType[str]):
    """A transaction's id with its epoch."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name."""
        return "xid8"
