"""The spine of capture: stream → encode → produce → acknowledged → confirm.

One thread owns the log, the producer and everything between them. It waits on the log's socket;
while records wait for their acknowledgement it looks after the broker as well.
"""

import logging
import random
import threading
from collections.abc import Mapping
from contextlib import closing

from cdc_sms.capture.becomes_pending import forwarded
from cdc_sms.capture.gaps import Gaps
from cdc_sms.capture.heartbeat import HeartbeatTopic
from cdc_sms.capture.outbox import Outbox
from cdc_sms.capture.resume import FirstSnapshot, decide, is_lost
from cdc_sms.capture.standing import Standing, State
from cdc_sms.envelope.encode import Encoder
from cdc_sms.errors import (
    BrokerUnavailable,
    DatabaseUnavailable,
    LogDecodeError,
    NeedsPerson,
    PositionLost,
    ProduceFailed,
    SourceUnavailable,
)
from cdc_sms.kafka.producer import Producer
from cdc_sms.model.clock import Clock
from cdc_sms.sources.base import Batch, Found, Log, LogState, Source, Start
from cdc_sms.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

_WAITED_FOR = (
    SourceUnavailable,
    PositionLost,
    BrokerUnavailable,
    ProduceFailed,
    DatabaseUnavailable,
)
"""After these the stream begins again at the confirmed position; anything else ends the role."""

IDLE_S = 0.5
"""How long the loop waits for the log at most before it looks whether to stop; seconds."""

BROKER_S = 0.001
"""How long the loop waits for an acknowledgement before it looks at the log again; seconds."""

LEDGER_S = 10.0
"""How often the ledger is asked for gaps while the log streams; seconds."""

HEAL_S = 60.0
"""How soon a snapshot that heals a gap may follow the one before; seconds."""

FLUSH_S = 10.0
"""How long a stop waits for the broker's last acknowledgements; seconds."""


LAST_WORD_S = 1.0
"""How long a stop waits for the position that the log said last; seconds."""


class CaptureLoop:
    """The capture role.

    Args:
        source: the database's log.
        encoder: of the source's rows.
        producer: for this loop alone, which closes it at its end.
        topic: the outbox.
        heartbeats: their topic.
        first_snapshot: the record of the first snapshot's completeness.
        gaps: what is missing on the outbox.
        accept_gap: a person said to go on where rows may be missing and nothing shows which, and
            from what can't be understood.
        status_column: None where the table has none.
        pending: the word of a row that is to be sent.
        metrics: of this process.
        clock: where the present comes from.
        random_source: where the pauses' jitter comes from.

    Thread: :meth:`run` in one; :meth:`status`, :meth:`ready` and :meth:`live` in any.
    """

    name = "capture"

    def __init__(
        self,
        *,
        source: Source,
        encoder: Encoder,
        producer: Producer,
        topic: str,
        heartbeats: HeartbeatTopic,
        first_snapshot: FirstSnapshot,
        gaps: Gaps,
        accept_gap: bool = False,
        status_column: str | None,
        pending: str,
        metrics: Metrics,
        clock: Clock,
        random_source: random.Random,
    ) -> None:
        self._source = source
        self._encoder = encoder
        self._producer = producer
        self._heartbeats = heartbeats
        self._first_snapshot = first_snapshot
        self._gaps = gaps
        self._accept_gap = accept_gap
        self._flags: Mapping[str, str] = {}
        self._ask_ledger_at_s = 0.0
        self._heal_at_s = 0.0
        self._has_doubt = False
        self._status_column = status_column
        self._pending = pending
        self._shows_pending = status_column is not None
        self._metrics = metrics
        self._clock = clock
        self._outbox = Outbox(producer=producer, topic=topic, metrics=metrics, clock=clock)
        self._standing = Standing(metrics=metrics, clock=clock, random_source=random_source)
        self._given_up: PositionLost | LogDecodeError | None = None
        self._log: Log | None = None

    def run(self, stop: threading.Event) -> None:
        """Capture until told to stop; wait for ever for what is away.

        Raises:
            SetupError: something is missing or wrong on a server that was reached.
            LogDecodeError: the log can't be understood.
            NeedsPerson: the position is lost, and nothing shows which rows are missing.
            BrokerError: the producer is broken; a new process begins where this one left off.
        """
        try:
            while not stop.is_set():
                try:
                    self._capture(stop)
                except _WAITED_FOR as error:
                    if isinstance(error, PositionLost):
                        self._given_up = error
                    self._outbox.disown()
                    stop.wait(self._standing.met(error))
                except LogDecodeError as error:
                    if not self._accept_gap:
                        raise
                    self._given_up = error
                    self._outbox.disown()
                    stop.wait(self._standing.met(error))
        finally:
            self._producer.flush(LAST_WORD_S)
            self._producer.close()
            self._standing.ended()

    def _capture(self, stop: threading.Event) -> None:
        """Hold the log until told to stop, until something goes away, or a snapshot is wanted."""
        start = self._decide()
        with closing(self._source.acquire(start)) as log:
            self._log = log
            self._begin(start)
            while not stop.is_set() and not self._wants_snapshot():
                if self._outbox.has_room:
                    batch = log.read(wait_s=self._patience_s())
                    self._flag(batch.doubt)
                    self._hold_back_updates(batch)
                    records = self._encoder.encode_all(batch.rows, now_us=self._now_us())
                    self._outbox.produce(batch, records)
                    if batch.heartbeat is not None:
                        self._heartbeats.read_back(batch.heartbeat)
                        # the present is reached: what was accepted is behind us, and no later gap
                        self._accept_gap = False
                    self._confirm(log, wait_s=BROKER_S)
                else:
                    self._confirm(log, wait_s=IDLE_S)
                    log.keep_alive()
            self._flush(log)

    def _flag(self, doubt: str | None) -> None:
        """Flag a log that may lack rows, before anything behind them is confirmed."""
        if doubt is None or self._has_doubt:
            return
        self._gaps.flag_log(doubt)
        self._has_doubt = True
        logger.warning("log.doubted", extra={"reason": doubt})

    def _hold_back_updates(self, batch: Batch) -> None:
        if self._status_column is not None:
            batch.rows = forwarded(
                batch.rows, status_column=self._status_column, pending=self._pending
            )

    def _decide(self) -> Start:
        """Compare what is there with what is needed; a new position takes the old record back."""
        found = self._found()
        complete = self._first_snapshot.is_complete()
        start = decide(
            found,
            snapshot_complete=complete,
            shows_pending=self._shows_pending,
            accept_gap=self._accept_gap,
        )
        if is_lost(found, snapshot_complete=complete):
            logger.error("slot.lost", extra={"reason": found.reason or "it was dropped"})
            self._first_snapshot.forget()
        start = self._healing(start)
        if not self._shows_pending and not complete:
            logger.warning("snapshot.skipped", extra={"reason": "the table has no status column"})
        return start

    def _found(self) -> Found:
        """Inspect the source; what was given up, or what a person said to go on from, is lost."""
        try:
            found = self._source.inspect()
        except NeedsPerson as error:
            if not self._accept_gap:
                raise
            return Found(LogState.LOST, error.message)
        if self._given_up is not None and found.state is LogState.USABLE:
            return Found(LogState.LOST, self._given_up.message)
        return found

    def _healing(self, start: Start) -> Start:
        """Snapshot where records or rows are gone; the snapshot heals what is flagged before it."""
        self._flags = self._gaps.flagged()
        self._has_doubt = False
        if self._flags and self._shows_pending:
            logger.error("gap.found", extra={"gaps": sorted(self._flags)})
            return Start.SNAPSHOT if start is Start.STREAM else start
        if self._flags and self._accept_gap:
            logger.warning("gap.accepted", extra={"gaps": sorted(self._flags)})
            self._gaps.healed(self._flags)
            self._flags = {}
        return start

    def _wants_snapshot(self) -> bool:
        """Ask the ledger now and then whether records are gone; the log is left in order then."""
        now_s = self._clock.monotonic_s()
        if now_s < max(self._ask_ledger_at_s, self._heal_at_s):
            return False
        if self._standing.state is not State.STREAMING:
            return False
        self._ask_ledger_at_s = now_s + LEDGER_S
        try:
            flags = self._gaps.flagged()
        except DatabaseUnavailable as error:  # the log may well be readable all the same
            self._standing.missed_ledger(error.message)
            return False
        self._standing.missed_ledger(None)
        self._standing.missed_records(bool(flags) and not self._shows_pending)
        if flags and self._shows_pending:
            self._heal_at_s = now_s + HEAL_S
            return True
        return False

    def _begin(self, start: Start) -> None:
        self._given_up = None
        self._heartbeats.begin()
        self._standing.reads(start)
        if not self._shows_pending:
            self._first_snapshot.mark_complete()  # there is none: a later loss must be noticed

    def _confirm(self, log: Log, *, wait_s: float) -> None:
        """Learn what is acknowledged, and let the log up to there go."""
        finished = self._outbox.poll(wait_s=wait_s)
        if finished.snapshot:
            self._first_snapshot.mark_complete()
            self._gaps.healed(self._flags)
            self._flags = {}
            self._heartbeats.begin()
            self._standing.completed_snapshot()
        if finished.position is not None:
            log.confirm(finished.position)
        if finished.rows:
            self._heartbeats.proved()
        self._metrics.heartbeat_age.set(self._heartbeats.age_s)
        self._standing.turned(
            oldest_s=self._outbox.oldest_s, progress=finished.position is not None
        )
        if log.lag_bytes is not None:
            self._metrics.log_lag.set(log.lag_bytes)

    def _flush(self, log: Log) -> None:
        """Give the broker a while to acknowledge what it has, so that it isn't produced again."""
        deadline_s = self._clock.monotonic_s() + FLUSH_S
        while self._outbox.records and self._clock.monotonic_s() < deadline_s:
            self._confirm(log, wait_s=IDLE_S)
            log.keep_alive()

    def _patience_s(self) -> float:
        """Return how long the log may be waited for while acknowledgements are due."""
        if not self._outbox.records:
            return IDLE_S
        return min(max(self._outbox.oldest_s / 4, 0.001), 0.05)

    def _now_us(self) -> int:
        return int(self._clock.now().timestamp() * 1_000_000)

    # what people ask

    def status(self) -> dict[str, object]:
        """Return what capture does, since when, what is in the way, and how far it is."""
        log = self._log
        return {
            "state": self._standing.state.value,
            "since": self._standing.since,
            "why": self._standing.why,
            "unacknowledged_records": self._outbox.records,
            "heartbeat_age_s": round(self._heartbeats.age_s, 1),
            "log": None if log is None else {"place": log.place, "behind_bytes": log.lag_bytes},
        }

    def ready(self) -> str | None:
        """Return None while the log comes through, else why it doesn't."""
        if self._standing.why is not None:
            return self._standing.why
        if self._standing.state is State.STREAMING and self._heartbeats.why_late is not None:
            return self._heartbeats.why_late
        reading = self._standing.state in (State.SNAPSHOT, State.STREAMING)
        return None if reading else f"Capture is {self._standing.state.value}."

    def live(self) -> bool:
        """Say whether the loop has turned lately."""
        return self._standing.is_turning
