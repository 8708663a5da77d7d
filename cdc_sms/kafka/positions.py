"""Positions in the logs of MySQL and MariaDB, on a compacted topic beside the records.

Written when the records that a position speaks of are acknowledged. One key a reader: of each the
last record counts.
"""

import logging

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.kafka.producer import Delivery, Producer
from cdc_sms.kafka.reading import last_of_key

logger = logging.getLogger(__name__)

_WAIT_S = 10.0


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
        """Return what was saved last; None: nothing was, or somebody wrote a tombstone.

        Raises:
            BrokerUnavailable: no broker answers.
            SetupError: the topic isn't there, or we may not read it.
        """
        topic = self._settings.positions
        found = last_of_key(self._settings, topic, self._key, wait_s=_WAIT_S)
        return None if found is None or found.value is None else found.value.decode()

    def save(self, position: str) -> None:
        """Hand the position over; the producer keeps the order.

        Raises:
            BrokerError: the producer is broken.
        """
        self._producer.produce(
            self._settings.positions,
            key=self._key,
            value=position.encode(),
            on_delivery=_delivered,
        )


def _delivered(delivery: Delivery) -> None:
    if delivery.error is not None:
        logger.warning("position.refused", extra={"reason": delivery.error.message})
