"""Connectors of one recording, and what they leave on their topics."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from support.servers.connect import ConnectAddress
from support.waiting import until

from recording.matrix import BASE
from recording.places import Place
from recording.tables import LAST, MESSAGES, SIGNALS

STARTED_WITHIN_S = 90
QUIET_S = 3.0
CONTEXT = "__debezium.context."
"""Headers on each record that name the connector and its run."""
MOST_RECORDS = 2_000
MOST_OF_A_KIND = 6
"""Of heartbeats, transactions and changes of the schema: all are alike."""
TIMEOUT_S = 30


@dataclass
class Recorder:
    """One connector under one setting, from its registration to the last of its records."""

    connect: ConnectAddress
    place: Place
    setting: str
    differing: Mapping[str, str]
    number: int
    records: list[Message] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """What its topics' names begin with; of this recording alone."""
        return f"{self.place.database}_{self.number}"

    @property
    def _url(self) -> str:
        return f"{self.connect.url}/connectors/{self.prefix}"

    def register(self) -> None:
        """Register it."""
        configuration = {
            **BASE,
            **self.place.properties,
            "topic.prefix": self.prefix,
            "table.include.list": self.place.tables(with_signals=self.setting == "incremental"),
            **self._own(),
            **self.differing_here(),
        }
        answer = requests.put(f"{self._url}/config", json=configuration, timeout=TIMEOUT_S)
        assert answer.ok, f"{answer.status_code} {answer.text}"

    def differing_here(self) -> Mapping[str, str]:
        """Return the properties that differ, with the names of this place filled in."""
        signals = f"{self.place.schema}.{SIGNALS}"
        return {
            key: value.replace("<signals>", signals).replace("<prefix>", self.prefix)
            for key, value in self.differing.items()
        }

    def _own(self) -> Mapping[str, str]:
        if self.place.connector == "postgresql":
            return {"slot.name": self.prefix, "publication.name": self.prefix}
        return {
            "database.server.id": str(5_400 + self.number),
            "schema.history.internal.kafka.topic": f"history_{self.prefix}",
            "schema.history.internal.kafka.bootstrap.servers": self.connect.bootstrap,
        }

    def remove(self) -> None:
        """Remove it; its position stays in the worker's topic, under a name that is not used."""
        requests.delete(self._url, timeout=TIMEOUT_S).raise_for_status()

    def remove_topics(self) -> None:
        """Remove its topics."""
        admin = AdminClient({"bootstrap.servers": self.connect.bootstrap})
        names = [
            name for name in admin.list_topics(timeout=TIMEOUT_S).topics if self._is_mine(name)
        ]
        for done in admin.delete_topics(names).values() if names else ():
            done.result()

    def read_until(self, *, row: int) -> None:
        """Read its topics until a row of the messages' table is there."""
        with _reading(self.connect.bootstrap) as consumer:
            self._read_to(consumer, row)

    def read_to_the_end(self) -> None:
        """Read until nothing more comes, heartbeats and other people's transactions aside."""
        with _reading(self.connect.bootstrap) as consumer:
            self._read_to(consumer, LAST)
            self._read(consumer, within_s=QUIET_S)

    def _read_to(self, consumer: Consumer, row: int) -> None:
        until(
            lambda: self._read(consumer) and self._has(row),
            within_s=STARTED_WITHIN_S,
            what=f"row {row} of {self.prefix} ({self.setting})",
            seen=lambda: requests.get(f"{self._url}/status", timeout=TIMEOUT_S).text[:3000],
        )

    def _has(self, row: int) -> bool:
        texts = (f'"id":{row}}}'.encode(), f'"id":{row},'.encode())
        return any(
            (one.topic() or "").endswith(f".{MESSAGES}")
            and any(text in (one.key() or b"") for text in texts)
            for one in self.records
        )

    def _read(self, consumer: Consumer, within_s: float = 1.0) -> bool:
        """Read all its topics from their beginnings: what is there, and what comes in time."""
        names = consumer.list_topics(timeout=TIMEOUT_S).topics
        mine = [name for name in sorted(names) if self._is_mine(name) and "history_" not in name]
        if not mine:
            return False
        consumer.assign([TopicPartition(name, 0, 0) for name in mine])
        self.records = []
        ends = time.monotonic() + within_s
        while (message := consumer.poll(0.3)) is not None or time.monotonic() < ends:
            if message is not None and message.error() is None:
                self.records.append(message)
            if len(self.records) > MOST_RECORDS:
                break
        return True

    def _is_mine(self, topic: str) -> bool:
        name = topic.removeprefix("__debezium-heartbeat.").removeprefix("history_")
        return name == self.prefix or name.startswith(f"{self.prefix}.")

    def lines(self) -> Iterator[str]:
        """Yield the records as lines of JSON, with constant names for the recording's own."""
        alike = Counter[str]()
        for one in self.records:
            topic = one.topic() or ""
            if not topic.startswith(f"{self.prefix}.{self.place.schema}."):
                alike[topic] += 1
            if alike[topic] > MOST_OF_A_KIND:
                continue
            line = {
                "connector": self.place.connector,
                "setting": self.setting,
                "properties": dict(self.differing),
                "topic": topic,
                "key": _text(one.key()),
                "value": _text(one.value()),
                "headers": [
                    [header[0], _text(header[1])]
                    for header in one.headers() or ()
                    if not header[0].startswith(CONTEXT)
                ],
            }
            written = json.dumps(line, ensure_ascii=False)
            yield written.replace(self.prefix, "recording").replace(self.place.database, "shop")


def _text(content: Any) -> str | None:
    return None if content is None else bytes(content).decode()


@contextmanager
def _reading(bootstrap: str) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "recording",
            "enable.auto.commit": "false",
            "allow.auto.create.topics": "false",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": "10",
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def removed(recorders: Sequence[Recorder]) -> None:
    """Remove all of them, then their topics: a connector that runs would make them again."""
    for recorder in recorders:
        recorder.remove()
    for recorder in recorders:
        recorder.remove_topics()
