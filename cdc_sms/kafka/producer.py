"""The idempotent producer: nothing it was given is dropped, doubled or put on another partition.

It waits for a broker as long as it takes: what fails, fails for good. Two ways lead through it:
one call-back a record, and records that are counted together, for whoever hands over so many that
a call-back each would cost too much.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Message as KafkaRecord
from confluent_kafka import Producer as KafkaProducer

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.errors import CdcSmsError
from cdc_sms.kafka.connection import classified, client_settings, error_of, settings_checked
from cdc_sms.kafka.headers import Header

MAX_REQUEST_BYTES = 8 * 1024 * 1024
"""Larger records than any topic of ours takes: the broker, not the client, says no."""

BATCH_BYTES = 262_144
"""A batch of small records stays below every topic's limit: only a record alone can exceed it."""

_FULL_S = 0.05


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a record.

    Attributes:
        partition: where it lies; -1 where it was refused.
        offset: the same.
        error: why it was refused for good; None where it is acknowledged.
    """

    partition: int
    offset: int
    error: CdcSmsError | None = None


class Counted:
    """Records that are handed over together, and how many of them are not acknowledged yet.

    Attributes:
        outstanding: records whose fate is not known, and those that were refused.
        oversized: key and value of those that are larger than the topic takes; who takes them
            out of the list hands over something smaller in their place.
        error: the first other reason for which a record was refused; there is no way on then.

    Thread: the one that polls the producer.
    """

    __slots__ = ("error", "outstanding", "oversized", "topic")

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.outstanding = 0
        self.oversized: list[tuple[bytes | None, bytes]] = []
        self.error: CdcSmsError | None = None

    def delivered(self, error: KafkaError | None, record: KafkaRecord) -> None:
        """Count one record; the client library calls it."""
        if error is None:
            self.outstanding -= 1
        elif error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            self.oversized.append((record.key(), record.value() or b""))
        elif self.error is None:
            self.error = classified(error, doing=f"Writing to {self.topic}")


class Producer:
    """Writes records to any topic.

    Args:
        settings: where, and as whom.

    Thread: one that hands over, polls and closes; call-backs run in it.

    Raises:
        ConfigurationError: librdkafka refuses a setting.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        # defaults first: what is given under [kafka.librdkafka] wins over them
        chosen = {
            "linger.ms": 0,
            "compression.type": "lz4",
            "batch.size": BATCH_BYTES,
            "message.max.bytes": MAX_REQUEST_BYTES,
            "socket.nagle.disable": True,
            "max.in.flight": 5,
            **client_settings(settings),
            # what our guarantees rest on: connection.py refuses other values
            "acks": "all",
            "enable.idempotence": True,
            "message.timeout.ms": 0,
            "partitioner": "murmur2_random",
        }
        with settings_checked():
            self._client = KafkaProducer(chosen)

    def produce(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[Header] = (),
        on_delivery: Callable[[Delivery], None],
    ) -> None:
        """Hand over a record; returns at once but where the queue is full.

        Args:
            topic: which; it exists.
            key: decides the partition; None: any.
            value: None is a tombstone.
            headers: in order.
            on_delivery: called once by a later :meth:`poll` or :meth:`flush`, or by this very
                call if the client refuses the record.

        Raises:
            BrokerError: the producer is broken and has to be made anew.
        """

        def delivered(error: KafkaError | None, record: KafkaRecord) -> None:
            if error is None:
                on_delivery(Delivery(record.partition() or 0, record.offset() or 0))
            else:
                on_delivery(Delivery(-1, -1, classified(error, doing=f"Writing to {topic}")))

        refusal = self._hand_over(topic, key, value, headers, delivered)
        if refusal is not None:
            on_delivery(Delivery(-1, -1, classified(refusal, doing=f"Writing to {topic}")))

    def produce_counted(
        self,
        counted: Counted,
        records: Iterable[tuple[bytes | None, bytes, Sequence[Header]]],
    ) -> None:
        """Hand over records that are counted together: key, value and headers of each.

        Raises:
            BrokerError: the producer is broken and has to be made anew.
        """
        delivered = counted.delivered
        for key, value, headers in records:
            counted.outstanding += 1
            refusal = self._hand_over(counted.topic, key, value, headers, delivered)
            if refusal is not None:
                counted.oversized.append((key, value))

    def poll(self, timeout_s: float) -> int:
        """Run the call-backs that are due; wait for the first of them.

        Returns:
            How many events were served: call-backs, and the client library's own.
        """
        return self._client.poll(timeout_s)

    def flush(self, timeout_s: float) -> int:
        """Wait until every record is acknowledged or refused.

        Returns:
            How many are not when the time is over; the client's own events that nobody took
            yet are counted with them, so only 0 is exact.
        """
        return self._client.flush(timeout_s)

    def close(self) -> None:
        """Let the broker go; records that are not acknowledged are given up."""
        self._client.purge(blocking=False)
        self._client.flush(0)

    def _hand_over(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[Header],
        delivered: Callable[[KafkaError | None, KafkaRecord], None],
    ) -> KafkaError | None:
        """Return why the client refuses the record: it is too large for a request."""
        while True:
            try:
                if headers:
                    self._client.produce(
                        topic, value, key, on_delivery=delivered, headers=list(headers)
                    )
                else:
                    self._client.produce(topic, value, key, on_delivery=delivered)
            except BufferError:
                self._client.poll(_FULL_S)
            except KafkaException as exception:
                error = error_of(exception)
                if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    return error
                raise classified(error, doing=f"Writing to {topic}") from exception
            else:
                return None
