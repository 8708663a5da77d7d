"""The row's status: the ledger's present state, written where the row lets us.

The guard decides whether a row may be written: only the row that is this message, and only over
a word of ours, or over pending where the content is what was sent. What may not be written is
void; what can't be written now is owed and repeated by the keeper.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, exc

from cdc_sms.config.settings import StatusSettings
from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.engine import classified, is_lost
from cdc_sms.databases.refusals import LockTimeout, RepeatTransaction, RowRefused
from cdc_sms.model.business_row import BusinessRow, Key, RowWrite
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.state import State
from cdc_sms.model.trace import trace_id

_log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 300.0


@dataclass(frozen=True, slots=True)
class Owing:
    """A message whose row is to show its state, and the row's key."""

    key: Key
    message: Delivery


def word_of(message: Delivery, status: StatusSettings) -> str | None:
    """Return the word that the row is to show; None where the state has none to write."""
    match message.state:
        case State.SENDING:
            return status.sending
        case State.PENDING:  # given back: only over a word that we wrote
            return status.pending if status.sending else None
        case State.SENT:
            return status.sent
        case State.FAILED:
            return status.failed
        case State.EXPIRED:
            return status.expired or status.failed
        case _:
            return None


def may_write(
    message: Delivery, row: BusinessRow, status: StatusSettings, *, has_created_at: bool
) -> bool:
    """Decide whether this row may take this message's word: the guard.

    Args:
        message: as the ledger has it, before its word is noted.
        row: locked, as it stands.
        status: the words.
        has_created_at: whether created-at is mapped; without it, only the word last written
            and the same content prove that the row is this message's.
    """
    if not has_created_at:
        ours = {message.row_word or status.pending}
        if message.state is State.SENDING:  # claimed under this very lock
            ours.add(status.pending)
        return row.word in ours and message.content_digest in {None, row.digest}
    if row.message_id != message.id:
        return False
    if row.word == status.pending:
        return message.content_digest in {None, row.digest}
    return row.word in {message.row_word, message.intended_word, status.sending}


class WriteBack:
    """Writes rows by sets, inside the transaction that settles the ledger.

    Thread: the ledger's.
    """

    def __init__(self, table: BusinessTable) -> None:
        self._table = table

    def apply(
        self,
        connection: Connection,
        owing: Sequence[Owing],
        *,
        now: datetime,
        locked: Mapping[Key, BusinessRow] | None = None,
    ) -> list[Delivery]:
        """Write what the rows can take, and note what they couldn't.

        Args:
            connection: a transaction that has locked these messages in the ledger.
            owing: distinct messages.
            now: the database's clock.
            locked: rows that the transaction has locked already; None: lock them here.

        Returns:
            The messages in the same order, with the word that the row has now, or owed.
        """
        status = self._table.status
        if status is None:  # there is no word to owe
            return [_settled(entry.message, None) for entry in owing]
        if self._table.is_transactional:
            return self._write(connection, owing, status, now, locked)
        # what is written here stays, whatever becomes of this transaction: only a word that the
        # ledger has committed as intended may be, so that the row's word is always known as ours
        ready = [o for o in owing if _is_announced(o.message, word_of(o.message, status))]
        written = {m.id: m for m in self._write(connection, ready, status, now, locked)}
        return [
            written.get(o.message.id) or _announced(o.message, word_of(o.message, status), now)
            for o in owing
        ]

    def _write(
        self,
        connection: Connection,
        owing: Sequence[Owing],
        status: StatusSettings,
        now: datetime,
        locked: Mapping[Key, BusinessRow] | None,
    ) -> list[Delivery]:
        if not owing:
            return []
        for one_by_one in (False, True):  # a set that is refused is looked at more closely
            try:
                with connection.begin_nested():
                    return self._apply(
                        connection, owing, status, now, locked, one_by_one=one_by_one
                    )
            except LockTimeout:
                break  # to try again would wait for the same lock
            except RowRefused as refusal:
                facts = {"reason": refusal.message, "rows": len(owing)}
                _log.warning("write_back.refused", extra=facts)
            except exc.SQLAlchemyError as error:
                if is_lost(error) or isinstance(classified(error), RepeatTransaction):
                    raise
                break
        # the table as a whole can't be written now: what was sent is settled all the same
        words = [word_of(o.message, status) for o in owing]
        return [
            o.message if word is None else _owed(o.message, word, now)
            for o, word in zip(owing, words, strict=True)
        ]

    def _apply(
        self,
        connection: Connection,
        owing: Sequence[Owing],
        status: StatusSettings,
        now: datetime,
        locked: Mapping[Key, BusinessRow] | None,
        *,
        one_by_one: bool,
    ) -> list[Delivery]:
        wanted = {o.message.id: word_of(o.message, status) for o in owing}
        keys = sorted({o.key for o in owing if wanted[o.message.id] is not None})
        rows = self._table.lock(connection, keys) if locked is None else locked
        hidden = self._hidden(connection, [key for key in keys if key not in rows])
        writes = {
            o.message.id: write
            for o in owing
            if (write := self._write_for(o, wanted[o.message.id], rows, status)) is not None
        }
        write_rows = self._table.write_what_can_be if one_by_one else self._table.write
        written = write_rows(connection, list(writes.values()))
        return [
            self._noted(o, wanted[o.message.id], writes, written, rows, hidden, now) for o in owing
        ]

    def _hidden(self, connection: Connection, keys: Sequence[Key]) -> set[Key]:
        """Tell rows that someone else has locked from rows that are gone."""
        return set(self._table.read(connection, keys).rows) if keys else set()

    def _write_for(
        self,
        owing: Owing,
        word: str | None,
        rows: Mapping[Key, BusinessRow],
        status: StatusSettings,
    ) -> RowWrite | None:
        row = rows.get(owing.key)
        message = owing.message
        if word is None or row is None:
            return None
        if not may_write(message, row, status, has_created_at=self._table.has_created_at):
            return None
        if row.word == word and not message.state.is_final:
            return None
        return RowWrite(
            key=owing.key,
            word=word,
            provider_message_id=message.provider_message_id,
            sent_at=message.accepted_at,
            error_text=_note_for(message),
            attempts=message.attempts,
        )

    def _noted(
        self,
        owing: Owing,
        word: str | None,
        writes: Mapping[str, RowWrite],
        written: set[Key],
        rows: Mapping[Key, BusinessRow],
        hidden: set[Key],
        now: datetime,
    ) -> Delivery:
        message = owing.message
        if word is None:
            return _settled(message, None)
        if message.id in writes and owing.key in written:
            return _settled(message, word)
        if message.id in writes or owing.key in hidden:
            return _owed(message, word, now)
        row = rows.get(owing.key)
        if row is not None and row.word == word and row.message_id == message.id:
            return _settled(message, word)
        if message.state.is_final:
            _note("write_back.voided", message)
        return _settled(message, None)


def is_void(message: Delivery, status: StatusSettings | None) -> bool:
    """Say whether a final state could not be shown, and won't be: the row isn't its own."""
    if status is None or message.owes_write or not message.state.is_final:
        return False
    word = word_of(message, status)
    return word is not None and message.row_word != word


def _note_for(message: Delivery) -> str | None:
    """Return what a person is to read in the row: why, nothing, or what stands there."""
    if message.state in {State.FAILED, State.EXPIRED}:
        return message.failure_text or ""
    return "" if message.state is State.SENT else None


def _settled(message: Delivery, word: str | None) -> Delivery:
    if message.owes_write:
        _note("write_back.settled", message)
    return replace(
        message,
        row_word=word or message.row_word,
        intended_word=None,
        owes_write=False,
        next_write_at=None,
        write_failures=0,
    )


def _owed(message: Delivery, word: str, now: datetime) -> Delivery:
    if not message.owes_write:
        _note("write_back.owed", message)
    pause = min(LONGEST_PAUSE_S, 2.0**message.write_failures)
    return replace(
        message,
        intended_word=word,
        owes_write=True,
        next_write_at=now + timedelta(seconds=pause),
        write_failures=min(message.write_failures + 1, 32),
    )


def _is_announced(message: Delivery, word: str | None) -> bool:
    return word is None or (message.owes_write and message.intended_word == word)


def _announced(message: Delivery, word: str | None, now: datetime) -> Delivery:
    """Note a word that may be written as soon as this note is committed."""
    return replace(message, intended_word=word, owes_write=True, next_write_at=now)


def _note(event: str, message: Delivery) -> None:
    _log.info(event, extra={"message_id": message.id, "trace_id": trace_id(message.id)})
