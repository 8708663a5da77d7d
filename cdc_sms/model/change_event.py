"""One row's change as captured from a database's log or a snapshot; not its form on the topic."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Operation(StrEnum):
    """What happened to the row, in Debezium's letters."""

    CREATE = "c"
    READ = "r"
    UPDATE = "u"
    DELETE = "d"
    OTHER = "?"
    """Truncate, message, or a letter that we don't know: carries no message."""


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """A change event as read back from the topic.

    Attributes:
        key: the primary key's columns by name, as JSON values in Debezium's encoding.
        key_types: for a key that came with the schema wrapper, each column's schema:
            Debezium's logical name (``io.debezium.time.MicroTimestamp``) or the plain type;
            empty without a wrapper.
        operation: what happened.
        after: the row's columns by name after the change; None where the event has none.
        transaction_id: the database's own id of the transaction, where it counts them
            (PostgreSQL: the 32-bit xid); None for snapshot rows, for records that we emitted
            again, and on MySQL and MariaDB.
        may_shift_uuids: Debezium's MariaDB connector wrote it, or may have: it writes a UUID that
            ends in zero bytes with those zeros in front.
    """

    key: Mapping[str, object]
    operation: Operation
    after: Mapping[str, object] | None = None
    transaction_id: int | None = None
    key_types: Mapping[str, str] = field(default_factory=dict[str, str])
    may_shift_uuids: bool = False

    @property
    def was_visible(self) -> bool:
        """Say whether the row could be read before the record was written.

        What a snapshot read, and what we emit again, was. A row from the log was committed
        there, and may not be visible yet.
        """
        return self.operation is Operation.READ
