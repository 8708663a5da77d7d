"""A living Debezium and our reader on the same rows: the same records on the same partitions."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from confluent_kafka import Consumer, Message, TopicPartition
from psycopg import sql
from support.captures import Captured, table_settings
from support.fixtures.databases import PostgresDatabase
from support.golden import KEYS, ROWS, TABLES, debezium_records, is_same
from support.servers.connect import ConnectAddress
from support.servers.kafka import KafkaAddress
from support.waiting import until

SAYS_WHO_WROTE_IT = {"version", "name", "sequence"}
TIMES_OF_WRITING = {"ts_ms", "ts_us", "ts_ns"}


@contextmanager
def debezium(
    connect: ConnectAddress, database: PostgresDatabase, prefix: str, table: str
) -> Iterator[None]:
    """Run a connector for a while, on our publication and with a slot of its own."""
    url = f"{connect.url}/connectors/{prefix}"
    server = database.server
    configuration = {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": server.host,
        "database.port": str(server.port),
        "database.user": server.user,
        "database.password": server.password,
        "database.dbname": database.name,
        "topic.prefix": prefix,
        "plugin.name": "pgoutput",
        "slot.name": f"{database.name}_debezium",
        "slot.drop.on.stop": "true",
        "publication.name": "cdc_sms",
        "publication.autocreate.mode": "disabled",
        "table.include.list": f"public.{table}",
        "snapshot.mode": "no_data",
        "decimal.handling.mode": "string",
        "poll.interval.ms": "10",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "false",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "false",
        "topic.creation.default.replication.factor": "1",
        "topic.creation.default.partitions": "3",
    }
    requests.put(f"{url}/config", json=configuration, timeout=30).raise_for_status()
    try:
        until(
            lambda: database.execute(
                "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND active",
                f"{database.name}_debezium",
            ),
            within_s=60,
            what="Debezium to stream",
        )
        yield
    finally:
        requests.delete(url, timeout=30).raise_for_status()


def records_of(server: KafkaAddress, topic: str, count: int) -> dict[bytes, Message]:
    """Read so many records of a topic of three partitions, by key."""
    consumer = Consumer(
        {
            "bootstrap.servers": server.bootstrap,
            "group.id": topic,
            "allow.auto.create.topics": "false",
            "fetch.wait.max.ms": "10",
        }
    )
    found: dict[bytes, Message] = {}

    def all_there() -> bool:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            found[message.key() or b""] = message
        return len(found) == count

    try:
        until(lambda: consumer.list_topics(topic, timeout=5).topics[topic].partitions, within_s=30)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(3)])
        until(all_there, within_s=30, what=f"{count} records of {topic}", every_s=0)
    finally:
        consumer.close()
    return found


def flat(message: Message) -> dict[str, Any]:
    """Return a record's fields by their path, without those that say who wrote it and when."""
    value = json.loads(message.value() or b"")
    fields = {f"after.{name}": field for name, field in value.pop("after").items()}
    source = value.pop("source")
    fields |= {f"source.{k}": v for k, v in source.items() if k not in SAYS_WHO_WROTE_IT}
    return fields | {name: field for name, field in value.items() if name not in TIMES_OF_WRITING}


def differences(ours: dict[bytes, Message], theirs: dict[bytes, Message]) -> list[object]:
    """Return every field that is not the same, with both values."""
    found: list[object] = []
    for key, their in theirs.items():
        our, one, other = ours[key], flat(ours[key]), flat(their)
        if our.partition() != their.partition():
            found.append((key, "partition", our.partition(), their.partition()))
        if list(one) != list(other):
            found.append((key, "fields", list(one), list(other)))
        found += [
            (key, name, one.get(name), field)
            for name, field in other.items()
            if not is_same(name.removeprefix("after."), one.get(name), field)
        ]
    return found


@pytest.mark.parametrize("table", KEYS)
def test_every_field_is_the_same(
    table: str,
    postgres_database: PostgresDatabase,
    kafka_server: KafkaAddress,
    connect_server: ConnectAddress,
    topic_prefix: str,
) -> None:
    postgres_database.execute(sql.Composed([sql.SQL(TABLES)]))
    captured = Captured(postgres_database, kafka_server, topic_prefix)
    captured.make_topic()
    settings = table_settings(name=table, key=KEYS[table], status=None)
    other = f"{topic_prefix}-debezium"

    with captured.running(table=settings) as running:
        until(running.is_streaming, within_s=20, what="our reader to stream")
        with debezium(connect_server, postgres_database, other, table):
            postgres_database.execute(sql.Composed([sql.SQL(ROWS)]))
            count = len(debezium_records("15", table))
            theirs = records_of(kafka_server, f"{other}.public.{table}", count)
            ours = records_of(kafka_server, captured.topic, count)

    assert ours.keys() == theirs.keys()
    assert differences(ours, theirs) == []
