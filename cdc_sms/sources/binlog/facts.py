"""Reads what an inspection judges, by trying where the server's word isn't enough."""

from collections.abc import Callable
from contextlib import ExitStack, suppress

from cdc_sms.config.settings import SourceSettings, TableSettings
from cdc_sms.errors import SetupError
from cdc_sms.sources.binlog.connection import (
    Connection,
    close,
    connect,
    errors_mapped,
    execute,
    texts,
)
from cdc_sms.sources.binlog.inspection import HEARTBEATS, Facts, quoted
from cdc_sms.sources.binlog.replica import chosen_id, register
from cdc_sms.sources.binlog.server import (
    Server,
    describe,
    dictionary,
    end_of_log,
    files,
    table_as_named,
)


def read_facts(
    connection: Connection, *, source: SourceSettings, table: TableSettings, ledger_schema: str
) -> Facts:
    """Look at everything that capture needs, change nothing.

    Args:
        connection: any.
        source: how to open another one, which becomes a replica's for a moment.
        table: the business table.
        ledger_schema: the database of the table of heartbeats.

    Raises:
        SourceUnavailable: a connection was lost.
    """
    server = describe(connection)
    refusals: dict[str, str] = {}

    def attempt(name: str, step: Callable[[], object]) -> None:
        try:
            step()
        except SetupError as error:
            refusals[name] = error.message

    end = None
    with suppress(SetupError):
        end = end_of_log(connection, server)
    named = table_as_named(connection, table)
    attempt("status", lambda: files(connection))
    attempt("replication", lambda: _register(source, server))
    found = None
    if named is not None:
        attempt("select", lambda: _select(connection, named[0], named[1]))
        found = dictionary(connection, named[0], named[1])
    return Facts(
        server=server,
        user=user_of(connection),
        end=end,
        refusals=refusals,
        table=named,
        dictionary=found,
        has_heartbeats=dictionary(connection, ledger_schema, HEARTBEATS) is not None,
    )


def user_of(connection: Connection) -> str:
    """Return the user's name, without the host.

    Raises:
        SourceUnavailable: the connection was lost.
    """
    with errors_mapped("Inspecting the server"):
        user = texts(execute(connection, "SELECT USER()"))[0][0]
    return (user or "").rpartition("@")[0]


def _register(source: SourceSettings, server: Server) -> None:
    with ExitStack() as opened:
        replica = connect(source)
        opened.callback(close, replica)
        register(replica, chosen_id(replica, server, wanted=None, name="inspection"))


def _select(connection: Connection, schema: str, name: str) -> None:
    with errors_mapped("Reading the table"):
        execute(connection, f"SELECT * FROM {quoted(schema, name)} LIMIT 0")  # noqa: S608 - quoted
