"""PostgreSQL keeps the promises of a source, on the oldest and the newest server at hand."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from contracts.source_promises import SourcePromises, acquired, ids, read_until
from psycopg import sql
from support.captures import TABLE, postgres_source, source_settings, table_settings
from support.fixtures.databases import PostgresDatabase
from support.servers.postgres import DebianPostgres, PostgresAddress
from support.tcp_proxy import TcpProxy
from support.waiting import still, until

from cdc_sms.errors import (
    NeedsPerson,
    PositionLost,
    SetupError,
    SourceUnavailable,
)
from cdc_sms.model.captured_row import Undecodable
from cdc_sms.sources.base import Found, HeldByAnother, LogState, Start
from cdc_sms.sources.postgres import slot, source, watch
from cdc_sms.sources.postgres.source import PostgresSource


class PostgresBusiness:
    """The table ``sms`` of a test's database."""

    def __init__(self, database: PostgresDatabase) -> None:
        self.database = database
        database.execute(TABLE)
        database.execute("CREATE TABLE other (id int)")

    def source(self) -> PostgresSource:
        return postgres_source(self.database)

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.database.dsn) as connection:
            connection.execute(statement.encode())

    def write_elsewhere(self) -> None:
        self.database.execute("INSERT INTO other SELECT generate_series(1, 100)")

    def drop_position(self) -> None:
        self.database.execute("SELECT pg_drop_replication_slot(%s)", self.database.name)


class TestPostgres15(SourcePromises):
    @pytest.fixture
    def business(self, postgres_database: PostgresDatabase) -> PostgresBusiness:
        return PostgresBusiness(postgres_database)


class TestPostgres18(SourcePromises):
    @pytest.fixture
    def business(self, postgres18_database: PostgresDatabase) -> PostgresBusiness:
        return PostgresBusiness(postgres18_database)


@pytest.fixture
def business(postgres_database: PostgresDatabase) -> PostgresBusiness:
    return PostgresBusiness(postgres_database)


# What it makes


def test_the_publication_publishes_inserts_of_one_table_only(business: PostgresBusiness) -> None:
    business.source().acquire(Start.NEW_STREAM).close()

    assert business.database.execute(
        "SELECT puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot"
        " FROM pg_publication"
    ) == [(False, True, False, False, False, True)]
    assert business.database.execute(
        "SELECT schemaname, tablename FROM pg_publication_tables"
    ) == [("public", "sms")]


def test_the_slot_of_a_new_server_fails_over(postgres18_database: PostgresDatabase) -> None:
    PostgresBusiness(postgres18_database).source().acquire(Start.NEW_STREAM).close()

    assert postgres18_database.execute(
        "SELECT failover FROM pg_replication_slots WHERE slot_name = %s", postgres18_database.name
    ) == [(True,)]


def test_rows_of_partitions_come_as_the_tables_own(postgres_database: PostgresDatabase) -> None:
    postgres_database.execute(
        "CREATE TABLE sms (id bigint, body text, status text DEFAULT 'pending', recipient text,"
        " PRIMARY KEY (id)) PARTITION BY RANGE (id)"
    )
    postgres_database.execute("CREATE TABLE sms_1 PARTITION OF sms FOR VALUES FROM (0) TO (10)")
    postgres_database.execute("INSERT INTO sms (id) VALUES (1)")
    log = postgres_source(postgres_database).acquire(Start.NEW_SNAPSHOT)

    postgres_database.execute("INSERT INTO sms (id) VALUES (2)")
    batch = read_until(log, lambda batch: len(batch.rows) >= 2)

    assert [(row.table.name, row.values[0]) for row in batch.rows] == [("sms", 1), ("sms", 2)]
    log.close()


def test_domains_are_written_as_their_base_types(postgres_database: PostgresDatabase) -> None:
    postgres_database.execute("CREATE DOMAIN number AS integer")
    postgres_database.execute("CREATE DOMAIN small_number AS number")
    postgres_database.execute("CREATE TYPE word AS ENUM ('pending', 'sent')")
    postgres_database.execute(
        "CREATE TABLE sms (id small_number PRIMARY KEY, body text, recipient text, status word)"
    )
    postgres_database.execute("INSERT INTO sms (id, status) VALUES (1, 'pending')")
    log = postgres_source(postgres_database).acquire(Start.NEW_SNAPSHOT)

    postgres_database.execute("INSERT INTO sms (id, status) VALUES (2, 'pending')")
    batch = read_until(log, lambda batch: len(batch.rows) >= 2)

    assert [list(row.values) for row in batch.rows] == [
        [1, None, None, "pending"],
        [2, None, None, "pending"],
    ]
    log.close()


def test_a_key_comes_in_the_keys_own_order(postgres_database: PostgresDatabase) -> None:
    postgres_database.execute(
        "CREATE TABLE sms (shop text, body text, recipient text, status text, id int,"
        " PRIMARY KEY (id, shop))"
    )
    table = table_settings(key=("shop", "id"))
    log = postgres_source(postgres_database, table=table).acquire(Start.NEW_STREAM)

    postgres_database.execute("INSERT INTO sms (id, shop) VALUES (1, 'x')")
    (row,) = read_until(log, lambda batch: bool(batch.rows)).rows

    assert row.table.key == ("id", "shop")
    log.close()


def test_a_megabyte_of_text_comes_whole(business: PostgresBusiness) -> None:
    text = "0123456789abcdef" * 65_536
    log = business.source().acquire(Start.NEW_STREAM)

    business.database.execute("INSERT INTO sms (id, body) VALUES (1, %s)", text)
    (row,) = read_until(log, lambda batch: bool(batch.rows)).rows

    assert row.values[2] == text
    log.close()


def test_a_column_that_was_added_meanwhile_comes_along(business: PostgresBusiness) -> None:
    log = business.source().acquire(Start.NEW_STREAM)

    business.execute("INSERT INTO sms (id) VALUES (1)")
    business.execute("ALTER TABLE sms ADD COLUMN price numeric DEFAULT 1.5")
    business.execute("INSERT INTO sms (id) VALUES (2)")
    business.execute("ALTER TABLE sms DROP COLUMN recipient")
    business.execute("INSERT INTO sms (id) VALUES (3)")
    batch = read_until(log, lambda batch: len(batch.rows) >= 3)

    assert [row.table.columns for row in batch.rows] == [
        ("id", "recipient", "body", "status"),
        ("id", "recipient", "body", "status", "price"),
        ("id", "body", "status", "price"),
    ]
    log.close()


def test_bytes_in_no_encoding_are_marked(postgres_server: PostgresAddress, run_id: str) -> None:
    with _ascii_database(postgres_server, f"ascii_{run_id}") as database:
        database.execute("CREATE TABLE sms (id text PRIMARY KEY, body text, recipient text)")
        table = table_settings(status=None)
        log = postgres_source(database, table=table).acquire(Start.NEW_STREAM)

        with psycopg.connect(database.dsn, client_encoding="SQL_ASCII") as connection:
            connection.execute(b"INSERT INTO sms VALUES ('k\xff', 'b\xfe', 'fine')")
        (row,) = read_until(log, lambda batch: bool(batch.rows)).rows
        log.close()

    assert list(row.values) == [Undecodable(b"k\xff"), Undecodable(b"b\xfe"), "fine"]


@contextmanager
def _ascii_database(server: PostgresAddress, name: str) -> Iterator[PostgresDatabase]:
    create = sql.SQL(
        "CREATE DATABASE {} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
    ).format(sql.Identifier(name))
    with closing(psycopg.connect(server.dsn, autocommit=True)) as connection:
        connection.execute(create)
        try:
            yield PostgresDatabase(name, server)
        finally:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            until(
                lambda: connection.execute(drop),
                within_s=10,
                ignoring=(psycopg.errors.ObjectInUse,),
            )


# What it refuses


def test_everything_that_is_wrong_is_said_at_once(postgres_database: PostgresDatabase) -> None:
    postgres_database.execute("CREATE TABLE sms (id int, body text)")
    postgres_database.execute("CREATE PUBLICATION mine FOR ALL TABLES")
    postgres_database.execute(
        "SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", postgres_database.name
    )
    reader = postgres_source(postgres_database, publication="mine")

    with pytest.raises(SetupError) as caught:
        reader.inspect()

    assert "has no primary key" in caught.value.message
    assert "publishes all tables, publishes other tables than ours" in caught.value.message
    assert "is of the plugin test_decoding" in caught.value.message
    assert 'ALTER TABLE "public"."sms" ADD PRIMARY KEY ("id");' in caught.value.hint
    assert "DROP PUBLICATION" in caught.value.hint


def test_a_user_without_rights_is_told_which(postgres_database: PostgresDatabase) -> None:
    postgres_database.execute(TABLE)
    role = f"poor_{postgres_database.name}"
    created = sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(sql.Identifier(role))
    postgres_database.execute(created)
    reader = PostgresSource(
        source=source_settings(postgres_database).model_copy(
            update={
                "dsn": postgres_database.dsn_of(role, "secret").replace(":secret", ""),
                "password": type(source_settings(postgres_database).password)("secret"),
            }
        ),
        table=table_settings(),
        capture=source.CaptureSettings(slot=postgres_database.name),
        clock=source_clock(),
    )

    with pytest.raises(SetupError) as caught:
        reader.inspect()

    postgres_database.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    assert f"The user {role} may not replicate." in caught.value.message
    assert f"The user {role} may not read sms." in caught.value.message
    assert "GRANT SELECT" in caught.value.hint
