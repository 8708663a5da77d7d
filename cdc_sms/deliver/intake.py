"""A record becomes a look at a key, nothing, or a dead letter: pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cdc_sms.envelope.row_key import NoMessage, RowKeys
from cdc_sms.errors import EnvelopeError
from cdc_sms.kafka.headers import EMITTED
from cdc_sms.kafka.offsets import Place
from cdc_sms.kafka.record import Record
from cdc_sms.model.business_row import Key
from cdc_sms.model.encodings import KeyColumn


@dataclass(slots=True)
class Look:
    """One record that is not finished: what is to be looked at, and since when.

    Attributes:
        record: as it was consumed.
        place: in its partition's assignment; a look of an earlier one is dropped.
        key: the primary key's values.
        key_text: their one text.
        transaction_id: of a record from the log, where the database counts its transactions:
            a read must have seen it.
        is_snapshot: it was read from the table, not from the log, and nobody emitted it again.
        was_visible: the row could be read before the record was written. If not, and there is
            no transaction's id, only a read that waits for pending commits can speak for it.
        looks: how often it was looked at.
    """

    record: Record
    place: Place
    key: Key
    key_text: str
    transaction_id: int | None
    is_snapshot: bool = False
    was_visible: bool = True
    looks: int = field(default=0)


@dataclass(frozen=True, slots=True)
class Skip:
    """The record carries no message; ``why`` is from a closed set."""

    why: str


@dataclass(frozen=True, slots=True)
class Undecodable:
    """The record can't be understood: dead-lettered byte for byte."""

    why: str


class Intake:
    """Reads records for one mapped table.

    Thread: any; it holds nothing that changes.

    Args:
        table: the table's name as configured: the beginning of every message id.
        key_columns: the primary key's columns, in order.
        status_column: None where the table has none.
        pending: the word of a row that is to be sent.
        names_transactions: whether a record from the log must say which transaction it belongs
            to (PostgreSQL).
    """

    def __init__(
        self,
        *,
        table: str,
        key_columns: Sequence[KeyColumn],
        status_column: str | None,
        pending: str,
        names_transactions: bool,
    ) -> None:
        self._row_keys = RowKeys(table, key_columns, status_column, pending, names_transactions)

    def read(self, record: Record, place: Place) -> Look | Skip | Undecodable:
        """Say what a record asks for."""
        try:
            found = self._row_keys.read(record.key, record.value, record.headers)
        except EnvelopeError as error:
            return Undecodable(error.message)
        if isinstance(found, NoMessage):
            return Skip(found.why)
        return Look(
            record=record,
            place=place,
            key=found.key,
            key_text=found.key_text,
            transaction_id=found.transaction_id,
            is_snapshot=found.was_visible and EMITTED not in dict(record.headers),
            was_visible=found.was_visible,
        )
