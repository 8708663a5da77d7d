"""Dead letters on their way to the broker: the original bytes, and headers that say why."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cdc_sms.deliver.decide import OwesDeadLetter
from cdc_sms.deliver.settle import Acknowledged
from cdc_sms.kafka.headers import DeadLetter, Header, dead_letter_headers, redrives_of
from cdc_sms.kafka.offsets import Place
from cdc_sms.kafka.producer import Delivery, Producer
from cdc_sms.kafka.record import Record
from cdc_sms.model.clock import Clock
from cdc_sms.model.state import DeadLetterClass
from cdc_sms.model.trace import trace_id
from cdc_sms.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Spoilt:
    """A record that can't be understood, and why; it goes to the dead letters byte for byte."""

    record: Record
    place: Place
    why: str


@dataclass(frozen=True, slots=True)
class LetterRefused:
    """The broker did not take a dead letter: it is still owed."""

    owed: OwesDeadLetter | Spoilt
    why: str


@dataclass(frozen=True, slots=True)
class SpoiltAcknowledged:
    """The broker has the dead letter of a record that couldn't be decoded."""

    spoilt: Spoilt


class DeadLetters:
    """Produces dead letters; what the broker says comes back later.

    Thread: :meth:`produce` the ledger's; acknowledgements arrive on the thread that polls the
    producer and are handed to ``answered``, which any thread may call.
    """

    def __init__(
        self,
        *,
        producer: Producer,
        topic: str,
        provider: str,
        clock: Clock,
        metrics: Metrics,
        answered: Callable[[Acknowledged | SpoiltAcknowledged | LetterRefused], None],
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._provider = provider
        self._clock = clock
        self._metrics = metrics
        self._answered = answered

    def produce(self, owed: OwesDeadLetter | Spoilt) -> None:
        """Hand a dead letter to the broker; nothing is waited for."""
        record = owed.look.record if isinstance(owed, OwesDeadLetter) else owed.record
        self._producer.produce(
            self._topic,
            key=record.key,
            value=record.value,
            headers=self._headers(owed, record),
            on_delivery=lambda delivery: self._delivered(owed, delivery),
        )

    def _headers(self, owed: OwesDeadLetter | Spoilt, record: Record) -> list[Header]:
        letter = (
            _letter(owed, record, self._provider)
            if isinstance(owed, OwesDeadLetter)
            else _spoilt_letter(owed, record, self._clock.now())
        )
        return dead_letter_headers(letter, record.headers)

    def _delivered(self, owed: OwesDeadLetter | Spoilt, delivery: Delivery) -> None:
        if delivery.error is not None:
            self._answered(LetterRefused(owed, str(delivery.error)))
            return
        letter_class = (
            owed.dead_letter_class
            if isinstance(owed, OwesDeadLetter)
            else DeadLetterClass.UNDECODABLE
        )
        self._metrics.dead_letters.labels(letter_class.value).inc()
        if isinstance(owed, Spoilt):
            _log.warning(
                "record.dead_lettered",
                extra={
                    "dead_letter_class": letter_class.value,
                    "partition": owed.place.partition,
                    "offset": owed.place.offset,
                    "why": owed.why,
                },
            )
            self._answered(SpoiltAcknowledged(owed))
            return
        self._answered(
            Acknowledged(
                look=owed.look,
                message_id=owed.message.id,
                dead_letter_class=letter_class,
                partition=delivery.partition,
                offset=delivery.offset,
                round=owed.message.round,
            )
        )
        _log.warning(
            "message.dead_lettered",
            extra={
                "message_id": owed.message.id,
                "trace_id": trace_id(owed.message.id),
                "dead_letter_class": letter_class.value,
                "code": owed.message.failure_code,
                "dlq_partition": delivery.partition,
                "dlq_offset": delivery.offset,
            },
        )


def _letter(owed: OwesDeadLetter, record: Record, provider: str) -> DeadLetter:
    message = owed.message
    unclear = owed.dead_letter_class is DeadLetterClass.UNCLEAR
    text = (
        f"the message is {message.state}, but its row reads pending again"
        if unclear
        else message.failure_text or ""
    )
    return DeadLetter(
        dead_letter_class=owed.dead_letter_class,
        code="unclear" if unclear else message.failure_code or "",
        text=text,
        original_topic=record.topic,
        original_partition=record.partition,
        original_offset=record.offset,
        original_timestamp_ms=record.timestamp_ms,
        first_failure_at=message.first_failed_at or message.changed_at,
        last_failure_at=message.last_failed_at or message.changed_at,
        message_id=message.id,
        trace_id=trace_id(message.id),
        provider=message.provider or provider,
        attempt=message.attempts,
        redrives=message.round - 1,
    )


def _spoilt_letter(spoilt: Spoilt, record: Record, now: datetime) -> DeadLetter:
    return DeadLetter(
        dead_letter_class=DeadLetterClass.UNDECODABLE,
        code="undecodable",
        text=spoilt.why,
        original_topic=record.topic,
        original_partition=record.partition,
        original_offset=record.offset,
        original_timestamp_ms=record.timestamp_ms,
        first_failure_at=now.astimezone(UTC),
        last_failure_at=now.astimezone(UTC),
        redrives=redrives_of(record.headers),
    )
