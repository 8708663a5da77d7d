"""One member, and several, of a group on a real broker."""

import logging
import time
from collections import Counter
from collections.abc import Callable

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from support.members import Join, Member, Outbox, share
from support.servers.kafka import KafkaServer
from support.tcp_proxy import TcpProxy
from support.waiting import still, until

from cdc_sms.errors import BrokerUnavailable, SetupError
from cdc_sms.kafka.consumer import MAX_BYTES, MAX_RECORDS, Gap
from cdc_sms.kafka.offsets import NextOffset

PROTOCOLS = pytest.mark.parametrize("protocol", ["consumer", "classic"])


def committed(outbox: Outbox) -> dict[int, NextOffset]:
    """Return what the broker says is committed."""
    group = outbox.settings.deliver_group
    asked = outbox.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
    return {
        named.partition: NextOffset(named.offset, named.leader_epoch)
        for named in asked[group].result(10).topic_partitions
        if named.offset >= 0
    }


def events(caplog: pytest.LogCaptureFixture, name: str) -> list[logging.LogRecord]:
    """Return the events of a name."""
    return [record for record in caplog.records if record.message == name]


@PROTOCOLS
def test_a_new_group_reads_from_the_first_record(
    outbox: Outbox, join: Join, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.put(20)

    member = join(protocol)

    until(member.saw(20), within_s=20)
    assert sorted(member.positions) == [(p, o) for p in range(4) for o in range(5)]
    assert member.consumer.group_protocol == protocol
    assert not events(caplog, "outbox.gap_found")
    told = sorted((gap.partition, gap.committed_offset) for gap in member.gaps)
    assert told == [(partition, None) for partition in range(4)]


def test_groups_are_of_the_new_protocol_where_the_broker_has_it(outbox: Outbox, join: Join) -> None:
    outbox.put(1)

    member = join("auto")

    until(member.saw(1), within_s=20)
    assert member.consumer.group_protocol == "consumer"


def test_a_record_is_handed_out_with_all_that_it_came_with(outbox: Outbox, join: Join) -> None:
    outbox.producer.produce(
        outbox.settings.outbox,
        key=b'{"id":1}',
        value=None,
        partition=2,
        headers=[("a", b"1"), ("a", b"2"), ("none", None)],
        timestamp=1_795_499_231_123,
    )
    outbox.producer.flush(10)

    member = join()

    until(member.saw(1), within_s=20)
    (record,) = member.seen
    assert (record.topic, record.partition, record.offset) == (outbox.settings.outbox, 2, 0)
    assert (record.key, record.value) == (b'{"id":1}', None)
    assert record.headers == (("a", b"1"), ("a", b"2"), ("none", b""))
    assert record.timestamp_ms == 1_795_499_231_123
    assert record.leader_epoch == 0


def test_a_poll_does_not_wait_for_a_second_record(outbox: Outbox, join: Join) -> None:
    outbox.put(4)
    member = join()
    until(member.saw(4), within_s=20)
    outbox.put(1)

    before = time.monotonic()
    records = member.consumer.poll(30)

    assert len(records) == 1
    assert time.monotonic() - before < 15


@pytest.mark.parametrize(
    ("value", "count", "most"),
    [
        pytest.param(b"{}", 3 * MAX_RECORDS, MAX_RECORDS, id="records"),
        pytest.param(b"x" * (MAX_BYTES // 8), 24, 8, id="bytes"),
    ],
)
def test_a_poll_is_bounded(outbox: Outbox, join: Join, value: bytes, count: int, most: int) -> None:
    outbox.put(count, value=value)
    member = join()
    sizes: list[int] = []

    def read_all() -> bool:
        sizes.append(len(member.consumer.poll(0.1)))
        return sum(sizes) == count

    until(read_all, within_s=30)
    assert max(sizes) <= most


def test_only_the_contiguous_prefix_is_committed_with_its_leaders_epoch(
    outbox: Outbox, join: Join
) -> None:
    outbox.put(10, partitions=1)
    member = join(finishes=False)
    until(member.saw(10), within_s=20)

    for place in member.places[:4] + member.places[6:]:
        member.offsets.finished(place)
    member.consumer.commit_and_wait(member.offsets.committable())

    assert committed(outbox) == {0: NextOffset(4, 0)}


@PROTOCOLS
def test_a_new_owner_goes_on_where_the_commit_is(outbox: Outbox, join: Join, protocol: str) -> None:
    outbox.put(12)
    first = join(protocol, finishes=False)
    until(first.saw(12), within_s=20)
    for place in first.places:
        if place.offset < 2:
            first.offsets.finished(place)
    first.consumer.close()

    second = join(protocol)

    until(second.saw(4), within_s=20)
    assert sorted(second.positions) == [(partition, 2) for partition in range(4)]


@PROTOCOLS
def test_a_commit_on_leaving_partitions_is_there_before_their_next_owner(
    outbox: Outbox, join: Join, protocol: str
) -> None:
    outbox.put(40)
    first = join(protocol)
    until(first.saw(40), within_s=20)

    second = join(protocol)
    share(first, second)

    ((moved, lost),) = first.revocations
    assert not lost
    assert moved == second.consumer.assigned
    still(lambda: not second.turn().seen, for_s=1, what="nothing to come twice")


@PROTOCOLS
def test_nothing_is_rewound_by_pausing_and_resuming(
    outbox: Outbox, join: Join, protocol: str
) -> None:
    member = join(protocol)
    until(lambda: member.turn().consumer.assigned, within_s=20)

    for turn in range(1, 11):
        outbox.put(8)
        member.consumer.set_paused({turn % 4, (turn + 1) % 4, 77})
        member.turn()
        member.consumer.set_paused(frozenset())
        member.consumer.set_paused(frozenset())
        until(member.saw(8 * turn), within_s=20)

    still(lambda: len(member.turn().seen) == 80, for_s=0.5, what="each record to come once")
    assert set(Counter(member.positions).values()) == {1}


@PROTOCOLS
def test_a_paused_partition_stays_paused_on_its_new_owner_and_is_not_rewound(
    outbox: Outbox, join: Join, protocol: str
) -> None:
    first = join(protocol)
    outbox.put(20)
    until(first.saw(20), within_s=20)
    first.consumer.commit_and_wait(first.offsets.committable())
    first.paused = True
    first.obey()
    outbox.put(20)

    second = join(protocol, paused=True)
    share(first, second)
    first.consumer.close()
    until(lambda: len(second.turn().consumer.assigned) == 4, within_s=30)

    still(lambda: not second.turn().seen, for_s=1, what="the partitions to stay paused")
    assert len(first.seen) == 20
    second.paused = False
    second.obey()
    until(second.saw(20), within_s=20)
    assert sorted(second.positions) == [(p, o) for p in range(4) for o in range(5, 10)]


def test_a_partition_that_was_paused_and_left_comes_back_as_the_caller_wants_it(
    outbox: Outbox, join: Join
) -> None:
    first = join(paused=True)
    until(lambda: len(first.turn().consumer.assigned) == 4, within_s=20)
    second = join(paused=True)
    share(first, second)

    first.paused = False
    first.obey()
    second.consumer.close()
    until(lambda: len(first.turn().consumer.assigned) == 4, within_s=30)

    outbox.put(8)
    until(first.saw(8), within_s=20)


def test_lag_counts_what_is_not_committed_also_of_paused_partitions(
    outbox: Outbox, join: Join
) -> None:
    outbox.put(8)
    member = join()
    until(member.saw(8), within_s=20)
    member.consumer.commit_and_wait(member.offsets.committable())
    assert member.consumer.lag() == dict.fromkeys(range(4), 0)

    member.paused = True
    member.obey()
    outbox.put(12)

    def lag() -> dict[int, int]:
        return member.turn().consumer.lag()

    until(lambda: lag() == dict.fromkeys(range(4), 3), within_s=20, what="the lag to be told")
    assert len(member.seen) == 8


@PROTOCOLS
@pytest.mark.parametrize("lies", ["below the log", "above the log"])
def test_a_gap_is_named_and_read_from_the_first_record(
    outbox: Outbox, join: Join, protocol: str, lies: str, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.put(10, partitions=1)
    member = join(protocol)
    until(member.saw(10), within_s=20)
    offset = 3 if lies == "below the log" else 999
    member.consumer.commit_and_wait({0: NextOffset(offset, 0)})
    member.finishes = False
    member.offsets.revoked(range(4))
    member.consumer.close()
    cut = TopicPartition(outbox.settings.outbox, 0, 6)
    outbox.admin.delete_records([cut])[cut].result(10)

    with caplog.at_level(logging.INFO):
        next_member = join(protocol)
        until(next_member.saw(4), within_s=20)

    (event,) = events(caplog, "outbox.gap_found")
    facts = event.__dict__
    assert facts["partition"] == 0
    assert facts["committed_offset"] == offset
    assert (facts["first_offset"], facts["end_offset"]) == (6, 10)
    assert Gap(0, offset, 6, 10) in next_member.gaps
    assert next_member.positions == [(0, 6), (0, 7), (0, 8), (0, 9)]
    assert next_member.revocations == [(frozenset({0}), True)]


def test_a_gap_under_a_member_that_reads_forgets_what_it_has_open(
    outbox: Outbox, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.put(4, partitions=1)
    member = join(finishes=False)
    until(member.saw(4), within_s=20)
    member.consumer.set_paused({0})
    outbox.put(4, partitions=1)
    cut = TopicPartition(outbox.settings.outbox, 0, 6)
    outbox.admin.delete_records([cut])[cut].result(10)

    member.consumer.set_paused(frozenset())

    until(member.saw(6), within_s=20)
    assert len(events(caplog, "outbox.gap_found")) == 1
    assert not member.offsets.is_current(member.places[0])
    assert member.offsets.oldest_open(0) == 6


@PROTOCOLS
def test_a_topic_that_is_not_there_stops_the_role(
    outbox: Outbox, join: Join, protocol: str
) -> None:
    member = join(protocol, settings=outbox.settings.model_copy(update={"prefix": "test-none"}))

    with pytest.raises(SetupError, match=r"test-none\.outbox") as caught:
        until(member.saw(1), within_s=20)

    assert "cdc-sms topics" in caught.value.hint


@PROTOCOLS
def test_a_broker_that_is_restarted_is_said_once_and_nothing_is_lost(
    outbox: Outbox,
    join: Join,
    breakable_kafka: KafkaServer,
    protocol: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    outbox.put(20)
    member = join(protocol)
    until(member.saw(20), within_s=20)
    caplog.set_level(logging.INFO, logger="cdc_sms")

    breakable_kafka.stop()
    until(lambda: not member.turn().consumer.is_connected, within_s=20)
    member.consumer.commit(member.offsets.committable())
    still(lambda: member.turn() is member, for_s=1, what="polling to go on")
    said_while_away = len(events(caplog, "broker.lost"))
    breakable_kafka.start()
    until(lambda: member.turn().consumer.is_connected, within_s=40)
    outbox.put(20)

    until(member.saw(40), within_s=60)
    assert set(member.positions) == {(p, o) for p in range(4) for o in range(10)}
    assert said_while_away == 1
    # a broker that starts may be reached and lost once more before it stays
    assert len(events(caplog, "broker.reached")) == len(events(caplog, "broker.lost"))
    member.consumer.commit(member.offsets.committable())
    until(_all_are_committed(outbox, member, 10), within_s=60, what="what waited to be committed")


def _all_are_committed(outbox: Outbox, member: Member, offset: int) -> Callable[[], bool]:
    def all_are() -> bool:
        member.turn()
        known = committed(outbox)
        return {p: after.offset for p, after in known.items()} == dict.fromkeys(range(4), offset)

    return all_are


def test_a_member_that_finds_no_broker_waits_and_then_reads(
    outbox: Outbox, join: Join, breakable_kafka: KafkaServer
) -> None:
    outbox.put(4)
    breakable_kafka.stop()

    member = join()
    still(lambda: not member.turn().seen, for_s=2, what="the member to wait")
    breakable_kafka.start()

    until(member.saw(4), within_s=60)


def test_a_commit_that_is_waited_for_gives_up_on_a_deaf_broker(
    outbox: Outbox, kafka_proxy: TcpProxy, join: Join
) -> None:
    outbox.put(4)
    through = outbox.settings.model_copy(update={"bootstrap_servers": kafka_proxy.address})
    member = join(settings=through)
    until(member.saw(4), within_s=20)

    kafka_proxy.deaf()
    with pytest.raises(BrokerUnavailable, match="not committed within 1 s"):
        member.consumer.commit_and_wait(member.offsets.committable(), timeout_s=1)

    kafka_proxy.restore()
    until(_all_are_committed(outbox, member, 1), within_s=60)


def test_leaving_gives_up_on_a_deaf_broker(
    outbox: Outbox, kafka_proxy: TcpProxy, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.put(4)
    through = outbox.settings.model_copy(update={"bootstrap_servers": kafka_proxy.address})
    member = join(settings=through)
    until(member.saw(4), within_s=20)
    kafka_proxy.deaf()

    before = time.monotonic()
    member.consumer.close()

    assert time.monotonic() - before < 20
    assert events(caplog, "offsets.abandoned")
    assert events(caplog, "group.abandoned")
