"""A gap in the outbox: records that were not read yet are gone, and capture is to make it good."""

import logging

from sqlalchemy import Connection, Engine, select

from cdc_sms.databases.control import GAP_PREFIX, Control
from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.schema import delivery
from cdc_sms.kafka.consumer import Gap
from cdc_sms.model.clock import Clock

_log = logging.getLogger(__name__)


class Gaps:
    """Flags gaps in the ledger, where capture looks for them: it snapshots what is pending.

    Thread: the ledger's.
    """

    def __init__(self, *, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._control = Control()
        self._clock = clock

    def flag(self, gap: Gap) -> None:
        """Flag a partition's gap; at a first start, when the ledger knows nothing, there is none.

        Raises:
            DatabaseUnavailable: repeat it.
        """
        value = {
            "committed_offset": gap.committed_offset,
            "first_offset": gap.first_offset,
            "end_offset": gap.end_offset,
            "since": self._clock.now().isoformat(),
        }

        def work(connection: Connection) -> bool:
            if gap.committed_offset is None and not _knows_something(connection):
                return False
            self._control.put(connection, f"{GAP_PREFIX}{gap.partition}", value)
            return True

        if in_transaction(self._engine, work):
            _log.error("gap.flagged", extra={"partition": gap.partition})


def _knows_something(connection: Connection) -> bool:
    return connection.execute(select(delivery.c.id).limit(1)).first() is not None
