"""How far a group has come on a topic, asked once for a person; nothing is joined or committed."""

from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.errors import SetupError
from cdc_sms.kafka.connection import client_settings, errors_classified, settings_checked

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
        with errors_classified(f"Asking for the offsets of {topic}"):
            return _asked(consumer, topic, wait_s)
    finally:
        consumer.close()


def _asked(consumer: Consumer, topic: str, wait_s: float) -> dict[int, Standing]:
    found = consumer.list_topics(topic, timeout=max(wait_s, 1.0)).topics[topic]
    if found.error is not None:
        if found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise SetupError(
                f"The topic {topic} isn't there.", hint="Make it with 'cdc-sms topics'."
            )
        raise KafkaException(found.error)
    places = [TopicPartition(topic, partition) for partition in sorted(found.partitions)]
    standing: dict[int, Standing] = {}
    for place in consumer.committed(places, timeout=_TIMEOUT_S):
        low, end = consumer.get_watermark_offsets(
            TopicPartition(topic, place.partition), timeout=_TIMEOUT_S
        )
        # a negative offset: nothing was ever committed
        standing[place.partition] = Standing(min(max(place.offset, low), end), end)
    return standing
