"""What MySQL or MariaDB must have for capture, judged from facts that were read before.

Pure: ``server.py`` and ``source.py`` read the facts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from cdc_sms.config.settings import CaptureSettings, TableSettings
from cdc_sms.errors import SetupError
from cdc_sms.sources.binlog.dictionary import Dictionary
from cdc_sms.sources.binlog.server import End, Server

OLDEST_MYSQL, OLDEST_MARIADB = (8, 0), (10, 6)

HEARTBEATS = "cdc_sms_heartbeat"
"""The table of heartbeats, in the ledger's database."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found on a server.

    Attributes:
        server: itself.
        user: as whom it was asked.
        end: where its log ends; None: it has none, or we may not know.
        refusals: what it refuses us, each with its own words: ``status``, ``replication``,
            ``select``.
        table: database, name, kind and engine of the business table; None: it isn't there.
        dictionary: its columns and key; None: it isn't there.
        has_heartbeats: whether the table of heartbeats is there.
    """

    server: Server
    user: str
    end: End | None
    refusals: dict[str, str] = field(default_factory=dict[str, str])
    table: tuple[str, ...] | None = None
    dictionary: Dictionary | None = None
    has_heartbeats: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is missing or wrong: its name, what it is, and what to do about it."""

    name: str
    said: str
    remedy: str


def quoted(*names: str) -> str:
    """Return a name as SQL writes it, each part in backticks."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def raise_findings(facts: Facts, table: TableSettings, capture: CaptureSettings) -> None:
    """Raise everything that a person must put right, in one error.

    Raises:
        SetupError: its message holds each finding, its hint each remedy, in the same order.
    """
    found = list(findings(facts, table, capture))
    if found:
        raise SetupError(
            " ".join(finding.said for finding in found),
            hint=" ".join(finding.remedy for finding in found),
        )


def findings(facts: Facts, table: TableSettings, capture: CaptureSettings) -> Iterator[Finding]:
    """Return everything that a person must put right."""
    yield from _version(facts.server)
    yield from _log(facts.server, capture)
    yield from _rights(facts, table)
    yield from _filters(facts, table)
    yield from _table(facts, table)
    if not facts.has_heartbeats:
        yield Finding(
            "no-heartbeat-table",
            f"There is no table {HEARTBEATS} in the ledger's database.",
            "Run cdc-sms migrate.",
        )


def _version(server: Server) -> Iterator[Finding]:
    name, oldest = ("MariaDB", OLDEST_MARIADB) if server.is_mariadb else ("MySQL", OLDEST_MYSQL)
    if server.version < oldest:
        yield Finding(
            "version",
            f"The server is {name} {'.'.join(map(str, server.version))}.",
            f"Capture needs {name} {'.'.join(map(str, oldest))} or newer.",
        )


def _log(server: Server, capture: CaptureSettings) -> Iterator[Finding]:
    has = server.variables.get
    if has("log_bin", "OFF").upper() not in ("ON", "1"):
        yield Finding(
            "log-off",
            "The server writes no binlog.",
            "Set log_bin and server_id in the server's configuration and restart it (RDS: turn "
            "automated backups on).",
        )
    if has("binlog_format", "ROW").upper() != "ROW":
        yield Finding(
            "row-format",
            f"binlog_format is {has('binlog_format')}.",
            "Run SET GLOBAL binlog_format = 'ROW'; and set it in the server's configuration; "
            "sessions that are open keep the former one.",
        )
    if has("binlog_row_image", "FULL").upper() not in ("FULL", "FULL_NODUP"):
        yield Finding(
            "row-image",
            f"binlog_row_image is {has('binlog_row_image')}: rows are not whole in the log.",
            "Run SET GLOBAL binlog_row_image = 'FULL'; and set it in the server's configuration.",
        )
    if capture.becomes_pending and has("binlog_row_value_options", ""):
        yield Finding(
            "row-values",
            f"binlog_row_value_options is {has('binlog_row_value_options')}: updated rows are not "
            "whole in the log.",
            "Run SET GLOBAL binlog_row_value_options = ''; and set it in the server's "
            "configuration.",
        )
    if has("binlog_order_commits", "ON").upper() not in ("ON", "1"):
        yield Finding(
            "commit-order",
            "binlog_order_commits is off: a start can't tell which rows its snapshot shows.",
            "Run SET GLOBAL binlog_order_commits = ON; and set it in the server's configuration.",
        )
    if has("server_id", "1") == "0":
        yield Finding(
            "server-id",
            "The server's server_id is 0: it takes no replicas.",
            "Set server_id in the server's configuration to a number of its own.",
        )


def _rights(facts: Facts, table: TableSettings) -> Iterator[Finding]:
    user = f"'{facts.user}'@'%'"
    status = "BINLOG MONITOR" if facts.server.is_mariadb else "REPLICATION CLIENT"
    if "status" in facts.refusals:
        yield Finding(
            "status-right",
            f"The user {facts.user} may not ask where the log ends.",
            f"Run GRANT {status} ON *.* TO {user};",
        )
    if "replication" in facts.refusals:
        yield Finding(
            "replication-right",
            f"The user {facts.user} may not read the log.",
            f"Run GRANT REPLICATION SLAVE ON *.* TO {user};",
        )
    if "select" in facts.refusals:
        name = quoted(*table.schema_and_table)
        yield Finding(
            "select-right",
            f"The user {facts.user} may not read {table.name}.",
            f"Run GRANT SELECT ON {name} TO {user};",
        )


def _filters(facts: Facts, table: TableSettings) -> Iterator[Finding]:
    if facts.end is None:
        return
    schema, _name = table.schema_and_table
    if facts.end.logged and schema not in facts.end.logged:
        yield Finding(
            "log-filter",
            f"The server's binlog_do_db leaves out {schema}.",
            f"Add binlog_do_db = {schema} to the server's configuration and restart it.",
        )
    if schema in facts.end.ignored:
        yield Finding(
            "log-filter",
            f"The server's binlog_ignore_db leaves out {schema}.",
            f"Take binlog_ignore_db = {schema} out of its configuration and restart it.",
        )


def _table(facts: Facts, table: TableSettings) -> Iterator[Finding]:
    name = quoted(*table.schema_and_table)
    if facts.table is None or facts.dictionary is None:
        yield Finding(
            "no-table",
            f"There is no table {table.name} that the user {facts.user} may see.",
            "Check table.name, the database in source.dsn and the user's rights.",
        )
        return
    key, mapped = facts.dictionary.key, table.columns.key
    if facts.table[2] not in ("BASE TABLE", "SYSTEM VERSIONED"):
        yield Finding("no-table", f"{table.name} is no table.", "Name a table in table.name.")
    elif not key:
        columns = ", ".join(quoted(column) for column in mapped)
        yield Finding(
            "no-primary-key",
            f"The table {table.name} has no primary key.",
            f"Run ALTER TABLE {name} ADD PRIMARY KEY ({columns});",
        )
    elif sorted(key) != sorted(mapped):
        yield Finding(
            "other-primary-key",
            f"The primary key of {table.name} is ({', '.join(key)}), "
            f"and mapped is ({', '.join(mapped)}).",
            "Set table.columns.key to the primary key.",
        )
    status = table.columns.status
    if status is not None and status not in {column.name for column in facts.dictionary.columns}:
        yield Finding(
            "no-column",
            f"The table {table.name} has no column {status}.",
            "Check table.columns.status.",
        )
