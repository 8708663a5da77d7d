"""The connector that people register does what ``debezium/README.md`` says, on real servers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Consumer, Message
from psycopg import sql
from support.fixtures.databases import PostgresDatabase
from support.fixtures.debezium import Connectors
from support.servers.connect import ConnectServer
from support.servers.kafka import KafkaAddress
from support.servers.postgres import PostgresAddress
from support.waiting import until

CONFIGURATION = """
[source]
dsn = "postgresql://{user}@{host}:{port}/{database}?sslmode=disable"
[table]
name = "erp.SmsQueue"
[table.columns]
key = ["id", "shop"]
recipient = "recipient"
text = "body"
status = "state"
[table.status]
pending = 0
sent = 1
failed = 2
[kafka]
bootstrap_servers = "{bootstrap}"
prefix = "{prefix}"
partitions = 3
[capture]
slot = "{slot}"
[providers.justsend]
sender = "Shop"
"""
TABLE = """
CREATE TABLE erp."SmsQueue" (
    id bigint GENERATED ALWAYS AS IDENTITY,
    shop text NOT NULL DEFAULT 'x',
    recipient text,
    body text,
    state smallint NOT NULL DEFAULT 0,
    price numeric(9, 2),
    PRIMARY KEY (id, shop)
)
"""
INSERT = 'INSERT INTO erp."SmsQueue" (body, state, price) VALUES (%s, %s, %s)'


@pytest.fixture
def config(
    tmp_path: Path,
    postgres_database: PostgresDatabase,
    kafka_server: KafkaAddress,
    topic_prefix: str,
) -> Path:
    """A configuration of cdc-sms, for a table with an unusual name and key."""
    server = postgres_database.server
    path = tmp_path / "cdc-sms.toml"
    path.write_text(
        CONFIGURATION.format(
            user=server.user,
            host=server.host,
            port=server.port,
            database=postgres_database.name,
            bootstrap=kafka_server.bootstrap,
            prefix=topic_prefix,
            slot=postgres_database.name,
        )
    )
    postgres_database.execute("CREATE SCHEMA erp")
    postgres_database.execute(TABLE)
    postgres_database.execute(
        "CREATE PUBLICATION cdc_sms FOR TABLE erp.\"SmsQueue\" WITH (publish = 'insert')"
    )
    return path


@contextmanager
def reading(server: KafkaAddress, topic: str) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": server.bootstrap,
            "group.id": topic,
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": "false",
            "topic.metadata.refresh.interval.ms": "500",
        }
    )
    consumer.subscribe([topic])
    try:
        yield consumer
    finally:
        consumer.close()


def next_record(consumer: Consumer) -> Message:
    def polled() -> Message | None:
        message = consumer.poll(0.1)
        return message if message is not None and message.error() is None else None

    message = until(polled, within_s=30, what="a record")
    assert message is not None
    return message


def value_of(message: Message) -> dict[str, Any]:
    return dict(json.loads(message.value() or b""))


def test_pending_rows_and_then_new_ones_come_on_the_outbox(
    config: Path,
    postgres_database: PostgresDatabase,
    kafka_server: KafkaAddress,
    debezium_connector: Connectors,
    topic_prefix: str,
) -> None:
    postgres_database.execute(INSERT, "sent long ago", 1, 1)
    postgres_database.execute(INSERT, "waits", 0, "1.50")

    debezium_connector(config)
    with reading(kafka_server, f"{topic_prefix}.outbox") as consumer:
        pending = next_record(consumer)
        postgres_database.execute('UPDATE erp."SmsQueue" SET state = 1')
        postgres_database.execute(INSERT, "new", 0, None)
        new = next_record(consumer)

    assert pending.key() == b'{"id":2,"shop":"x"}'
    assert value_of(pending)["op"] == "r"
    assert value_of(pending)["after"]["price"] == "1.50"
    assert new.key() == b'{"id":3,"shop":"x"}'
    assert value_of(new)["op"] == "c"
    assert value_of(new)["after"]["body"] == "new"


def test_signal_has_pending_rows_captured_once_more(
    config: Path,
    postgres_database: PostgresDatabase,
    kafka_server: KafkaAddress,
    debezium_connector: Connectors,
    topic_prefix: str,
) -> None:
    postgres_database.execute(INSERT, "waits", 0, None)
    debezium_connector(config)
    with reading(kafka_server, f"{topic_prefix}.outbox") as consumer:
        first = next_record(consumer)
        postgres_database.execute(INSERT, "sent long ago", 1, None)
        inserted = next_record(consumer)

        asked = debezium_connector.act("snapshot", config)
        assert asked.wait() == 0, asked.told()
        again = next_record(consumer)
        postgres_database.execute(INSERT, "new", 0, None)
        new = next_record(consumer)

    assert value_of(inserted)["op"] == "c"
    assert again.key() == first.key()
    assert value_of(again)["op"] == "r"
    assert value_of(new)["after"]["body"] == "new"


def test_update_that_sets_a_draft_to_pending_comes_where_that_is_asked_for(
    config: Path,
    postgres_database: PostgresDatabase,
    kafka_server: KafkaAddress,
    debezium_connector: Connectors,
    topic_prefix: str,
) -> None:
    config.write_text(config.read_text().replace("[capture]", "[capture]\nbecomes_pending = true"))
    postgres_database.execute("ALTER PUBLICATION cdc_sms SET (publish = 'insert, update')")
    postgres_database.execute(INSERT, "draft", 9, None)
    debezium_connector(config)

    postgres_database.execute('UPDATE erp."SmsQueue" SET state = 0')

    with reading(kafka_server, f"{topic_prefix}.outbox") as consumer:
        record = value_of(next_record(consumer))
    assert record["op"] == "u"
    assert record["after"]["state"] == 0


def test_slot_goes_along_to_a_standby_where_postgres_can(
    config: Path,
    postgres_database: PostgresDatabase,
    postgres18_database: PostgresDatabase,
    debezium_connector: Connectors,
) -> None:
    place, newer = (
        f"{database.server.host}:{database.server.port}/{database.name}"
        for database in (postgres_database, postgres18_database)
    )
    config.write_text(config.read_text().replace(place, newer))
    postgres18_database.execute("CREATE SCHEMA erp")
    postgres18_database.execute(TABLE)
    postgres18_database.execute(
        "CREATE PUBLICATION cdc_sms FOR TABLE erp.\"SmsQueue\" WITH (publish = 'insert')"
    )

    debezium_connector(config, database__password=postgres18_database.server.password)

    slots = until(
        lambda: postgres18_database.execute(
            "SELECT failover FROM pg_replication_slots WHERE slot_name = %s", postgres_database.name
        ),
        within_s=30,
        what="the slot",
    )
    assert slots == [(True,)]


def test_log_of_other_tables_is_confirmed_and_leaves_no_record(
    config: Path,
    postgres_database: PostgresDatabase,
    kafka_server: KafkaAddress,
    debezium_connector: Connectors,
    topic_prefix: str,
) -> None:
    debezium_connector(config, heartbeat__interval__ms="500")
    postgres_database.execute("CREATE TABLE other AS SELECT repeat('x', 2000000)")
    [(end,)] = postgres_database.execute("SELECT pg_current_wal_lsn()")

    until(
        lambda: postgres_database.execute(
            "SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots"
            " WHERE slot_name = %s",
            end,
            postgres_database.name,
        ),
        within_s=30,
    )

    postgres_database.execute(INSERT, "first", 0, None)
    with reading(kafka_server, f"{topic_prefix}.outbox") as consumer:
        assert value_of(next_record(consumer))["after"]["body"] == "first"


@pytest.fixture
def reader(postgres_server: PostgresAddress, run_id: str) -> Iterator[str]:
    """A role that may log in and replicate; it is dropped after the database."""
    name = sql.Identifier(f"reader_{run_id}")
    with psycopg.connect(postgres_server.dsn, autocommit=True) as connection:
        role = sql.SQL("CREATE ROLE {} LOGIN REPLICATION PASSWORD 'made up'")
        connection.execute(role.format(name))
    yield f"reader_{run_id}"
    with psycopg.connect(postgres_server.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(name))


def test_few_rights_and_a_password_by_reference_are_enough(
    reader: str,
    config: Path,
    postgres_database: PostgresDatabase,
    kafka_server: KafkaAddress,
    debezium_connector: Connectors,
    breakable_connect: ConnectServer,
    topic_prefix: str,
) -> None:
    for grant in ("GRANT USAGE ON SCHEMA erp TO {}", 'GRANT SELECT ON erp."SmsQueue" TO {}'):
        postgres_database.execute(sql.SQL(grant).format(sql.Identifier(reader)))
    user = postgres_database.server.user
    config.write_text(config.read_text().replace(f"//{user}@", f"//{reader}@"))
    secrets = breakable_connect.folder / f"{reader}.properties"
    secrets.write_text("password=made up\n")

    debezium_connector(config, database__password=f"${{file:{secrets}:password}}")
    postgres_database.execute(INSERT, "new", 0, None)

    with reading(kafka_server, f"{topic_prefix}.outbox") as consumer:
        assert value_of(next_record(consumer))["after"]["body"] == "new"


def test_row_too_large_stops_the_connector_and_status_says_so(
    config: Path, postgres_database: PostgresDatabase, debezium_connector: Connectors
) -> None:
    debezium_connector(config)

    postgres_database.execute(INSERT, "x" * 5_000_000, 0, None)

    def told() -> str | None:
        status = debezium_connector.act("status", config)
        return status.output if status.wait() == 3 else None

    assert "RecordTooLargeException" in (until(told, within_s=30) or "")
