"""Capture from MySQL and MariaDB to a real Kafka, where their positions are kept as well."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from support.binlog_sources import BinlogBusiness, table_of
from support.captures import Flags, Remembered, Running, in_thread
from support.servers.kafka import KafkaAddress
from support.waiting import still, until

from cdc_sms.capture.heartbeat import HeartbeatTopic
from cdc_sms.capture.loop import CaptureLoop
from cdc_sms.config.settings import KafkaSettings
from cdc_sms.envelope.encode import Encoder
from cdc_sms.envelope.source_block import BinlogBlock
from cdc_sms.errors import LogDecodeError, NeedsPerson
from cdc_sms.kafka.positions import PositionTopic
from cdc_sms.kafka.producer import Producer
from cdc_sms.kafka.reading import bounds_of, records_between
from cdc_sms.model.clock import SystemClock
from cdc_sms.sources.binlog.position import BinlogPosition
from cdc_sms.telemetry.metrics import Metrics

BOTH = [
    pytest.param("mysql_database", marks=pytest.mark.mysql),
    pytest.param("mariadb_database", marks=pytest.mark.mariadb),
]


@dataclass
class Site:
    """A table, its topics, and the captures between them."""

    business: BinlogBusiness
    kafka: KafkaSettings
    first_snapshot: Remembered = field(default_factory=Remembered)

    @contextmanager
    def running(self, *, accept_gap: bool = False, **capture: Any) -> Iterator[Running]:
        """Run a capture for a while."""
        metrics, clock, producer = Metrics(), SystemClock(), Producer(self.kafka)
        slot = self.business.database.name
        positions = PositionTopic(settings=self.kafka, producer=producer, name=slot)
        table = table_of(self.business.database)
        loop = CaptureLoop(
            source=self.business.source(positions=positions, **capture),
            encoder=Encoder(
                source=BinlogBlock(connector="mysql", name=self.kafka.prefix, version="0"),
                max_record_bytes=4_000_000,
            ),
            producer=producer,
            topic=self.kafka.outbox,
            heartbeats=HeartbeatTopic(
                producer=producer, topic=self.kafka.heartbeat, slot=slot, clock=clock
            ),
            first_snapshot=self.first_snapshot,
            gaps=Flags(),
            accept_gap=accept_gap,
            status_column=table.columns.status,
            pending=table.status.pending,
            metrics=metrics,
            clock=clock,
            random_source=random.Random(1),
        )
        with in_thread(loop, metrics) as running:
            yield running

    def records(self, topic: str) -> list[tuple[bytes | None, bytes | None]]:
        """Return key and value of what lies on a topic."""
        bounds = bounds_of(self.kafka, topic, wait_s=10)
        found = records_between(self.kafka, topic, bounds)
        return [(record.key, record.value) for record in found]

    def captured(self) -> list[tuple[int, str]]:
        """Return id and operation of each record, by id."""
        found = [json.loads(value or b"") for _key, value in self.records(self.kafka.outbox)]
        return sorted((one["after"]["id"], one["op"]) for one in found)

    def await_captured(self, enough: Callable[[list[tuple[int, str]]], bool]) -> None:
        """Wait until what lies on the outbox is enough."""
        until(lambda: enough(self.captured()) or None, within_s=20, every_s=0.1)

    def position(self) -> BinlogPosition:
        """Return what was kept last."""
        [*_, (_key, value)] = self.records(self.kafka.positions)
        return BinlogPosition.from_text((value or b"").decode())


@pytest.fixture(params=BOTH)
def site(request: pytest.FixtureRequest, kafka_server: KafkaAddress, topic_prefix: str) -> Site:
    kafka = KafkaSettings(bootstrap_servers=kafka_server.bootstrap, prefix=topic_prefix)
    names = (kafka.outbox, kafka.heartbeat, kafka.positions)
    admin = AdminClient({"bootstrap.servers": kafka_server.bootstrap})
    for made in admin.create_topics([NewTopic(name, 1, 1) for name in names]).values():
        made.result()
    return Site(BinlogBusiness(request.getfixturevalue(request.param)), kafka)


def await_stream(running: Running) -> None:
    until(running.is_streaming, within_s=20, what="capture to stream")


def test_status_says_how_far_the_log_is_confirmed(site: Site) -> None:
    with site.running() as running:
        await_stream(running)
        site.business.insert([1])
        site.await_captured(lambda found: len(found) == 1)

        def says_it() -> bool:
            kept = site.position()
            return running.loop.status()["log"] == {
                "place": f"{kept.file}:{kept.offset}",
                "behind_bytes": 0,
            }

        until(says_it, within_s=20, what="status to say the position that is kept")


def test_pending_rows_come_first_and_then_what_is_inserted(site: Site) -> None:
    site.business.insert([1, 2])
    site.business.execute("UPDATE sms SET status = 'sent' WHERE id = 1")

    with site.running() as running:
        await_stream(running)
        site.business.insert([3])
        site.await_captured(lambda found: 3 in dict(found))

    assert site.captured() == [(2, "r"), (3, "c")]


def test_capture_goes_on_from_the_position_on_the_topic(site: Site) -> None:
    with site.running() as running:
        await_stream(running)
        site.business.insert([1])
        site.await_captured(bool)
    site.business.insert([2])

    with site.running() as running:
        site.await_captured(lambda found: 2 in dict(found))

    assert site.captured() == [(1, "c"), (2, "c")]
    assert site.position().table is not None


def test_the_position_follows_what_others_write(site: Site) -> None:
    with site.running() as running:
        await_stream(running)
        site.business.write_elsewhere()
        until(lambda: site.position().created is not None, within_s=10, every_s=0.1)
        before = site.position().coordinate

        site.business.write_elsewhere()
        until(lambda: site.position().coordinate > before, within_s=10, every_s=0.1)


def test_heartbeats_go_round(site: Site) -> None:
    with site.running(heartbeat_s=0.3) as running:
        await_stream(running)
        until(lambda: len(site.records(site.kafka.heartbeat)) >= 2, within_s=10, every_s=0.1)

    beats = [json.loads(value or b"") for _key, value in site.records(site.kafka.heartbeat)]
    assert [beat["position"] for beat in beats] == sorted(beat["position"] for beat in beats)
    assert {beat["server"] for beat in beats} == {site.position().server}


def test_a_row_that_was_logged_as_a_statement_comes_all_the_same(site: Site) -> None:
    with site.running() as running:
        await_stream(running)
        site.business.execute(
            "SET SESSION binlog_format = STATEMENT; INSERT INTO sms (id) VALUES (1)"
        )
        site.await_captured(lambda found: 1 in dict(found))
        await_stream(running)
        site.business.insert([2])
        site.await_captured(lambda found: 2 in dict(found))

    assert site.captured() == [(1, "r"), (2, "c")]


def test_a_row_that_a_trigger_wrote_for_a_statement_comes_all_the_same(site: Site) -> None:
    site.business.execute(
        "CREATE TABLE orders (id int);"
        "CREATE TRIGGER tells AFTER INSERT ON orders FOR EACH ROW INSERT INTO sms (id) VALUES (1)"
    )
    with site.running() as running:
        await_stream(running)
        site.business.execute(
            "SET SESSION binlog_format = STATEMENT; INSERT INTO orders VALUES (1)"
        )
        site.await_captured(lambda found: 1 in dict(found))
        await_stream(running)
        site.business.insert([2])
        site.await_captured(lambda found: 2 in dict(found))

    assert site.captured() == [(1, "r"), (2, "c")]


def test_a_log_that_is_not_understood_stops_and_a_person_goes_on(site: Site) -> None:
    with site.running() as running:
        await_stream(running)
    kept = site.position().coordinate
    site.business.execute("ALTER TABLE sms ADD COLUMN kind int DEFAULT 5 FIRST")
    site.business.insert([1])
    site.business.execute("ALTER TABLE sms DROP COLUMN kind")

    with site.running() as running:
        error = running.await_end()
    stopped_at = site.position().coordinate
    with site.running(accept_gap=True) as running:
        site.await_captured(lambda found: 1 in dict(found))
        await_stream(running)
        site.business.insert([2])
        site.await_captured(lambda found: 2 in dict(found))

    assert isinstance(error, LogDecodeError)
    assert kept <= stopped_at
    assert site.captured() == [(1, "r"), (2, "c")]


def test_another_servers_position_stops_and_a_person_goes_on(site: Site) -> None:
    with site.running() as running:
        await_stream(running)
    foreign = site.position().moved(server="another", gtids="").to_text()
    producer = Producer(site.kafka)
    PositionTopic(settings=site.kafka, producer=producer, name=site.business.database.name).save(
        foreign
    )
    assert producer.flush(10) == 0
    producer.close()
    site.business.insert([1])

    with site.running() as running:
        error = running.await_end()
    with site.running(accept_gap=True):
        site.await_captured(lambda found: 1 in dict(found))

    assert isinstance(error, NeedsPerson)
    assert site.position().server != "another"


def test_updates_come_where_they_make_a_row_pending(site: Site) -> None:
    site.business.execute("INSERT INTO sms (id, status) VALUES (1, 'draft'), (2, 'draft')")
    with site.running(becomes_pending=True) as running:
        await_stream(running)
        site.business.execute("UPDATE sms SET body = 'x' WHERE id = 1")
        site.business.execute("UPDATE sms SET status = 'pending' WHERE id = 2")
        site.await_captured(lambda found: 2 in dict(found))
        site.business.execute("UPDATE sms SET status = 'sent' WHERE id = 2")
        site.business.insert([3])
        site.await_captured(lambda found: 3 in dict(found))

    assert site.captured() == [(2, "u"), (3, "c")]


def test_a_second_capture_takes_over_when_the_first_one_ends(site: Site) -> None:
    with site.running() as first:
        await_stream(first)
        with site.running() as second:
            until(lambda: second.loop.status()["state"] == "standing_by", within_s=10)
            site.business.insert([1])
            site.await_captured(lambda found: 1 in dict(found))
            still(lambda: second.loop.status()["state"] == "standing_by", for_s=1)
            first.stop.set()
            await_stream(second)
            site.business.insert([2])
            site.await_captured(lambda found: 2 in dict(found))

    assert {id_ for id_, _op in site.captured()} == {1, 2}
