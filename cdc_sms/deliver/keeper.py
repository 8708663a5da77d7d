"""What no Kafka record carries any more: the keeper brings it back, and repeats owed writes.

The member that owns partition 0 of the outbox is the keeper; two of them do no harm, for what it
emits is one more look. It asks the ledger only, never the business table.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, Engine

from cdc_sms.databases.control import Control
from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.ledger import Ledger
from cdc_sms.deliver.settle import Settles
from cdc_sms.envelope.emit import emitted
from cdc_sms.kafka.headers import EMITTED
from cdc_sms.kafka.producer import Delivery as Acknowledgement
from cdc_sms.kafka.producer import Producer
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.state import State
from cdc_sms.model.trace import trace_id
from cdc_sms.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)

BATCH = 500
OWED_BATCH = 50
"""Fewer: a row that still can't take its status costs a wait for its lock."""


class Keeper:
    """Emits overdue messages again, and repeats owed write-backs.

    Thread: the ledger's.

    Args:
        outbox: the topic to emit to.
        overdue_s: how long after its due time a message is taken for lost from Kafka; seconds.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        ledger: Ledger,
        settles: Settles,
        producer: Producer,
        outbox: str,
        overdue_s: float,
        metrics: Metrics,
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._control = Control()
        self._settles = settles
        self._producer = producer
        self._outbox = outbox
        self._overdue = timedelta(seconds=overdue_s)
        self._metrics = metrics

    def turn(self, *, flow_is_free: bool) -> bool:
        """Do one round, of bounded size: other work waits for it.

        Args:
            flow_is_free: no open breaker here; otherwise nothing is emitted.

        Returns:
            Whether there is more to do at once.

        Raises:
            DatabaseUnavailable: repeat it later.
        """
        tried, void = self._settles.write_owed(limit=OWED_BATCH)
        for message in void:
            self._emit(message, "void")
        brought_back = self._emit_overdue() if flow_is_free else 0
        in_doubt, doubles, owed = in_transaction(self._engine, self._ledger.counts)
        self._metrics.in_doubt.set(in_doubt)
        self._metrics.possible_doubles.set(doubles)
        self._metrics.owed.set(owed)
        return tried == OWED_BATCH or brought_back == BATCH

    def _emit_overdue(self) -> int:
        """Note them as emitted, then emit: once too few would be repeated after ``overdue``."""

        def work(connection: Connection) -> Sequence[Delivery]:
            holds = self._control.holds(connection)
            if any(not hold.is_of_old_messages for hold in holds):
                return []
            now = self._ledger.now(connection)
            messages = self._ledger.overdue(
                connection, now=now, after=self._overdue, limit=BATCH, old_are_held=bool(holds)
            )
            if messages:
                self._ledger.emitted(connection, [m.id for m in messages], now=now)
            return messages

        messages = in_transaction(self._engine, work)
        for message in messages:
            scheduled = message.state is State.SCHEDULED
            self._emit(message, "scheduled" if scheduled else "overdue")
        return len(messages)

    def _emit(self, message: Delivery, reason: str) -> None:
        record = emitted(message)
        if record is None:
            return
        key, value = record
        self._producer.produce(
            self._outbox,
            key=key,
            value=value,
            headers=[(EMITTED, reason.encode())],
            on_delivery=_ignored,
        )
        _log.info(
            "message.emitted",
            extra={"message_id": message.id, "trace_id": trace_id(message.id), "reason": reason},
        )


def _ignored(_acknowledgement: Acknowledgement) -> None:
    """A record that was not acknowledged is emitted again when the message is overdue again."""
