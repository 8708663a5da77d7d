"""How the reader connects to MySQL and MariaDB, and what the servers' errors mean to it.

Not for the ledger or the business table: ``databases/`` connects for those.
"""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias, cast

import pymysql
from pymysql.constants import CR, ER
from pymysql.converters import encoders

from cdc_sms.config.mysql_dsn import driver_arguments, parse
from cdc_sms.config.settings import SourceSettings
from cdc_sms.errors import CdcSmsError, PositionLost, SetupError, SourceUnavailable

Connection: TypeAlias = "pymysql.Connection[Any]"
Rows = tuple[tuple[Any, ...], ...]

CONNECT_S = 10
ANSWER_S = 30
"""How long a query may take at most: the inspection's are short; seconds."""

_KEEPALIVE: Mapping[int, int] = {
    # a dead link is noticed within 30 s, also while nothing is sent
    socket.TCP_KEEPIDLE: 10,
    socket.TCP_KEEPINTVL: 5,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 20_000,
}

_AS_BYTES: dict[Any, Any] = dict(encoders)
"""The driver's conversions of what is sent, and none of what comes."""

_SESSION = (
    # times as the log has them; a reader that waits for Kafka may be slow to take what comes
    "SET time_zone = '+00:00', sql_mode = '', autocommit = 1, net_write_timeout = 3600",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
)


def connect(settings: SourceSettings) -> Connection:
    """Open a connection in autocommit mode whose values come as the server's bytes.

    Args:
        settings: where, and as whom.

    Raises:
        SourceUnavailable: nobody answers, or the server takes nobody now.
        SetupError: the server refuses us: user, password, database, TLS.
    """
    password = settings.password.get_secret_value() if settings.password else None
    with errors_mapped("Connecting to the database"):
        connection: Connection = pymysql.connect(
            **driver_arguments(parse(settings.dsn), password),
            charset="utf8mb4",
            autocommit=None,
            use_unicode=False,
            conv=_AS_BYTES,
            connect_timeout=CONNECT_S,
            read_timeout=ANSWER_S,
            write_timeout=ANSWER_S,
            program_name="cdc-sms capture",
        )
        with closing_on_error(connection):
            keep_alive(socket_of(connection))
            for statement in _SESSION:
                execute(connection, statement)
    return connection


@contextmanager
def closing_on_error(connection: Connection) -> Iterator[None]:
    """Close the connection if the block raises."""
    try:
        yield
    except BaseException:
        close(connection)
        raise


def close(connection: Connection) -> None:
    """Close a connection at once, whatever is under way on it; never raises or waits."""
    with suppress(OSError, pymysql.Error):
        connection._force_close()  # type: ignore[attr-defined]  # noqa: SLF001


def socket_of(connection: Connection) -> socket.socket:
    """Return the connection's socket; nothing of the driver's may be under way."""
    return cast("socket.socket", connection._sock)  # type: ignore[attr-defined]  # noqa: SLF001


def thread_of(connection: Connection) -> int:
    """Return the number of the server's thread that serves a connection."""
    return int(connection.thread_id())  # type: ignore[no-untyped-call]


def keep_alive(connected: socket.socket) -> None:
    """Have the machine's network code notice a dead link."""
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        connected.setsockopt(socket.IPPROTO_TCP, option, value)


def execute(connection: Connection, query: str, *parameters: object) -> Rows:
    """Run a statement and return its rows; the driver's errors as they are."""
    with connection.cursor() as cursor:
        cursor.execute(query, parameters or None)
        return tuple(cursor.fetchall())


def texts(rows: Rows) -> tuple[tuple[str | None, ...], ...]:
    """Return rows of text."""
    return tuple(
        tuple(None if value is None else value.decode(errors="replace") for value in row)
        for row in rows
    )


@contextmanager
def errors_mapped(doing: str, *, access: str | None = None) -> Iterator[None]:
    """Raise the driver's errors as ours.

    Args:
        doing: what failed, as the beginning of a sentence.
        access: what to do where access is denied; None: look at user and password.
    """
    try:
        yield
    except pymysql.Error as error:
        code, message = _said(error)
        if code == ER.ACCESS_DENIED_ERROR and access is not None:
            raise SetupError(f"{doing} failed: {message} ({code}).", hint=access) from error
        raise mapped(code, message, doing=doing) from error
    except OSError as error:  # while TLS is agreed on
        raise mapped(CR.CR_SERVER_LOST, str(error), doing=doing) from error


def _said(error: pymysql.Error) -> tuple[int, str]:
    match error.args:
        case (int(code), str(message), *_):
            return code, message
        case (int(code), *rest):
            return code, str(rest[0]) if rest else "no reason given"
        case _:
            return CR.CR_SERVER_LOST, str(error)


_ACCESS = "Check source.dsn, the user's password, and from where the user may connect."
_RIGHTS = "Give the user the rights that the documentation lists under MySQL and MariaDB."
_SERVER = "Check source.dsn and that the server runs; capture waits for it."
_TLS = "Check source.dsn: ssl_mode, ssl_ca, ssl_cert and ssl_key."
_REPORT = "Look the code up in the server's manual."
_LOST = "A new position is made, and pending rows are captured."

_SECURE_TRANSPORT_REQUIRED = 3159
_BINLOG_FATAL = ER.MASTER_FATAL_ERROR_READING_BINLOG

_SETUP: Mapping[int, str] = {
    ER.ACCESS_DENIED_ERROR: _ACCESS,
    ER.DBACCESS_DENIED_ERROR: _ACCESS,
    1698: _ACCESS,  # ER_ACCESS_DENIED_NO_PASSWORD_ERROR
    ER.HOST_NOT_PRIVILEGED: _ACCESS,
    ER.BAD_DB_ERROR: _ACCESS,
    1862: "Give the user a new password: this one has expired.",
    3118: "Unlock the user's account.",
    _SECURE_TRANSPORT_REQUIRED: _TLS,
    CR.CR_SSL_CONNECTION_ERROR: _TLS,
    2059: _ACCESS,  # CR_AUTH_PLUGIN_CANNOT_LOAD
    ER.TABLEACCESS_DENIED_ERROR: _RIGHTS,
    ER.COLUMNACCESS_DENIED_ERROR: _RIGHTS,
    ER.SPECIFIC_ACCESS_DENIED_ERROR: _RIGHTS,
    ER.NO_SUCH_TABLE: "Check table.name; the tables of cdc-sms are made by: cdc-sms migrate.",
    ER.BAD_FIELD_ERROR: "Check [table.columns].",
    ER.PARSE_ERROR: _REPORT,
    ER.NO_BINARY_LOGGING: "Set log_bin and restart the server.",
    ER.OPTION_PREVENTS_STATEMENT: "Connect to the server that takes writes.",
}
"""Codes that a person heals, each with the remedy; all others are waited for.

Source: MySQL manual, "Error Message Reference"; MariaDB, "MariaDB Error Codes".
"""

_UNUSABLE: Mapping[str, str] = {
    # MySQL
    "could not find first log file": "purged",
    "purged required binary logs": "purged",
    "purged binary logs containing": "purged",
    "client requested master to start replication from position": "beyond the log's end",
    "client requested source to start replication from position": "beyond the log's end",
    "from impossible position": "inside of an event",
    "bogus data in log event": "inside of an event",
    "event too small": "inside of an event",
    "more gtids than the": "of transactions that this server doesn't have",
    # MariaDB
    "which is not in the": "of transactions that this server doesn't have",
    "could not find gtid state": "purged",
    "diverged": "of another history",
    "log event entry exceeded max_allowed_packet": "inside of an event",
}
"""Words of error 1236 that say that the position can't be read from any more.

Source: the servers' ``rpl_source.cc``, ``rpl_binlog_sender.cc``, ``sql_repl.cc``.
"""


def mapped(code: int, message: str, *, doing: str) -> CdcSmsError:
    """Return the error of ours that stands for one of the server's.

    Args:
        code: the server's or the driver's.
        message: the server's sentence; it holds no values but names and configured words.
        doing: what failed, as the beginning of a sentence.
    """
    said = f"{doing} failed: {message.strip().rstrip('.')} ({code})."
    if code == _BINLOG_FATAL:
        small = message.lower()
        why = next((why for words, why in _UNUSABLE.items() if words in small), None)
        return (
            SourceUnavailable(said, hint=_SERVER)
            if why is None
            else PositionLost(f"{said} The position is {why}.", hint=_LOST)
        )
    if code in _SETUP:
        return SetupError(said, hint=_SETUP[code])
    if "doesn't support ssl" in message.lower() or "certificate verify failed" in message.lower():
        return SetupError(said, hint=_TLS)
    return SourceUnavailable(said, hint=_SERVER)
