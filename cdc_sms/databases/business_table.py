"""The customer's table: read at the claim, written at the settle, and only the mapped columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    DateTime,
    MetaData,
    Select,
    String,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exc,
    func,
    inspect,
    literal,
    select,
    tuple_,
    types,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import KeyedColumnElement

from cdc_sms.config.settings import TableSettings
from cdc_sms.databases.engine import (
    LockTimeout,
    RepeatTransaction,
    RowRefused,
    Snapshot,
    as_rows,
    classified,
    is_lost,
    rows_of,
    snapshot,
)
from cdc_sms.errors import MappingError
from cdc_sms.model.business_row import BusinessRow, Key, RowWrite
from cdc_sms.model.encodings import ColumnKind, KeyColumn
from cdc_sms.model.message import canonical, content_digest, key_text, message_id


@dataclass(frozen=True, slots=True)
class Read:
    """What one read of rows saw, and when.

    Attributes:
        at: the database's clock.
        snapshot: which transactions it saw.
        rows: by key; a key that is missing has no row that this read could see.
    """

    at: datetime
    snapshot: Snapshot
    rows: Mapping[Key, BusinessRow]


class BusinessTable:
    """The mapped table.

    Thread: the ledger's; it only builds statements and runs them on the connection given.
    """

    def __init__(self, table: Table, settings: TableSettings) -> None:
        self._table = table
        self._mapped = settings.columns
        self.status = settings.status if settings.columns.status else None
        self._zone = ZoneInfo(settings.time_zone)
        self._name = settings.name
        self._key = [table.c[name] for name in settings.columns.key]
        self.key_columns = tuple(key_column(c) for c in self._key)
        self.has_created_at = settings.columns.created_at is not None
        self._read = self._reading()
        self._lock = self._locking()
        self._update = self._updating()

    @classmethod
    def reflect(cls, connection: Connection, settings: TableSettings) -> "BusinessTable":
        """Look the table up and check that it is what the configuration maps.

        Raises:
            MappingError: the table or columns are missing, or the key isn't the primary key;
                all findings in one message.
        """
        schema, name = settings.schema_and_table
        inspector = inspect(connection)
        if not inspector.has_table(name, schema=schema):
            raise MappingError(
                f"There is no table {settings.name!r} that this user can see.",
                hint="Correct table.name (with its schema), or grant SELECT on it.",
            )
        found = {c["name"]: c for c in inspector.get_columns(name, schema=schema)}
        mapped = settings.columns.model_dump()
        wanted = [*mapped.pop("key"), *(value for value in mapped.values() if value)]
        missing = [column for column in wanted if column not in found]
        if missing:
            raise MappingError(
                f"Table {settings.name!r} has no column {', '.join(map(repr, missing))}.",
                hint=f"Correct [table.columns]; the table has: {', '.join(sorted(found))}.",
            )
        primary = inspector.get_pk_constraint(name, schema=schema)["constrained_columns"]
        if sorted(primary) != sorted(settings.columns.key):
            raise MappingError(
                f"table.columns.key is {', '.join(settings.columns.key)}, but the primary key of "
                f"{settings.name!r} is {', '.join(primary) or 'missing'}.",
                hint="Map exactly the primary key's columns; a table without one can't be used.",
            )
        columns = [
            Column(
                c,
                found[c]["type"],
                primary_key=c in settings.columns.key,
                nullable=found[c]["nullable"],
            )
            for c in wanted
        ]
        by_name = {c.name: c for c in columns}
        _check_identity(by_name, settings)
        _check_words(by_name, settings)
        table = Table(name, MetaData(), *columns, schema=schema)
        return cls(table, settings)

    @property
    def mapping(self) -> str:
        """Return what message ids are made of: table, key and created-at with their kinds."""
        names = [*self._mapped.key, *filter(None, [self._mapped.created_at])]
        kinds = (f"{name} {key_column(self._table.c[name]).kind.value}" for name in names)
        return f"{self._name}: {', '.join(kinds)}"

    # ---- reading ------------------------------------------------------------------------------

    def read(self, connection: Connection, keys: Sequence[Key]) -> Read:
        """Read rows by key without locks, and say which transactions the read saw.

        Args:
            connection: the caller's transaction.
            keys: 1 to some hundred, distinct.
        """
        found = connection.execute(self._read, {"keys": self._key_parameter(keys)}).all()
        at, by = found[0][0], found[0][1]
        rows = (self._row(tuple(row)[2:]) for row in found if row[2] is not None)
        return Read(at, Snapshot.parse(by), {row.key: row for row in rows})

    def lock(self, connection: Connection, keys: Sequence[Key]) -> dict[Key, BusinessRow]:
        """Lock rows in the key's order and return them as they stand; skip what others hold.

        Returns:
            The rows that are ours until the transaction's end; absent: gone, or locked.
        """
        if not keys:
            return {}
        found = connection.execute(self._lock, {"keys": self._key_parameter(keys)}).all()
        rows = (self._row(tuple(row)) for row in found)
        return {row.key: row for row in rows}

    def key_values(self, key: Key) -> str:
        """Return the key as the ledger keeps it, for :meth:`key_of`."""
        return orjson.dumps([_parameter(value) for value in key]).decode()

    def keys_of(self, connection: Connection, texts: Sequence[str]) -> list[Key]:
        """Return the typed keys of what :meth:`key_values` wrote, in the same order."""
        if not texts:
            return []
        names = [f"k{n}" for n in range(len(self._key))]
        given = rows_of([("n", types.Integer()), *((name, Text()) for name in names)])
        typed = [cast(given.c[name], c.type) for name, c in zip(names, self._key, strict=True)]
        rows = [
            {"n": n, **dict(zip(names, orjson.loads(text), strict=True))}
            for n, text in enumerate(texts)
        ]
        found = connection.execute(
            select(*typed).select_from(given).order_by(given.c.n), {"rows": as_rows(rows)}
        )
        return [tuple(row) for row in found]

    # ---- writing ------------------------------------------------------------------------------

    def write(self, connection: Connection, writes: Sequence[RowWrite]) -> set[Key]:
        """Write to rows that this transaction has locked, as one set.

        Args:
            connection: in a savepoint of the caller's.
            writes: of distinct rows.

        Returns:
            The keys of all of them.

        Raises:
            RowRefused: at least one refused (trigger, constraint, type): roll the savepoint back
                and try :meth:`write_what_can_be`.
            LockTimeout: a lock was held for too long.
            RepeatTransaction: deadlock; the whole transaction is to be repeated.
            SQLAlchemyError: the connection failed.
        """
        if not writes:
            return set()
        rows = [self._write_row(write) for write in writes]
        keys = self._key_parameter([write.key for write in writes])
        try:
            connection.execute(self._update, {"rows": as_rows(rows), "keys": keys})
        except exc.SQLAlchemyError as error:
            ours = classified(error)
            if isinstance(ours, RowRefused | RepeatTransaction):
                raise ours from error
            if is_lost(error):
                raise
            # a mapped column was dropped under us, the statement was cancelled, …
            raise RowRefused(ours.message, hint=ours.hint) from error
        return {write.key for write in writes}

    def write_what_can_be(self, connection: Connection, writes: Sequence[RowWrite]) -> set[Key]:
        """Write to rows by halves, each in a savepoint; one that refuses harms none.

        Returns:
            The keys that took it; the others are owed. The transaction stands either way.

        Raises:
            RepeatTransaction: deadlock; the whole transaction is to be repeated.
            SQLAlchemyError: the connection failed.
        """
        if not writes:
            return set()
        try:
            with connection.begin_nested():
                return self.write(connection, writes)
        except LockTimeout:  # to halve the set would wait for the same lock again and again
            return set()
        except RowRefused:
            if len(writes) == 1:
                return set()
        half = len(writes) // 2
        first = self.write_what_can_be(connection, writes[:half])
        return first | self.write_what_can_be(connection, writes[half:])

    def _write_row(self, write: RowWrite) -> dict[str, object]:
        row: dict[str, object] = {f"k{n}": _parameter(value) for n, value in enumerate(write.key)}
        row["word"] = write.word
        if self._mapped.provider_message_id:
            row["provider_message_id"] = write.provider_message_id
        if self._mapped.sent_at and write.sent_at:
            row["sent_at"] = self._local(write.sent_at, self._table.c[self._mapped.sent_at])
        if self._mapped.error_text:
            row["error_text"] = write.error_text
        if self._mapped.attempts and write.attempts is not None:
            row["attempts"] = str(write.attempts)
        return row

    # ---- statements ---------------------------------------------------------------------------

    def _columns(self) -> list[ColumnElement[Any]]:
        optional = (self._mapped.created_at, self._mapped.status, self._mapped.sender,
                    self._mapped.send_after, self._mapped.expires_at)  # fmt: skip
        return [
            *self._key,
            cast(self._table.c[self._mapped.recipient], Text),
            cast(self._table.c[self._mapped.text], Text),
            *(self._table.c[c] if c else literal(None) for c in optional[:1]),
            *(cast(self._table.c[c], Text) if c else literal(None) for c in optional[1:3]),
            *(self._table.c[c] if c else literal(None) for c in optional[3:]),
        ]

    def _row(self, values: tuple[Any, ...]) -> BusinessRow:
        n = len(self._key)
        key = values[:n]
        recipient, text, created_at, word, sender, send_after, expires_at = values[n:]
        recipient, text = recipient or "", text or ""
        identity = key_text(self._name, key)
        return BusinessRow(
            key=key,
            key_text=identity,
            message_id=message_id(identity, created_at),
            created_at=None if created_at is None else canonical(created_at),
            created_instant=self._instant(created_at) if isinstance(created_at, date) else None,
            word=word,
            recipient=recipient,
            text=text,
            sender=sender or None,
            send_after=self._instant(send_after),
            expires_at=self._instant(expires_at),
            digest=content_digest(recipient, text, sender),
        )

    def _key_matches(self) -> ColumnElement[bool]:
        keys: Any = bindparam("keys", expanding=True)
        if len(self._key) == 1:
            return self._key[0].in_(keys)
        return tuple_(*self._key).in_(keys)

    @staticmethod
    def _key_parameter(keys: Sequence[Key]) -> list[Any]:
        return [key[0] if len(key) == 1 else key for key in keys]

    def _reading(self) -> Select[Any]:
        at, by = snapshot()
        moment = select(at, by).subquery("moment")
        joined = moment.outerjoin(self._table, self._key_matches())
        return select(moment.c.read_at, moment.c.read_by, *self._columns()).select_from(joined)

    def _locking(self) -> Select[Any]:
        return (
            select(*self._columns())
            .where(self._key_matches())
            .order_by(*self._key)
            .with_for_update(skip_locked=True, of=self._table)
        )

    def _updating(self) -> Any:
        names = [f"k{n}" for n in range(len(self._key))]
        words = ("word", "provider_message_id", "sent_at", "error_text", "attempts")
        given = rows_of([(name, Text()) for name in (*names, *words)])
        values: dict[str, Any] = {}
        for word in words:
            name = self._mapped.status if word == "word" else getattr(self._mapped, word)
            if name is None:
                continue
            target = self._table.c[name]
            is_note = word == "error_text"
            new = _new_value(given.c[word], target, is_note=is_note)
            values[name] = new if is_note else func.coalesce(new, target)
        match = and_(
            *(c == cast(given.c[k], c.type) for k, c in zip(names, self._key, strict=True))
        )
        if not values:
            return None
        # named twice: of the set the server knows no size, and would read the whole table
        return update(self._table).values(values).where(match, self._key_matches())

    # ---- times --------------------------------------------------------------------------------

    def _instant(self, value: date | None) -> datetime | None:
        """Read a time without zone as the configuration says; a date as its midnight there."""
        if value is None:
            return None
        if not isinstance(value, datetime):
            value = datetime.combine(value, time())
        return (value.replace(tzinfo=self._zone) if value.tzinfo is None else value).astimezone(UTC)

    def _local(self, value: datetime, target: KeyedColumnElement[Any]) -> str:
        aware = isinstance(target.type, DateTime) and target.type.timezone
        return (value if aware else value.astimezone(self._zone).replace(tzinfo=None)).isoformat()


def _new_value(given: ColumnElement[Any], target: Column[Any], *, is_note: bool) -> Any:
    """Return what a column is set to; NULL leaves it alone, an empty note clears it.

    A note for people is cut to the column's length. A word or an id is not: one that doesn't
    fit is refused by the assignment, and the write is owed.
    """
    if is_note:
        note = cast(given, target.type)
        cleared = [(given == "", None)] if target.nullable else []
        return case((given.is_(None), target), *cleared, else_=note)
    is_text = isinstance(target.type, String) and not isinstance(target.type, types.Enum)
    return given if is_text else cast(given, target.type)


def _check_identity(columns: Mapping[str, Column[Any]], settings: TableSettings) -> None:
    """Refuse types that can't say exactly which message a row is."""
    names = [*settings.columns.key, *filter(None, [settings.columns.created_at])]
    for name in names:
        if key_column(columns[name]).kind in {ColumnKind.OTHER, ColumnKind.FLOAT}:
            raise MappingError(
                f"Column {name!r} of {settings.name!r} has type {columns[name].type!r}, which "
                "can't say exactly which message a row is.",
                hint="Use a key and a created-at of whole numbers, text, uuid, bytes or times.",
            )


def _check_words(columns: Mapping[str, Column[Any]], settings: TableSettings) -> None:
    """Refuse status words that the column can't take."""
    if settings.columns.status is None:
        return
    type_ = columns[settings.columns.status].type
    words = [word for word in settings.status.model_dump().values() if word is not None]
    members = type_.enums if isinstance(type_, types.Enum) else None
    length = type_.length if isinstance(type_, String) and members is None else None
    unfit = [
        word
        for word in words
        if (members is not None and word not in members) or (length and len(word) > length)
    ]
    if unfit:
        raise MappingError(
            f"Column {settings.columns.status!r} of {settings.name!r} can't take the status "
            f"{', '.join(map(repr, unfit))}.",
            hint="Correct [table.status]; sending and expired may be left out.",
        )


def _parameter(value: object) -> str:
    return "\\x" + bytes(value).hex() if isinstance(value, bytes) else canonical(value)


def key_column(column: Column[Any]) -> KeyColumn:
    """Say what the key's column holds, for decoding it from a record."""
    kind, scale, precision = _kind(column.type)
    return KeyColumn(name=column.name, kind=kind, scale=scale, precision=precision)


def _kind(  # noqa: C901, PLR0912 - one case a type
    type_: types.TypeEngine[Any],
) -> tuple[ColumnKind, int | None, int | None]:
    match type_:
        case postgresql.DOMAIN():
            return _kind(type_.data_type)
        case types.Boolean():
            return ColumnKind.BOOLEAN, None, None
        case types.Integer():
            return ColumnKind.INTEGER, None, None
        case types.Float():
            return ColumnKind.FLOAT, None, None
        case types.Numeric():
            return ColumnKind.NUMERIC, type_.scale, type_.precision
        case types.Uuid():
            return ColumnKind.UUID, None, None
        case postgresql.TIMESTAMP() | types.DateTime():
            kind = ColumnKind.TIMESTAMPTZ if type_.timezone else ColumnKind.TIMESTAMP
            return kind, None, getattr(type_, "precision", None)
        case types.Time() if type_.timezone:
            return ColumnKind.OTHER, None, None
        case postgresql.TIME() | types.Time():
            return ColumnKind.TIME, None, getattr(type_, "precision", None)
        case types.Date():
            return ColumnKind.DATE, None, None
        case types.LargeBinary():
            return ColumnKind.BYTES, None, None
        case String():
            return ColumnKind.TEXT, None, None
        case _:
            return ColumnKind.OTHER, None, None
