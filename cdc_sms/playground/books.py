"""What the demo reads of the business table and the ledger, to show it and to count it."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psycopg

from cdc_sms.model.masking import masked_number
from cdc_sms.playground.tally import Entry

_ENTRIES_SQL = """
SELECT id, message_key, state, done AND NOT owes_write, doubts, dead_letter_class
FROM cdc_sms_delivery
"""
_NEWEST_SQL = """
SELECT id, recipient, status, coalesce(attempts, 0), coalesce(error, '')
FROM sms
WHERE id IN (SELECT id FROM sms ORDER BY id DESC LIMIT %s)
   OR id IN (SELECT id FROM sms WHERE status = 'failed' ORDER BY id DESC LIMIT 2)
ORDER BY id DESC
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the shop's table as the screen shows it: its recipient is masked."""

    key: int
    recipient: str
    status: str
    attempts: int
    error: str


class Books:
    """A reading connection to the demo's database.

    Thread: the demo's main thread.
    """

    def __init__(self, dsn: str, *, password: str) -> None:
        """Connect; the ledger has to exist before it is read."""
        self._connection = psycopg.connect(dsn, password=password, autocommit=True)

    def entries(self) -> Sequence[Entry]:
        """Return every message of the ledger."""
        return [
            Entry(
                message_id=message_id,
                key=int(message_key.rpartition("/")[2]),
                state=state,
                done=done,
                doubts=doubts,
                dead_letter_class=dead_letter_class,
            )
            for message_id, message_key, state, done, doubts, dead_letter_class in (
                self._connection.execute(_ENTRIES_SQL)
            )
        ]

    def newest_rows(self, limit: int) -> Sequence[Row]:
        """Return the shop's newest rows and the last two that failed, the newest first."""
        return [
            Row(key, masked_number(recipient), status, attempts, error)
            for key, recipient, status, attempts, error in self._connection.execute(
                _NEWEST_SQL, [limit]
            )
        ]

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return the books."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hang up."""
        self.close()
