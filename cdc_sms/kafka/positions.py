"""Positions in the logs of MySQL and MariaDB, on a compacted topic beside the records.

Written when the records that a position speaks of are acknowledged. One key a reader: of each the
last record counts.
"""

import logging

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.errors import BrokerUnavailable
from cdc_sms.kafka.producer import Delivery, Producer
from cdc_sms.kafka.reading import FoundRecord, bounds_of, records_between

logger = logging.getLogger(__name__)

_WAIT_S = 10.0
_STEP = 500


class PositionTopic:
    """One reader's position on its topic.

    Args:
        settings: where the broker is.
        producer: polled by its owner; what it can't deliver is written again with the next one.
        name: the reader's, which is the record's key.

    Thread: the producer's.
    """

    def __init__(self, *, settings: KafkaSettings, producer: Producer, name: str) -> None:
        self._settings = settings
        self._producer = producer
        self._key = name.encode()

    def load(self) -> str | None:
        """Return what was saved last, read from the topic's end; None: nothing, or forgotten.

        Raises:
            BrokerUnavailable: no broker answers.
            SetupError: the topic isn't there, or we may not read it.
        """
        first, end = bounds_of(self._settings, self._settings.positions, wait_s=_WAIT_S)[0]
        while end > first:
            start = max(first, end - _STEP)
            found = self._last_between(start, end)
            if found is not None:
                return None if found.value is None else found.value.decode()
            end = start
        return None

    def save(self, position: str) -> None:
        """Hand the position over; the producer keeps the order.

        Raises:
            BrokerError: the producer is broken.
        """
        self._write(position.encode())

    def forget(self) -> None:
        """Take back what was saved, and wait until the broker knows.

        Raises:
            BrokerUnavailable: it doesn't answer.
        """
        self._write(None)
        if self._producer.flush(_WAIT_S):
            raise BrokerUnavailable(
                f"Kafka acknowledges nothing on {self._settings.positions}.",
                hint="Nothing needs to be done once the brokers run: capture tries again.",
            )

    def _last_between(self, start: int, end: int) -> FoundRecord | None:
        records = records_between(self._settings, self._settings.positions, {0: (start, end)})
        ours = [record for record in records if record.key == self._key]
        return max(ours, key=lambda record: record.offset, default=None)

    def _write(self, value: bytes | None) -> None:
        self._producer.produce(
            self._settings.positions, key=self._key, value=value, on_delivery=_delivered
        )


def _delivered(delivery: Delivery) -> None:
    if delivery.error is not None:
        logger.warning("position.refused", extra={"reason": delivery.error.message})
