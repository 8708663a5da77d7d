"""The messages in doubt, and what will become of each: by itself, or by a person."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Engine

from cdc_sms.config.settings import DeliverSettings
from cdc_sms.databases.reading import InDoubtRow, in_doubt, read_only
from cdc_sms.model.state import State


def list_in_doubt(
    engine: Engine, settings: DeliverSettings, *, limit: int
) -> Sequence[dict[str, Any]]:
    """Return the messages in doubt, the longest first.

    Args:
        engine: where the ledger is.
        settings: the rule that decides.
        limit: the most that are returned.

    Returns:
        One table each: the fields of :class:`InDoubtRow`, then ``next`` (what will happen)
        and ``next_at`` (when; None: when a person acts).

    Raises:
        DatabaseUnavailable: the database can't be reached now.
    """
    rows = read_only(engine, lambda connection: in_doubt(connection, limit=limit))
    return [{**asdict(row), **what_comes_next(row, settings)} for row in rows]


def what_comes_next(row: InDoubtRow, settings: DeliverSettings) -> dict[str, Any]:
    """Return what becomes of a message in doubt: ``next`` in words, and ``next_at``."""
    match State(row.state):
        case State.FAILED:
            letter = f"{row.dlq_partition}:{row.dlq_offset}"
            known = row.dlq_offset is not None
            shown = f"a person decides: cdc-sms dlq show {letter}" if known else "dead-lettered"
            return {"next": shown, "next_at": None}
        case State.SENDING:
            return {"next": "taken over as in doubt", "next_at": row.due_at}
        case _ if settings.doubt == "resend" and row.doubts <= 1:
            return {"next": "sent again, once", "next_at": row.due_at}
        case _:
            return {"next": "left for a person, as a dead letter", "next_at": row.due_at}
