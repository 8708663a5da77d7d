"""What is known of one message beside its ledger row: read-only statements."""

from sqlalchemy import Connection, select

from cdc_sms.databases.schema import attempt
from cdc_sms.model.delivery import AttemptRow

_MOST = 1_000


def attempts_of(connection: Connection, message_id: str) -> list[AttemptRow]:
    """Return a message's requests, the oldest first.

    Args:
        connection: the caller's transaction.
        message_id: whose.
    """
    c = attempt.c
    statement = (
        select(
            c.claim_token,
            c.message_id,
            c.round,
            c.number,
            c.counted,
            c.started_at,
            c.finished_at,
            c.outcome,
            c.code,
            c.text,
            c.provider,
            c.provider_message_id,
        )
        .where(c.message_id == message_id)
        .order_by(c.finished_at)
        .limit(_MOST)
    )
    return [AttemptRow(*tuple(row)) for row in connection.execute(statement)]
