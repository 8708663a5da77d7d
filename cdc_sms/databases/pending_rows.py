"""The pending rows of the business table, counted once because a person asks."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Text,
    func,
    literal,
    select,
)

from cdc_sms.config.settings import TableSettings
from cdc_sms.databases.expressions import AsType, NewestFirst, count_of
from cdc_sms.databases.key_column import key_column
from cdc_sms.databases.reflection import mapped_table
from cdc_sms.model.encodings import ColumnKind
from cdc_sms.model.message import key_text, message_id

SHOWN = 5
"""Ids of the newest rows that a preview names."""


@dataclass(frozen=True, slots=True)
class PendingRows:
    """What waits in the table.

    Attributes:
        count: rows that read pending.
        oldest: when the oldest was created; None without such a column.
        older: how many were created before the moment that was asked for; None as above.
        newest: ids of the newest few.
    """

    count: int
    oldest: datetime | None
    older: int | None
    newest: list[str]


def pending_rows(
    connection: Connection, settings: TableSettings, *, before: datetime | None
) -> PendingRows:
    """Count the pending rows; reads as much of the table as its indexes make necessary.

    Args:
        connection: in a read-only transaction of its own.
        settings: the mapping; it has a status column.
        before: count how many were created earlier; None: nobody wants to know.
    """
    columns = settings.columns
    assert columns.status is not None
    wanted = [*columns.key, columns.status, *filter(None, [columns.created_at])]
    table = mapped_table(connection, settings, wanted)
    status = table.c[columns.status]
    is_pending = status == AsType(literal(settings.status.pending, Text), type_=status.type)
    created_at = table.c[columns.created_at] if columns.created_at else None
    zone = ZoneInfo(settings.time_zone)
    older = None if created_at is None or before is None else _is_older(created_at, before, zone)
    count, oldest, old = connection.execute(
        select(
            func.count(),
            literal(None) if created_at is None else func.min(created_at),
            literal(None) if older is None else count_of(older),
        )
        .select_from(table)
        .where(is_pending)
    ).one()
    key = [table.c[c] for c in columns.key]
    order = [*key] if created_at is None else [created_at]
    newest = connection.execute(
        select(literal(None) if created_at is None else created_at, *key)
        .where(is_pending)
        .order_by(*(NewestFirst(c) for c in order))
        .limit(SHOWN)
    )
    return PendingRows(
        count=count,
        oldest=_instant(oldest, zone),
        older=old,
        newest=[message_id(key_text(settings.name, tuple(r)[1:]), r[0]) for r in newest],
    )


def _is_older(
    created_at: Column[Any], before: datetime, zone: ZoneInfo
) -> ColumnElement[bool] | None:
    """Compare as the column keeps its times; None where it holds none."""
    match key_column(created_at).kind:
        case ColumnKind.TIMESTAMPTZ:
            return created_at < before.astimezone(UTC)
        case ColumnKind.TIMESTAMP:
            return created_at < before.astimezone(zone).replace(tzinfo=None)
        case ColumnKind.DATE:
            return created_at < before.astimezone(zone).date()
        case _:
            return None


def _instant(value: object, zone: ZoneInfo) -> datetime | None:
    if not isinstance(value, date):
        return None
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    return (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(UTC)
