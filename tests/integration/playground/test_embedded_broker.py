import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from support.waiting import until

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.playground.broker import GROUP_PROTOCOL, LIBRDKAFKA, EmbeddedBroker
from cdc_sms.playground.embedded import LARGEST, embedded_servers

TOPIC = "playground.outbox"
PARTITIONS = 4

MEMBER = """
import sys
from confluent_kafka import Consumer
consumer = Consumer({
    "bootstrap.servers": sys.argv[1], "group.id": "members", "group.protocol": sys.argv[2],
    "auto.offset.reset": "earliest", "enable.auto.commit": False, "fetch.wait.max.ms": 10,
})
consumer.subscribe([sys.argv[3]])
while True:
    if (message := consumer.poll(1)) is not None and not message.error():
        print(message.value().decode(), flush=True)
"""


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({TOPIC: PARTITIONS, "playground.dlq": 1}) as broker:
        yield broker


def produce(broker: EmbeddedBroker, *values: str) -> None:
    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            **LIBRDKAFKA,
        }
    )
    for value in values:
        producer.produce(TOPIC, key=value, value=value)
    assert producer.flush(10) == 0


def start_member(broker: EmbeddedBroker) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MEMBER, broker.bootstrap_servers, GROUP_PROTOCOL, TOPIC],
        stdout=subprocess.PIPE,
        text=True,
    )


def read_lines(member: subprocess.Popen[str], count: int) -> set[str]:
    assert member.stdout is not None
    return {member.stdout.readline().strip() for _ in range(count)}


def test_broker_starts_with_its_topics() -> None:
    with EmbeddedBroker({TOPIC: PARTITIONS, "playground.dlq": 1}) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        topics = producer.list_topics(timeout=10).topics

    assert {name: len(topic.partitions) for name, topic in topics.items()} == {
        TOPIC: PARTITIONS,
        "playground.dlq": 1,
    }


def test_broker_keeps_what_is_produced_for_every_later_reader(broker: EmbeddedBroker) -> None:
    values = {str(number) for number in range(200)}
    produce(broker, *values)

    reader = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "reader"})
    reader.assign([TopicPartition(TOPIC, partition, 0) for partition in range(PARTITIONS)])
    read: set[str] = set()

    def has_read_all() -> bool:
        read.update((m.value() or b"").decode() for m in reader.consume(50, timeout=0.5))
        return read >= values

    until(has_read_all, within_s=20, what="all records to be read back")
    reader.close()

    assert read == values


def test_group_goes_on_without_loss_after_a_member_is_killed(broker: EmbeddedBroker) -> None:
    first = start_member(broker)
    produce(broker, "before")
    assert read_lines(first, 1) == {"before"}

    first.kill()
    first.communicate()
    produce(broker, "while nobody reads")
    second = start_member(broker)

    # nothing was committed: the second member reads both
    assert read_lines(second, 2) == {"before", "while nobody reads"}
    second.kill()
    second.communicate()


def test_broker_can_be_closed_twice() -> None:
    broker = EmbeddedBroker({TOPIC: 1})

    broker.close()
    broker.close()


def test_broker_holds_as_many_records_as_the_demo_allows(tmp_path: Path) -> None:
    with embedded_servers(tmp_path) as servers:
        settings = KafkaSettings.model_validate(servers.kafka)
        producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "partitioner": "murmur2_random",
                "compression.type": "none",
            }
        )
        for key in range(LARGEST):
            producer.produce(settings.outbox, key=f'{{"id":{key}}}', value=bytes(1500))
            producer.poll(0)
        assert producer.flush(60) == 0

        reader = Consumer({"bootstrap.servers": settings.bootstrap_servers, "group.id": "reader"})
        ends = [
            reader.get_watermark_offsets(TopicPartition(settings.outbox, partition), timeout=10)
            for partition in range(settings.partitions)
        ]
        reader.close()

    assert [low for low, _ in ends] == [0] * settings.partitions
    assert sum(high for _, high in ends) == LARGEST
