"""What a server of MySQL or MariaDB says of itself, its log and a table; where the two differ.

Source: MySQL manual and MariaDB's "System Variables", "Information Schema", "SHOW" statements.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import pymysql

from cdc_sms.config.settings import TableSettings
from cdc_sms.sources.binlog.connection import (
    Connection,
    Rows,
    errors_mapped,
    execute,
    texts,
)
from cdc_sms.sources.binlog.dictionary import Declared, Dictionary, enum_words
from cdc_sms.sources.binlog.gtid import DomainPosition, GtidSet
from cdc_sms.sources.binlog.position import file_number

_VARIABLES = (
    "version",
    "server_uuid",
    "server_id",
    "log_bin",
    "binlog_format",
    "binlog_row_image",
    "binlog_row_metadata",
    "binlog_row_value_options",
    "binlog_order_commits",
    "binlog_checksum",
    "gtid_mode",
    "gtid_executed",
    "gtid_purged",
    "gtid_binlog_pos",
    "read_only",
    "lower_case_table_names",
)

_COLUMNS = """
SELECT COLUMN_NAME, LOWER(DATA_TYPE), COLUMN_TYPE, CHARACTER_SET_NAME, CHARACTER_OCTET_LENGTH,
    NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, IS_NULLABLE, COLUMN_DEFAULT, EXTRA
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s
ORDER BY ORDINAL_POSITION
"""
_KEY = """
SELECT COLUMN_NAME FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX
"""
_TABLE = """
SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE
FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s
"""
_CHARSETS = {
    False: "SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATIONS",
    # MariaDB's newer collations belong to several character sets, each with a number of its own
    True: "SELECT ID, CHARACTER_SET_NAME "
    "FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY",
}


@dataclass(frozen=True, slots=True)
class End:
    """Where the log ends.

    Attributes:
        file: the file that is written to.
        offset: in it.
        gtids: every transaction before it, as the server prints them; empty where it numbers none.
        ignored: databases whose statements are not logged.
        logged: databases whose statements alone are logged; empty: all.
    """

    file: str
    offset: int
    gtids: str
    ignored: tuple[str, ...] = ()
    logged: tuple[str, ...] = ()


class Server:
    """One server, as its variables describe it.

    Args:
        variables: by name, small letters; what it doesn't know is not there.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.is_mariadb = "mariadb" in variables["version"].lower()

    @property
    def identity(self) -> str:
        """Return what it calls itself; a copy of its files calls itself the same."""
        return self.variables.get("server_uuid") or self.variables["server_id"]

    @property
    def version(self) -> tuple[int, ...]:
        """Return its version's first two numbers."""
        return tuple(int(number) for number in self.variables["version"].split(".")[:2])

    @property
    def has_checksums(self) -> bool:
        """Say whether events of its log end with a checksum."""
        return self.variables.get("binlog_checksum", "NONE").upper() != "NONE"

    @property
    def numbers_transactions(self) -> bool:
        """Say whether transactions have ids: a log can be read on from them."""
        return self.is_mariadb or self.variables.get("gtid_mode", "OFF").upper() == "ON"

    def gtids(self, text: str) -> GtidSet | DomainPosition:
        """Read a set of transaction ids as this kind of server prints it."""
        return DomainPosition.parse(text) if self.is_mariadb else GtidSet.parse(text)

    def encoded(self, gtids: str) -> bytes:
        """Return MySQL's transaction ids as a replica tells what it has."""
        return GtidSet.parse(gtids).encode()


def describe(connection: Connection) -> Server:
    """Ask the server for its variables.

    Raises:
        SourceUnavailable: the connection was lost.
    """
    names = ", ".join(f"'{name}'" for name in _VARIABLES)
    with errors_mapped("Inspecting the server"):
        found = execute(connection, f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")
    return Server({str(name).lower(): value or "" for name, value in texts(found)})


def end_of_log(connection: Connection, server: Server) -> End | None:
    """Ask where the log ends; None: there is no log.

    Raises:
        SetupError: a right is missing.
        SourceUnavailable: the connection was lost.
    """
    with errors_mapped("Asking where the log ends"):
        rows = texts(_status(connection, server))
        if not rows:
            return None
        file, offset, logged, ignored, *gtids = ((value or "") for value in rows[0])
        if server.is_mariadb:
            # at this very place, where the variable may be further already
            gtids = [gtids_at(connection, file, int(offset))]
    return End(
        file=file,
        offset=int(offset),
        gtids="".join(gtids).replace("\n", ""),
        ignored=tuple(filter(None, ignored.split(","))),
        logged=tuple(filter(None, logged.split(","))),
    )


def gtids_at(connection: Connection, file: str, offset: int) -> str:
    """Ask MariaDB which transactions are before a place in its log.

    Raises:
        SourceUnavailable: the connection was lost.
    """
    with errors_mapped("Asking for transaction ids"):
        found = texts(execute(connection, "SELECT BINLOG_GTID_POS(%s, %s)", file, offset))
    return found[0][0] or ""


def _status(connection: Connection, server: Server) -> Rows:
    if not server.is_mariadb and server.version >= (8, 2):
        return execute(connection, "SHOW BINARY LOG STATUS")
    return execute(connection, "SHOW MASTER STATUS")


def files(connection: Connection) -> dict[str, int]:
    """Return the log's files and their sizes in bytes, the oldest first.

    Raises:
        SetupError: a right is missing.
        SourceUnavailable: the connection was lost.
    """
    with errors_mapped("Asking for the log's files"):
        rows = texts(execute(connection, "SHOW BINARY LOGS"))
    return sizes(rows)


def sizes(rows: tuple[tuple[str | None, ...], ...]) -> dict[str, int]:
    """Read what SHOW BINARY LOGS answers."""
    return {str(name): int(size or 0) for name, size, *_encrypted in rows}


def behind(found: Mapping[str, int], file: str, offset: int) -> int:
    """Return how many bytes of the log's files are behind a place in one of them."""
    number = file_number(file)
    newer = sum(size for name, size in found.items() if file_number(name) >= number)
    return max(0, newer - offset)


def table_as_named(connection: Connection, table: TableSettings) -> tuple[str, ...] | None:
    """Return database and name of a table as the server has them, its kind and its engine.

    Raises:
        SourceUnavailable: the connection was lost.
    """
    with errors_mapped("Looking for the table"):
        rows = texts(execute(connection, _TABLE, *table.schema_and_table))
    return tuple(value or "" for value in rows[0]) if rows else None


def dictionary(connection: Connection, schema: str, table: str) -> Dictionary | None:
    """Read a table's columns and its primary key; None: there is no such table.

    Raises:
        SourceUnavailable: the connection was lost.
    """
    with errors_mapped("Reading the table's columns"):
        columns = texts(execute(connection, _COLUMNS, schema, table))
        key = texts(execute(connection, _KEY, schema, table))
    if not columns:
        return None
    return Dictionary(tuple(map(_declared, columns)), tuple(name or "" for (name,) in key))


def _declared(row: tuple[str | None, ...]) -> Declared:
    name, kind, full, charset, octets, precision, scale, digits, nullable, default, extra = row
    declared, full = kind or "", full or ""
    size = octets if charset or declared in ("varbinary", "binary") else precision
    return Declared(
        name=name or "",
        declared=declared,
        unsigned="unsigned" in full.lower().rpartition(")")[2].split(),
        charset=charset,
        words=enum_words(full) if declared in ("enum", "set") else (),
        digits=int(digits or 0),
        size=int(size or 0),
        nullable=nullable == "YES",
        default=_literal(default, extra or ""),
        scale=None if scale is None else int(scale),
    )


def _literal(default: str | None, extra: str) -> str | None:
    """Return a default that is a plain literal: MariaDB quotes it, MySQL marks expressions."""
    if default is None or default.upper() == "NULL" or "DEFAULT_GENERATED" in extra.upper():
        return None
    if default.startswith("'") and default.endswith("'") and len(default) > 1:
        return default[1:-1].replace("''", "'")
    return None if default.lower().startswith(("current_timestamp", "curdate")) else default


def charsets(connection: Connection, server: Server) -> dict[int, str]:
    """Return the character set of each collation's number.

    Raises:
        SourceUnavailable: the connection was lost.
    """
    with errors_mapped("Reading the character sets"):
        try:
            rows = texts(execute(connection, _CHARSETS[server.is_mariadb]))
        except pymysql.err.OperationalError:  # an older MariaDB, whose collations have one each
            rows = texts(execute(connection, _CHARSETS[False]))
    return {int(number): charset or "" for number, charset in rows if number}


def replication_ids(connection: Connection, server: Server) -> set[int]:
    """Return the replication ids that are taken, as far as we may know."""
    taken = {int(server.variables["server_id"])}
    command = "SHOW SLAVE HOSTS"
    if not server.is_mariadb and server.version >= (8, 0):
        command = "SHOW REPLICAS"
    with suppress(pymysql.Error):
        taken |= {int(row[0] or 0) for row in texts(execute(connection, command))}
    return taken
