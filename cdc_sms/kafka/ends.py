"""Where the partitions end that nobody fetches: a paused partition's lag goes on growing.

Asked in the background: nobody waits for an answer here.
"""

import logging
import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException, TopicPartition, admin

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.kafka.connection import admin_client

logger = logging.getLogger(__name__)

EVERY_S = 5.0
_TIMEOUT_S = 10.0
_LATEST = admin.OffsetSpec.latest()  # type: ignore[no-untyped-call]


class EndOffsets:
    """The ends of a topic's partitions, as they were some seconds ago.

    Thread: loop thread only; the answers are made in the library's thread.

    Args:
        settings: where, and as whom; it connects when it is asked first.
        topic: which.
    """

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        """Know nothing yet."""
        self._settings = settings
        self._topic = topic
        self._client: admin.AdminClient | None = None
        self._asked: Mapping[TopicPartition, Future[Any]] = {}
        self._asked_at_s = float("-inf")
        self._ends: dict[int, int] = {}

    def of(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Return what is known of these, and ask for news if the last are old.

        Returns:
            By partition the offset that the next record will have; at first nothing.
        """
        self._collect()
        now_s = time.monotonic()
        if partitions and not self._asked and now_s >= self._asked_at_s + EVERY_S:
            self._asked_at_s = now_s
            self._ask(partitions)
        return {p: self._ends[p] for p in partitions if p in self._ends}

    def _ask(self, partitions: Collection[int]) -> None:
        if self._client is None:
            self._client = admin_client(self._settings)
        self._asked = self._client.list_offsets(
            {TopicPartition(self._topic, p): _LATEST for p in partitions},
            request_timeout=_TIMEOUT_S,
        )

    def _collect(self) -> None:
        if not all(answer.done() for answer in self._asked.values()):
            return
        for named, answer in self._asked.items():
            try:
                self._ends[named.partition] = answer.result().offset
            except KafkaException as exception:
                logger.debug("ends.unknown", extra={"reason": str(exception.args[0])})
        self._asked = {}
