"""Which messages an act is about: reads of the ledger that lock nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, or_, select

from cdc_sms.databases.expressions import Now, count_of
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.schema import delivery
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.state import DeadLetterClass, State

_LEFT = (delivery.c.state == State.FAILED) & (
    delivery.c.dead_letter_class == DeadLetterClass.IN_DOUBT
)
# doubts: always so of these, and what the index is about
_IN_DOUBT = (delivery.c.doubts > 0) & or_(delivery.c.state == State.IN_DOUBT, _LEFT)


@dataclass(frozen=True, slots=True)
class InDoubtCount:
    """How many messages are in doubt, at which provider and since when.

    Attributes:
        provider: who may have them; None where it isn't known.
        messages: how many.
        left_for_person: how many of them nothing happens to by itself.
        oldest: since when the oldest is.
    """

    provider: str | None
    messages: int
    left_for_person: int
    oldest: datetime


def messages_by_id(
    connection: Connection, ledger: Ledger, ids: Sequence[str]
) -> dict[str, Delivery]:
    """Return the messages that the ledger knows of these, by id.

    Args:
        connection: the caller's transaction.
        ledger: its statements.
        ids: up to a thousand.
    """
    if not ids:
        return {}
    statement = select(delivery.c.message_key).where(delivery.c.id.in_(ids)).distinct()
    keys = list(connection.execute(statement).scalars())
    wanted = set(ids)
    found = ledger.by_key(connection, keys) if keys else {}
    return {m.id: m for messages in found.values() for m in messages if m.id in wanted}


def in_doubt_counts(connection: Connection, *, provider: str | None) -> list[InDoubtCount]:
    """Count what an act on everything in doubt would be about, by provider."""
    statement = (
        select(
            delivery.c.provider,
            func.count(),
            count_of(_LEFT),
            func.min(_since()),
        )
        .where(_IN_DOUBT, *_of(provider))
        .group_by(delivery.c.provider)
        .order_by(delivery.c.provider)
    )
    return [InDoubtCount(*tuple(row)) for row in connection.execute(statement)]


def in_doubt_ids(
    connection: Connection, *, provider: str | None, until: datetime, after: str, limit: int
) -> list[str]:
    """Return the ids of messages in doubt, in the ids' order.

    Args:
        connection: the caller's transaction.
        provider: only what this one may have; None: all.
        until: only what was in doubt by then, which is what a person was shown.
        after: only ids behind this one: the last of the page before.
        limit: the most that are returned.
    """
    statement = (
        select(delivery.c.id)
        .where(_IN_DOUBT, *_of(provider), _since() <= until, delivery.c.id > after)
        .order_by(delivery.c.id)
        .limit(limit)
    )
    return [str(one) for one in connection.execute(statement).scalars()]


def in_flight(connection: Connection) -> int:
    """Count the messages that a member is sending now."""
    statement = select(func.count()).where(
        ~delivery.c.done, delivery.c.state == State.SENDING, delivery.c.lease_until > Now()
    )
    return int(connection.execute(statement).scalar_one())


def _since() -> ColumnElement[datetime]:
    """Return when a message came in doubt; its dead letter, if it has one, came later."""
    return func.coalesce(delivery.c.last_failed_at, delivery.c.changed_at)


def _of(provider: str | None) -> list[ColumnElement[bool]]:
    return [] if provider is None else [delivery.c.provider == provider]
