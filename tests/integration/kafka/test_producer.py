"""The producer on a real Kafka: same partitions as Debezium, nothing dropped, nothing doubled."""

import random
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from support.golden import VERSIONS, debezium_records
from support.servers.kafka import KafkaAddress
from support.tcp_proxy import TcpProxy
from support.waiting import still, until

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.errors import ConfigurationError, ProduceFailed, SetupError
from cdc_sms.kafka.producer import MAX_REQUEST_BYTES, Counted, Delivery, Producer

PARTITIONS_OF_THE_GOLDEN_RECORDS = 12


@pytest.fixture
def topic(kafka_server: KafkaAddress, topic_prefix: str) -> str:
    """A topic that takes a megabyte."""
    name = f"{topic_prefix}.outbox"
    admin = AdminClient({"bootstrap.servers": kafka_server.bootstrap})
    new = NewTopic(
        name, PARTITIONS_OF_THE_GOLDEN_RECORDS, 1, config={"max.message.bytes": "1000000"}
    )
    for made in admin.create_topics([new]).values():
        made.result()
    return name


@pytest.fixture
def producer(kafka_server: KafkaAddress) -> Iterator[Producer]:
    """A producer that reaches the broker."""
    made = Producer(KafkaSettings(bootstrap_servers=kafka_server.bootstrap))
    yield made
    made.close()


def produced(
    producer: Producer, topic: str, key: bytes | None, value: bytes | None = b"v"
) -> Delivery:
    """Produce one record and wait for its delivery."""
    deliveries: list[Delivery] = []
    producer.produce(topic, key=key, value=value, on_delivery=deliveries.append)
    await_deliveries(producer, deliveries)
    return deliveries[0]


def await_deliveries(producer: Producer, deliveries: list[Delivery], count: int = 1) -> None:
    """Poll until so many records have met their fate."""

    def arrived() -> bool:
        producer.poll(0.05)
        return len(deliveries) >= count

    until(arrived, within_s=20, what=f"{count} deliveries", every_s=0)


def record_at(server: KafkaAddress, topic: str, delivery: Delivery) -> Message:
    """Read one record back."""
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": topic})
    consumer.assign([TopicPartition(topic, delivery.partition, delivery.offset)])
    try:
        polled = until(lambda: [m for m in [consumer.poll(0.1)] if m is not None], within_s=20)
    finally:
        consumer.close()
    return polled[0]


@pytest.mark.parametrize("table", ["sms", "sms_composite"])
def test_a_key_is_on_the_partition_where_debezium_put_it(
    producer: Producer, topic: str, table: str
) -> None:
    theirs = [record for version in VERSIONS for record in debezium_records(version, table)]

    ours = [produced(producer, topic, record.key).partition for record in theirs]

    assert ours == [record.partition for record in theirs]
    assert len(set(ours)) > 3


def test_a_record_lies_where_its_delivery_says(
    producer: Producer, topic: str, kafka_server: KafkaAddress
) -> None:
    deliveries: list[Delivery] = []
    producer.produce(
        topic, key=b"k", value=b"v", headers=[("a", b"1")], on_delivery=deliveries.append
    )
    await_deliveries(producer, deliveries)

    message = record_at(kafka_server, topic, deliveries[0])

    assert (message.key(), message.value(), message.headers()) == (b"k", b"v", [("a", b"1")])
    assert deliveries[0].error is None


def test_a_tombstone_can_be_written(
    producer: Producer, topic: str, kafka_server: KafkaAddress
) -> None:
    delivery = produced(producer, topic, b"k", None)

    assert record_at(kafka_server, topic, delivery).value() is None


@pytest.mark.parametrize("size", [2_000_000, MAX_REQUEST_BYTES + 1], ids=["broker", "client"])
def test_a_record_that_is_too_large_is_refused_by_its_call_back(
    producer: Producer, topic: str, size: int
) -> None:
    delivery = produced(producer, topic, b"k", _incompressible(size))

    assert isinstance(delivery.error, ProduceFailed)
    assert delivery.partition == -1


def test_a_record_that_was_refused_spoils_no_later_one(producer: Producer, topic: str) -> None:
    refused = produced(producer, topic, b"k", _incompressible(2_000_000))
    good = produced(producer, topic, b"k", b"v")

    assert refused.error is not None
    assert good.error is None


def test_a_missing_topic_is_a_finding(kafka_server: KafkaAddress, topic_prefix: str) -> None:
    soon = {"topic.metadata.propagation.max.ms": 500}
    settings = KafkaSettings(bootstrap_servers=kafka_server.bootstrap, librdkafka=soon)
    producer = Producer(settings)

    delivery = produced(producer, f"{topic_prefix}.nowhere", b"k")
    producer.close()

    assert isinstance(delivery.error, SetupError)
    assert "cdc-sms topics" in delivery.error.hint


def test_a_broker_that_is_away_is_waited_for(kafka_proxy: TcpProxy, topic: str) -> None:
    producer = Producer(KafkaSettings(bootstrap_servers=kafka_proxy.address))
    deliveries: list[Delivery] = []
    kafka_proxy.cut()

    producer.produce(topic, key=b"k", value=b"v", on_delivery=deliveries.append)
    still(lambda: producer.poll(0) + 1 and not deliveries, for_s=2, what="no delivery")
    kafka_proxy.restore()
    await_deliveries(producer, deliveries)
    producer.close()

    assert deliveries[0].error is None


def test_answers_that_are_lost_double_nothing(
    kafka_proxy: TcpProxy, kafka_server: KafkaAddress, topic: str
) -> None:
    producer = Producer(KafkaSettings(bootstrap_servers=kafka_proxy.address))
    deliveries: list[Delivery] = []
    first = produced(producer, topic, b"k")

    kafka_proxy.mute()
    for _ in range(10):
        producer.produce(topic, key=b"k", value=b"v", on_delivery=deliveries.append)
    until(lambda: _end(kafka_server, topic, first.partition) > 1, within_s=20)
    kafka_proxy.drop_connections()
    kafka_proxy.restore()
    await_deliveries(producer, deliveries, 10)
    producer.close()

    assert _end(kafka_server, topic, first.partition) == 11
    assert [delivery.offset for delivery in deliveries] == list(range(1, 11))


def test_counted_records_are_counted_down(producer: Producer, topic: str) -> None:
    counted = Counted(topic)

    producer.produce_counted(counted, [(b"%d" % n, b"v", ()) for n in range(1000)])
    before = counted.outstanding
    until(lambda: producer.poll(0.05) and counted.outstanding == 0, within_s=20, every_s=0)

    assert before == 1000
    assert (counted.oversized, counted.error) == ([], None)


@pytest.mark.parametrize("size", [2_000_000, MAX_REQUEST_BYTES + 1], ids=["broker", "client"])
def test_counted_records_that_are_too_large_come_back(
    producer: Producer, topic: str, size: int
) -> None:
    counted, value = Counted(topic), _incompressible(size)

    producer.produce_counted(counted, [(b"1", b"v", ()), (b"2", value, ())])
    until(lambda: producer.poll(0.05) + 1 and counted.outstanding == 1, within_s=20, every_s=0)
    until(lambda: producer.poll(0.05) + 1 and counted.oversized, within_s=20, every_s=0)

    assert counted.oversized == [(b"2", value)]


def test_a_setting_that_the_client_refuses_is_a_mistake_of_the_configuration() -> None:
    settings = KafkaSettings(bootstrap_servers="x:1", librdkafka={"lingering": "soon"})

    with pytest.raises(ConfigurationError, match="lingering"):
        Producer(settings)


def test_a_flush_tells_what_is_left(kafka_proxy: TcpProxy, topic: str) -> None:
    producer = Producer(KafkaSettings(bootstrap_servers=kafka_proxy.address))
    kafka_proxy.cut()
    ignored: Callable[[Delivery], None] = lambda _delivery: None  # noqa: E731

    producer.produce(topic, key=b"k", value=b"v", on_delivery=ignored)
    left = producer.flush(0.1)
    kafka_proxy.restore()
    rest = producer.flush(20)
    producer.close()

    # beside the record, what the client still has to tell may be counted
    assert left >= 1
    assert rest == 0


def _incompressible(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def _end(server: KafkaAddress, topic: str, partition: int) -> int:
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": topic})
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
    consumer.close()
    return end
