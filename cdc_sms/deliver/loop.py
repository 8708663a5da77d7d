"""The spine of deliver: poll → intake → (desk: claim → send → settle) → commit.

The loop thread owns the consumer and never waits for anything else; the desk is the ledger
thread. A record goes in by :meth:`DeliverLoop._take_in` and comes out as a place whose offset may
go; in between the desk holds it.
"""

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable

from cdc_sms.config.settings import DeliverSettings
from cdc_sms.deliver.dead_letters import DeadLetters, Spoilt
from cdc_sms.deliver.desk import Desk
from cdc_sms.deliver.intake import Intake, Look, Skip, Undecodable
from cdc_sms.deliver.shutdown import Shutdown
from cdc_sms.errors import BrokerUnavailable
from cdc_sms.kafka.consumer import Consumer
from cdc_sms.kafka.offsets import Offsets, Place
from cdc_sms.kafka.producer import Producer
from cdc_sms.kafka.record import Record
from cdc_sms.model.clock import Clock
from cdc_sms.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)

POLL_S = 0.1
COMMIT_EVERY_S = 1.0
REVOKE_GRACE_S = 10.0
MAX_HELD_RECORDS = 100_000
"""Records of a partition that are finished or not, from the first unfinished one on."""
MAX_OPEN_BYTES = 16 * 1024 * 1024


class DeliverLoop:
    """One member of the consumer group.

    Thread: :meth:`run` is the loop thread; :meth:`describe`, :meth:`trouble` and :meth:`live_s`
    any.

    Args:
        join: makes the consumer, given what is to be called at a rebalance.
        finished: where the desk puts the places whose offsets may go.
    """

    def __init__(
        self,
        *,
        join: Callable[..., Consumer],
        producer: Producer,
        intake: Intake,
        desk: Desk,
        letters: DeadLetters,
        finished: "queue.SimpleQueue[Place]",
        settings: DeliverSettings,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._producer = producer
        self._intake = intake
        self._desk = desk
        self._letters = letters
        self._finished = finished
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._offsets = Offsets()
        self._open_bytes: dict[Place, int] = {}
        self._bytes = 0
        self._owned: frozenset[int] = frozenset()
        self._full: frozenset[int] = frozenset()
        self._commit_at_s = 0.0
        self._lag: dict[int, int] = {}
        self.turned_at_s = clock.monotonic_s()
        self._consumer = join(
            on_assigned=self.assigned, on_revoked=self.revoked, on_gap=desk.note_gap
        )

    def run(self, stop: threading.Event) -> None:
        """Deliver until told to stop, then finish what is in flight and leave the group.

        Raises:
            CdcSmsError: something that needs a person.
        """
        self._desk.start(self._letters)
        try:
            while not stop.is_set():
                self._turn()
        finally:
            self._end()

    def _turn(self) -> None:
        for record in self._consumer.poll(POLL_S):
            self._take_in(record)
        self._mark_finished()
        self._commit()
        self._consumer.set_paused(self._to_pause())
        self._producer.poll(0)
        if self._desk.failure is not None:
            raise self._desk.failure
        self.turned_at_s = self._clock.monotonic_s()

    def _take_in(self, record: Record) -> None:
        place = self._offsets.received(record.partition, record.offset, record.leader_epoch)
        match self._intake.read(record, place):
            case Look() as look:
                self._hold_bytes(place, record)
                self._desk.put(look)
            case Undecodable(why=why):
                self._hold_bytes(place, record)
                self._desk.put(Spoilt(record, place, why))
            case Skip(why=why):
                self._metrics.finished.labels(why).inc()
                self._offsets.finished(place)

    def _mark_finished(self) -> None:
        while not self._finished.empty():
            place = self._finished.get()
            self._bytes -= self._open_bytes.pop(place, 0)
            self._offsets.finished(place)
        for gap in self._desk.flagged():
            if gap.first_offset is not None:
                self._offsets.begins(gap.partition, gap.first_offset)

    def _hold_bytes(self, place: Place, record: Record) -> None:
        size = len(record.value or b"") + len(record.key or b"")
        self._open_bytes[place] = size
        self._bytes += size

    def _commit(self, *, at_once: bool = False) -> None:
        """Commit the finished prefix of each partition, once a second."""
        now = self._clock.monotonic_s()
        if now < self._commit_at_s and not at_once:
            return
        self._commit_at_s = now + COMMIT_EVERY_S
        offsets = self._offsets.committable()
        if offsets:
            if at_once:
                self._consumer.commit_and_wait(offsets)
            else:
                self._consumer.commit(offsets)
            self._offsets.committed(offsets)
        if self._settings.messages_per_s is not None and not at_once:
            self._desk.share(len(self._owned), of=self._consumer.partition_count())
        self._lag = self._consumer.lag()
        for partition, lag in self._lag.items():
            self._metrics.outbox_lag.labels(str(partition)).set(lag)

    def _to_pause(self) -> frozenset[int]:
        """Return the partitions to pause: all while nothing may be sent, else the full ones."""
        reasons: Counter[str] = Counter({"breaker": 0, "held": 0, "bytes": 0, "waiting": 0})
        if self._desk.is_blocked:
            reasons["breaker"], paused = len(self._owned), self._owned
        elif self._desk.held_by is not None:
            reasons["held"], paused = len(self._owned), self._owned
        elif self._bytes > MAX_OPEN_BYTES:
            reasons["bytes"], paused = len(self._owned), self._owned
        else:
            most = self._settings.max_open_records
            paused = frozenset(
                p
                for p in self._owned
                if self._offsets.open_records(p) >= most
                or self._offsets.held_records(p) >= MAX_HELD_RECORDS
            )
            reasons["waiting"] = len(paused)
        self._full = paused if reasons["waiting"] else frozenset()
        for reason, count in reasons.items():
            self._metrics.paused_partitions.labels(reason).set(count)
        return paused

    # ---- rebalances, called by the consumer inside poll ----------------------------------------

    def assigned(self, partitions: frozenset[int]) -> None:
        """Take partitions over."""
        self._offsets.assigned(partitions)
        self._owned |= partitions
        self._desk.own(partitions)
        self._consumer.set_paused(self._to_pause())
        _log.info("partitions.assigned", extra={"partitions": sorted(partitions)})

    def revoked(self, partitions: frozenset[int], *, lost: bool) -> None:
        """Finish what is in flight of the partitions that go, and commit it, within a grace."""
        self._owned -= partitions
        settled = self._desk.drop(partitions)
        deadline = self._clock.monotonic_s() + REVOKE_GRACE_S
        while not lost and self._clock.monotonic_s() < deadline:
            self._producer.poll(0)
            if settled.wait(0.05) or self._desk.failure is not None:
                break
        self._mark_finished()
        if not lost:
            self._commit_before_they_go()
        self._offsets.revoked(partitions)
        for place in [p for p in self._open_bytes if p.partition in partitions]:
            self._bytes -= self._open_bytes.pop(place)
        _log.info("partitions.revoked", extra={"partitions": sorted(partitions), "lost": lost})

    def _commit_before_they_go(self) -> None:
        try:
            self._commit(at_once=True)
        except BrokerUnavailable as error:  # the records come again, and the ledger skips them
            _log.warning("offsets.not_committed", extra={"why": error.message})

    # ---- the end -------------------------------------------------------------------------------

    def _end(self) -> None:
        """Stop in phases: fetch no more, finish what is in flight, settle, commit, leave."""
        shutdown = Shutdown(self._clock, grace_s=self._settings.shutdown_grace_s)
        with shutdown.phase("fetch_no_more"):
            self._consumer.set_paused(self._owned)
        with shutdown.phase("settle_what_is_in_flight"):
            self._desk.stop()
            while shutdown.left_s > 0 and not self._desk.join(0.05):
                self._producer.poll(0)
        with shutdown.phase("commit"):
            self._desk.close()
            self._mark_finished()
            self._commit(at_once=True)
        with shutdown.phase("leave_the_group"):
            self._consumer.close()
        self._producer.flush(0.5)
        self._producer.close()

    def describe(self) -> dict[str, object]:
        """Return what a person wants to know, for ``/status``."""
        return {
            **self._desk.describe(),
            "partitions": sorted(self._owned),
            "lag": self._lag if self._consumer.is_connected else None,
        }

    def trouble(self) -> str | None:
        """Return why nothing flows now, or None: for ``/health/ready``."""
        if self._desk.database_is_away:
            return "the database can't be used"
        if not self._consumer.is_connected:
            return "no broker answers"
        return self._desk.stopped_by or self._full_of()

    def _full_of(self) -> str | None:
        """Return what keeps every partition from taking more; None: one of them moves."""
        if not self._full or self._full != self._owned:
            return None
        waits_for = self._desk.waits_for
        return f"no partition takes more: all wait ({', '.join(waits_for)})" if waits_for else None

    def live_s(self) -> float:
        """Return how long ago the loop last turned; seconds."""
        return self._clock.monotonic_s() - self.turned_at_s
