"""Reads the demo's topics from their beginning, and remembers when it saw what."""

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import orjson
from confluent_kafka import Consumer, Message, TopicPartition

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.kafka import headers
from cdc_sms.kafka.connection import client_settings

_POLL_S = 0.1
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class SeenDeadLetter:
    """A record on the dead-letter topic: the message's id, why, and the reason in words."""

    message_id: str
    dead_letter_class: str
    text: str


class Watcher:
    """A consumer of the demo's own, in no group, that commits nothing.

    Thread: its own one reads; the results may be looked at from any.

    Attributes:
        seen_at_s: for each key of the business table, when its first record was seen on the
            outbox; the wall clock, seconds.
        dead_letters: what lies on the dead-letter topic, by message id.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        """Start to read.

        Args:
            kafka: an existing broker, its topics made.
        """
        self.seen_at_s: dict[int, float] = {}
        self.dead_letters: dict[str, SeenDeadLetter] = {}
        self._kafka = kafka
        self._consumer = Consumer(_settings(kafka))
        self._consumer.assign(self._partitions())
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, name="topic-watcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._stopped.set()
        self._thread.join()
        self._consumer.close()

    def __enter__(self) -> Self:
        """Return the watcher."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop reading."""
        self.close()

    def _partitions(self) -> list[TopicPartition]:
        known = self._consumer.list_topics(timeout=_TIMEOUT_S).topics
        return [
            TopicPartition(topic, partition, 0)
            for topic in (self._kafka.outbox, self._kafka.dlq)
            for partition in known[topic].partitions
        ]

    def _read(self) -> None:
        while not self._stopped.is_set():
            # one at a time: consume() waits its whole time-out for a batch to fill
            message = self._consumer.poll(_POLL_S)
            if message is not None and message.error() is None:
                self._note(message, time.time())

    def _note(self, message: Message, seen_at_s: float) -> None:
        if message.topic() == self._kafka.outbox:
            key = orjson.loads(message.key() or b"null")
            self.seen_at_s.setdefault(key["id"], seen_at_s)
        else:
            letter = _dead_letter(message)
            self.dead_letters[letter.message_id] = letter


def _dead_letter(message: Message) -> SeenDeadLetter:
    said = {name: bytes(value or b"").decode() for name, value in _headers(message)}
    return SeenDeadLetter(said[headers.MESSAGE_ID], said[headers.CLASS], said[headers.TEXT])


def _headers(message: Message) -> list[tuple[str, Any]]:
    found: Any = message.headers()  # a list, though the library's types allow more
    return found or []


def _settings(kafka: KafkaSettings) -> dict[str, Any]:
    return {
        **client_settings(kafka),
        "group.id": f"{kafka.prefix}.demo-watcher",  # needed, though nothing joins it
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 10,
    }
