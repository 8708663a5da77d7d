"""What people want to know of the ledger and of the log: read-only statements.

They answer ``status``, ``in-doubt list`` and the console; nothing on a message's way uses them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    case,
    exc,
    func,
    literal,
    or_,
    select,
)

from cdc_sms.databases.control import Control
from cdc_sms.databases.dialects.base import Slot
from cdc_sms.databases.engine import classified, dialect_of
from cdc_sms.databases.expressions import Now
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.schema import delivery
from cdc_sms.model.hold import Hold
from cdc_sms.model.state import DeadLetterClass, State

Result = TypeVar("Result")

LONGEST_STATEMENT_MS = 10_000


@dataclass(frozen=True, slots=True)
class OldestUnfinished:
    """The oldest message of a state that is not final.

    Attributes:
        state: the state.
        message_id: which message.
        seen_at: when the ledger first knew it.
        due_at: when it is looked at next; for ``sending``, when its claim runs out.
        age_s: how long ago it was first seen, by the database's clock; seconds.
    """

    state: str
    message_id: str
    seen_at: datetime
    due_at: datetime
    age_s: float


@dataclass(frozen=True, slots=True)
class InDoubtRow:
    """A message of which it is not known whether the provider accepted it.

    Attributes:
        message_id: which.
        state: ``in_doubt``, ``sending`` with a claim that ran out, or ``failed`` where it was
            left for a person.
        since: when it came into this state.
        due_at: when it is looked at next.
        attempts: counted attempts.
        doubts: how often it was in doubt in its present round.
        provider: who may have it.
        code: what happened last.
        dlq_partition: where its dead letter is, if it was left for a person.
        dlq_offset: the same.
    """

    message_id: str
    state: str
    since: datetime
    due_at: datetime
    attempts: int
    doubts: int
    provider: str | None
    code: str | None
    dlq_partition: int | None
    dlq_offset: int | None


def read_only(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """Run the work in one read-only snapshot of the database.

    Raises:
        DatabaseUnavailable: the database can't be reached now.
        MappingError: the ledger isn't there: it was never migrated.
        DatabaseError: anything else, a statement that took too long among them.
    """
    reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    try:
        with (
            reading.begin() as connection,
            dialect_of(connection).reading(connection, longest_statement_ms=LONGEST_STATEMENT_MS),
        ):
            return work(connection)
    except exc.SQLAlchemyError as error:
        raise classified(error) from error


def counts_by_state(connection: Connection) -> dict[str, int]:
    """Count the messages of each state; states without one are not in it."""
    statement = select(delivery.c.state, func.count()).group_by(delivery.c.state)
    return {row[0]: row[1] for row in connection.execute(statement)}


def dead_letters_by_class(connection: Connection) -> dict[str, int]:
    """Count the messages that stand as given up, by the class of their dead letter."""
    letter_class = delivery.c.dead_letter_class
    statement = (
        select(letter_class, func.count())
        .where(delivery.c.state == State.FAILED, letter_class.is_not(None))
        .group_by(letter_class)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def oldest_unfinished(connection: Connection) -> list[OldestUnfinished]:
    """Return the oldest message of each state that is not final, the oldest of all first."""
    ranked = (
        select(
            delivery.c.state,
            delivery.c.id,
            delivery.c.seen_at,
            delivery.c.due_at,
            Now().label("now"),
            func.row_number()
            .over(partition_by=delivery.c.state, order_by=delivery.c.seen_at)
            .label("place"),
        )
        .where(~delivery.c.done)
        .subquery()
    )
    statement = select(ranked).where(ranked.c.place == 1).order_by(ranked.c.seen_at)
    return [
        OldestUnfinished(
            row.state,
            row.id,
            row.seen_at,
            row.due_at,
            round((row.now - row.seen_at).total_seconds(), 3),
        )
        for row in connection.execute(statement)
    ]


def doubts_and_owed(connection: Connection) -> tuple[int, int, int]:
    """Count what is in doubt now, what was sent again after a doubt ever, and what is owed."""
    return Ledger().counts(connection)


def holds(connection: Connection) -> list[Hold]:
    """Return the holds in force, the oldest first."""
    return sorted(Control().holds(connection), key=lambda hold: hold.since)


def slot(connection: Connection, name: str) -> Slot | None:
    """Return the replication slot; None where there is none of that name, or are none at all."""
    return dialect_of(connection).slot(connection, name)


def in_doubt(connection: Connection, *, limit: int) -> list[InDoubtRow]:
    """Return the messages in doubt, the longest first: also those left for a person.

    Args:
        connection: in a transaction of its own.
        limit: the most that are returned.
    """
    claim_ran_out = (delivery.c.state == State.SENDING) & (delivery.c.lease_until < Now())
    left_for_a_person = (delivery.c.state == State.FAILED) & (
        delivery.c.dead_letter_class == DeadLetterClass.IN_DOUBT
    )
    since = func.coalesce(
        case((claim_ran_out, delivery.c.lease_until), else_=literal(None)),
        delivery.c.last_failed_at,
        delivery.c.changed_at,
    )
    statement = (
        select(
            delivery.c.id,
            delivery.c.state,
            since,
            delivery.c.due_at,
            delivery.c.attempts,
            delivery.c.doubts - delivery.c.doubts_before,
            delivery.c.provider,
            delivery.c.failure_code,
            delivery.c.dlq_partition,
            delivery.c.dlq_offset,
        )
        .where(or_(delivery.c.state == State.IN_DOUBT, claim_ran_out, left_for_a_person))
        .order_by(since)
        .limit(limit)
    )
    return [InDoubtRow(*tuple(row)) for row in connection.execute(statement)]
