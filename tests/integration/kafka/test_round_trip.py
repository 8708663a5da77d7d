"""One record sent round, and the newest of a key found again, on a real broker."""

from collections.abc import Iterator

import pytest
from support.servers.kafka import KafkaAddress

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.errors import SetupError
from cdc_sms.kafka.producer import Producer
from cdc_sms.kafka.reading import last_of_key
from cdc_sms.kafka.round_trip import round_trip
from cdc_sms.kafka.topics import ensure_topics

OTHERS = 1_300


@pytest.fixture
def settings(kafka_server: KafkaAddress, topic_prefix: str) -> KafkaSettings:
    """Settings whose topics are there."""
    made = KafkaSettings(
        bootstrap_servers=kafka_server.bootstrap, prefix=topic_prefix, partitions=1
    )
    ensure_topics(made, alter=False)
    return made


@pytest.fixture
def producer(settings: KafkaSettings) -> Iterator[Producer]:
    """A producer; what it was given is acknowledged when the test ends."""
    made = Producer(settings)
    yield made
    made.close()


def _write(
    producer: Producer, settings: KafkaSettings, key: bytes, value: bytes | None, count: int = 1
) -> None:
    for _ in range(count):
        producer.produce(settings.heartbeat, key=key, value=value, on_delivery=lambda _: None)
    assert producer.flush(20) == 0


def test_a_record_comes_round_after_it_was_acknowledged(settings: KafkaSettings) -> None:
    took = round_trip(settings, settings.heartbeat, key=b"doctor:x", value=b"{}", wait_s=10)

    assert 0 < took.acknowledged_ms <= took.consumed_ms < 10_000


def test_a_topic_that_is_not_there_is_told(settings: KafkaSettings) -> None:
    with pytest.raises(SetupError, match="isn't there"):
        round_trip(settings, f"{settings.prefix}.nothing", key=b"k", value=b"{}", wait_s=5)


def test_the_newest_record_of_a_key_is_found_behind_many_others(
    settings: KafkaSettings, producer: Producer
) -> None:
    _write(producer, settings, b"ours", b"old")
    _write(producer, settings, b"ours", b"new")
    _write(producer, settings, b"others", b"", count=OTHERS)

    found = last_of_key(settings, settings.heartbeat, b"ours", wait_s=5)

    assert found is not None
    assert found.value == b"new"


def test_a_key_that_has_no_record_or_a_tombstone_is_nothing(
    settings: KafkaSettings, producer: Producer
) -> None:
    _write(producer, settings, b"ours", b"old")
    _write(producer, settings, b"ours", None)

    assert last_of_key(settings, settings.heartbeat, b"ours", wait_s=5) is None
    assert last_of_key(settings, settings.heartbeat, b"never", wait_s=5) is None
