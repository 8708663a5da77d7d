"""PostgreSQL as a source: the replication connection, read by one owner, and confirmed by it.

The log is read through a logical slot with the plugin ``pgoutput``. A slot has one reader at a
time, and the server keeps its position: nothing else is needed to stand by and take over.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress

from cdc_sms.config.settings import CaptureSettings, SourceSettings, TableSettings
from cdc_sms.errors import SourceError, SourceUnavailable
from cdc_sms.model.clock import Clock
from cdc_sms.sources.base import Batch, Found, Start
from cdc_sms.sources.pace import Pace
from cdc_sms.sources.postgres.connection import (
    WAL_SENDER_TIMEOUT_S,
    Connection,
    connect,
    take_bytes_as_they_are,
)
from cdc_sms.sources.postgres.pgoutput import Column, Decoder, status_update
from cdc_sms.sources.postgres.slot import NewSlot, Slot, base_types, required
from cdc_sms.sources.postgres.snapshot import BATCH_BYTES, BATCH_ROWS, Snapshot
from cdc_sms.sources.postgres.values import FIRST_USER_TYPE, BaseType
from cdc_sms.sources.postgres.watch import Watch
from cdc_sms.sources.postgres.wire import Wire

logger = logging.getLogger(__name__)

STATUS_S = WAL_SENDER_TIMEOUT_S / 3
"""How long the server waits for a word from us at most; seconds."""

CONFIRM_S = 0.05
"""How soon a new position is confirmed after the one before; seconds."""

FINISH_S = 1.0
"""How long a close waits until the server has heard the last confirmation; seconds."""

SILENCE_S = 20.0
"""How long a server that owes us an answer may be silent; seconds."""


class PostgresSource:
    """The log of one table, through one slot and one publication.

    Args:
        source: where the server is.
        table: the table whose rows are captured.
        capture: the names of slot and publication.
        clock: times what is sent to the server.

    Thread: one owner.
    """

    def __init__(
        self,
        *,
        source: SourceSettings,
        table: TableSettings,
        capture: CaptureSettings,
        clock: Clock,
    ) -> None:
        self._source = source
        self._table = table
        self._capture = capture
        self._clock = clock
        self._slot = Slot(table=table, capture=capture)

    def inspect(self) -> Found:
        """Look at what is there, change nothing; see :class:`~cdc_sms.sources.base.Source`."""
        with closing(connect(self._source)) as connection:
            return self._slot.inspect(connection)

    def acquire(self, start: Start) -> "PostgresLog":
        """Take the log and begin to read it; see :class:`~cdc_sms.sources.base.Source`."""
        with ExitStack() as opened:
            replication = opened.enter_context(closing(connect(self._source, replication=True)))
            queries = opened.enter_context(closing(connect(self._source)))
            made = None
            if start in (Start.NEW_SNAPSHOT, Start.NEW_STREAM):
                made = self._make_slot(replication, queries)
            snapshot = None
            if start is Start.NEW_SNAPSHOT and made is not None:
                # before the next command on that connection, which ends what it exported
                snapshot = opened.enter_context(closing(self._snapshot(made.snapshot)))
            take_bytes_as_they_are(replication)
            wire = Wire(replication, doing="Reading PostgreSQL's log")
            wire.begin(self._slot.start_command())
            wire.await_start()
            # only now is the slot ours
            catalogue = self._slot.describe(queries)
            if start is Start.SNAPSHOT:
                snapshot = opened.enter_context(closing(self._snapshot(None)))
            if snapshot is not None:
                snapshot.begin(catalogue)
            return PostgresLog(
                wire,
                decoder=Decoder(
                    key=catalogue.key,
                    slot=self._capture.slot,
                    base_types=self._base_types,
                    required=self._required,
                ),
                snapshot=snapshot,
                watch=Watch(
                    queries, slot=self._capture.slot, beat_every_s=self._capture.heartbeat_s
                ),
                clock=self._clock,
                connections=opened.pop_all(),
            )

    def _make_slot(self, replication: Connection, queries: Connection) -> NewSlot:
        self._slot.drop(queries)
        made = self._slot.make(replication, queries)
        facts = {"slot": self._capture.slot, "position": str(made.consistent_point)}
        logger.info("slot.created", extra=facts)
        return made

    def _snapshot(self, exported: str | None) -> Snapshot:
        return Snapshot(connect(self._source), table=self._table, exported=exported)

    def _base_types(self, columns: Sequence[Column]) -> Mapping[int, BaseType]:
        if all(column.type_id < FIRST_USER_TYPE for column in columns):
            return {}
        with closing(connect(self._source)) as connection:
            return base_types(connection, columns)

    def _required(self, table: int) -> frozenset[str]:
        with closing(connect(self._source)) as connection:
            return required(connection, table)


class PostgresLog:
    """The log while we hold the slot: the snapshot's rows first, then the stream.

    Args:
        wire: streams.
        decoder: for this stream.
        snapshot: begun; None where none is wanted.
        watch: on the same slot.
        clock: times what is sent.
        connections: closed with the log.

    Thread: one owner.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        decoder: Decoder,
        snapshot: Snapshot | None,
        watch: Watch,
        clock: Clock,
        connections: ExitStack,
    ) -> None:
        self._wire = wire
        self._decoder = decoder
        self._snapshot = snapshot
        self._watch = watch
        self._clock = clock
        self._connections = connections
        self._confirmed = 0
        self._told = 0
        self._told_s = self._heard_s = clock.monotonic_s()
        self._owes_reply = True
        self._pace = Pace()

    @property
    def lag_bytes(self) -> int | None:
        """Return how much of its log the server holds back for us; None until it has said so."""
        return self._watch.lag_bytes

    @property
    def place(self) -> str | None:
        """Return the LSN up to which the log is confirmed; None before the first time."""
        return f"{self._told >> 32:X}/{self._told & 0xFFFFFFFF:X}" if self._told else None

    def read(self, *, wait_s: float) -> Batch:
        """Return what is there; see :class:`~cdc_sms.sources.base.Log`."""
        if self._snapshot is not None:
            batch = self._snapshot.read(wait_s=wait_s)
            if batch.ends_snapshot:
                self._snapshot.close()
                self._snapshot = None
            self.keep_alive()
            return batch
        has_news = self._confirmed > self._told
        batch = self._read_stream(min(wait_s, CONFIRM_S) if has_news else wait_s)
        self._speak()
        self._judge_silence()
        return batch

    def confirm(self, position: int) -> None:
        """Say that everything before the position is safe; told to the server soon."""
        self._confirmed = max(self._confirmed, position)
        self._speak()

    def keep_alive(self) -> None:
        """Tell the server that we live, though nothing is read from the stream now."""
        self._heard_s = self._clock.monotonic_s()  # it can't be heard: that is no silence
        self._speak()

    def close(self) -> None:
        """Confirm what is safe and let the slot go."""
        with suppress(SourceError):
            if self._confirmed > self._told:
                self._tell(self._clock.monotonic_s())
            self._wire.finish(within_s=FINISH_S)
        self._connections.close()

    def _read_stream(self, wait_s: float) -> Batch:
        batch = Batch()
        size = 0
        message = self._wire.receive()
        if message is None and self._wire.wait(wait_s):
            if nap_s := self._pace.nap_s(self._clock.monotonic_s()):
                time.sleep(nap_s)
            message = self._wire.receive()
        while message is not None:
            self._owes_reply |= self._decoder.take(message, batch)
            size += len(message)
            if size >= BATCH_BYTES or len(batch.rows) >= BATCH_ROWS:
                break
            message = self._wire.receive()
        if self._wire.has_ended:
            raise SourceUnavailable(
                "Reading PostgreSQL's log failed: the server ended the stream.",
                hint="Nothing needs to be done: capture begins again by itself.",
            )
        if size:
            self._heard_s = self._clock.monotonic_s()
        return batch

    def _speak(self) -> None:
        """Send a status update where one is due, and look at the watch."""
        now_s = self._clock.monotonic_s()
        since_s = now_s - self._told_s
        moved = self._confirmed > self._told
        if self._owes_reply or since_s >= STATUS_S or (moved and since_s >= CONFIRM_S):
            self._tell(now_s)
        self._watch.tick(now_s)

    def _tell(self, now_s: float) -> None:
        wants_reply = now_s - self._heard_s >= STATUS_S / 2
        clock_us = int(self._clock.now().timestamp() * 1_000_000)
        self._wire.send(status_update(self._confirmed, clock_us=clock_us, wants_reply=wants_reply))
        self._told = self._confirmed
        self._told_s = now_s
        self._owes_reply = False

    def _judge_silence(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._heard_s >= SILENCE_S and not self._watch.sees_work(now_s):
            raise SourceUnavailable(
                f"Reading PostgreSQL's log failed: nothing was heard for {SILENCE_S:.0f} s.",
                hint="Check the network between here and the server; capture connects again.",
            )
