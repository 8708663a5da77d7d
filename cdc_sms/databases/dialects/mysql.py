"""MySQL 8.0.17 and later, MariaDB 10.6 and later: expressions, sessions, and what errors mean."""

import hashlib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from typing import Any, Literal

import pymysql
from pymysql.constants import CLIENT, CR, ER, FIELD_TYPE
from pymysql.converters import conversions, convert_date, convert_datetime
from sqlalchemy import Connection, exc, func, select, text, types
from sqlalchemy import Dialect as SqlalchemyDialect
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from cdc_sms.config.mysql_dsn import driver_arguments, parse
from cdc_sms.config.settings import SourceSettings
from cdc_sms.databases.dialects.base import FAR_PAST, Slot, Snapshot
from cdc_sms.databases.expressions import (
    AlikeText,
    AsType,
    BinaryText,
    FromHex,
    GivenRows,
    InsertIfAbsent,
    Instant,
    LogReached,
    LongText,
    Moment,
    NewestFirst,
    Now,
    ReadBy,
)
from cdc_sms.databases.refusals import LockTimeout, RepeatTransaction, RowRefused
from cdc_sms.errors import CdcSmsError, DatabaseError, DatabaseUnavailable, MappingError, SetupError

CONNECT_TIMEOUT_S = 10
_KEEPALIVE: Mapping[int, int] = {
    socket.TCP_KEEPIDLE: 10,
    socket.TCP_KEEPINTVL: 5,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 25_000,
}
LONGEST_ACT_S = 600
"""How long the session of a long act may be silent before the server ends it, and its lock."""

_SESSION = (
    "SET time_zone = '+00:00',"
    # strict; no ANSI_QUOTES or PIPES_AS_CONCAT; zero dates of the business are none of our affair
    " sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION',"
    " sql_safe_updates = 0,"
    " innodb_lock_wait_timeout = {lock_s}, lock_wait_timeout = {lock_s},"
    # what a member that died had locked is free again
    " wait_timeout = 30, net_read_timeout = 30, net_write_timeout = 30"
)
_FACTS = (
    "SHOW VARIABLES WHERE Variable_name IN"
    " ('version', 'innodb_rollback_on_timeout', 'wsrep_on', 'server_uuid',"
    " 'server_id')"
)
_COLLATIONS: Mapping[str, str] = {"mysql": "utf8mb4_0900_bin", "mariadb": "utf8mb4_nopad_bin"}
"""Binary collations to which a space at the end is a character: ``utf8mb4_bin`` pads."""

Kind = Literal["mysql", "mariadb"]


# ---- expressions --------------------------------------------------------------------------------


@compiles(Now, "mysql", "mariadb")
def _now(*_: Any, **__: Any) -> str:
    return "NOW(6)"


@compiles(Moment, "mysql", "mariadb")
def _moment(*_: Any, **__: Any) -> str:
    return "NOW(6)"


@compiles(ReadBy, "mysql", "mariadb")
def _read_by(*_: Any, **__: Any) -> str:
    return "NULL"


@compiles(LogReached, "mysql", "mariadb")
def _log_reached(*_: Any, **__: Any) -> str:
    return "NULL"  # only a statement of its own says it: Mysql.place


@compiles(FromHex, "mysql", "mariadb")
def _from_hex(element: FromHex, compiler: SQLCompiler, **kw: Any) -> str:
    return f"UNHEX({compiler.process(element.clauses, **kw)})"


@compiles(AsType, "mysql", "mariadb")
def _as_type(element: AsType, compiler: SQLCompiler, **kw: Any) -> str:
    """Convert; texts take the column's own comparison."""
    given = compiler.process(element.clauses, **kw)
    match element.type:
        case types.LargeBinary() | types._Binary():  # noqa: SLF001 - what BINARY is
            return f"UNHEX({given})"
        case types.Integer() if getattr(element.type, "unsigned", False):
            return f"CAST({given} AS UNSIGNED)"
        case types.TypeDecorator() if isinstance(element.type.impl_instance, types.Integer):
            return f"CAST({given} AS UNSIGNED)"  # a BIT, which is read as a number
        case types.Integer() | mysql.YEAR():
            return f"CAST({given} AS SIGNED)"
        case types.Numeric() if element.type.precision is not None:
            return f"CAST({given} AS DECIMAL({element.type.precision}, {element.type.scale or 0}))"
        case types.DateTime():
            return f"CAST({given} AS DATETIME(6))"
        case types.Date():
            return f"CAST({given} AS DATE)"
        case types.Time():
            return f"CAST({given} AS TIME(6))"
        case _:
            return _alike(given, element.type)


@compiles(AlikeText, "mysql", "mariadb")
def _alike_text(element: AlikeText, compiler: SQLCompiler, **kw: Any) -> str:
    return _alike(compiler.process(element.clauses, **kw), element.type)


def _alike(given: str, type_: types.TypeEngine[Any]) -> str:
    """Write a text in a column's own character set and collation, where those are known.

    What the character set lacks becomes a question mark.
    """
    collation = type_.collation if isinstance(type_, types.String) else None
    if collation is None:
        return given
    return f"CONVERT({given} USING {collation.partition('_')[0]}) COLLATE {collation}"


@compiles(NewestFirst, "mysql", "mariadb")
def _newest_first(element: NewestFirst, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{compiler.process(element.clauses, **kw)} DESC"  # NULL is the least


@compiles(GivenRows, "mysql", "mariadb")
def _given_rows(element: GivenRows, compiler: SQLCompiler, **kw: Any) -> str:
    """Write them as a table; a value that doesn't fit is an error, not NULL.

    Source: MySQL manual, 14.17.6 JSON Table Functions; MariaDB, JSON_TABLE (10.6).
    """
    rows, *columns = element.clauses
    named = ", ".join(
        f"{compiler.preparer.quote(c.name)} {_json_type(c.type, compiler.dialect.name)}"
        f" PATH '$.{c.name}' NULL ON EMPTY ERROR ON ERROR"
        for c in columns
    )
    return f"JSON_TABLE({compiler.process(rows, **kw)}, '$[*]' COLUMNS ({named}))"


def _json_type(type_: types.TypeEngine[Any], dialect: str) -> str:
    match type_:
        case types.Integer():
            return "BIGINT"
        case types.Boolean():
            return "TINYINT"
        case Instant() | types.DateTime():
            return "DATETIME(6)"
        case _:
            return f"LONGTEXT CHARACTER SET utf8mb4 COLLATE {_COLLATIONS[dialect]}"


@compiles(InsertIfAbsent, "mysql", "mariadb")
def _insert_if_absent(element: InsertIfAbsent, compiler: SQLCompiler, **kw: Any) -> str:
    """Change nothing where the key is there; INSERT IGNORE would swallow other mistakes too."""
    inserted = compiler.visit_insert(element, **kw)  # type: ignore[no-untyped-call]
    table = element.table
    key = compiler.preparer.quote(next(iter(table.primary_key)).name)
    name = compiler.preparer.format_table(table)
    return f"{inserted} ON DUPLICATE KEY UPDATE {name}.{key} = {name}.{key}"


@compiles(BinaryText, "mysql", "mariadb")
def _binary_text(type_: BinaryText, compiler: Any, **_: Any) -> str:
    collation = _COLLATIONS[compiler.dialect.name]
    return f"VARCHAR({type_.length}) CHARACTER SET utf8mb4 COLLATE {collation}"


@compiles(LongText, "mysql", "mariadb")
def _long_text(_type: LongText, compiler: Any, **_: Any) -> str:
    return f"LONGTEXT CHARACTER SET utf8mb4 COLLATE {_COLLATIONS[compiler.dialect.name]}"


@compiles(Instant, "mysql", "mariadb")
def _instant(*_: Any, **__: Any) -> str:
    return "DATETIME(6)"


# ---- values -------------------------------------------------------------------------------------


def _plain(said: str) -> datetime:
    """Read a DATETIME; one that Python has no time for (a date of zeros) is a bound."""
    read = convert_datetime(said)
    return read if isinstance(read, datetime) else FAR_PAST


def _aware(said: str) -> datetime:
    """Read a TIMESTAMP, which the server gives in the session's zone: UTC."""
    return _plain(said).replace(tzinfo=UTC)


def _date(said: str) -> date:
    read = convert_date(said)
    return read if isinstance(read, date) else FAR_PAST.date()


def _time_as_literal(value: time, _mapping: object = None) -> str:
    """Write a time as one: in a key of several columns MySQL takes a text for a text."""
    return f"TIME'{value:%H:%M:%S.%f}'"


_CONVERSIONS: Mapping[Any, Callable[..., Any]] = {
    **conversions,
    FIELD_TYPE.TIMESTAMP: _aware,
    FIELD_TYPE.DATETIME: _plain,
    FIELD_TYPE.DATE: _date,
    time: _time_as_literal,
}


class BinlogEnd(int):
    """How far a server's binlog reaches: the file's number, and the byte in it."""

    @classmethod
    def of(cls, file: str, offset: int) -> "BinlogEnd":
        """Return it from what the server says: ``binlog.000012`` and 4711."""
        number = file.rpartition(".")[2]
        return cls(((int(number) if number.isdecimal() else 0) << 40) | offset)

    def __str__(self) -> str:
        """Print it for people, who know how their files are called."""
        return f"binlog file {self >> 40}, byte {self & (1 << 40) - 1}"


class _Unknown(types.UserDefinedType[object]):
    """A type that SQLAlchemy doesn't know."""

    cache_ok = True

    def __init__(self, *declared: object, **more: object) -> None:
        """Take whatever stands behind its name."""
        del declared, more

    def get_col_spec(self, **_: Any) -> str:
        """Return a name for messages."""
        return "UNKNOWN"


class _Types(dict[str, type[types.TypeEngine[Any]]]):
    """SQLAlchemy's types by the server's names."""

    def __missing__(self, name: str) -> type[types.TypeEngine[Any]]:
        return _Unknown


# ---- sessions -----------------------------------------------------------------------------------


class Mysql:
    """MySQL, or MariaDB.

    Thread: any; it holds nothing that changes.
    """

    driver_error: type[Exception] = pymysql.Error
    has_zero_dates = True

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self.url = f"{kind}+pymysql://"

    def teach(self, sqlalchemys: SqlalchemyDialect) -> None:
        """Have it look a table up that has columns of types that it doesn't know.

        Nobody maps such a column; but SQLAlchemy fails on a ``VECTOR(3)`` beside those that are.
        """
        known = sqlalchemys.ischema_names  # type: ignore[attr-defined]
        read_as_text = {"inet4": types.VARCHAR, "inet6": types.VARCHAR}
        sqlalchemys.ischema_names = _Types({**known, **read_as_text})  # type: ignore[attr-defined]

    def connect(self, source: SourceSettings, *, role: str) -> "pymysql.Connection[Any]":
        """Open a connection on which a dead link is noticed."""
        dsn = parse(source.dsn)
        password = None if source.password is None else source.password.get_secret_value()
        connection: pymysql.Connection[Any] = pymysql.connect(
            **driver_arguments(dsn, password),
            charset="utf8mb4",
            conv=dict(_CONVERSIONS),
            client_flag=CLIENT.FOUND_ROWS,
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=CONNECT_TIMEOUT_S,
            write_timeout=CONNECT_TIMEOUT_S,
            program_name=f"cdc-sms {role}",
            defer_connect=True,
        )
        connection.connect(None if dsn.unix_socket else _socket(dsn.host, dsn.port))
        # from now on a server may think as long as it must: the link is watched by the kernel
        connection._read_timeout = None  # type: ignore[attr-defined]  # noqa: SLF001
        connection._write_timeout = None  # type: ignore[attr-defined]  # noqa: SLF001
        return connection

    def prepare(self, connection: "pymysql.Connection[Any]", *, lock_timeout_s: float) -> None:
        """Set up a fresh session.

        How durable a commit is, the server alone says (``innodb_flush_log_at_trx_commit``).
        """
        facts = _facts(connection)
        self._check(facts)
        with connection.cursor() as cursor:
            cursor.execute(_SESSION.format(lock_s=max(1, round(lock_timeout_s))))
            if facts.get("wsrep_on") == "ON":  # a read sees what other nodes have committed
                cursor.execute("SET wsrep_sync_wait = 7")

    def _check(self, facts: Mapping[str, str]) -> None:
        is_mariadb = "mariadb" in facts["version"].lower()
        if is_mariadb is not (self._kind == "mariadb"):
            found = "mariadb" if is_mariadb else "mysql"
            raise SetupError(
                f"source.dsn begins with {self._kind}://, and the server is another kind.",
                hint=f"Let it begin with {found}://.",
            )
        if facts.get("innodb_rollback_on_timeout") == "ON":
            raise SetupError(
                "The server has innodb_rollback_on_timeout on: a row that is locked would undo "
                "what is settled of all others.",
                hint="Set innodb_rollback_on_timeout=OFF in the server's configuration and "
                "restart it.",
            )

    def place(self, connection: "pymysql.Connection[Any]") -> tuple[str, int | None]:
        """Return the server's own id, and the end of its binlog.

        The second is None without a binlog, or without the right to ask for it.

        Source: MySQL manual, 15.7.7.1 SHOW BINARY LOG STATUS (MASTER STATUS before 8.2).
        """
        facts = _facts(connection)
        server = facts["server_uuid"] if self._kind == "mysql" else facts["server_id"]
        is_new = self._kind == "mysql" and _version(facts["version"]) >= (8, 2)
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SHOW {'BINARY LOG' if is_new else 'MASTER'} STATUS")
                row = cursor.fetchone()
        except pymysql.Error as error:
            if error.args[0] not in {ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.NO_BINARY_LOGGING}:
                raise
            row = None
        return server, None if row is None else BinlogEnd.of(row[0], int(row[1]))

    def classified(self, driver: Exception, error: exc.SQLAlchemyError | None) -> CdcSmsError:
        """Return our error for the driver's; the table that says what is waited for."""
        return classified(driver, statement=getattr(error, "statement", None) or "")

    def spoils_session(self, driver: Exception) -> bool:
        """Say that none does."""
        del driver
        return False

    def snapshot(self, text: str | None) -> Snapshot | None:
        """Return none: only a look under a lock tells what is visible."""
        del text
        return None

    def was_never_begun(self, connection: Connection, snapshot: Snapshot, xid: int) -> bool:
        """Say no: transactions have no numbers that a record could name."""
        del connection, snapshot, xid
        return False

    def is_transactional(self, connection: Connection, schema: str, table: str) -> bool:
        """Say whether the table's engine undoes what is rolled back: MyISAM doesn't."""
        statement = text(
            "SELECT engines.transactions = 'YES' FROM information_schema.tables AS tables"
            " JOIN information_schema.engines AS engines ON engines.engine = tables.engine"
            " WHERE tables.table_schema = :schema AND tables.table_name = :table"
        )
        return bool(connection.execute(statement, {"schema": schema, "table": table}).scalar())

    def collations(self, connection: Connection, schema: str, table: str) -> dict[str, str]:
        """Return the collation of each text column: its name begins with the character set's."""
        statement = text(
            "SELECT column_name AS name, collation_name AS collation"
            " FROM information_schema.columns"
            " WHERE table_schema = :schema AND table_name = :table AND collation_name IS NOT NULL"
        )
        found = connection.execute(statement, {"schema": schema, "table": table})
        return {row.name: row.collation for row in found}

    def changing_columns(self, connection: Connection, schema: str, table: str) -> set[str]:
        """Return those that are declared ON UPDATE."""
        statement = text(
            "SELECT column_name AS name FROM information_schema.columns"
            " WHERE table_schema = :schema AND table_name = :table"
            " AND lower(extra) LIKE '%on update%'"
        )
        found = connection.execute(statement, {"schema": schema, "table": table})
        return set(found.scalars())

    @contextmanager
    def reading(self, connection: Connection, *, longest_statement_ms: int) -> Iterator[None]:
        """Read one snapshot; the bound is the session's, and is taken back."""
        bound = "max_execution_time" if self._kind == "mysql" else "max_statement_time"
        longest = longest_statement_ms if self._kind == "mysql" else longest_statement_ms / 1000
        connection.exec_driver_sql(f"SET SESSION {bound} = {longest}")
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        try:
            yield
        finally:
            if not connection.invalidated:
                connection.exec_driver_sql(f"SET SESSION {bound} = DEFAULT")

    def try_lock(self, connection: Connection, name: str) -> bool:
        """Take a lock by name, in a session that may be silent for a while."""
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        connection.exec_driver_sql(f"SET SESSION wait_timeout = {LONGEST_ACT_S}")
        return connection.execute(select(func.get_lock(f"cdc-sms {digest}", 0))).scalar() == 1

    def slot(self, connection: Connection, name: str) -> Slot | None:
        """Return none: a reader's position lies in a topic."""
        del connection, name
        return None


def _socket(host: str, port: int) -> socket.socket:
    """Connect; the kernel notices when the other end is gone."""
    try:
        made = socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S)
    except OSError as error:
        raise pymysql.OperationalError(CR.CR_CONN_HOST_ERROR, "no connection") from error
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


def _facts(connection: "pymysql.Connection[Any]") -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(_FACTS)
        return {str(name).lower(): str(value) for name, value in cursor.fetchall()}


def _version(said: str) -> tuple[int, int]:
    major, minor, *_ = said.split(".")
    return int(major), int(minor)


# ---- errors -------------------------------------------------------------------------------------

_UNAVAILABLE: Mapping[int, str] = {
    0: "the driver's connection is closed",
    1021: "disk full",
    1030: "storage engine error",
    1037: "out of memory",
    1038: "out of sort memory",
    1040: "too many connections",
    1041: "out of memory",
    1042: "host can't be resolved",
    1043: "bad handshake",
    1047: "unknown command: a Galera node that isn't in its cluster",
    1053: "shutdown",
    1077: "shutdown",
    1079: "shutdown",
    1080: "connection forced to end",
    1099: "table locked by LOCK TABLES",
    1114: "table full",
    1129: "host blocked",
    1152: "connection aborted",
    1158: "network",
    1159: "network",
    1160: "network",
    1161: "network",
    1180: "commit failed",
    1184: "connection aborted",
    1189: "network",
    1190: "network",
    1203: "too many connections of the user",
    1223: "global read lock",
    1226: "the user's share is used up",
    1290: "read-only",
    1317: "interrupted",
    1792: "read-only transaction",
    1836: "read-only",
    1927: "connection killed",
    1969: "statement time-out",
    2002: "no connection",
    2003: "no connection",
    2006: "connection gone",
    2013: "connection lost",
    2014: "commands out of sync",
    2027: "malformed packet",
    2055: "connection lost",
    3024: "statement time-out",
    3032: "offline mode",
    3168: "server isn't ready",
    4031: "idle too long",
}
_LOG_IN = frozenset(
    {1044, 1045, 1049, 1130, 1251, 1698, 1820, 1862, 2026, 2059, 3118, 3159, 3955, 4151}
)
"""Denied, no such database, plugin, password expired, TLS wanted, account locked."""
_RIGHTS = frozenset({1142, 1143, 1227, 1370})
_MAPPING = frozenset({1051, 1054, 1109, 1146})
_REPEATABLE = frozenset({1020, 1213, 1412, 1479, 1614, 1615, 3101})
"""Row changed since it was read, deadlock, table changed, XA deadlock, stale statement, conflict of
a replication group."""
_LOCKED = frozenset({1205, 3572})
_NOT_LOGGED = frozenset({1665})
_NO_SAVEPOINT = 1305


def classified(driver: Exception, *, statement: str) -> CdcSmsError:
    """Return our error for the driver's.

    The message names the server's number and the driver's class, never values: the servers' own
    texts carry them.

    Args:
        driver: its error.
        statement: that failed; empty where there was none.

    Source: MySQL manual, "Error Message Reference"; MariaDB, "MariaDB Error Codes".
    """
    code = driver.args[0] if driver.args and isinstance(driver.args[0], int) else None
    name = type(driver).__name__
    said = name if code is None else f"{name}, error {code}"
    if isinstance(getattr(driver, "original_exception", None), ssl.SSLError):
        return SetupError(
            f"The database's TLS can't be trusted or agreed on ({said}).",
            hint="Check source.dsn: ssl_mode, ssl_ca, ssl_cert and ssl_key.",
        )
    if code is not None and code in _UNAVAILABLE:
        return DatabaseUnavailable(
            f"The database can't be used now ({said}: {_UNAVAILABLE[code]}).",
            hint="Nothing is lost: cdc-sms goes on when the database answers again.",
        )
    if code in _LOG_IN:
        return SetupError(
            f"The database refused the connection ({said}).",
            hint="Check source.dsn, the user's password, and from where the user may connect.",
        )
    if code in _RIGHTS:
        return SetupError(
            f"The database user lacks a right ({said}).",
            hint="Grant SELECT and UPDATE on the mapped columns and all rights on the ledger.",
        )
    if code in _NOT_LOGGED:
        return SetupError(
            f"The server can't log what is committed in READ COMMITTED ({said}).",
            hint="Set binlog_format=ROW, which capture needs as well.",
        )
    if code in _MAPPING:
        return MappingError(
            f"A mapped table or column is not in the database ({said}).",
            hint="Compare [table] in the configuration with the table, or run 'cdc-sms migrate'.",
        )
    # a deadlock undoes the whole transaction, and the savepoint that is then rolled back to
    savepoint_is_gone = code == _NO_SAVEPOINT and "SAVEPOINT" in statement
    if code in _REPEATABLE or savepoint_is_gone:
        return RepeatTransaction(
            f"The transaction must be repeated ({said}).", hint="It is repeated by itself."
        )
    if code in _LOCKED:
        return LockTimeout(
            f"A lock was held for longer than ledger.lock_timeout_s ({said}).",
            hint="It is tried again by itself; look for long transactions on the database.",
        )
    if code is not None or isinstance(driver, pymysql.DataError):
        return RowRefused(
            f"The database refused a statement ({said}).",
            hint="Look for a trigger, constraint or lock on the table.",
        )
    return DatabaseError(
        f"The database driver failed ({said}).", hint="Report this with the log around it."
    )
