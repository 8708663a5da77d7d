"""What the demo reads of the business table and the ledger, to show it and to count it."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sqlalchemy import select, text

from cdc_sms.model.masking import masked_number
from cdc_sms.playground.database import open_engine
from cdc_sms.playground.shop import SMS
from cdc_sms.playground.tally import Entry

_ENTRIES = text(
    "SELECT id, message_key, state, done, owes_write, doubts, dead_letter_class"
    " FROM cdc_sms_delivery"
)
_ROWS = select(SMS.c.id, SMS.c.recipient, SMS.c.status, SMS.c.attempts, SMS.c.error).order_by(
    SMS.c.id.desc()
)
_FAILED_SHOWN = 2


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
        self._engine = open_engine(dsn, password)
        self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def entries(self) -> Sequence[Entry]:
        """Return every message of the ledger."""
        return [
            Entry(
                message_id=message_id,
                key=int(message_key.rpartition("/")[2]),
                state=state,
                done=bool(done and not owes_write),
                doubts=doubts,
                dead_letter_class=dead_letter_class,
            )
            for message_id, message_key, state, done, owes_write, doubts, dead_letter_class in (
                self._connection.execute(_ENTRIES)
            )
        ]

    def newest_rows(self, limit: int) -> Sequence[Row]:
        """Return the shop's newest rows and the last two that failed, the newest first."""
        failed = _ROWS.where(SMS.c.status == "failed").limit(_FAILED_SHOWN)
        rows = {
            key: Row(key, masked_number(recipient), status, attempts or 0, error or "")
            for statement in (_ROWS.limit(limit), failed)
            for key, recipient, status, attempts, error in self._connection.execute(statement)
        }
        return [rows[key] for key in sorted(rows, reverse=True)]

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
        self._engine.dispose()

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
