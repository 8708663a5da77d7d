"""Debezium's connectors for MySQL and MariaDB, registered as people do, on real servers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from confluent_kafka import Consumer, Message
from support.fixtures.binlog_databases import BinlogDatabase
from support.fixtures.debezium import Connectors
from support.servers.connect import ConnectAddress, ConnectServer
from support.servers.kafka import KafkaAddress
from support.servers.machine import run
from support.waiting import until

CONFIGURATION = """
[source]
dsn = "{dsn}"
[table]
name = "SmsQueue"
[table.columns]
key = ["id", "shop"]
recipient = "recipient"
text = "body"
status = "state"
[table.status]
pending = "it's new"
sent = "sent"
failed = "failed"
[kafka]
bootstrap_servers = "{bootstrap}"
prefix = "{prefix}"
partitions = 3
[capture]
becomes_pending = {becomes_pending}
[providers.justsend]
sender = "Shop"
"""
TABLE = """
CREATE TABLE SmsQueue (
    id bigint AUTO_INCREMENT,
    shop varchar(20) NOT NULL DEFAULT 'x',
    recipient varchar(20),
    body text,
    state enum('it''s new', 'sent', 'failed', 'draft') NOT NULL DEFAULT 'it''s new',
    price decimal(9, 2),
    PRIMARY KEY (id, shop)
)
"""
INSERT = "INSERT INTO SmsQueue (body, state, price) VALUES (%s, %s, %s)"
# What the README asks for.
RIGHTS = ("SELECT ON {db}.SmsQueue", "RELOAD, REPLICATION SLAVE, REPLICATION CLIENT ON *.*")


@dataclass(frozen=True)
class Site:
    """A table with an unusual name and key, and what registers connectors on it."""

    folder: Path
    database: BinlogDatabase
    connector: Connectors
    kafka: KafkaAddress
    connect: ConnectAddress
    prefix: str

    def config(self, *, database: BinlogDatabase | None = None, pending: bool = False) -> Path:
        """Write cdc-sms's configuration, for the superuser or another user."""
        path = self.folder / "cdc-sms.toml"
        path.write_text(
            CONFIGURATION.format(
                dsn=(database or self.database).dsn,
                bootstrap=self.kafka.bootstrap,
                prefix=self.prefix,
                becomes_pending="true" if pending else "false",
            )
        )
        return path

    @property
    def position(self) -> Any:
        """The position that Kafka Connect stored; None: none yet."""
        url = f"{self.connect.url}/connectors/{self.prefix}/offsets"
        offsets = requests.get(url, timeout=5).json()["offsets"]
        return offsets[0]["offset"] if offsets else None

    @contextmanager
    def outbox(self) -> Iterator[Consumer]:
        """Read the outbox from its beginning."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.kafka.bootstrap,
                "group.id": f"{self.prefix}.test",
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": "false",
                "topic.metadata.refresh.interval.ms": "500",
            }
        )
        consumer.subscribe([f"{self.prefix}.outbox"])
        try:
            yield consumer
        finally:
            consumer.close()


@pytest.fixture(params=["mysql", "mariadb", "mariadb118"])
def site(
    request: pytest.FixtureRequest,
    kafka_server: KafkaAddress,
    connect_server: ConnectAddress,
    topic_prefix: str,
    tmp_path: Path,
) -> Site:
    database: BinlogDatabase = request.getfixturevalue(f"{request.param}_database")
    connector: Connectors = request.getfixturevalue(f"{request.param}_connector")
    database.execute(TABLE)
    return Site(tmp_path, database, connector, kafka_server, connect_server, topic_prefix)


def next_record(consumer: Consumer) -> Message:
    def polled() -> Message | None:
        message = consumer.poll(0.1)
        return message if message is not None and message.error() is None else None

    message = until(polled, within_s=30, what="a record")
    assert message is not None
    return message


def value_of(message: Message) -> dict[str, Any]:
    return dict(json.loads(message.value() or b""))


def test_pending_rows_and_then_new_ones_come_on_the_outbox(site: Site) -> None:
    site.database.execute(INSERT, "sent long ago", "sent", 1)
    site.database.execute(INSERT, "waits", "it's new", "1.50")

    site.connector(site.config())
    with site.outbox() as consumer:
        pending = next_record(consumer)
        site.database.execute("UPDATE SmsQueue SET state = 'sent'")
        site.database.execute("DELETE FROM SmsQueue WHERE id = 1")
        site.database.execute(INSERT, "new", "it's new", None)
        new = next_record(consumer)

    assert pending.key() == b'{"id":2,"shop":"x"}'
    assert value_of(pending)["op"] == "r"
    assert value_of(pending)["after"]["price"] == "1.50"
    assert new.key() == b'{"id":3,"shop":"x"}'
    assert value_of(new)["op"] == "c"
    assert value_of(new)["after"]["body"] == "new"


def test_position_moves_with_other_tables_and_leaves_no_record(site: Site) -> None:
    site.connector(site.config(), heartbeat__interval__ms="500")
    before = until(lambda: site.position, within_s=30, what="a position")

    site.database.execute("CREATE TABLE other (id int PRIMARY KEY)")
    site.database.execute("ALTER TABLE SmsQueue ADD COLUMN note text")
    site.database.execute("INSERT INTO other VALUES (1)")

    until(lambda: site.position != before, within_s=30, what="the position to move")
    site.database.execute(INSERT, "first", "it's new", None)
    with site.outbox() as consumer:
        first = value_of(next_record(consumer))
    assert first["after"]["body"] == "first"
    assert "note" in first["after"]


def test_update_that_sets_a_draft_to_pending_comes_where_that_is_asked_for(site: Site) -> None:
    site.database.execute(INSERT, "draft", "draft", None)
    site.connector(site.config(pending=True))

    site.database.execute("UPDATE SmsQueue SET state = 'it''s new'")

    with site.outbox() as consumer:
        record = value_of(next_record(consumer))
    assert record["op"] == "u"
    assert record["after"]["state"] == "it's new"


def test_connector_goes_on_where_it_was_after_a_restart(site: Site) -> None:
    site.connector(site.config())
    site.database.execute(INSERT, "before", "it's new", None)
    with site.outbox() as consumer:
        before = next_record(consumer)

        assert site.connector.act("unregister", site.config()).wait() == 0
        site.database.execute(INSERT, "while away", "it's new", None)
        site.connector(site.config())
        after = next_record(consumer)
        while after.key() == before.key():  # its position may be older than its last record
            after = next_record(consumer)

    assert value_of(after)["op"] == "c"
    assert value_of(after)["after"]["body"] == "while away"


def test_few_rights_and_a_password_by_reference_are_enough(
    site: Site, breakable_connect: ConnectServer
) -> None:
    reader = site.database.user_with(*RIGHTS)
    secrets = breakable_connect.folder / f"{site.prefix}.properties"
    secrets.write_text(f"password={reader.server.password}\n")
    site.database.execute(INSERT, "waits", "it's new", None)

    reference = f"${{file:{secrets}:password}}"
    site.connector(site.config(database=reader), database__password=reference)
    with site.outbox() as consumer:
        waits = value_of(next_record(consumer))
        site.database.execute(INSERT, "new", "it's new", None)
        new = value_of(next_record(consumer))

    assert (waits["op"], new["op"]) == ("r", "c")
    assert new["after"]["body"] == "new"


def test_signal_has_pending_rows_captured_once_more(site: Site) -> None:
    site.database.execute(INSERT, "waits", "it's new", None)
    site.connector(site.config())
    with site.outbox() as consumer:
        first = next_record(consumer)
        site.database.execute(INSERT, "sent long ago", "sent", None)
        inserted = next_record(consumer)

        asked = site.connector.act("snapshot", site.config())
        assert asked.wait() == 0, asked.told()
        again = next_record(consumer)
        site.database.execute(INSERT, "new", "it's new", None)
        new = next_record(consumer)

    assert value_of(inserted)["op"] == "c"
    assert again.key() == first.key()
    assert value_of(again)["op"] == "r"
    assert value_of(new)["after"]["body"] == "new"


def test_server_is_verified_by_a_truststore(site: Site) -> None:
    server = site.database.server
    truststore = site.folder / "truststore.p12"
    keytool = ["keytool", "-importcert", "-noprompt", "-file", server.ca, "-storetype", "PKCS12"]
    run([*keytool, "-keystore", str(truststore), "-storepass", "made-up"])
    # MySQL's own certificate names no host
    mode = "verify_identity" if server.scheme == "mariadb" else "verify_ca"
    config = site.config()
    dsn = f"{site.database.dsn}?ssl_mode={mode}&ssl_ca={server.ca}"
    config.write_text(config.read_text().replace(site.database.dsn, dsn))

    site.connector(
        config,
        database__ssl__truststore=str(truststore),
        database__ssl__truststore__password="made-up",
    )
    site.database.execute(INSERT, "new", "it's new", None)

    with site.outbox() as consumer:
        assert value_of(next_record(consumer))["after"]["body"] == "new"
