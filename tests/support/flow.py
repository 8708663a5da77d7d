"""The whole way on real servers and real processes, and what a test counts of it."""

import itertools
import json
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, LiteralString

import requests
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from cdc_sms.playground.provider import Simulator
from support.business.base import Database, Position
from support.business.dialects import business_of
from support.commands import Command, Commands
from support.waiting import until

KEY = "a-key-of-the-tests"

COLUMNS = """
[table]
name = "sms"
[table.columns]
key = "id"
recipient = "phone"
text = "body"
sender = "sender"
status = "status"
created_at = "created_at"
send_after = "send_after"
expires_at = "expires_at"
provider_message_id = "provider_message_id"
sent_at = "sent_at"
error_text = "error_text"
attempts = "attempts"
[table.status]
sending = "sending"
"""

_numbers = itertools.count()


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Flow:
    """One installation: its table, topics, configuration, provider and processes.

    Args:
        database: fresh.
        kafka: where; possibly by way of a proxy.
        prefix: of its topics.
        provider: stands in for Digital Virgo.
        cdc_sms: starts its processes.
        folder: for its configuration.
        table: the configuration of another table, in TOML; with ``create``.
        create: the statements that make it; left out: the tests' own.
        deliver: settings of [deliver] that differ.
        capture: lines of [capture] that differ.
        environment: variables of all its processes.
    """

    def __init__(
        self,
        *,
        database: Database,
        kafka: str,
        prefix: str,
        provider: Simulator,
        cdc_sms: Commands,
        folder: Path,
        table: str = COLUMNS,
        create: Sequence[LiteralString] = (),
        deliver: Mapping[str, object] | None = None,
        capture: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.database = database
        self.business = business_of(database)
        self.provider = provider
        self.prefix = prefix
        self.kafka = kafka
        self._cdc_sms = cdc_sms
        self._ports = {role: free_port() for role in ("capture", "deliver", "serve")}
        self._texts = itertools.count(1)
        self._environment = {
            **(environment or {}),
            "CDC_SMS_SOURCE__PASSWORD": self.business.password,
            "CDC_SMS_PROVIDERS__JUSTSEND__KEY": KEY,
        }
        name = self.slot = f"flow_{prefix.replace('-', '_').replace('.', '_')}"
        settings = {
            "request_deadline_s": 2.0,
            "lease_s": 4.0,
            "lease_grace_s": 1.0,
            "doubt_pause_s": 1.0,
            "first_retry_s": 0.5,
            "breaker_pause_s": 1.0,
            "keeper_s": 1.0,
            "shutdown_grace_s": 8.0,
            **(deliver or {}),
        }
        self.config = folder / f"cdc-sms-{next(_numbers)}.toml"
        self.config.write_text(
            f'[source]\ndsn = "{self.business.dsn}"\n{table}\n'
            f'[kafka]\nbootstrap_servers = "{kafka}"\nprefix = "{prefix}"\npartitions = 4\n'
            f'[capture]\nslot = "{name}"\npublication = "{name}"\n'
            f'address = "127.0.0.1:{self._ports["capture"]}"\n{_lines(capture or {})}'
            f'[deliver]\naddress = "127.0.0.1:{self._ports["deliver"]}"\n{_lines(settings)}'
            f'[serve]\naddress = "127.0.0.1:{self._ports["serve"]}"\nroles = '
            f'["{self.url("capture")}", "{self.url("deliver")}"]\n'
            f'[providers.justsend]\nurl = "{provider.url}"\nsender = "ACME"\n'
        )
        for statement in create or [self.business.table]:
            database.execute(statement)
        self.run("migrate")
        self.run("topics")

    # ---- processes -----------------------------------------------------------------------------

    def url(self, role: str) -> str:
        """Return where a role answers."""
        return f"http://127.0.0.1:{self._ports[role]}"

    def run(self, *words: str, expect: int | None = 0) -> Command:
        """Run a command to its end."""
        return self._cdc_sms.run(
            *words, "--config", str(self.config), environment=self._environment, expect=expect
        )

    def start(self, role: str, *, ready: bool = True, **environment: str) -> Command:
        """Start a role, and wait until it is ready; ``environment`` is this process's alone."""
        process = self._cdc_sms(
            role,
            "--config",
            str(self.config),
            environment={**self._environment, **environment},
        )
        if ready:
            process.await_url(f"{self.url(role)}/health/ready")
        return process

    def status(self, role: str) -> dict[str, Any]:
        """Return a role's status."""
        answer: dict[str, Any] = requests.get(f"{self.url(role)}/status", timeout=5).json()
        return answer

    # ---- the table -----------------------------------------------------------------------------

    def insert(self, count: int, *, transaction: int = 1) -> None:
        """Insert good rows, each with a text of its own, some a transaction."""
        with self.business.session() as session:
            for begin in range(0, count, transaction):
                size = min(transaction, count - begin)
                texts = itertools.islice(self._texts, size)
                session.insert((f"+48600{n:06}", f"text {n}") for n in texts)
                session.commit()

    def statuses(self) -> Counter[str]:
        """Count the rows by their status."""
        rows = self.database.execute("SELECT status, count(*) FROM sms GROUP BY 1")
        return Counter(dict(rows))

    def await_statuses(self, *, within_s: float = 60, **wanted: int) -> None:
        """Wait until the rows stand so, and no others."""
        until(
            lambda: self.statuses() == Counter(wanted),
            within_s=within_s,
            what=f"rows to be {wanted}",
            seen=self.statuses,
        )

    def publish(self) -> None:
        """Make what a connector reads, as its documentation says."""
        self.business.publish(self.slot)

    def confirmed(self) -> Position:
        """Return up to where the built-in reader has confirmed the log."""
        return self.business.confirmed(self.saved_positions)

    def saved_positions(self) -> list[str]:
        """Return what the topic of positions holds, the newest last."""
        return [record.value().decode() for record in self.records("positions") if record.value()]

    # ---- what is counted -----------------------------------------------------------------------

    def accepted(self) -> Counter[str]:
        """Count acceptances by text: more than one is a double."""
        return Counter(message.text for message in self.provider.accepted())

    def lost(self) -> list[str]:
        """Return the texts of sent rows that the provider never accepted."""
        accepted = self.accepted()
        rows = self.database.execute("SELECT body FROM sms WHERE status = 'sent'")
        return [body for (body,) in rows if not accepted[body]]

    def ledger(self, question: LiteralString) -> Any:
        """Return the single value that a question to the ledger has."""
        [(value,)] = self.database.execute(question)
        return value

    def dead_letters(self) -> list[dict[str, Any]]:
        """Return what `dlq list` shows."""
        listed: list[dict[str, Any]] = json.loads(self.run("dlq", "list", "--json").output)
        return listed

    def records(self, topic: str) -> list[Any]:
        """Read a whole topic, partition by partition."""
        name = f"{self.prefix}.{topic}"
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "none"})
        try:
            partitions = consumer.list_topics(name, timeout=10).topics[name].partitions
            read: list[Any] = []
            for partition in partitions:
                place = TopicPartition(name, partition, 0)
                first, end = consumer.get_watermark_offsets(place, timeout=10)
                place.offset = first
                consumer.assign([place])
                while first < end:
                    # consume(n) would wait for n records, or for all of its time-out
                    record = consumer.poll(5)
                    if record is not None and record.error() is None:
                        read.append(record)
                        first = (record.offset() or 0) + 1
            return read
        finally:
            consumer.close()

    def outbox_size(self) -> int:
        """Count the records that the outbox was ever given."""
        with closing(self._member_of_none()) as consumer:
            return sum(_end(consumer, place) for place in self._places(consumer))

    def lag(self) -> int:
        """Count the outbox's records that the group has not committed, as the broker says."""
        with closing(self._member_of_none()) as consumer:
            committed = consumer.committed(self._places(consumer), timeout=10)
            return sum(_end(consumer, place) - max(place.offset, 0) for place in committed)

    def _member_of_none(self) -> Consumer:
        """Return a client that may ask for the group's offsets without joining it."""
        group = f"{self.prefix}.deliver"
        return Consumer({"bootstrap.servers": self.kafka, "log_level": 0, "group.id": group})

    def _places(self, consumer: Consumer) -> list[TopicPartition]:
        name = f"{self.prefix}.outbox"
        partitions = consumer.list_topics(name, timeout=10).topics[name].partitions
        return [TopicPartition(name, partition) for partition in partitions]

    def at_rest(self) -> bool:
        """Say whether every offset is committed and every message done."""
        open_messages = self.ledger("SELECT count(*) FROM cdc_sms_delivery WHERE NOT done")
        lags = self.status("deliver").get("lag")
        return open_messages == 0 and lags is not None and not any(lags.values())

    def await_rest(self, *, within_s: float = 60) -> None:
        """Wait until nothing is under way."""
        until(self.at_rest, within_s=within_s, what="the flow to be at rest")

    def remove_topic(self, topic: str) -> None:
        """Delete one of its topics, and wait until the broker has let it go."""
        name = f"{self.prefix}.{topic}"
        client = AdminClient({"bootstrap.servers": self.kafka})
        client.delete_topics([name])[name].result(10)
        until(
            lambda: name not in client.list_topics(timeout=10).topics,
            within_s=30,
            what=f"{name} to be gone",
        )

    def remove(self) -> None:
        """Remove its topics; the database's fixture drops the rest."""
        client = AdminClient({"bootstrap.servers": self.kafka, "log_level": 0})
        topics = client.list_topics(timeout=10).topics
        mine = [topic for topic in topics if topic.startswith(f"{self.prefix}.")]
        for answer in (client.delete_topics(mine) if mine else {}).values():
            answer.exception()


def _end(consumer: Consumer, place: TopicPartition) -> int:
    return int(consumer.get_watermark_offsets(place, timeout=10)[1])


def _lines(settings: Mapping[str, object]) -> str:
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
