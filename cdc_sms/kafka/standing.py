"""How far a group has come on a topic, asked once for a person; nothing is joined or committed."""

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.kafka.asking import answered, partitions_of
from cdc_sms.kafka.connection import client_settings, settings_checked

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Standing:
    """One partition.

    Attributes:
        next_offset: the first that the group has not committed, and that is still there.
        end: the offset that the next record will have.
    """

    next_offset: int
    end: int

    @property
    def open_records(self) -> int:
        """Return how many records the group has not finished, those before them finished."""
        return self.end - self.next_offset


def standing_of(settings: KafkaSettings, topic: str, *, wait_s: float) -> dict[int, Standing]:
    """Ask how far the group of the configuration has come.

    Args:
        settings: where, as whom, and which group.
        topic: which.
        wait_s: how long a broker may take to answer; seconds.

    Returns:
        By partition.

    Raises:
        BrokerUnavailable: no broker answers.
        SetupError: the topic isn't there, or we may not ask.
    """
    chosen = client_settings(settings) | {
        "group.id": settings.deliver_group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
    }
    with settings_checked():
        consumer = Consumer(chosen)
    try:
        partitions = partitions_of(consumer, topic, wait_s=wait_s)
        return answered(
            lambda: _asked(consumer, topic, partitions), doing=f"Asking for the offsets of {topic}"
        )
    finally:
        consumer.close()


def _asked(consumer: Consumer, topic: str, partitions: Sequence[int]) -> dict[int, Standing]:
    places = [TopicPartition(topic, partition) for partition in partitions]
    standing: dict[int, Standing] = {}
    for place in consumer.committed(places, timeout=_TIMEOUT_S):
        low, end = consumer.get_watermark_offsets(
            TopicPartition(topic, place.partition), timeout=_TIMEOUT_S
        )
        # a negative offset: nothing was ever committed
        standing[place.partition] = Standing(min(max(place.offset, low), end), end)
    return standing
