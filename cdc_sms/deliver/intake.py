"""A record becomes a look at a key, nothing, or a dead letter: pure.

A record says only: look at the row with this key. Of its value, the operation, the
transaction's id and the status word matter; no other column may stop it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cdc_sms.envelope.decode import Tombstone, decode
from cdc_sms.errors import EnvelopeError
from cdc_sms.kafka.headers import EMITTED
from cdc_sms.kafka.offsets import Place
from cdc_sms.kafka.record import Record
from cdc_sms.model.business_row import Key
from cdc_sms.model.change_event import ChangeEvent, Operation
from cdc_sms.model.encodings import KeyColumn, decode_value
from cdc_sms.model.message import key_text


@dataclass(slots=True)
class Look:
    """One record that is not finished: what is to be looked at, and since when.

    Attributes:
        record: as it was consumed.
        place: in its partition's assignment; a look of an earlier one is dropped.
        key: the primary key's values.
        key_text: their one text.
        transaction_id: of a streamed insert, which a read must have seen; None where the row
            was visible before the record was written.
        is_snapshot: it was read from the table, not from the log, and nobody emitted it again.
        looks: how often it was looked at.
    """

    record: Record
    place: Place
    key: Key
    key_text: str
    transaction_id: int | None
    is_snapshot: bool = False
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
    """

    def __init__(
        self,
        *,
        table: str,
        key_columns: Sequence[KeyColumn],
        status_column: str | None,
        pending: str,
    ) -> None:
        self._table = table
        self._key_columns = key_columns
        self._status_column = status_column
        self._pending = pending

    def read(self, record: Record, place: Place) -> Look | Skip | Undecodable:
        """Say what a record asks for."""
        try:
            event = decode(record.key, record.value, record.headers)
            if isinstance(event, Tombstone):
                return Skip("tombstone")
            if event.operation not in {Operation.CREATE, Operation.READ}:
                return Skip("operation")
            if self._shows_another_word(event):
                return Skip("not_pending")
            return self._look(event, record, place)
        except EnvelopeError as error:
            return Undecodable(error.message)

    def _look(self, event: ChangeEvent, record: Record, place: Place) -> Look:
        streamed = event.operation is Operation.CREATE
        if streamed and event.transaction_id is None:
            raise EnvelopeError(
                "the record doesn't say which transaction it belongs to",
                hint="Unwrapped records need the field __source_txId: add source.txId to "
                "add.fields of the transform.",
            )
        key = tuple(self._key_value(event, column) for column in self._key_columns)
        return Look(
            record=record,
            place=place,
            key=key,
            key_text=key_text(self._table, key),
            transaction_id=event.transaction_id if streamed else None,
            is_snapshot=not streamed and EMITTED not in dict(record.headers),
        )

    def _key_value(self, event: ChangeEvent, column: KeyColumn) -> object:
        if column.name not in event.key or event.key[column.name] is None:
            raise EnvelopeError(
                f"the record's key has no {column.name!r}",
                hint="The record's key must hold the table's primary key, by column name.",
            )
        return decode_value(event.key[column.name], column, event.key_types.get(column.name))

    def _shows_another_word(self, event: ChangeEvent) -> bool:
        if self._status_column is None or event.after is None:
            return False
        return shows_another_word(event.after.get(self._status_column), self._pending)


def shows_another_word(word: object, pending: str) -> bool:
    """Say whether a status column's JSON value is certainly not the pending word.

    Where an encoding could hide the word, the answer is no: one look more does no harm.
    """
    match word:
        case bool():
            text = "true" if word else "false"
        case int():
            text = str(word)
        case str():
            text = word.rstrip(" ")  # char(n) is padded in the log
        case _:
            return False
    is_encoded = pending.lstrip("-").isdigit() and not text.lstrip("-").isdigit()
    return not is_encoded and text != pending.rstrip(" ")
