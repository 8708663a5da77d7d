"""One record through the broker and back, timed: produced, acknowledged, consumed."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import OFFSET_END, Consumer, KafkaError, TopicPartition

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.errors import BrokerUnavailable
from cdc_sms.kafka.asking import partitions_of
from cdc_sms.kafka.connection import classified, client_settings, settings_checked
from cdc_sms.kafka.producer import Delivery, Producer

_SLICE_S = 0.05
_END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001 - the library's only name for it


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """How long it took from handing the record over; milliseconds."""

    acknowledged_ms: float
    consumed_ms: float


def round_trip(
    settings: KafkaSettings, topic: str, *, key: bytes, value: bytes, wait_s: float
) -> RoundTrip:
    """Produce a record as capture does, and consume it as deliver does, without a group.

    Connections are made before the clock starts.

    Args:
        settings: where, and as whom.
        topic: it exists.
        key: of the record; whoever reads the topic must know it for nobody's.
        value: of the record.
        wait_s: how long each step may take; seconds.

    Raises:
        BrokerUnavailable: no broker answers in time.
        SetupError: the topic isn't there, or we may not write or read it.
        BrokerError: the broker refuses the record.
    """
    chosen = client_settings(settings) | {
        "group.id": f"{settings.prefix}.doctor",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 10,
    }
    with settings_checked():
        consumer = Consumer(chosen)
    producer = Producer(settings)
    try:
        _stand_at_end(consumer, topic, wait_s)
        begun_s = time.monotonic()
        delivery = _acknowledged(producer, topic, key, value, wait_s)
        acknowledged_s = time.monotonic()
        _consume(consumer, topic, delivery, wait_s)
        consumed_s = time.monotonic()
    finally:
        producer.close()
        consumer.close()
    return RoundTrip(
        acknowledged_ms=round((acknowledged_s - begun_s) * 1000, 3),
        consumed_ms=round((consumed_s - begun_s) * 1000, 3),
    )


def _stand_at_end(consumer: Consumer, topic: str, wait_s: float) -> None:
    """Read every partition up to its end, so that the next record is the next one read."""
    partitions = partitions_of(consumer, topic, wait_s=wait_s)
    consumer.assign([TopicPartition(topic, p, OFFSET_END) for p in partitions])
    left = set(partitions)

    def stands() -> bool:
        record = consumer.poll(_SLICE_S)
        error = None if record is None else record.error()
        if record is not None and error is not None:
            if error.code() != _END_OF_PARTITION:
                raise classified(error, doing=f"Reading {topic}")
            left.discard(record.partition() or 0)
        return not left

    _within(wait_s, stands, f"Reading {topic} did not reach its end")


def _acknowledged(
    producer: Producer, topic: str, key: bytes, value: bytes, wait_s: float
) -> Delivery:
    delivered: list[Delivery] = []
    producer.produce(topic, key=key, value=value, on_delivery=delivered.append)

    def is_delivered() -> bool:
        producer.poll(_SLICE_S)
        return bool(delivered)

    _within(wait_s, is_delivered, f"Kafka acknowledged nothing on {topic}")
    if delivered[0].error is not None:
        raise delivered[0].error
    return delivered[0]


def _consume(consumer: Consumer, topic: str, delivery: Delivery, wait_s: float) -> None:
    def is_consumed() -> bool:
        record = consumer.poll(_SLICE_S)
        if record is None:
            return False
        error = record.error()
        if error is not None and error.code() != _END_OF_PARTITION:
            raise classified(error, doing=f"Reading {topic}")
        place = (record.partition(), record.offset())
        return error is None and place == (delivery.partition, delivery.offset)

    _within(wait_s, is_consumed, f"The record did not come back from {topic}")


def _within(wait_s: float, is_done: Callable[[], bool], complaint: str) -> None:
    deadline_s = time.monotonic() + max(wait_s, 1.0)
    while not is_done():
        if time.monotonic() > deadline_s:
            raise BrokerUnavailable(
                f"{complaint} within {max(wait_s, 1.0):g} s.",
                hint="Check that the brokers in kafka.bootstrap_servers run and are reachable.",
            )
