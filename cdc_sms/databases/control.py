"""What capture keeps in the ledger: that the first snapshot is complete."""

from sqlalchemy import Connection, Engine

from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.ledger import Ledger


class FirstSnapshotRecord:
    """Whether the pending rows of the start are on the topic, by slot.

    Thread: capture's loop.

    Args:
        engine: the database of the ledger.
        slot: the replication slot's name.
    """

    def __init__(self, engine: Engine, *, slot: str) -> None:
        self._engine = engine
        self._ledger = Ledger()
        self._name = f"first_snapshot:{slot}"

    def is_complete(self) -> bool:
        """Say whether it was recorded.

        Raises:
            DatabaseUnavailable: wait and repeat.
        """

        def work(connection: Connection) -> bool:
            return self._ledger.has_control(connection, self._name)

        return in_transaction(self._engine, work)

    def mark_complete(self) -> None:
        """Record it.

        Raises:
            DatabaseUnavailable: wait and repeat.
        """

        def work(connection: Connection) -> None:
            self._ledger.put_control(connection, self._name, {})

        in_transaction(self._engine, work)

    def forget(self) -> None:
        """Take the record back: the slot was lost, and its snapshot has to be made again.

        Raises:
            DatabaseUnavailable: wait and repeat.
        """

        def work(connection: Connection) -> None:
            self._ledger.remove_control(connection, self._name)

        in_transaction(self._engine, work)
