"""What ``explain`` and ``audit`` ask beside the ledger's own statements: read-only, by pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Text, cast, literal, select, tuple_

from cdc_sms.config.settings import TableSettings
from cdc_sms.databases.reflection import mapped_table
from cdc_sms.databases.schema import act, attempt, control, delivery
from cdc_sms.model.business_row import Key
from cdc_sms.model.delivery import AttemptRow
from cdc_sms.model.message import key_text, message_id

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


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row as far as an audit may look at it: no number, no text.

    Attributes:
        key: the primary key's values.
        key_text: their one text.
        message_id: which message the row is.
        created_at: None where the table doesn't say.
        is_pending: it is to be sent; true of every row where there is no status column.
    """

    key: Key
    key_text: str
    message_id: str
    created_at: datetime | None
    is_pending: bool


class TablePages:
    """Reads the whole mapped table, a page a statement, in the primary key's order.

    Thread: any; it only builds statements and runs them on the connection given.
    """

    def __init__(self, connection: Connection, settings: TableSettings) -> None:
        """Look the table up.

        Args:
            connection: in a transaction of its own.
            settings: the mapping, which was checked.
        """
        mapped = settings.columns
        optional = [column for column in (mapped.created_at, mapped.status) if column]
        table = mapped_table(connection, settings, [*mapped.key, *optional])
        self._name = settings.name
        self._zone = ZoneInfo(settings.time_zone)
        self._pending = settings.status.pending if mapped.status else None
        self._key = [table.c[column] for column in mapped.key]
        created_at = table.c[mapped.created_at] if mapped.created_at else literal(None)
        word = cast(table.c[mapped.status], Text) if mapped.status else literal(None)
        self._select = select(*self._key, created_at, word).order_by(*self._key)

    def after(self, connection: Connection, key: Key | None, *, limit: int) -> list[TableRow]:
        """Return the rows behind a key; None: from the first."""
        statement = self._select.limit(limit)
        if key is not None:
            last = [literal(value, c.type) for value, c in zip(key, self._key, strict=True)]
            behind = tuple_(*self._key) > tuple_(*last)
            # named twice: by a row alone MySQL and MariaDB read from the first
            statement = statement.where(self._key[0] >= last[0], behind)
        return [self._row(tuple(row)) for row in connection.execute(statement)]

    def _row(self, values: tuple[Any, ...]) -> TableRow:
        *key, created_at, word = values
        text = key_text(self._name, tuple(key))
        return TableRow(
            key=tuple(key),
            key_text=text,
            message_id=message_id(text, created_at),
            created_at=self._instant(created_at),
            is_pending=self._pending is None or word == self._pending,
        )

    def _instant(self, value: object) -> datetime | None:
        if not isinstance(value, date):
            return None
        moment = value if isinstance(value, datetime) else datetime.combine(value, time())
        return moment.replace(tzinfo=self._zone) if moment.tzinfo is None else moment


def ids_after(
    connection: Connection, after: str, *, since: datetime | None, limit: int
) -> list[tuple[str, str]]:
    """Return ids and keys of the ledger's messages behind an id, in the ids' order.

    Args:
        connection: the caller's transaction.
        after: the last id of the page before; empty: from the first.
        since: only messages that were first seen at this time or later; None: all.
        limit: the most that are returned.
    """
    c = delivery.c
    seen = [] if since is None else [c.seen_at >= since]
    statement = select(c.id, c.message_key).where(c.id > after, *seen).order_by(c.id).limit(limit)
    return [(row[0], row[1]) for row in connection.execute(statement)]


def known_ids(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Return which of some hundred ids the ledger knows."""
    if not ids:
        return set()
    return set(connection.execute(select(delivery.c.id).where(delivery.c.id.in_(ids))).scalars())


def flags_before(connection: Connection, prefix: str, moment: datetime) -> list[str]:
    """Return the control values that begin so and that stand since before a moment, by name."""
    statement = (
        select(control.c.name)
        .where(control.c.name.startswith(prefix, autoescape=True), control.c.changed_at < moment)
        .order_by(control.c.name)
    )
    return list(connection.execute(statement).scalars())


def acts_without_outcome(
    connection: Connection, *, since: datetime | None, before: datetime, after: str, limit: int
) -> list[tuple[str, str]]:
    """Return ids and commands of acts that began and have no outcome, in the ids' order.

    One that was given again and came to its end since is none of them.

    Args:
        connection: the caller's transaction.
        since: only those that began at this time or later; None: all.
        before: only those that began earlier than this.
        after: only ids behind this one: the last of the page before.
        limit: the most that are returned.
    """
    c = act.c
    begun = [] if since is None else [c.started_at >= since]
    again = act.alias("again")
    repeated = (
        select(again.c.id)
        .where(
            again.c.act == c.act,
            again.c.details == c.details,
            again.c.outcome.is_not(None),
            again.c.started_at > c.started_at,
        )
        .exists()
    )
    statement = (
        select(c.id, c.act)
        .where(c.outcome.is_(None), c.started_at < before, c.id > after, ~repeated, *begun)
        .order_by(c.id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in connection.execute(statement)]
