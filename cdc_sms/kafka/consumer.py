"""Reads the outbox as one member of the group: poll, pause, commit; what is ready, never a wait.

Not for deciding what may be committed: that is ``offsets.py``.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka import Consumer as Client

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.errors import BrokerUnavailable, CdcSmsError, SetupError
from cdc_sms.kafka.commits import PendingCommits
from cdc_sms.kafka.connection import (
    BrokerLink,
    classified,
    client_settings,
    error_of,
    settings_checked,
)
from cdc_sms.kafka.ends import EndOffsets
from cdc_sms.kafka.offsets import NextOffset
from cdc_sms.kafka.record import Record

logger = logging.getLogger(__name__)

MAX_RECORDS = 500
MAX_BYTES = 4 * 1024 * 1024
"""One poll hands out at most so many records, and about so many bytes."""

COMMIT_S = 5.0
"""How long a commit that is waited for may take; seconds."""

_SLICE = 50
_WATERMARKS_S = 2.0
_LOOK_S = 3.0
_TICK_S = 0.05
_CLOSE_S = 5.0
_LOOK_EVERY_S = 20.0

_TUNING: Mapping[str, object] = {
    # Memory: what is fetched ahead is bounded for all partitions together, and so is one answer;
    # a record larger than that still comes, alone.
    # What is compressed counts unpacked, and more of it than these say.
    "queued.max.messages.kbytes": 2 * 1024,
    "fetch.max.bytes": 1024 * 1024,
    "fetch.message.max.bytes": 128 * 1024,
    # with a queue so small the default of a second would be felt
    "fetch.queue.backoff.ms": 50,
    "fetch.error.backoff.ms": 100,
    "check.crcs": "true",
    "isolation.level": "read_committed",
}

_PROTOCOLS: Mapping[str, Mapping[str, object]] = {
    "consumer": {"group.protocol": "consumer"},
    "classic": {
        "group.protocol": "classic",
        "partition.assignment.strategy": "cooperative-sticky",
        # of the new protocol's groups the broker sets both; here a dead member is noticed sooner
        "session.timeout.ms": 20_000,
        "heartbeat.interval.ms": 3_000,
    },
}

_FIXED: Mapping[str, object] = {
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "auto.offset.reset": "error",
    "statistics.interval.ms": 1000,
}


@dataclass(frozen=True, slots=True)
class Gap:
    """Records of a partition that the group had not read are gone from its log.

    Attributes:
        partition: which.
        committed_offset: where the group was to go on; None: the broker knows none, as at a first
            start, and after the topic was deleted: its group's offsets go with it.
        first_offset: the first that is still there; None: not known.
        end_offset: the one that comes next; None: not known.
    """

    partition: int
    committed_offset: int | None
    first_offset: int | None
    end_offset: int | None


class Revoked(Protocol):
    """What is called when partitions go."""

    def __call__(self, partitions: frozenset[int], *, lost: bool) -> None:
        """Settle and commit what can be, and forget the partitions.

        Args:
            partitions: those that go when this returns.
            lost: they went already: nothing can be committed any more.
        """
        ...


class Consumer:
    """The group's member in this process.

    It joins when it is made; every call-back comes out of :meth:`poll` or :meth:`close`.

    Thread: loop thread only.

    Args:
        settings: where, as whom, which topic and group.
        on_assigned: told of new partitions, before their first record; may pause them.
        on_revoked: told of partitions before they go; may commit them.
        on_gap: told of records that are gone.

    Raises:
        ConfigurationError: librdkafka refuses a setting.
    """

    def __init__(
        self,
        *,
        settings: KafkaSettings,
        on_assigned: Callable[[frozenset[int]], None],
        on_revoked: Revoked,
        on_gap: Callable[[Gap], None],
    ) -> None:
        """Join the group, in the background."""
        self._settings = settings
        self._topic = settings.outbox
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._on_gap = on_gap
        self._partitions = 0
        self._owned: set[int] = set()
        self._next: dict[int, int] = {}
        self._batch: list[Record] = []
        self._size = 0
        self._largest = 1
        self._wanted_paused: frozenset[int] = frozenset()
        self._paused: set[int] = set()
        self._commits = PendingCommits()
        self._link = BrokerLink(settings.bootstrap_servers)
        self._ends = EndOffsets(settings, settings.outbox)
        self._trouble: list[CdcSmsError] = []
        self._look_for_topic_at_s = time.monotonic() + _LOOK_S
        self._is_in_callback = False
        self._is_closing = False
        self._falls_back = False
        self._may_fall_back = settings.group_protocol == "auto"
        self._protocol = "consumer" if self._may_fall_back else settings.group_protocol
        self._client = self._join()

    @property
    def group_protocol(self) -> str:
        """Return the protocol in use: ``consumer``, or ``classic``."""
        return self._protocol

    @property
    def assigned(self) -> frozenset[int]:
        """Return the partitions that are ours now."""
        return frozenset(self._owned)

    def partition_count(self) -> int:
        """Return how many partitions the topic has; 0: the broker can't be asked now.

        Asked once an assignment, and never in a call-back: the client library aborts there.
        """
        if self._partitions == 0 and self._owned:
            try:
                topics = self._client.list_topics(self._topic, timeout=_WATERMARKS_S).topics
            except KafkaException:
                return 0
            self._partitions = len(topics[self._topic].partitions)
        return self._partitions

    @property
    def is_connected(self) -> bool:
        """Say whether a broker answers, as far as is known; a second or two late."""
        return self._link.is_up

    # Reading

    def poll(self, timeout_s: float) -> list[Record]:
        """Return the records that are ready, waiting only for the first of them.

        While no broker answers it returns nothing: said once in the log when it begins and once
        when it ends.

        Args:
            timeout_s: how long to wait where nothing is ready; seconds.

        Returns:
            Of each partition in the order of offsets; at most :data:`MAX_RECORDS`, and about
            :data:`MAX_BYTES` together.

        Raises:
            SetupError: the topic isn't there, or we may not read it or join the group.
            BrokerError: a batch is damaged, or the client can't go on; nothing is lost, as
                nothing after it was delivered.
        """
        self._send_commits()
        more = self._fetch(1, timeout_s)
        while more and (room := self._room()) > 0:
            more = self._fetch(room, 0)
        self._settle_trouble()
        batch, self._batch, self._size, self._largest = self._batch, [], 0, 1
        return batch

    def _room(self) -> int:
        """Return how many more records to take: as if all were as large as the largest."""
        by_size = (MAX_BYTES - self._size) // self._largest
        return min(_SLICE, MAX_RECORDS - len(self._batch), by_size)

    def _fetch(self, count: int, timeout_s: float) -> bool:
        """Add what is ready to the batch; say whether there may be more."""
        try:
            messages: list[Message] = self._client.consume(count, timeout_s)
        except KafkaException as exception:
            self._note(error_of(exception))
            return False
        for message in messages:
            error = message.error()
            if error is None:
                self._take_in(_record(message))
            else:
                self._failed(error, message)
        return bool(messages)

    def _take_in(self, record: Record) -> None:
        # a rewind inside the client delivers again what this assignment has had already
        is_new = record.offset >= self._next.get(record.partition, 0)
        if is_new and record.partition in self._owned:
            self._next[record.partition] = record.offset + 1
            self._batch.append(record)
            size = len(record.key or b"") + len(record.value or b"")
            self._size += size
            self._largest = max(self._largest, size)

    def _failed(self, error: KafkaError, message: Message) -> None:
        partition = message.partition()
        if error.name() in {"_AUTO_OFFSET_RESET", "_LOG_TRUNCATION"} and partition in self._owned:
            self._restart(partition, message.offset())
        else:
            self._note(error)

    def _restart(self, partition: int, wanted: int | None) -> None:
        """Begin a partition at the log's first record: the offset to go on from isn't there.

        Without an offset it is the group's first start, or the topic was made anew. With one, the
        log was cut: records are gone. Either is told; the ledger knows what is done.
        """
        first, end = self._watermarks(partition)
        self._on_gap(Gap(partition, wanted, first, end))
        if wanted is not None:
            logger.error(
                "outbox.gap_found",
                extra={
                    "partition": partition,
                    "committed_offset": wanted,
                    "first_offset": first,
                    "end_offset": end,
                },
            )
            self._on_revoked(frozenset({partition}), lost=True)
        self._let_go({partition})
        self._take({partition}, OFFSET_BEGINNING)
        if wanted is not None:
            self._on_assigned(frozenset({partition}))

    def _watermarks(self, partition: int) -> tuple[int | None, int | None]:
        try:
            return self._client.get_watermark_offsets(
                TopicPartition(self._topic, partition), timeout=_WATERMARKS_S
            )
        except KafkaException:
            return None, None

    # Pausing

    def set_paused(self, partitions: AbstractSet[int]) -> None:
        """Pause exactly these partitions, also those of them that are assigned later.

        A paused partition delivers nothing, also nothing that was fetched already. Others are
        touched by neither pausing nor resuming: the client rewinds a partition that is resumed
        without having been paused.
        """
        self._wanted_paused = frozenset(partitions)
        self._pause((self._wanted_paused & self._owned) - self._paused)
        self._resume(self._paused - self._wanted_paused)

    def _pause(self, partitions: Collection[int]) -> None:
        if partitions:
            self._client.pause(self._named(partitions))
            self._paused.update(partitions)

    def _resume(self, partitions: Collection[int]) -> None:
        if partitions:
            self._client.resume(self._named(partitions))
            self._paused.difference_update(partitions)

    def _named(self, partitions: Iterable[int], offset: int | None = None) -> list[TopicPartition]:
        if offset is None:
            return [TopicPartition(self._topic, partition) for partition in sorted(partitions)]
        return [TopicPartition(self._topic, partition, offset) for partition in sorted(partitions)]

    # Coming and going

    def _join(self) -> Client:
        chosen: dict[str, Any] = {
            **_TUNING,
            **_PROTOCOLS[self._protocol],
            **client_settings(self._settings),
            **_FIXED,
            "group.id": self._settings.deliver_group,
            "error_cb": self._note,
            "stats_cb": self._seen,
            "on_commit": self._committed,
        }
        with settings_checked():
            client = Client(chosen)
        client.subscribe(
            [self._topic],
            on_assign=self._came,
            on_revoke=lambda _, partitions: self._go(partitions, lost=False),
            on_lost=lambda _, partitions: self._go(partitions, lost=True),
        )
        return client

    def _came(self, _client: Client, assigned: list[TopicPartition]) -> None:
        partitions = frozenset(named.partition for named in assigned)
        self._may_fall_back = False
        self._partitions = 0
        self._take(partitions)
        self._on_assigned(partitions)

    def _go(self, revoked: list[TopicPartition], *, lost: bool) -> None:
        if self._is_closing:
            self._client.incremental_unassign(revoked)
            return
        partitions = frozenset(named.partition for named in revoked)
        self._say_farewell(partitions, lost=lost)
        self._let_go(partitions)

    def _say_farewell(self, partitions: frozenset[int], *, lost: bool) -> None:
        self._is_in_callback = True
        try:
            self._on_revoked(partitions, lost=lost)
        finally:
            self._is_in_callback = False

    def _take(self, partitions: AbstractSet[int], offset: int | None = None) -> None:
        self._client.incremental_assign(self._named(partitions, offset))
        self._owned.update(partitions)
        self._pause(self._wanted_paused & partitions)

    def _let_go(self, partitions: AbstractSet[int]) -> None:
        # the client would remember over the rebalance that it was paused; we do that
        self._resume(self._paused & partitions)
        self._client.incremental_unassign(self._named(partitions))
        self._owned.difference_update(partitions)
        self._commits.forget(partitions)
        for partition in partitions:
            self._next.pop(partition, None)
        # a rebalance in the middle of a poll: what was read of them is the next owner's
        self._batch = [record for record in self._batch if record.partition not in partitions]

    def close(self) -> None:
        """Have the partitions revoked, commit, leave the group.

        With a broker that doesn't answer it gives up after some seconds: the group then notices
        by itself that the member is gone, and what was not committed comes again. Closing twice
        is allowed; polling afterwards is not.
        """
        if self._is_closing:
            return
        if self._owned:
            self._say_farewell(frozenset(self._owned), lost=False)
        try:
            self.commit_and_wait({})
        except CdcSmsError as error:
            logger.warning("offsets.abandoned", extra={"reason": error.message})
        # The library waits for a commit without an answer for a minute and more, and its close
        # has no time-out: it may go on in the background until the process ends.
        self._is_closing = True
        leaving = threading.Thread(target=self._client.close, name="kafka-leave", daemon=True)
        leaving.start()
        leaving.join(_CLOSE_S)
        if leaving.is_alive():
            logger.warning("group.abandoned", extra={"group": self._settings.deliver_group})

    # Committing

    def commit(self, offsets: Mapping[int, NextOffset]) -> None:
        """Have offsets committed, without waiting for it.

        What the broker can't take now is committed later, as long as the partition is ours.

        Args:
            offsets: by partition, the first that is not finished; others are ignored.
        """
        self._commits.want({p: offset for p, offset in offsets.items() if p in self._owned})
        self._send_commits()

    def commit_and_wait(
        self, offsets: Mapping[int, NextOffset], *, timeout_s: float = COMMIT_S
    ) -> None:
        """Commit offsets, and all that is not committed yet, and wait for the answer.

        Inside ``on_revoked`` it doesn't wait, and need not: the client hands the partitions over
        only when the commit is answered.

        Args:
            offsets: as for :meth:`commit`.
            timeout_s: how long the broker may take; seconds.

        Raises:
            BrokerUnavailable: the broker did not take them in time; the records come again.
            SetupError: we may not commit.
        """
        deadline = time.monotonic() + timeout_s
        self.commit(offsets)
        while self._commits.wanted() and not self._is_in_callback:
            self._fetch(1, _TICK_S)  # serves the answer; a record stays for the next poll
            self._send_commits()
            if self._trouble:
                raise self._trouble.pop(0)
            if time.monotonic() > deadline:
                raise BrokerUnavailable(
                    f"Offsets of {self._topic} were not committed within {timeout_s:g} s.",
                    hint="Check the brokers; the records will be delivered again, and known.",
                )

    def _send_commits(self) -> None:
        # none while no broker answers: they would only pile up in the client, and hold its close
        wanted = {} if self._link.is_lost else self._commits.to_send(time.monotonic())
        if not wanted:
            return
        try:
            self._client.commit(offsets=self._offsets(wanted), asynchronous=True)
        except KafkaException as exception:
            self._commit_failed(error_of(exception))

    def _offsets(self, wanted: Mapping[int, NextOffset]) -> list[TopicPartition]:
        return [
            TopicPartition(self._topic, partition, offset, leader_epoch=epoch)
            if epoch is not None
            else TopicPartition(self._topic, partition, offset)
            for partition, (offset, epoch) in wanted.items()
        ]

    def _committed(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        errors = [named.error for named in partitions if named.error is not None]
        if error is not None or errors:
            self._commit_failed(error or errors[0])
            return
        self._commits.succeeded({named.partition: named.offset for named in partitions})

    def _commit_failed(self, error: KafkaError) -> None:
        self._commits.failed(time.monotonic())
        ours = classified(error, doing=f"Committing offsets of {self._topic}")
        if isinstance(ours, BrokerUnavailable):
            logger.info("offsets.delayed", extra={"reason": ours.message})
        else:
            self._trouble.append(ours)

    # How it stands

    def lag(self) -> dict[int, int]:
        """Return by partition how many records are not committed yet, without waiting for it.

        A partition of which nothing is known yet is left out; what is known of a paused one is
        some seconds old.
        """
        ends = self._ends.of(self._paused)
        lags = {}
        for partition in self._owned:
            first, end = self._client.get_watermark_offsets(
                TopicPartition(self._topic, partition), cached=True
            )
            end = max(end, ends.get(partition, -1))
            start = max(first, self._commits.last(partition) or -1)
            if start >= 0 and end >= 0:
                lags[partition] = max(0, end - start)
        return lags

    def _seen(self, statistics: str) -> None:
        facts = orjson.loads(statistics)
        self._link.seen(facts["brokers"])
        partitions = facts["topics"].get(self._topic, {}).get("partitions", {})
        for name, partition in partitions.items():
            if int(name) in self._owned and partition["committed_offset"] >= 0:
                self._commits.learned(int(name), partition["committed_offset"])

    def _note(self, error: KafkaError) -> None:
        """Judge an error that concerns no record: wait, fall back, or stop."""
        name = error.name()
        ours = classified(error, doing=f"Reading {self._topic} as {self._settings.deliver_group}")
        if _tells_an_old_broker(error):
            self._note_old_broker(ours)
        elif name == "_MAX_POLL_EXCEEDED":
            logger.warning("poll.delayed", extra={"reason": ours.message})
        elif name == "UNKNOWN_TOPIC_OR_PART":
            self._look_for_topic_at_s = 0.0
        elif isinstance(ours, BrokerUnavailable) or (
            # where a broker answered before, a failing handshake is a server's sickness
            name in {"_SSL", "_AUTHENTICATION"} and self._link.was_up
        ):
            self._link.failed(error)
        else:
            self._trouble.append(ours)

    def _note_old_broker(self, error: CdcSmsError) -> None:
        if self._may_fall_back:
            self._falls_back = True
        elif not self._falls_back:
            self._trouble.append(
                SetupError(
                    error.message, hint="Set kafka.group_protocol to auto or classic, or upgrade."
                )
            )

    def _settle_trouble(self) -> None:
        if self._falls_back:
            self._fall_back()
        if not self._owned and time.monotonic() >= self._look_for_topic_at_s:
            self._look_for_topic()
        if self._trouble:
            raise self._trouble.pop(0)

    def _fall_back(self) -> None:
        self._falls_back = self._may_fall_back = False
        self._client.close()
        self._protocol = "classic"
        logger.info("group.downgraded", extra={"group_protocol": self._protocol})
        self._client = self._join()

    def _look_for_topic(self) -> None:
        """Ask whether the topic is there, while nothing of it is ours.

        The new group protocol has no word for a topic that isn't there: it assigns nothing.
        """
        self._look_for_topic_at_s = time.monotonic() + _LOOK_EVERY_S
        try:
            topic = self._client.list_topics(self._topic, timeout=_LOOK_S).topics[self._topic]
        except KafkaException as exception:
            self._link.failed(error_of(exception))
            return
        if topic.error is not None:
            ours = classified(topic.error, doing=f"Reading {self._topic}")
            if not isinstance(ours, BrokerUnavailable):
                self._trouble.append(ours)


def _tells_an_old_broker(error: KafkaError) -> bool:
    """Say whether a broker refuses the new group protocol; the fatal error holds the reason."""
    reasons = (KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE)  # noqa: SLF001
    return error.code() in reasons or any(KafkaError(r).str() in error.str() for r in reasons)


def _record(message: Message) -> Record:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    headers: Any = message.headers() or ()  # a list of pairs, whatever its type says
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        leader_epoch=message.leader_epoch(),
        timestamp_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=tuple((name, _as_bytes(value)) for name, value in headers),
    )


def _as_bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
