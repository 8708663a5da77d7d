"""Which row a record of the outbox asks for: pure.

A record says only: look at the row with this key. Of its value, the operation, the
transaction's id and the status word matter; no other column may stop it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from cdc_sms.envelope.decode import Notice, Tombstone, decode
from cdc_sms.errors import EnvelopeError
from cdc_sms.model.business_row import Key
from cdc_sms.model.change_event import ChangeEvent, Operation
from cdc_sms.model.encodings import KeyColumn, decode_value
from cdc_sms.model.message import key_text


@dataclass(frozen=True, slots=True)
class RowKey:
    """The row that a record asks for.

    Attributes:
        key: the primary key's values.
        key_text: their one text.
        was_visible: whether the row could be read before the record was written (a snapshot
            read it); one from the log may not be visible yet.
        transaction_id: of a record from the log, where the database counts its transactions.
    """

    key: Key
    key_text: str
    was_visible: bool
    transaction_id: int | None


@dataclass(frozen=True, slots=True)
class NoMessage:
    """The record carries no message; ``why`` is from a closed set."""

    why: str


@dataclass(frozen=True, slots=True)
class RowKeys:
    """Reads records for one mapped table.

    Thread: any; it holds nothing that changes.

    Attributes:
        table: the table's name as configured: the beginning of every message id.
        key_columns: the primary key's columns, in order.
        status_column: None where the table has none.
        pending: the word of a row that is to be sent.
        names_transactions: whether a record from the log must say which transaction it belongs
            to: on PostgreSQL, where nothing else tells whether a read can see the row yet.
    """

    table: str
    key_columns: Sequence[KeyColumn]
    status_column: str | None
    pending: str
    names_transactions: bool

    def read(
        self, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> RowKey | NoMessage:
        """Say which row a record asks for.

        Raises:
            EnvelopeError: it can't be understood; the words never hold its content.
        """
        event = decode(key, value, headers)
        if isinstance(event, Tombstone):
            return NoMessage("tombstone")
        if isinstance(event, Notice):
            return NoMessage(event.what)
        if not self._may_carry_a_message(event.operation):
            return NoMessage("operation")
        if self._shows_another_word(event):
            return NoMessage("not_pending")
        return self._row_key(event)

    def _may_carry_a_message(self, operation: Operation) -> bool:
        """Take updates for what they show: without a status column they show nothing."""
        if operation is Operation.UPDATE:
            return self.status_column is not None
        return operation in {Operation.CREATE, Operation.READ}

    def _row_key(self, event: ChangeEvent) -> RowKey:
        transaction_id = event.transaction_id if self.names_transactions else None
        if self.names_transactions and transaction_id is None and not event.was_visible:
            raise EnvelopeError(
                "the record doesn't say which transaction it belongs to",
                hint="Unwrapped records need the field __source_txId: add source.txId to "
                "add.fields of the transform.",
            )
        key = tuple(self._key_value(event, column) for column in self.key_columns)
        return RowKey(
            key=key,
            key_text=key_text(self.table, key),
            was_visible=event.was_visible,
            transaction_id=transaction_id,
        )

    def _key_value(self, event: ChangeEvent, column: KeyColumn) -> object:
        name = _spelled(column.name, event.key)
        if event.key.get(name) is None:
            raise EnvelopeError(
                f"the record's key has no {column.name!r}",
                hint="The record's key must hold the table's primary key, by column name.",
            )
        value = decode_value(event.key[name], column, event.key_types.get(name))
        if self._is_shifted(event, value):
            raise EnvelopeError(
                "a UUID that begins with a zero byte may be another one",
                hint="Debezium's MariaDB connector writes a UUID's last zeros in front: capture a "
                "table with such a key by the built-in reader.",
            )
        return value

    def _is_shifted(self, event: ChangeEvent, value: object) -> bool:
        may_be_mariadbs = event.may_shift_uuids and not self.names_transactions
        return may_be_mariadbs and isinstance(value, UUID) and value.bytes[0] == 0

    def _shows_another_word(self, event: ChangeEvent) -> bool:
        if self.status_column is None or event.after is None:
            return False
        word = event.after.get(_spelled(self.status_column, event.after))
        return shows_another_word(word, self.pending)


def _spelled(name: str, row: Mapping[str, object]) -> str:
    """Return a column's name as a record writes it: Oracle's and Db2's are in capitals there."""
    if name in row:
        return name
    found = [other for other in row if other.lower() == name.lower()]
    return found[0] if len(found) == 1 else name


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
