"""PostgreSQL 15 and later: its expressions, its sessions, and what its errors mean."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg.abc import Buffer, Loader
from psycopg.types.datetime import DateLoader, TimestampLoader, TimestamptzLoader
from sqlalchemy import (
    Connection,
    case,
    cast,
    column,
    exc,
    func,
    literal,
    select,
    table,
    types,
)
from sqlalchemy import Dialect as SqlalchemyDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from cdc_sms.config.settings import SourceSettings
from cdc_sms.databases.dialects.base import FAR_FUTURE, FAR_PAST, Slot
from cdc_sms.databases.dialects.base import Snapshot as AnySnapshot
from cdc_sms.databases.expressions import (
    AlikeText,
    AsType,
    BinaryText,
    FromHex,
    GivenRows,
    InsertIfAbsent,
    LogReached,
    LongText,
    Moment,
    NewestFirst,
    Now,
    ReadBy,
)
from cdc_sms.databases.refusals import LockTimeout, RepeatTransaction, RowRefused
from cdc_sms.errors import CdcSmsError, DatabaseError, DatabaseUnavailable, MappingError, SetupError
from cdc_sms.model.position import Lsn

CONNECT_TIMEOUT_S = 10
DEAD_LINK_MS = 25_000

_SESSION = (
    "SELECT set_config('TimeZone', 'UTC', false),"
    " set_config('lock_timeout', %s, false),"
    " set_config('DateStyle', 'ISO', false),"
    " set_config('idle_in_transaction_session_timeout', '30s', false),"
    " set_config('tcp_keepalives_idle', '10', false),"
    " set_config('tcp_keepalives_interval', '5', false),"
    " set_config('tcp_keepalives_count', '3', false),"
    " set_config('tcp_user_timeout', '25s', false),"
    " CASE WHEN current_setting('synchronous_commit') = 'off'"
    " THEN set_config('synchronous_commit', 'local', false) END"
)
_LOG_REACHED = (
    "CASE WHEN NOT pg_is_in_recovery()"
    " THEN pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint END"
)
_PLACE = (
    "SELECT system_identifier::text,"
    " CASE WHEN NOT pg_is_in_recovery()"
    " THEN pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint END"
    " FROM pg_control_system()"
)
"""Source: PostgreSQL manual, 9.28.3 Backup Control Functions, 9.28.12 Control Data Functions."""


# ---- expressions --------------------------------------------------------------------------------


@compiles(Now, "postgresql")
def _now(*_: Any, **__: Any) -> str:
    return "now()"


@compiles(Moment, "postgresql")
def _moment(*_: Any, **__: Any) -> str:
    return "clock_timestamp()"


@compiles(ReadBy, "postgresql")
def _read_by(*_: Any, **__: Any) -> str:
    return "CAST(pg_current_snapshot() AS text)"


@compiles(LogReached, "postgresql")
def _log_reached(*_: Any, **__: Any) -> str:
    return _LOG_REACHED


@compiles(FromHex, "postgresql")
def _from_hex(element: FromHex, compiler: SQLCompiler, **kw: Any) -> str:
    return f"decode({compiler.process(element.clauses, **kw)}, 'hex')"


@compiles(AsType, "postgresql")
def _as_type(element: AsType, compiler: SQLCompiler, **kw: Any) -> str:
    text = compiler.process(element.clauses, **kw)
    if isinstance(element.type, types.LargeBinary):
        return f"decode({text}, 'hex')"
    return f"CAST({text} AS {compiler.dialect.type_compiler_instance.process(element.type)})"


@compiles(AlikeText, "postgresql")
def _alike_text(element: AlikeText, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(NewestFirst, "postgresql")
def _newest_first(element: NewestFirst, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{compiler.process(element.clauses, **kw)} DESC NULLS LAST"


@compiles(GivenRows, "postgresql")
def _given_rows(element: GivenRows, compiler: SQLCompiler, **kw: Any) -> str:
    """Write them as a table.

    Source: PostgreSQL manual, 9.16 JSON Functions, json_to_recordset; 7.2.1.4 Table Functions.
    """
    rows, *columns = element.clauses
    type_of = compiler.dialect.type_compiler_instance.process
    named = ", ".join(f"{compiler.preparer.quote(c.name)} {type_of(c.type)}" for c in columns)
    given = compiler.process(rows, **kw)
    return f"ROWS FROM (json_to_recordset(CAST({given} AS json)) AS ({named}))"


@compiles(InsertIfAbsent, "postgresql")
def _insert_if_absent(element: InsertIfAbsent, compiler: SQLCompiler, **kw: Any) -> str:
    inserted = compiler.visit_insert(element, **kw)  # type: ignore[no-untyped-call]
    return f"{inserted} ON CONFLICT DO NOTHING"


@compiles(BinaryText, "postgresql")
def _binary_text(type_: BinaryText, _compiler: Any, **_: Any) -> str:
    return f'VARCHAR({type_.length}) COLLATE "C"'


@compiles(LongText, "postgresql")
def _long_text(*_: Any, **__: Any) -> str:
    return "TEXT"


# ---- sessions -----------------------------------------------------------------------------------


class Postgres:
    """PostgreSQL.

    Thread: any; it holds nothing.
    """

    url = "postgresql+psycopg://"
    driver_error: type[Exception] = psycopg.Error
    has_zero_dates = False

    def teach(self, sqlalchemys: SqlalchemyDialect) -> None:
        """Teach nothing."""

    def connect(self, source: SourceSettings, *, role: str) -> psycopg.Connection[Any]:
        """Open a connection on which a dead link is noticed."""
        options: dict[str, Any] = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": DEAD_LINK_MS,
            "application_name": f"cdc-sms {role}",
        }
        if source.password is not None:
            options["password"] = source.password.get_secret_value()
        return psycopg.connect(source.dsn, **options)

    def prepare(self, connection: psycopg.Connection[Any], *, lock_timeout_s: float) -> None:
        """Set up a fresh session."""
        connection.autocommit = True
        connection.execute(_SESSION, (str(int(lock_timeout_s * 1000)),))
        connection.autocommit = False
        for name, loader in _LOADERS.items():
            connection.adapters.register_loader(name, loader)

    def place(self, connection: psycopg.Connection[Any]) -> tuple[str, int | None]:
        """Return the server's identifier, and the end of its log on its disk; None on a standby."""
        row = connection.execute(_PLACE).fetchone()
        assert row is not None
        return str(row[0]), None if row[1] is None else Lsn(row[1])

    def classified(self, driver: Exception, error: exc.SQLAlchemyError | None) -> CdcSmsError:
        """Return our error for the driver's; the table that says what is waited for."""
        del error
        return classified(driver)

    def spoils_session(self, driver: Exception) -> bool:
        """Say whether a plan of the session is stale: a table was altered under it."""
        return getattr(driver, "sqlstate", None) == _STALE_PLAN

    def snapshot(self, text: str | None) -> "Snapshot | None":
        """Read what ``pg_current_snapshot`` said."""
        return None if text is None else Snapshot.parse(text)

    def was_never_begun(self, connection: Connection, snapshot: AnySnapshot, xid: int) -> bool:
        """Say whether a transaction's id is still to come.

        Source: PostgreSQL manual, 9.28.3 pg_xact_status: an error where it is in the future.
        """
        assert isinstance(snapshot, Snapshot)
        full = literal(str(snapshot.full(xid)))
        try:
            with connection.begin_nested():
                connection.execute(select(func.pg_xact_status(cast(full, _Xid8()))))
        except exc.SQLAlchemyError as error:
            if getattr(getattr(error, "orig", None), "sqlstate", None) == _FUTURE_TRANSACTION:
                return True
            raise
        return False

    def is_transactional(self, connection: Connection, schema: str, table: str) -> bool:
        """Say that every table is."""
        del connection, schema, table
        return True

    def collations(self, connection: Connection, schema: str, table: str) -> dict[str, str]:
        """Return none: a text of a statement takes the column's."""
        del connection, schema, table
        return {}

    def changing_columns(self, connection: Connection, schema: str, table: str) -> set[str]:
        """Return none: a trigger may change them, and that can't be known."""
        del connection, schema, table
        return set()

    @contextmanager
    def reading(self, connection: Connection, *, longest_statement_ms: int) -> Iterator[None]:
        """Bound the transaction's statements; that it is read-only, the options say."""
        limit = str(longest_statement_ms)
        connection.execute(select(func.set_config("statement_timeout", limit, True)))
        yield

    def try_lock(self, connection: Connection, name: str) -> bool:
        """Take an advisory lock; one that holds it is not waited for."""
        digest = hashlib.sha256(f"cdc-sms {name}".encode()).digest()
        number = int.from_bytes(digest[:8], signed=True)
        return bool(connection.execute(select(func.pg_try_advisory_lock(number))).scalar())

    def slot(self, connection: Connection, name: str) -> Slot | None:
        """Return the replication slot.

        Source: PostgreSQL manual, 53.20 pg_replication_slots; 9.28.4 Recovery Control Functions.
        """
        names = (
            "slot_name",
            "active",
            "plugin",
            "confirmed_flush_lsn",
            "restart_lsn",
            "wal_status",
        )
        slots = table("pg_replication_slots", *map(column, names), schema="pg_catalog")
        # a standby writes no log of its own; its slots follow what it has replayed
        end_of_log = case(
            (func.pg_is_in_recovery(), func.pg_last_wal_replay_lsn()),
            else_=func.pg_current_wal_lsn(),
        )
        statement = select(
            slots.c.slot_name,
            slots.c.active,
            slots.c.plugin,
            slots.c.confirmed_flush_lsn,
            func.pg_wal_lsn_diff(end_of_log, slots.c.restart_lsn),
            func.pg_wal_lsn_diff(end_of_log, slots.c.confirmed_flush_lsn),
            slots.c.wal_status,
        ).where(slots.c.slot_name == name)
        row = connection.execute(statement).first()
        if row is None:
            return None
        found, active, plugin, confirmed, retained, unconfirmed, wal_status = row
        return Slot(
            name=found,
            active=active,
            plugin=plugin,
            confirmed_lsn=None if confirmed is None else str(Lsn.parse(str(confirmed))),
            retained_bytes=None if retained is None else int(retained),
            unconfirmed_bytes=None if unconfirmed is None else int(unconfirmed),
            wal_status=wal_status,
        )


# ---- values -------------------------------------------------------------------------------------


def _bound(data: Buffer) -> datetime:
    is_past = bytes(data).startswith(b"-") or b"BC" in bytes(data)
    return FAR_PAST if is_past else FAR_FUTURE


class _PlainLoader(TimestampLoader):
    """Reads times that Python has none for, ``infinity`` among them, as a bound."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            return _bound(data)


class _AwareLoader(TimestamptzLoader):
    """The same for times with a zone."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            return _bound(data).replace(tzinfo=UTC)


class _DateLoader(DateLoader):
    """The same for dates."""

    def load(self, data: Buffer) -> date:
        try:
            return super().load(data)
        except psycopg.DataError:
            return _bound(data).date()


_LOADERS: Mapping[str, type[Loader]] = {
    "timestamptz": _AwareLoader,
    "timestamp": _PlainLoader,
    "date": _DateLoader,
}


# ---- is this transaction visible? ---------------------------------------------------------------


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


class _Xid8(types.UserDefinedType[str]):
    """A transaction's id with its epoch."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name."""
        return "xid8"


# ---- errors -------------------------------------------------------------------------------------

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


def classified(driver: Exception) -> CdcSmsError:
    """Return our error for the driver's.

    The message names the SQLSTATE and the driver's class, never values: PostgreSQL's own texts
    carry them.
    """
    state = getattr(driver, "sqlstate", None) or ""
    name = type(driver).__name__
    said = f"{name}, SQLSTATE {state}" if state else name
    if state[:2] in _UNAVAILABLE_FAMILIES or state in _UNAVAILABLE:
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
