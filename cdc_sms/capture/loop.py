"""The spine of capture: stream → encode → produce → acknowledged → confirm.

One thread owns the log, the producer and everything between them. It waits on the log's socket;
while records wait for their acknowledgement it looks after the broker as well.
"""

import logging
import random
import threading
from collections.abc import Sequence
from contextlib import closing

from cdc_sms.capture.outage import Outage
from cdc_sms.capture.outbox import Outbox
from cdc_sms.capture.resume import FirstSnapshot, decide, is_lost
from cdc_sms.capture.standing import Standing
from cdc_sms.envelope.encode import EncodedRecord, Encoder
from cdc_sms.errors import (
    BrokerUnavailable,
    DatabaseUnavailable,
    PositionLost,
    ProduceFailed,
    SourceUnavailable,
)
from cdc_sms.kafka.producer import Producer
from cdc_sms.model.captured_row import CapturedRow
from cdc_sms.model.clock import Clock
from cdc_sms.sources.base import Found, Log, LogState, Source, Start
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

FLUSH_S = 10.0
"""How long a stop waits for the broker's last acknowledgements; seconds."""


class CaptureLoop:
    """The capture role.

    Args:
        source: the database's log.
        encoder: of the source's rows.
        producer: for this loop alone, which closes it at its end.
        topic: the outbox.
        first_snapshot: the record of the first snapshot's completeness.
        shows_pending: whether the table has a status column.
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
        first_snapshot: FirstSnapshot,
        shows_pending: bool,
        metrics: Metrics,
        clock: Clock,
        random_source: random.Random,
    ) -> None:
        self._source = source
        self._encoder = encoder
        self._producer = producer
        self._first_snapshot = first_snapshot
        self._shows_pending = shows_pending
        self._metrics = metrics
        self._clock = clock
        self._outbox = Outbox(producer=producer, topic=topic, metrics=metrics, clock=clock)
        self._outage = Outage(clock=clock, random_source=random_source)
        self._standing = Standing(clock=clock, outage=self._outage)
        self._given_up: PositionLost | None = None

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
                    self._given_up = error if isinstance(error, PositionLost) else None
                    self._outbox.disown()
                    stop.wait(self._outage.met(error))
        finally:
            self._producer.close()
            self._standing.ended()

    def _capture(self, stop: threading.Event) -> None:
        """Hold the log once, from where it was confirmed."""
        start = self._begin()
        with closing(self._source.acquire(start)) as log, self._connected(start):
            while not stop.is_set():
                self._await_room(log, stop)
                batch = log.read(wait_s=self._patience_s())
                records = self._encode(batch.rows)
                self._outbox.produce(batch, records)
                self._confirm(log)
            self._flush(log)
