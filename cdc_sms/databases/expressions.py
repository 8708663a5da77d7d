"""The expressions and types that databases write in their own ways, named for what they mean.

Statements are built of these and are the same for every database. How a database writes them
stands in its own file of :mod:`cdc_sms.databases.dialects` and nowhere else: one that is added has
to say all of them, for nothing here has a default.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    DateTime,
    Dialect,
    Insert,
    LargeBinary,
    Select,
    String,
    Table,
    TableValuedAlias,
    Text,
    bindparam,
    case,
    column,
    func,
    types,
)
from sqlalchemy.sql.functions import GenericFunction


class BinaryText(String):
    """A text that compares byte by byte: ``sms/a``, ``sms/A`` and ``sms/a `` are three messages."""


class LongText(Text):
    """A text as long as it is."""


class Instant(types.TypeDecorator[datetime]):
    """A moment, with microseconds: aware and in UTC here, however the database keeps it."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Hand a moment over; where the database knows no zones, in UTC without saying so."""
        if value is None or dialect.name == "postgresql":
            return value
        return _in_utc(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read a moment."""
        del dialect
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def _in_utc(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(tzinfo=None)


class Now(GenericFunction[datetime]):
    """The database's clock, by which claims, leases and due times are counted.

    One moment within a statement; within a transaction it may go on.
    """

    type = Instant()
    package = "cdc_sms"
    inherit_cache = True


class Moment(GenericFunction[datetime]):
    """The database's clock, which goes on within a transaction: when an act began and ended."""

    type = Instant()
    package = "cdc_sms"
    inherit_cache = True


class ReadBy(GenericFunction[str]):
    """Which transactions a statement sees, as text for the dialect's ``snapshot``.

    NULL where the database can't say it: then only a look under a lock, which no transaction
    that is still to become visible lets through, can speak for a record of the log.
    """

    type = Text()
    package = "cdc_sms"
    inherit_cache = True


class LogReached(GenericFunction[int]):
    """How far the server's log is on its disk; NULL where an expression can't ask for that.

    What is only written may be gone after a power failure, though nothing was lost with it.
    """

    type = BigInteger()
    package = "cdc_sms"
    inherit_cache = True


class FromHex(GenericFunction[bytes]):
    """The bytes that a text of hexadecimal digits stands for."""

    type = LargeBinary()
    package = "cdc_sms"
    inherit_cache = True


class AsType(GenericFunction[Any]):
    """A text as a value of a business column's type.

    Args:
        text: canonical, see :func:`cdc_sms.model.message.canonical`; bytes as hexadecimal digits.
        type_: the column's.
    """

    package = "cdc_sms"
    inherit_cache = True


class AlikeText(GenericFunction[Any]):
    """A text as one of a business column's character set and collation.

    So that both can stand in one expression: two columns of different collations can't on MySQL
    and MariaDB. Elsewhere it is the text itself.

    Args:
        text: any.
        type_: the column's, a text.
    """

    package = "cdc_sms"
    inherit_cache = True


class NewestFirst(GenericFunction[Any]):
    """An order: the greatest value first, and NULL last."""

    package = "cdc_sms"
    inherit_cache = True


class GivenRows(GenericFunction[Any]):
    """The rows of a JSON array of objects; what an object lacks is NULL. See :func:`rows_of`."""

    package = "cdc_sms"
    inherit_cache = True


def rows_of(columns: Iterable[tuple[str, types.TypeEngine[Any]]]) -> TableValuedAlias:
    """Return a table of rows that are handed to the statement as one parameter, ``rows``.

    One parameter and one constant statement whatever the number of rows: a set costs one
    round trip and is compiled and planned once.

    Args:
        columns: name and type of each: text (of bytes, see :class:`FromHex`), whole numbers,
            truth values and instants.
    """
    parameter: BindParameter[Any] = bindparam("rows", type_=Text)
    given = [column(name, type_) for name, type_ in columns]
    return GivenRows(parameter, *given).table_valued(*given, name="given")


def as_rows(rows: Sequence[Mapping[str, object]]) -> str:
    """Return the value of the parameter ``rows``."""
    given = [
        {name: _as_json(value) for name, value in row.items() if value is not None} for row in rows
    ]
    return orjson.dumps(given).decode()


def _as_json(value: object) -> object:
    match value:
        case datetime() if value.tzinfo is not None:  # sessions are in UTC
            return _in_utc(value)
        case bytes() | memoryview():
            return bytes(value).hex()
        case _:
            return value


class InsertIfAbsent(Insert):
    """An INSERT that leaves rows alone that are there already; see :func:`insert_if_absent`."""

    inherit_cache = True


def insert_if_absent(table: Table) -> InsertIfAbsent:
    """Return an INSERT that leaves rows alone that are there already, by their primary key.

    A row that another transaction inserts at the same time is waited for.
    """
    return InsertIfAbsent(table)


def locking(statement: Select[Any]) -> Select[Any]:
    """Return a SELECT that locks the rows it finds, waiting for those that others hold."""
    return statement.with_for_update()


def locking_what_is_free(statement: Select[Any]) -> Select[Any]:
    """Return a SELECT that locks the rows it finds, and leaves out those that others hold."""
    return statement.with_for_update(skip_locked=True)


def locking_at_once(statement: Select[Any]) -> Select[Any]:
    """Return a SELECT that locks the rows it finds, and fails if others hold any of them.

    It fails as well on what a transaction has deleted or inserted that isn't visible yet.
    """
    return statement.with_for_update(nowait=True)


def count_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """Return how many rows a condition is true of."""
    return func.count(case((condition, 1)))
