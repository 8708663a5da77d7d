"""The ledger: one row a message, which decides that nothing is sent twice.

Rows are read and locked here, changed as values by pure functions elsewhere, and saved here by
sets. Every method works in the caller's transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    LargeBinary,
    Text,
    bindparam,
    func,
    or_,
    select,
    update,
)

from cdc_sms.databases.expressions import (
    FromHex,
    Now,
    as_rows,
    insert_if_absent,
    locking,
    locking_what_is_free,
    rows_of,
)
from cdc_sms.databases.schema import attempt, delivery
from cdc_sms.model.delivery import AttemptRow, Delivery
from cdc_sms.model.state import DeadLetterClass, State

_COLUMNS = [delivery.c[f.name] for f in fields(Delivery)]
_FIXED = frozenset({"id", "message_key", "key_values", "row_created_at", "seen_at", "record_key"})
_SAVED = [c for c in _COLUMNS if c.name not in _FIXED] + [delivery.c.done]


def _given(columns: Iterable[Any]) -> FromClause:
    return rows_of(
        [(c.name, Text() if c.type.python_type in {str, bytes} else c.type) for c in columns]
    )


def _values(columns: Iterable[Any], given: FromClause) -> list[ColumnElement[Any]]:
    return [
        FromHex(given.c[c.name]) if isinstance(c.type, LargeBinary) else given.c[c.name]
        for c in columns
    ]


class Ledger:
    """The statements on the ledger's tables.

    Thread: the ledger's; stateless but for compiled statements.
    """

    def __init__(self) -> None:
        ids: Any = bindparam("ids", expanding=True)
        keys: Any = bindparam("keys", expanding=True)
        self._by_key = select(*_COLUMNS).where(delivery.c.message_key.in_(keys))
        by_id = select(*_COLUMNS).where(delivery.c.id.in_(ids)).order_by(delivery.c.id)
        self._lock = locking(by_id)
        self._lock_free = locking_what_is_free(by_id)
        inserted = [*_COLUMNS, delivery.c.done]
        self._insert = insert_if_absent(delivery).from_select(
            [c.name for c in inserted], select(*_values(inserted, _given(inserted)))
        )
        saved = _given([delivery.c.id, *_SAVED])
        self._save = (
            update(delivery)
            .values({c.name: saved.c[c.name] for c in _SAVED})
            # named twice: of the set the server knows no size, and would read the whole table
            .where(delivery.c.id == saved.c.id, delivery.c.id.in_(ids))
        )
        attempts = list(attempt.c)
        self._attempts = insert_if_absent(attempt).from_select(
            [c.name for c in attempts], select(*_values(attempts, _given(attempts)))
        )

    def by_key(self, connection: Connection, keys: Sequence[str]) -> dict[str, list[Delivery]]:
        """Read every message of the keys, without locks; each key in the result."""
        found: dict[str, list[Delivery]] = {key: [] for key in keys}
        for row in connection.execute(self._by_key, {"keys": list(found)}):
            message = _delivery(tuple(row))
            found[message.message_key].append(message)
        return found

    def insert(self, connection: Connection, messages: Sequence[Delivery]) -> None:
        """Insert messages that the ledger doesn't know yet; known ones are left alone."""
        if messages:
            rows = [_as_row(message, fixed=True) for message in messages]
            connection.execute(self._insert, {"rows": as_rows(rows)})

    def lock(
        self, connection: Connection, ids: Sequence[str], *, skip_locked: bool
    ) -> dict[str, Delivery]:
        """Lock messages by id, in the id's order, and return them as they stand.

        Args:
            connection: the caller's transaction.
            ids: distinct.
            skip_locked: leave out what another member holds, instead of waiting for it.
        """
        if not ids:
            return {}
        statement = self._lock_free if skip_locked else self._lock
        rows = connection.execute(statement, {"ids": list(ids)})
        return {row[0]: _delivery(tuple(row)) for row in rows}

    def save(self, connection: Connection, messages: Sequence[Delivery]) -> None:
        """Write messages that this transaction has locked, as one set."""
        if messages:
            rows = [_as_row(message, fixed=False) for message in messages]
            ids = [message.id for message in messages]
            connection.execute(self._save, {"rows": as_rows(rows), "ids": ids})

    def record_attempts(self, connection: Connection, attempts: Sequence[AttemptRow]) -> None:
        """Insert attempts; one that a repeated transaction wrote before is left alone."""
        if attempts:
            rows = [{f.name: getattr(row, f.name) for f in fields(row)} for row in attempts]
            connection.execute(self._attempts, {"rows": as_rows(rows)})

    # ---- the keeper's questions, all on the ledger alone ---------------------------------------

    def overdue(
        self,
        connection: Connection,
        *,
        now: datetime,
        after: timedelta,
        limit: int,
        old_are_held: bool = False,
    ) -> list[Delivery]:
        """Return what is not done and has been due for so long that no record may carry it.

        Scheduled messages are returned as soon as they are due: their record is committed.

        Args:
            connection: the caller's transaction.
            now: the database's clock.
            after: how long is long.
            limit: the most that are returned.
            old_are_held: return each once: what such a hold holds back is overdue as long as it
                stands, and the outbox would grow by all of it every few minutes.
        """
        late = delivery.c.due_at < now - after
        date_came = (delivery.c.state == State.SCHEDULED) & (delivery.c.due_at <= now)
        emitted = delivery.c.emitted_at
        since_due = emitted.is_not(None) & (emitted > delivery.c.due_at)
        lately = since_due & (emitted > now - after)
        left_out = since_due if old_are_held else lately
        statement = (
            select(*_COLUMNS)
            .where(~delivery.c.done, delivery.c.due_at <= now, late | date_came, ~left_out)
            .order_by(delivery.c.due_at)
            .limit(limit)
        )
        return [_delivery(tuple(row)) for row in connection.execute(statement)]

    def emitted(self, connection: Connection, ids: Sequence[str], *, now: datetime) -> None:
        """Note that these messages were emitted again."""
        connection.execute(update(delivery).where(delivery.c.id.in_(ids)).values(emitted_at=now))

    def owed(self, connection: Connection, *, now: datetime, limit: int) -> list[Delivery]:
        """Lock and return messages whose row still owes its status and is due for a try."""
        statement = (
            select(*_COLUMNS)
            .where(delivery.c.owes_write, delivery.c.next_write_at <= now)
            .order_by(delivery.c.next_write_at)
            .limit(limit)
        )
        rows = connection.execute(locking_what_is_free(statement))
        return [_delivery(tuple(row)) for row in rows]

    def counts(self, connection: Connection) -> tuple[int, int, int]:
        """Count what is in doubt, what was sent again after a doubt, and what is owed.

        In doubt is also what was left for a person.
        """
        left = (delivery.c.state == State.FAILED) & (
            delivery.c.dead_letter_class == DeadLetterClass.IN_DOUBT
        )
        row = connection.execute(
            select(
                select(func.count())
                .where(delivery.c.doubts > 0, or_(delivery.c.state == State.IN_DOUBT, left))
                .scalar_subquery(),
                select(func.count())
                .where(delivery.c.doubts > 0, or_(delivery.c.attempts > 1, delivery.c.round > 1))
                .scalar_subquery(),
                select(func.count()).where(delivery.c.owes_write).scalar_subquery(),
            )
        ).one()
        return row[0], row[1], row[2]

    def first_seen(self, connection: Connection) -> datetime | None:
        """Return when the ledger knew its first message; None: it knows none. Reads all of it."""
        found: datetime | None = connection.scalar(select(func.min(delivery.c.seen_at)))
        return found

    def now(self, connection: Connection) -> datetime:
        """Return the database's clock."""
        return connection.execute(select(Now())).scalar_one()


def _delivery(values: tuple[Any, ...]) -> Delivery:
    row = Delivery(*values)
    return replace(
        row,
        state=State(row.state),
        former_state=State(row.former_state) if row.former_state else None,
        dead_letter_class=(
            DeadLetterClass(row.dead_letter_class) if row.dead_letter_class else None
        ),
    )


def _as_row(message: Delivery, *, fixed: bool) -> dict[str, object]:
    row: dict[str, object] = {
        f.name: getattr(message, f.name)
        for f in fields(message)
        if fixed or f.name == "id" or f.name not in _FIXED
    }
    row["done"] = message.is_done
    return row
