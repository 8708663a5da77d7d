"""The heartbeat: written into the database's log, read back from it, acknowledged on its topic.

What comes round proves that the log is read and that Kafka takes records, also while the table is
quiet; and its last record tells a restored backup from a server that only slept.
"""

import logging

import orjson

from cdc_sms.kafka.producer import Delivery, Producer
from cdc_sms.model.clock import Clock
from cdc_sms.sources.base import Heartbeat

logger = logging.getLogger(__name__)

LATE_S = 25.0
"""A proof of life that is older than this is missed; with the pause between two below 30 s."""


class HeartbeatTopic:
    """Puts heartbeats on their topic, and knows when the last one was acknowledged.

    Thread: capture's loop.

    Args:
        producer: polled by the loop.
        topic: of heartbeats.
        slot: whose reader this is.
        clock: times them.
    """

    def __init__(self, *, producer: Producer, topic: str, slot: str, clock: Clock) -> None:
        self._producer = producer
        self._topic = topic
        self._slot = slot
        self._clock = clock
        self._read_s = self._acknowledged_s = clock.monotonic_s()
        self._is_out = False

    def begin(self) -> None:
        """Count from now on: the log was just acquired."""
        self._read_s = self._acknowledged_s = self._clock.monotonic_s()

    def read_back(self, beat: Heartbeat) -> None:
        """Take one that came back from the log on to its topic; one at a time is enough."""
        self._read_s = self._clock.monotonic_s()
        if self._is_out:
            return
        self._is_out = True
        value = {
            "ts_ms": int(self._clock.now().timestamp() * 1000),
            "slot": self._slot,
            "position": beat.position,
            "server": beat.server,
            "history": beat.history,
        }
        self._producer.produce(
            self._topic,
            key=self._slot.encode(),
            value=orjson.dumps(value),
            on_delivery=self._delivered,
        )

    def proved(self) -> None:
        """Take note that rows came through: proof enough."""
        self._read_s = self._acknowledged_s = self._clock.monotonic_s()

    @property
    def age_s(self) -> float:
        """Return how long ago the last proof of life came round; seconds."""
        return self._clock.monotonic_s() - self._acknowledged_s

    @property
    def why_late(self) -> str | None:
        """Return what is in the way of the heartbeat; None: nothing is."""
        if self.age_s < LATE_S:
            return None
        if self._clock.monotonic_s() - self._read_s < LATE_S:
            return f"Kafka has acknowledged no heartbeat for {self.age_s:.0f} s."
        return f"No heartbeat has come back from the log for {self.age_s:.0f} s."

    def _delivered(self, delivery: Delivery) -> None:
        self._is_out = False
        if delivery.error is None:
            self._acknowledged_s = self._clock.monotonic_s()
        else:
            logger.warning("heartbeat.refused", extra={"reason": delivery.error.message})
