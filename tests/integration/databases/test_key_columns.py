"""A key that is decoded from a record finds its row: on each database, for each type of a key."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from recording.tables import KeyPart, key_tables, made, row_inserted
from sqlalchemy import Connection
from support.business.base import Database
from support.fixtures.binlog_databases import BinlogDatabase
from support.fixtures.databases import PostgresDatabase
from support.ledgers import sections_of

from cdc_sms.config.settings import TableSettings
from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.engine import in_transaction, open_engine
from cdc_sms.model.encodings import ColumnKind


def _mapping(table: str, parts: Sequence[KeyPart]) -> TableSettings:
    names = [part.name for part in parts]
    columns = {"key": names, "recipient": "phone", "text": "body"}
    return TableSettings.model_validate({"name": table, "columns": columns})


def _found(
    database: Database, mapping: TableSettings, keys: Sequence[Any]
) -> tuple[BusinessTable, set[Any]]:
    """Return the reflected table, and which of the keys have a row in it."""
    sections = sections_of(database, table=mapping)
    engine = open_engine(sections.source, sections.ledger)

    def look(connection: Connection) -> tuple[BusinessTable, set[Any]]:
        reflected = BusinessTable.reflect(connection, sections.table)
        return reflected, set(reflected.read(connection, keys).rows)

    try:
        return in_transaction(engine, look)
    finally:
        engine.dispose()


def _check(connector: str, database: Database) -> None:
    execute: Any = database.execute
    for statement in made(connector):
        execute(statement)
    for table, parts in key_tables(connector):
        execute(f"ALTER TABLE {table} ADD phone varchar(20), ADD body varchar(20)")
        keys = [tuple(part.values[row] for part in parts) for row in (0, 1)]
        for row in (0, 1):
            execute(row_inserted(table, parts, row))

        reflected, found = _found(database, _mapping(table, parts), keys)

        assert found == set(keys)
        assert list(reflected.key_columns) == [part.column(connector) for part in parts]


def test_a_decoded_key_finds_its_row_on_postgresql(postgres_database: PostgresDatabase) -> None:
    _check("postgresql", postgres_database)


def test_a_decoded_key_finds_its_row_on_mysql(mysql_database: BinlogDatabase) -> None:
    _check("mysql", mysql_database)


def test_a_decoded_key_finds_its_row_on_mariadb(mariadb_database: BinlogDatabase) -> None:
    _check("mariadb", mariadb_database)


def test_an_address_in_a_key_is_its_text_on_mariadb(mariadb_database: BinlogDatabase) -> None:
    mariadb_database.execute(
        "CREATE TABLE hosts (host inet6, old_host inet4, phone varchar(20), body varchar(20),"
        " PRIMARY KEY (host, old_host))"
    )
    mariadb_database.execute(
        "INSERT INTO hosts (host, old_host) VALUES ('2001:DB8::1', '10.0.0.1')"
    )
    columns = {"key": ["host", "old_host"], "recipient": "phone", "text": "body"}
    mapping = TableSettings.model_validate({"name": "hosts", "columns": columns})

    reflected, found = _found(mariadb_database, mapping, [("2001:db8::1", "10.0.0.1")])

    assert found == {("2001:db8::1", "10.0.0.1")}
    assert [column.kind for column in reflected.key_columns] == [ColumnKind.TEXT, ColumnKind.TEXT]


def test_a_whole_second_in_a_key_finds_its_row_on_mysql(mysql_database: BinlogDatabase) -> None:
    mysql_database.execute(
        "CREATE TABLE slots (at time(6), made datetime(6), nr int, phone varchar(20),"
        " body varchar(20), PRIMARY KEY (at, made, nr))"
    )
    mysql_database.execute(
        "INSERT INTO slots (at, made, nr) VALUES ('05:47:11', '2026-11-24 05:47:11', 1)"
    )
    columns = {"key": ["at", "made", "nr"], "recipient": "phone", "text": "body"}
    mapping = TableSettings.model_validate({"name": "slots", "columns": columns})
    moment = datetime(2026, 11, 24, 5, 47, 11)  # noqa: DTZ001 - a column without a zone

    _, found = _found(mysql_database, mapping, [(moment.time(), moment, 1)])

    assert found == {(moment.time(), moment, 1)}
