"""Where a connector reads from: a database of one recording, and the properties that name it."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from support.fixtures.binlog_databases import fresh_binlog_database
from support.fixtures.databases import fresh_database
from support.servers.mariadb import MARIADB
from support.servers.mysql import MYSQL, MysqlAddress
from support.servers.postgres import POSTGRES, PostgresAddress

from recording.tables import MESSAGES, SIGNALS, key_table_names


class Execute(Protocol):
    """Runs one statement in a transaction of its own."""

    def __call__(self, statement: Any) -> object:
        """Run it."""


@dataclass(frozen=True)
class Place:
    """A database.

    Attributes:
        connector: the name that its records have in ``source.connector``.
        database: its name, which is of this recording alone.
        schema: what stands before a table's name in a record.
        properties: what a connector needs to read it.
        execute: runs a statement in it.
    """

    connector: str
    database: str
    schema: str
    properties: Mapping[str, str]
    execute: Execute

    def tables(self, *, with_signals: bool) -> str:
        """Return the list of the tables that a connector captures."""
        names = [MESSAGES, *key_table_names(self.connector), *([SIGNALS] if with_signals else [])]
        return ",".join(f"{self.schema}.{name}" for name in names)


@contextmanager
def place(connector: str) -> Iterator[Place]:
    """Make a database on the connector's server, and drop it at the end."""
    if connector == "postgresql":
        with POSTGRES.borrowed() as address, _on_postgres(address) as made:
            yield made
    else:
        server = MYSQL if connector == "mysql" else MARIADB
        with server.borrowed() as borrowed, _on_binlog(connector, borrowed) as made:
            yield made


@contextmanager
def _on_postgres(address: PostgresAddress) -> Iterator[Place]:
    with fresh_database(address, f"recording_{secrets.token_hex(4)}") as database:
        properties = {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            **_who(address),
            "database.dbname": database.name,
            "plugin.name": "pgoutput",
            "slot.drop.on.stop": "true",
            "publication.autocreate.mode": "all_tables",
        }

        def execute(statement: Any) -> object:
            with psycopg.connect(database.dsn, autocommit=True) as connection:
                return connection.execute(statement)

        yield Place("postgresql", database.name, "public", properties, execute)


@contextmanager
def _on_binlog(connector: str, address: MysqlAddress) -> Iterator[Place]:
    class_name = "mysql.MySqlConnector" if connector == "mysql" else "mariadb.MariaDbConnector"
    with fresh_binlog_database(address, f"recording_{secrets.token_hex(4)}") as database:
        properties = {
            "connector.class": f"io.debezium.connector.{class_name}",
            **_who(address),
            "database.include.list": database.name,
            "include.schema.changes": "false",
            "schema.history.internal.store.only.captured.tables.ddl": "true",
            # the log is the whole server's: others may make what it can't read
            "schema.history.internal.skip.unparseable.ddl": "true",
            "driver.allowPublicKeyRetrieval": "true",
        }
        yield Place(connector, database.name, database.name, properties, database.execute)


def _who(address: PostgresAddress | MysqlAddress) -> Mapping[str, str]:
    return {
        "database.hostname": address.host,
        "database.port": str(address.port),
        "database.user": address.user,
        "database.password": address.password,
    }
