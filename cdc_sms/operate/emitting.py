"""What a person's act brings back to the outbox: a message by its key, or a record's own bytes.

Nothing depends on it: a message whose record isn't acknowledged here is overdue in the ledger
later, and the keeper emits it then.
"""

from collections.abc import Sequence
from typing import Self

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.envelope.emit import emitted
from cdc_sms.errors import CdcSmsError
from cdc_sms.kafka.headers import EMITTED, Header
from cdc_sms.kafka.producer import Delivery as Acknowledgement
from cdc_sms.kafka.producer import Producer
from cdc_sms.model.delivery import Delivery


class Emitter:
    """Writes to the outbox; the broker is asked when the first record is handed over.

    Thread: one.

    Args:
        settings: where, and as whom.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: Producer | None = None
        self._handed_over = 0
        self._acknowledged = 0
        self._error: CdcSmsError | None = None
        self._is_late = False

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close."""
        self.close()

    @property
    def unacknowledged(self) -> int:
        """How many records the broker does not have, as far as is known."""
        return self._handed_over - self._acknowledged

    def emit(self, message: Delivery, reason: str) -> bool:
        """Bring a message back: look at the row with its key.

        Args:
            message: as the ledger has it.
            reason: in a word, for the record's header.

        Returns:
            Whether a record was handed over; False: the ledger never saw one of this message.

        Raises:
            BrokerError: the producer is broken.
        """
        record = emitted(message)
        if record is None:
            return False
        key, value = record
        self.produce(key=key, value=value, headers=[(EMITTED, reason.encode())])
        return True

    def produce(
        self, *, key: bytes | None, value: bytes | None, headers: Sequence[Header] = ()
    ) -> None:
        """Hand over a record as it is; returns at once but where the queue is full.

        Raises:
            BrokerError: the producer is broken.
        """
        if self._producer is None:
            self._producer = Producer(self._settings)
        self._handed_over += 1
        self._producer.produce(
            self._settings.outbox,
            key=key,
            value=value,
            headers=headers,
            on_delivery=self._delivered,
        )

    def flush(self, timeout_s: float) -> int:
        """Wait until the broker has everything.

        Returns:
            How many records it doesn't have when the time is over.

        Raises:
            CdcSmsError: it refused a record for good.
        """
        if self._producer is not None and self.unacknowledged:
            self._producer.flush(timeout_s)
        if self._error is not None:
            raise self._error
        return self.unacknowledged

    def bring_back(self, messages: Sequence[Delivery], reason: str, *, wait_s: float) -> int:
        """Emit messages that a person's act opened; what the broker doesn't take is the keeper's.

        Args:
            messages: as the ledger has them: pending, and so overdue if nothing comes of this.
            reason: in a word, for the records' headers.
            wait_s: how long the broker may take; seconds.

        Returns:
            How many of them are left to the keeper.
        """
        if self._is_late:
            return len(messages)
        try:
            left = sum(not self.emit(message, reason) for message in messages)
            late = self.flush(wait_s)
        except CdcSmsError:
            left, late = 0, len(messages)
        self._is_late = late > 0
        return left + late

    def close(self) -> None:
        """Let the broker go; what it doesn't have is given up."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def _delivered(self, acknowledgement: Acknowledgement) -> None:
        if acknowledgement.error is None:
            self._acknowledged += 1
        elif self._error is None:
            self._error = acknowledgement.error
