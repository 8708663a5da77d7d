"""How the reader connects to PostgreSQL, and what the server's errors mean to it.

Not for the ledger or the business table: ``databases/`` connects for those.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import conninfo, pq

from cdc_sms.config.settings import SourceSettings
from cdc_sms.errors import CdcSmsError, PositionLost, SetupError, SourceUnavailable
from cdc_sms.sources.base import HeldByAnother

Connection = psycopg.Connection[tuple[Any, ...]]

WAL_SENDER_TIMEOUT_S = 15.0
"""After so long without a word from us the server ends our stream: another reader may have it."""

LOCK_TIMEOUT_S = 10
"""How long anything waits for a lock: a new slot waits for transactions older than it; seconds."""

_DEFAULTS: Mapping[str, str | int] = {
    "connect_timeout": 10,
    # a dead link is noticed within 30 s, also while nothing is sent
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "cdc-sms capture",
}

# The form in which values.py reads values, and how long the server bears our silence.
_SESSION = (
    "-c datestyle=ISO -c timezone=UTC -c intervalstyle=postgres -c extra_float_digits=1 "
    "-c bytea_output=hex -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 "
    f"-c lock_timeout={LOCK_TIMEOUT_S}s -c wal_sender_timeout={WAL_SENDER_TIMEOUT_S * 1000:.0f}"
)


def connect(settings: SourceSettings, *, replication: bool = False) -> Connection:
    """Open a connection in autocommit mode.

    Args:
        settings: where, and as whom; what its ``dsn`` says wins over our own choice.
        replication: for replication commands, bound to the database.

    Raises:
        SourceUnavailable: nobody answers, or the server takes nobody now.
        SetupError: the server refuses us: user, password, database, ``pg_hba.conf``.
    """
    with errors_mapped("Connecting to PostgreSQL"):
        given = conninfo.conninfo_to_dict(settings.dsn)
        options: dict[str, Any] = {
            **_DEFAULTS,
            **given,
            "options": f"{_SESSION} {given.get('options') or ''}".strip(),
            "client_encoding": "UTF8",
        }
        if settings.password is not None:
            options["password"] = settings.password.get_secret_value()
        if replication:
            options["replication"] = "database"
        return psycopg.connect("", autocommit=True, **options)


def take_bytes_as_they_are(connection: Connection) -> None:
    """Have a server without an encoding send its bytes unchecked.

    Such a server may hold bytes that are no UTF-8, and would end the stream over them.

    Raises:
        SourceUnavailable: the connection was lost.
    """
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        with errors_mapped("Setting the encoding"):
            connection.execute("SET client_encoding TO 'SQL_ASCII'")


@contextmanager
def errors_mapped(doing: str) -> Iterator[None]:
    """Raise the driver's errors as ours.

    Args:
        doing: what failed, as the beginning of a sentence.
    """
    try:
        yield
    except psycopg.Error as error:
        message = error.diag.message_primary or _first_line(str(error))
        raise mapped(error.sqlstate, message, doing=doing) from error


_REFUSALS = ("authentication failed", "no password supplied", "does not exist", "pg_hba.conf")
"""Words of connection errors that another try doesn't heal; they come without an SQLSTATE."""

_ACCESS = (
    "Check source.dsn, the user's password and pg_hba.conf (its database column: replication)."
)
_RIGHTS = "Give the user the rights that the documentation lists under PostgreSQL."
_SERVER = "Check source.dsn and that the server runs; capture waits for it."
_REPORT = "Look the code up in the PostgreSQL manual, appendix A."

_SETUP: Mapping[str, str] = {
    "0A": "Check that the server is PostgreSQL 14 or newer and not a pooler: capture needs "
    "the server itself.",
    "22": "Check [table.status]: each word must be one that the column can hold.",
    "28": _ACCESS,
    "3D": _ACCESS,
    "3F": "Check table.name.",
    "42": "Check table.name and [table.columns]; the code stands in the PostgreSQL manual, "
    "appendix A.",
    "55": _REPORT,
}
"""Classes of SQLSTATEs that a person heals, each with the remedy; all others are waited for.

Source: PostgreSQL manual, appendix A "PostgreSQL Error Codes".
"""

_SINGLE: Mapping[str, tuple[type[CdcSmsError], str]] = {
    "42501": (SetupError, _RIGHTS),
    # undefined_object: the slot, or the publication where the slot stands in the log
    "42704": (PositionLost, "The slot is made anew, and pending rows are captured."),
    # duplicate_object: two readers made the slot at once, and the other one was faster
    "42710": (HeldByAnother, "Nothing needs to be done: the other capture reads."),
    "55006": (HeldByAnother, "Nothing needs to be done: it takes over when the other one ends."),
    "55000": (PositionLost, "The slot is made anew, and pending rows are captured."),
    "55P02": (SetupError, _SERVER),
    "55P03": (
        SourceUnavailable,
        "Nothing needs to be done once the lock is free: capture tries again.",
    ),
    "53400": (SetupError, "Raise max_replication_slots and restart the server."),
}
"""What single SQLSTATEs mean, whatever their class."""


def mapped(sqlstate: str | None, message: str, *, doing: str) -> CdcSmsError:
    """Return the error of ours that stands for one of the server's.

    Args:
        sqlstate: the code; None where there is none, as for lost connections.
        message: the server's sentence; it holds no values but names and configured words.
        doing: what failed, as the beginning of a sentence.
    """
    said = f"{doing} failed: {message}" + (f" ({sqlstate})." if sqlstate else ".")
    if sqlstate is None:
        if any(words in message for words in _REFUSALS):
            return SetupError(said, hint=_ACCESS)
        return SourceUnavailable(said, hint=_SERVER)
    kind, hint = _SINGLE.get(sqlstate, (None, ""))
    if kind is not None:
        return kind(said, hint=hint)
    if sqlstate[:2] in _SETUP:
        return SetupError(said, hint=_SETUP[sqlstate[:2]])
    return SourceUnavailable(said, hint=_SERVER)


def result_error(result: pq.abc.PGresult, *, doing: str) -> CdcSmsError:
    """Return the error of ours that stands for a failed result of the C library."""
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"no reason given"
    return mapped(state.decode() if state else None, message.decode(errors="replace"), doing=doing)


def connection_error(pgconn: pq.abc.PGconn, *, doing: str) -> CdcSmsError:
    """Return the error of ours for a connection that broke."""
    reason = _first_line(pgconn.get_error_message())
    return SourceUnavailable(f"{doing} failed: {reason}.", hint=_SERVER)


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0].rstrip(".") if lines else "the connection was closed"
