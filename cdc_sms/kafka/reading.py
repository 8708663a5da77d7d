"""Looks into a topic for people: the newest records, or one; without a group, committing nothing.

Not for the flow: that is ``consumer.py``.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka import Message as KafkaRecord

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.errors import BrokerUnavailable
from cdc_sms.kafka.asking import answered, partitions_of
from cdc_sms.kafka.connection import classified, client_settings, settings_checked
from cdc_sms.kafka.headers import Header

READ_TIMEOUT_S = 30.0
_SLICE_S = 0.5
_ALL = 2**53
_FIRST_SPAN = 500
_END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001 - the library's only name for it


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """A record as it lies on the topic.

    Attributes:
        partition: where it is.
        offset: where it is.
        timestamp_ms: when it was produced, in milliseconds since 1970.
        key: its bytes; None: it has none.
        value: its bytes; None: a tombstone.
        headers: name and bytes, in their order.
    """

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]


def newest_records(
    settings: KafkaSettings, topic: str, *, each: int, since: datetime | None, wait_s: float
) -> Iterator[FoundRecord]:
    """Read the newest records of each partition, as far as the topic's end is now.

    Args:
        settings: where, and as whom.
        topic: which.
        each: records of one partition at most.
        since: none that were produced earlier; aware.
        wait_s: how long a broker may take to answer; seconds.

    Returns:
        In no order between partitions.

    Raises:
        BrokerUnavailable: no broker answers.
        SetupError: the topic isn't there, or we may not read it.
    """
    with _Reader(settings) as reader:
        partitions = reader.partitions(topic, wait_s)
        spans = {
            partition: reader.span(topic, partition, each=each, since=since)
            for partition in partitions
        }
        yield from reader.read(topic, {p: span for p, span in spans.items() if span[0] < span[1]})


def one_record(
    settings: KafkaSettings, topic: str, *, partition: int, offset: int, wait_s: float
) -> FoundRecord | None:
    """Read the record at an offset.

    Returns:
        None where there is none: not yet, or no longer.

    Raises:
        BrokerUnavailable: no broker answers.
        SetupError: the topic isn't there, or we may not read it.
    """
    with _Reader(settings) as reader:
        if partition not in reader.partitions(topic, wait_s):
            return None
        first, end = reader.bounds(topic, partition)
        if not first <= offset < end:
            return None
        found = reader.read(topic, {partition: (offset, offset + 1)})
        return next((record for record in found if record.offset == offset), None)


def bounds_of(
    settings: KafkaSettings, topic: str, *, wait_s: float
) -> Mapping[int, tuple[int, int]]:
    """Return of each partition the first offset that is still there, and the one that comes next.

    Raises:
        BrokerUnavailable: no broker answers.
        SetupError: the topic isn't there, or we may not read it.
    """
    with _Reader(settings) as reader:
        return {p: reader.bounds(topic, p) for p in reader.partitions(topic, wait_s)}


def offsets_at(
    settings: KafkaSettings, topic: str, moment: datetime, *, wait_s: float
) -> Mapping[int, int]:
    """Return of each partition the first offset that was produced at a time or later.

    Args:
        settings: where, and as whom.
        topic: which.
        moment: aware.
        wait_s: how long a broker may take to answer; seconds.

    Returns:
        Where nothing was produced since, the partition's end.

    Raises:
        BrokerUnavailable: no broker answers.
        SetupError: the topic isn't there, or we may not read it.
    """
    with _Reader(settings) as reader:
        return {
            p: reader.span(topic, p, each=_ALL, since=moment)[0]
            for p in reader.partitions(topic, wait_s)
        }


def last_of_key(
    settings: KafkaSettings, topic: str, key: bytes, *, wait_s: float
) -> FoundRecord | None:
    """Return the newest record of a key, however far back it lies.

    It reads backwards in spans that double: others may write to the topic far more often.

    Returns:
        None where none is kept, or the newest one is a tombstone.

    Raises:
        BrokerUnavailable: no broker answers.
        SetupError: the topic isn't there, or we may not read it.
    """
    bounds = bounds_of(settings, topic, wait_s=wait_s)
    ends = {partition: end for partition, (_, end) in bounds.items()}
    span = _FIRST_SPAN
    while any(ends[p] > first for p, (first, _) in bounds.items()):
        spans = {p: (max(first, ends[p] - span), ends[p]) for p, (first, _) in bounds.items()}
        ours = [r for r in records_between(settings, topic, spans) if r.key == key]
        if ours:  # a key lies on one partition
            last = max(ours, key=lambda record: record.offset)
            return None if last.value is None else last
        ends = {partition: start for partition, (start, _) in spans.items()}
        span *= 2
    return None


def records_between(
    settings: KafkaSettings, topic: str, spans: Mapping[int, tuple[int, int]]
) -> Iterator[FoundRecord]:
    """Read ranges of offsets, each from the first, up to and without the second.

    Raises:
        BrokerUnavailable: no broker answers.
    """
    wanted = {p: span for p, span in spans.items() if span[0] < span[1]}
    with _Reader(settings) as reader:
        yield from reader.read(topic, wanted)


class _Reader:
    """A consumer that is assigned by hand and belongs to no group.

    Thread: one owner.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        chosen: dict[str, Any] = client_settings(settings) | {
            "group.id": "cdc-sms-looks",  # the client asks for one; nothing is joined or committed
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",  # retention may pass us by while we read
        }
        with settings_checked():
            self._consumer = Consumer(chosen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._consumer.close()

    def partitions(self, topic: str, wait_s: float) -> Sequence[int]:
        """Return the topic's partitions."""
        return partitions_of(self._consumer, topic, wait_s=wait_s)

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset that is still there, and the one that comes next."""
        where = TopicPartition(topic, partition)
        return answered(
            lambda: self._consumer.get_watermark_offsets(where, timeout=READ_TIMEOUT_S),
            doing=f"Asking for the offsets of {topic}",
        )

    def span(
        self, topic: str, partition: int, *, each: int, since: datetime | None
    ) -> tuple[int, int]:
        """Return which offsets to read: from the first, up to and without the second."""
        low, high = self.bounds(topic, partition)
        start = max(low, high - each)
        if since is not None:
            at = TopicPartition(topic, partition, int(since.timestamp() * 1000))
            [found] = answered(
                lambda: self._consumer.offsets_for_times([at], timeout=READ_TIMEOUT_S),
                doing=f"Asking for the offsets of {topic}",
            )
            # -1: nothing was produced since then
            start = max(start, found.offset if found.offset >= 0 else high)
        return start, high

    def read(self, topic: str, spans: Mapping[int, tuple[int, int]]) -> Iterator[FoundRecord]:
        """Read the spans to their ends, the partitions as they come."""
        ends = {partition: end for partition, (_, end) in spans.items()}
        self._consumer.assign(
            [TopicPartition(topic, partition, start) for partition, (start, _) in spans.items()]
        )
        deadline = time.monotonic() + READ_TIMEOUT_S
        while ends:
            record = self._consumer.poll(_SLICE_S)
            if record is None:
                _refuse_if_late(deadline, topic)
                continue
            deadline = time.monotonic() + READ_TIMEOUT_S
            error = record.error()
            partition = record.partition()
            if error is not None:
                if error.code() != _END_OF_PARTITION:
                    raise classified(error, doing=f"Reading {topic}")
                ends.pop(partition or 0, None)
                continue
            found = _found(record)
            end = ends.get(found.partition, 0)
            if found.offset < end:
                yield found
                deadline = time.monotonic() + READ_TIMEOUT_S  # whoever reads may take its time
            if found.offset >= end - 1:
                ends.pop(found.partition, None)


def _refuse_if_late(deadline: float, topic: str) -> None:
    if time.monotonic() > deadline:
        raise BrokerUnavailable(
            f"Reading {topic} stood still for {READ_TIMEOUT_S:g} s.",
            hint="Check that the brokers in kafka.bootstrap_servers run and are reachable.",
        )


def _found(record: KafkaRecord) -> FoundRecord:
    partition, offset = record.partition(), record.offset()
    assert partition is not None
    assert offset is not None
    given = record.headers() or []
    headers = given.items() if isinstance(given, dict) else given
    return FoundRecord(
        partition=partition,
        offset=offset,
        timestamp_ms=record.timestamp()[1],
        key=_bytes(record.key()),
        value=_bytes(record.value()),
        headers=tuple((name, _bytes(value) or b"") for name, value in headers),
    )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
