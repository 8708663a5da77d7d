import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from support.waiting import until

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.kafka import headers
from cdc_sms.playground.broker import LIBRDKAFKA, EmbeddedBroker
from cdc_sms.playground.watcher import SeenDeadLetter, Watcher


@pytest.fixture
def kafka() -> Iterator[KafkaSettings]:
    with EmbeddedBroker({"watched.outbox": 3, "watched.dlq": 1}) as broker:
        yield KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers,
            prefix="watched",
            librdkafka=dict(LIBRDKAFKA),
        )


@pytest.fixture
def producer(kafka: KafkaSettings) -> Producer:
    return Producer({"bootstrap.servers": kafka.bootstrap_servers})


def test_watcher_remembers_when_it_saw_a_key_first(
    kafka: KafkaSettings, producer: Producer
) -> None:
    with Watcher(kafka) as watcher:
        before_s = time.time()
        producer.produce(kafka.outbox, key=b'{"id":7}', value=b"{}")
        producer.flush()
        until(lambda: 7 in watcher.seen_at_s, within_s=10)
        first_s = watcher.seen_at_s[7]

        producer.produce(kafka.outbox, key=b'{"id":7}', value=b"{}")
        producer.produce(kafka.outbox, key=b'{"id":8}', value=b"{}")
        producer.flush()
        until(lambda: 8 in watcher.seen_at_s, within_s=10)

    assert before_s <= first_s <= time.time()
    assert watcher.seen_at_s[7] == first_s


def test_watcher_reads_back_dead_letters_that_lay_there_before(
    kafka: KafkaSettings, producer: Producer
) -> None:
    letter = SeenDeadLetter("sms/7@", "permanent", "the recipient is no telephone number")
    named: dict[str, str | bytes | None] = {
        headers.MESSAGE_ID: letter.message_id,
        headers.CLASS: letter.dead_letter_class,
        headers.TEXT: letter.text,
    }
    producer.produce(kafka.dlq, key=b'{"id":7}', value=b"{}", headers=named)
    producer.flush()

    with Watcher(kafka) as watcher:
        until(lambda: watcher.dead_letters, within_s=10)

    assert watcher.dead_letters == {letter.message_id: letter}
