"""Records on their way to the outbox: handed over in order, confirmed only as a finished prefix.

The unit is the batch that was read at once. A batch's position may be confirmed when every record
of it and of all batches before it is acknowledged. What waits for the broker is bounded.
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from cdc_sms.envelope.encode import EncodedRecord, shrunk
from cdc_sms.errors import SetupError
from cdc_sms.kafka.headers import TRIMMED, Header
from cdc_sms.kafka.producer import Counted, Producer
from cdc_sms.model.clock import Clock
from cdc_sms.sources.base import Batch
from cdc_sms.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

MAX_RECORDS = 10_000
MAX_BYTES = 16 * 1024 * 1024
"""What may wait for the broker before no more is read."""

SMALLEST_LIMIT_BYTES = 4096
"""A record is not made smaller than this for a topic that refuses it."""


@dataclass(slots=True)
class _Sent:
    """A batch that was handed over."""

    counted: Counted
    rows: int
    size: int
    operation: str
    position: int | None
    ends_snapshot: bool
    age_s: float
    read_s: float


@dataclass(slots=True)
class Finished:
    """What may be confirmed now.

    Attributes:
        position: everything before it is acknowledged; None: nothing new.
        rows: how many rows were acknowledged.
        snapshot: every row of the snapshot is acknowledged.
    """

    position: int | None = None
    rows: int = 0
    snapshot: bool = False


class Outbox:
    """The topic, as capture sees it.

    Args:
        producer: polled here; closed by its owner.
        topic: the outbox's name.
        metrics: rows, latency and what waits are counted here.
        clock: measures latencies.

    Thread: capture's loop.
    """

    def __init__(self, *, producer: Producer, topic: str, metrics: Metrics, clock: Clock) -> None:
        self._producer = producer
        self._topic = topic
        self._metrics = metrics
        self._clock = clock
        self._sent: deque[_Sent] = deque()
        self._records = 0
        self._bytes = 0

    @property
    def records(self) -> int:
        """Return how many records wait for their acknowledgement."""
        return self._records

    @property
    def has_room(self) -> bool:
        """Say whether more may be handed over."""
        return self._records < MAX_RECORDS and self._bytes < MAX_BYTES

    @property
    def oldest_s(self) -> float:
        """Return for how long the oldest batch has waited; 0 where nothing waits; seconds."""
        return self._clock.monotonic_s() - self._sent[0].read_s if self._sent else 0.0

    def produce(self, batch: Batch, records: Sequence[EncodedRecord]) -> None:
        """Hand over a batch's records.

        Args:
            batch: what was read; it is empty where only a position is to be confirmed.
            records: of each of its rows.

        Raises:
            BrokerError: the producer is broken.
        """
        if not records and batch.position is None and not batch.ends_snapshot:
            return
        self._say_trimmed(records)
        counted = Counted(self._topic)
        self._producer.produce_counted(counted, map(_for_kafka, records))
        sent = _Sent(
            counted,
            rows=len(records),
            size=sum(len(record.value) for record in records),
            operation=batch.rows[0].operation.value if batch.rows else "",
            position=batch.position,
            ends_snapshot=batch.ends_snapshot,
            age_s=batch.age_s,
            read_s=self._clock.monotonic_s(),
        )
        self._sent.append(sent)
        self._count(sent.rows, sent.size)

    def poll(self, *, wait_s: float = 0.0) -> Finished:
        """Learn what the broker acknowledged.

        Args:
            wait_s: how long to wait for an acknowledgement that is due, in seconds.

        Returns:
            What may be confirmed, and was not returned before.

        Raises:
            BrokerUnavailable: a record was refused; the stream has to begin again.
            SetupError: the topic is missing, or refuses even the smallest record.
        """
        self._producer.poll(wait_s if self._records else 0.0)
        finished = Finished()
        while self._sent and self._is_finished(self._sent[0].counted):
            sent = self._sent.popleft()
            self._count(-sent.rows, -sent.size)
            self._measure(sent)
            finished.position = sent.position or finished.position
            finished.rows += sent.rows
            finished.snapshot |= sent.ends_snapshot
        return finished

    def disown(self) -> None:
        """Forget what the batches on their way were to confirm: the stream begins again.

        They still count as waiting until they are acknowledged, so that a broker that is away
        while the database comes and goes fills no memory.
        """
        for sent in self._sent:
            sent.position, sent.ends_snapshot = None, False
        for sent in [sent for sent in self._sent if sent.counted.error is not None]:
            self._sent.remove(sent)
            self._count(-sent.rows, -sent.size)

    def _is_finished(self, counted: Counted) -> bool:
        if counted.error is not None:
            raise counted.error
        if counted.oversized:
            self._repeat_smaller(counted)
        return counted.outstanding == 0

    def _repeat_smaller(self, counted: Counted) -> None:
        """Hand over in parts what the topic refused for its size, half as large as it was."""
        refused, counted.oversized = counted.oversized, []
        counted.outstanding -= len(refused)
        for key, value in refused:
            limit = max(len(value) // 2, SMALLEST_LIMIT_BYTES)
            smaller = shrunk(EncodedRecord(key, value), limit_bytes=limit)
            if len(smaller.value) >= len(value):
                raise SetupError(
                    f"The topic {self._topic} refuses a record of {len(value)} bytes.",
                    hint="Raise its max.message.bytes to 4 MiB: cdc-sms topics.",
                )
            self._say_trimmed([smaller])
            self._producer.produce_counted(counted, [_for_kafka(smaller)])

    def _say_trimmed(self, records: Sequence[EncodedRecord]) -> None:
        for record in records:
            if record.trimmed:
                self._metrics.rows_trimmed.labels(record.trimmed).inc()
                facts = {"reason": record.trimmed, "value_bytes": len(record.value)}
                logger.warning("row.trimmed", extra=facts)

    def _count(self, rows: int, size: int) -> None:
        self._records += rows
        self._bytes += size
        self._metrics.unacknowledged.set(self._records)

    def _measure(self, sent: _Sent) -> None:
        if sent.rows:
            self._metrics.rows_produced.labels(sent.operation).inc(sent.rows)
        if sent.rows and sent.age_s:
            waited_s = self._clock.monotonic_s() - sent.read_s
            self._metrics.produce_latency.observe(sent.age_s + waited_s)


def _for_kafka(record: EncodedRecord) -> tuple[bytes | None, bytes, Sequence[Header]]:
    headers = [(TRIMMED, record.trimmed.encode())] if record.trimmed else ()
    return record.key, record.value, headers
