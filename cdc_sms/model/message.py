"""One SMS: which one it is, and what is to be sent."""

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Context, Decimal
from urllib.parse import quote
from uuid import UUID

from cdc_sms.model.recipient import Recipient, SmsText

MAX_ID_BYTES = 200
"""Longer ids are hashed; MySQL's index limit for a binary text is far above it."""

_EXACT = Context(prec=150_000)  # digits, more than any column has: the default rounds at 28


def canonical(value: object) -> str:
    """Return the one text that a column's value has in an id, whoever reads it.

    Args:
        value: as the ledger's own connection reads it, times in UTC.

    Raises:
        TypeError: a type that can't be part of a key.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return value
        case UUID():
            return str(value)
        case Decimal():
            return format(value.normalize(_EXACT), "f")
        case datetime():
            text = value.strftime("%Y-%m-%dT%H:%M:%S.%f")
            return text if value.tzinfo is None else f"{text}Z"
        case date() | time():
            return value.isoformat()
        case bytes() | memoryview():
            return bytes(value).hex()
        case _:
            raise TypeError(f"a value of type {type(value).__name__} can't be part of a key")


def key_text(table: str, key: tuple[object, ...]) -> str:
    """Return the canonical text of a row's key: ``sms/4711``, ``sms/PL/4711``.

    One that is too long for an index is hashed; the ledger keeps the clear key beside it.
    """
    return _short("/".join([table, *(quote(canonical(value), safe=" :+") for value in key)]))


def message_id(key: str, created_at: object) -> str:
    """Return the id of the message that a row is: its key and its created-at.

    Args:
        key: from :func:`key_text`.
        created_at: the column's value; None where it is NULL or not mapped.
    """
    return _short(f"{key}@{'' if created_at is None else canonical(created_at)}")


def _short(identity: str) -> str:
    if len(identity.encode()) <= MAX_ID_BYTES:
        return identity
    return "sha256:" + hashlib.sha256(identity.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be sent, taken from the row as it stands (an override before it).

    Attributes:
        id: from :func:`message_id`.
        recipient: in E.164; masks itself.
        text: masks itself.
        sender: the name or number it comes from; None: the provider's configured one.
        attempt: the number of this attempt, counted from 1.
        trace_id: 32 hexadecimal digits that name the message in logs and headers.
    """

    id: str
    recipient: Recipient
    text: SmsText
    sender: str | None
    attempt: int
    trace_id: str = field(default="")


def content_digest(recipient: str, text: str, sender: str | None) -> str:
    """Return what tells one content from another, without telling the content."""
    joined = "\x1f".join((recipient, text, sender or ""))
    return hashlib.sha256(joined.encode()).hexdigest()[:32]
