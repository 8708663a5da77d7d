from collections.abc import Callable, Iterator

import pytest
from support.servers.kafka import KafkaAddress

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.kafka.positions import PositionTopic
from cdc_sms.kafka.producer import Producer
from cdc_sms.kafka.topics import ensure_topics


@pytest.fixture
def settings(kafka_server: KafkaAddress, topic_prefix: str) -> KafkaSettings:
    made = KafkaSettings(bootstrap_servers=kafka_server.bootstrap, prefix=topic_prefix)
    ensure_topics(made, alter=False)
    return made


@pytest.fixture
def producer(settings: KafkaSettings) -> Iterator[Producer]:
    made = Producer(settings)
    yield made
    made.close()


@pytest.fixture
def topic(settings: KafkaSettings, producer: Producer) -> Callable[[str], PositionTopic]:
    return lambda name: PositionTopic(settings=settings, producer=producer, name=name)


Topic = Callable[[str], PositionTopic]


def test_nothing_is_found_before_a_position_was_saved(topic: Topic) -> None:
    assert topic("ours").load() is None


def test_the_last_saved_position_is_found(topic: Topic, producer: Producer) -> None:
    ours = topic("ours")

    ours.save("one")
    ours.save("two")
    producer.flush(10)

    assert ours.load() == "two"


def test_a_position_is_found_behind_many_of_another_reader(
    topic: Topic, producer: Producer
) -> None:
    ours, other = topic("ours"), topic("other")

    ours.save("one")
    for number in range(1200):
        other.save(str(number))
    producer.flush(10)

    assert ours.load() == "one"
    assert other.load() == "1199"


def test_a_position_behind_a_tombstone_is_not_found(
    settings: KafkaSettings, topic: Topic, producer: Producer
) -> None:
    ours = topic("ours")
    ours.save("one")

    producer.produce(settings.positions, key=b"ours", value=None, on_delivery=lambda _: None)
    producer.flush(10)

    assert ours.load() is None
