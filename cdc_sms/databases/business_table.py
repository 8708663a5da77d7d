"""The customer's table: read at the claim, written at the settle, and only the mapped columns."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
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
from sqlalchemy.dialects import mysql

from cdc_sms.config.settings import TableSettings
from cdc_sms.databases.dialects.base import Snapshot
from cdc_sms.databases.engine import classified, dialect_of, is_lost
from cdc_sms.databases.expressions import (
    AlikeText,
    AsType,
    Now,
    ReadBy,
    as_rows,
    locking_at_once,
    locking_what_is_free,
    rows_of,
)
from cdc_sms.databases.key_column import key_column
from cdc_sms.databases.reflection import plain
from cdc_sms.databases.refusals import LockTimeout, RepeatTransaction, RowRefused
from cdc_sms.errors import MappingError
from cdc_sms.model.business_row import BusinessRow, Key, RowWrite
from cdc_sms.model.encodings import ColumnKind, KeyColumn
from cdc_sms.model.message import canonical, content_digest, key_text, message_id


@dataclass(frozen=True, slots=True)
class Read:
    """What one read of rows saw, and when.

    Attributes:
        at: the database's clock.
        snapshot: which transactions it saw; None where the database can't say it.
        rows: by key; a key that is missing has no row that this read could see.
    """

    at: datetime
    snapshot: Snapshot | None
    rows: Mapping[Key, BusinessRow]


@dataclass(frozen=True, slots=True)
class Proof:
    """What a look under a lock saw: no transaction that is still to become visible let it through.

    Attributes:
        rows: by key; ours until the transaction's end.
        held: keys of which nothing is known: someone holds the row, or is about to commit one.
    """

    rows: Mapping[Key, BusinessRow]
    held: frozenset[Key]


class BusinessTable:
    """The mapped table.

    Thread: the ledger's; it only builds statements and runs them on the connection given.
    """

    def __init__(
        self,
        table: Table,
        settings: TableSettings,
        *,
        is_transactional: bool = True,
        has_zero_dates: bool = False,
    ) -> None:
        """Build the statements.

        Args:
            table: with the mapped columns.
            settings: the mapping.
            is_transactional: whether what is written to it is undone when it is rolled back.
            has_zero_dates: whether the database knows dates of zeros.
        """
        self._table = table
        self.is_transactional = is_transactional
        self._mapped = settings.columns
        self.status = settings.status if settings.columns.status else None
        self._zone = ZoneInfo(settings.time_zone)
        self._name = settings.name
        self._key = [table.c[name] for name in settings.columns.key]
        self.key_columns = tuple(key_column(c, has_zero_dates=has_zero_dates) for c in self._key)
        self.has_created_at = settings.columns.created_at is not None
        self._read = self._reading()
        by_key = select(*self._columns()).where(self._key_matches()).order_by(*self._key)
        # what undoes nothing holds nothing either, and may not stand in a transaction with others
        self._lock = locking_what_is_free(by_key) if is_transactional else by_key
        self._lock_at_once = locking_at_once(by_key) if is_transactional else by_key
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
                plain(found[c]["type"]),
                primary_key=c in settings.columns.key,
                nullable=found[c]["nullable"],
            )
            for c in wanted
        ]
        by_name = {c.name: c for c in columns}
        dialect = dialect_of(connection)
        for column, collation in dialect.collations(connection, schema, name).items():
            type_ = by_name[column].type if column in by_name else None
            if isinstance(type_, String):
                type_.collation = collation
        _check_identity(by_name, settings)
        _check_stays(connection, settings)
        _check_words(by_name, settings)
        table = Table(name, MetaData(), *columns, schema=schema)
        return cls(
            table,
            settings,
            is_transactional=dialect.is_transactional(connection, schema, name),
            has_zero_dates=dialect.has_zero_dates,
        )

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
        return Read(at, dialect_of(connection).snapshot(by), {row.key: row for row in rows})

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

    def prove(self, connection: Connection, keys: Sequence[Key]) -> Proof:
        """Look at rows so that no pending commit is overlooked, and without waiting for anybody.

        What a transaction has inserted or deleted it holds until it is visible. So a row that can
        be locked is the present one, and a key that can be asked for under a lock and has no row
        has none.

        Args:
            connection: the caller's transaction.
            keys: distinct.
        """
        rows = self.lock(connection, keys)
        missing = sorted(key for key in keys if key not in rows)
        return Proof(rows, frozenset(self._held(connection, missing)))

    def _held(self, connection: Connection, keys: Sequence[Key]) -> set[Key]:
        """Return which of the keys somebody holds; by halves, for one that is held hides all."""
        if not keys:
            return set()
        try:
            with connection.begin_nested():
                found = connection.execute(self._lock_at_once, {"keys": self._key_parameter(keys)})
                # it came to be between two looks: the next one sees it
                return {self._row(tuple(row)).key for row in found}
        except exc.SQLAlchemyError as error:
            if not isinstance(classified(error), LockTimeout):
                raise
        if len(keys) == 1:
            return set(keys)
        half = len(keys) // 2
        return self._held(connection, keys[:half]) | self._held(connection, keys[half:])

    def key_values(self, key: Key) -> str:
        """Return the key as the ledger keeps it, for :meth:`keys_of`."""
        return orjson.dumps([canonical(value) for value in key]).decode()

    def keys_of(self, texts: Sequence[str]) -> list[Key]:
        """Return the typed keys of what :meth:`key_values` wrote, in the same order.

        Raises:
            RowRefused: a text is no value of its column: a person gave it.
        """
        try:
            return [self._key_of(orjson.loads(text)) for text in texts]
        except (ValueError, InvalidOperation) as error:
            raise RowRefused(
                f"That is no value of the key of {self._name!r}.",
                hint=f"The key is {', '.join(f'{c.name} ({c.kind})' for c in self.key_columns)}.",
            ) from error

    def _key_of(self, values: Sequence[str]) -> Key:
        return tuple(_typed(v, c) for v, c in zip(values, self.key_columns, strict=True))

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
            with self._writing(connection) as writing:
                writing.execute(self._update, {"rows": as_rows(rows), "keys": keys})
        except exc.SQLAlchemyError as error:
            ours = classified(error)
            if isinstance(ours, RowRefused | RepeatTransaction):
                raise ours from error
            if is_lost(error):
                raise
            # a mapped column was dropped under us, the statement was cancelled, …
            raise RowRefused(ours.message, hint=ours.hint) from error
        return {write.key for write in writes}

    @contextmanager
    def _writing(self, connection: Connection) -> Iterator[Connection]:
        """Yield where to write: what undoes nothing is written outside of the transaction."""
        if self.is_transactional:
            yield connection
            return
        with connection.engine.connect() as own:
            yield own.execution_options(isolation_level="AUTOCOMMIT")

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
        at, by = Now().label("read_at"), ReadBy().label("read_by")
        moment = select(at, by).subquery("moment")
        joined = moment.outerjoin(self._table, self._key_matches())
        return select(moment.c.read_at, moment.c.read_by, *self._columns()).select_from(joined)

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
            *(c == AsType(given.c[k], type_=c.type) for k, c in zip(names, self._key, strict=True))
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

    def _local(self, value: datetime, target: Column[Any]) -> str:
        """Write a time as the column keeps it; sessions are in UTC."""
        aware = key_column(target).kind is ColumnKind.TIMESTAMPTZ
        return value.astimezone(UTC if aware else self._zone).replace(tzinfo=None).isoformat()


def _new_value(given: ColumnElement[Any], target: Column[Any], *, is_note: bool) -> Any:
    """Return what a column is set to; NULL leaves it alone, an empty note clears it.

    A note for people is cut to the column's length. A word or an id is not: one that doesn't
    fit is refused by the assignment, and the write is owed.
    """
    if is_note:
        length = _length(target.type)
        fitting = given if length is None else func.left(given, length)
        note = AlikeText(fitting, type_=target.type)
        cleared = [(given == "", None)] if target.nullable else []
        return case((given.is_(None), target), *cleared, else_=note)
    is_text = isinstance(target.type, String) and not isinstance(target.type, types.Enum)
    return AlikeText(given, type_=target.type) if is_text else AsType(given, type_=target.type)


def _length(type_: types.TypeEngine[Any]) -> int | None:
    """Return how many characters surely fit into a text column; None: more than a note has."""
    if isinstance(type_, mysql.TINYTEXT):  # 255 bytes
        return 255 // 4
    return type_.length if isinstance(type_, String) else None


def _check_stays(connection: Connection, settings: TableSettings) -> None:
    """Refuse columns that our own write-back would change: the row would be another message."""
    if settings.columns.status is None:
        return
    changing = dialect_of(connection).changing_columns(connection, *settings.schema_and_table)
    for name in [*settings.columns.key, *filter(None, [settings.columns.created_at])]:
        if name in changing:
            raise MappingError(
                f"Column {name!r} of {settings.name!r} changes with every UPDATE, and says which "
                "message a row is.",
                hint="Map a created_at that only the INSERT sets, or take its ON UPDATE away.",
            )


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
    """Return a key's value as a row of the set says it, see :class:`AsType`."""
    return canonical(value.replace(tzinfo=None) if isinstance(value, datetime) else value)


def _typed(text: str, column: KeyColumn) -> object:
    """Return the value whose canonical text this is."""
    match column.kind:
        case ColumnKind.INTEGER | ColumnKind.BITS:
            return int(text)
        case ColumnKind.NUMERIC:
            return Decimal(text)
        case ColumnKind.BOOLEAN:
            return text.lower() in {"true", "t", "1"}
        case ColumnKind.DATE:
            return date.fromisoformat(text)
        case ColumnKind.TIME:
            return time.fromisoformat(text)
        case ColumnKind.TIMESTAMP:
            return datetime.fromisoformat(text)
        case ColumnKind.TIMESTAMPTZ:
            read = datetime.fromisoformat(text)
            return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
        case ColumnKind.UUID:
            return UUID(text)
        case ColumnKind.BYTES:
            return bytes.fromhex(text.removeprefix("\\x"))
        case _:
            return text
