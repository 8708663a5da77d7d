"""A row of the customer's table in our words, and what is to be written to one."""

from dataclasses import dataclass
from datetime import datetime

Key = tuple[object, ...]
"""A primary key's values, in the key's order, as the ledger's own connection reads them."""


@dataclass(frozen=True, slots=True)
class BusinessRow:
    """A row as it stands, in our words.

    Attributes:
        key: the primary key's values.
        key_text: the key's one text, see :func:`cdc_sms.model.message.key_text`.
        message_id: which message the row is.
        created_at: canonical; None where it is NULL or not mapped.
        created_instant: the same as a time, aware; None where it is none.
        word: the status column's word; None without one (or where it is NULL).
        recipient: as it stands; may be anything.
        text: as it stands.
        sender: as it stands; None where it is not mapped.
        send_after: aware, UTC.
        expires_at: aware, UTC.
        digest: what tells this content from another.
    """

    key: Key
    key_text: str
    message_id: str
    created_at: str | None
    created_instant: datetime | None
    word: str | None
    recipient: str
    text: str
    sender: str | None
    send_after: datetime | None
    expires_at: datetime | None
    digest: str


@dataclass(frozen=True, slots=True)
class RowWrite:
    """What is to be written to one row; None leaves a column alone.

    Attributes:
        error_text: an empty one clears the column.
    """

    key: Key
    word: str
    provider_message_id: str | None = None
    sent_at: datetime | None = None
    error_text: str | None = None
    attempts: int | None = None
