"""The rows to one phone number, looked for once because a person asks."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, String, Text, cast, literal, select

from cdc_sms.config.settings import TableSettings
from cdc_sms.databases.expressions import NewestFirst
from cdc_sms.databases.reflection import mapped_table
from cdc_sms.model.message import canonical, key_text, message_id


@dataclass(frozen=True, slots=True)
class RowTo:
    """A row to a number.

    Attributes:
        message_id: which message the row is.
        created_at: canonical; None where it is NULL or not mapped.
        word: the status column's word; None without one.
    """

    message_id: str
    created_at: str | None
    word: str | None


def rows_to(
    connection: Connection, settings: TableSettings, numbers: Collection[str], *, limit: int
) -> list[RowTo]:
    """Return the newest rows to a number; without an index on it the whole table is read.

    Args:
        connection: in a read-only transaction of its own, which bounds how long it may take.
        settings: the mapping.
        numbers: the forms in which the column may hold it.
        limit: the most that are returned.
    """
    columns = settings.columns
    optional = (columns.created_at, columns.status)
    table = mapped_table(
        connection, settings, [*columns.key, columns.recipient, *filter(None, optional)]
    )
    recipient = table.c[columns.recipient]
    # a cast would keep an index from being used
    text = recipient if isinstance(recipient.type, String) else cast(recipient, Text)
    key = [table.c[one] for one in columns.key]
    order = [table.c[columns.created_at]] if columns.created_at else key
    found = connection.execute(
        select(
            table.c[columns.created_at] if columns.created_at else literal(None),
            cast(table.c[columns.status], Text) if columns.status else literal(None),
            *key,
        )
        .where(text.in_(sorted(numbers)))
        .order_by(*(NewestFirst(one) for one in order))
        .limit(limit)
    )
    return [
        RowTo(
            message_id=message_id(key_text(settings.name, tuple(row)[2:]), row[0]),
            created_at=None if row[0] is None else canonical(row[0]),
            word=row[1],
        )
        for row in found
    ]
