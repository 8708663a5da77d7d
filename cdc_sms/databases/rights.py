"""Which rights the user lacks, found by trying: statements that concern no row, one a right.

A server checks rights before it looks for rows. So nothing is asked of catalogues that differ from
server to server, and roles, columns and default rights count as they really do.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import (
    ClauseElement,
    Connection,
    Engine,
    column,
    delete,
    false,
    insert,
    select,
    table,
    text,
    update,
)

from cdc_sms.config.settings import LedgerSettings, TableSettings
from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.schema import act, attempt, control, delivery
from cdc_sms.databases.version import VERSION_TABLE
from cdc_sms.errors import MappingError, SetupError

_HEARTBEATS = "cdc_sms_heartbeat"
_WRITTEN = ("status", "provider_message_id", "sent_at", "error_text", "attempts")


@dataclass(frozen=True, slots=True)
class Right:
    """One right, and the statement that needs it."""

    verb: str
    on: str
    columns: tuple[str, ...]
    statement: ClauseElement

    def __str__(self) -> str:
        """Return it as GRANT names it, names unquoted."""
        columns = f" ({', '.join(self.columns)})" if self.columns else ""
        return f"{self.verb}{columns} on {self.on}"


@dataclass(frozen=True, slots=True)
class MissingRight:
    """A right that the user lacks.

    Attributes:
        right: in words.
        grant: the statement that gives it.
    """

    right: str
    grant: str


def missing_rights(
    engine: Engine,
    *,
    table_settings: TableSettings,
    ledger: LedgerSettings,
    captures: bool,
    delivers: bool,
) -> list[MissingRight]:
    """Try every right that a role needs on the business table and the ledger.

    Args:
        engine: connects as the user in question.
        table_settings: the business table.
        ledger: where its own tables are.
        captures: the user reads the log.
        delivers: it writes what became of messages.

    Returns:
        Those that are missing; a table or column that isn't there is another finding's.

    Raises:
        DatabaseUnavailable: the database can't be reached.
    """
    user = in_transaction(engine, _user)
    wanted = (
        *_on_business_table(table_settings, delivers=delivers),
        *_on_ledger(ledger, delivers=delivers),
        *(_on_heartbeats(ledger) if captures and engine.dialect.name != "postgresql" else ()),
    )
    return [
        MissingRight(str(right), _grant(engine, right, user))
        for right in wanted
        if not _is_held(engine, right)
    ]


def _is_held(engine: Engine, right: Right) -> bool:
    def work(connection: Connection) -> None:
        connection.execute(right.statement)  # type: ignore[call-overload]

    try:
        in_transaction(engine, work)
    except MappingError:
        return True
    except SetupError:
        return False
    return True


def _on_business_table(settings: TableSettings, *, delivers: bool) -> Iterator[Right]:
    schema, name = settings.schema_and_table
    mapped = settings.columns.model_dump()
    read = (*mapped.pop("key"), *(value for value in mapped.values() if value))
    written = tuple(mapped[name] for name in _WRITTEN if mapped[name])
    rows = table(name, *(column(name) for name in read), schema=schema)
    on = f"{schema}.{name}"
    looked = select(*rows.c).where(false())
    yield Right("SELECT", on, (), looked)
    if not delivers:
        return
    if written:
        same = {rows.c[name]: rows.c[name] for name in written}
        yield Right("UPDATE", on, written, update(rows).values(same).where(false()))
    else:
        # a row is locked while it is claimed; that takes the right to change something of it
        locked = looked.with_for_update(skip_locked=True)
        yield Right("UPDATE", on, read[:1], locked)


def _on_ledger(settings: LedgerSettings, *, delivers: bool) -> Iterator[Right]:
    version = table(VERSION_TABLE, column("version_num"), schema=settings.ledger_schema)
    on = f"{settings.ledger_schema}.{VERSION_TABLE}"
    yield Right("SELECT", on, (), select(version).where(false()))
    for own in (control, delivery, attempt, act) if delivers else (control,):
        on = f"{settings.ledger_schema}.{own.name}"
        first = next(iter(own.c))
        none = select(*own.c).where(false())
        yield Right("SELECT", on, (), none)
        yield Right("INSERT", on, (), insert(own).from_select([c.name for c in own.c], none))
        yield Right("UPDATE", on, (), update(own).values({first: first}).where(false()))
        if own is control:
            yield Right("DELETE", on, (), delete(own).where(false()))


def _on_heartbeats(settings: LedgerSettings) -> Iterator[Right]:
    names = ("name", "beat", "written_at")
    rows = table(_HEARTBEATS, *map(column, names), schema=settings.ledger_schema)
    on = f"{settings.ledger_schema}.{_HEARTBEATS}"
    none = select(*rows.c).where(false())
    yield Right("SELECT", on, (), none)
    yield Right("INSERT", on, (), insert(rows).from_select(names, none))
    yield Right("UPDATE", on, (), update(rows).values(beat=rows.c.beat).where(false()))
    yield Right("DELETE", on, (), delete(rows).where(false()))


def _grant(engine: Engine, right: Right, user: str) -> str:
    quote = engine.dialect.identifier_preparer.quote_identifier
    columns = ", ".join(quote(name) for name in right.columns)
    schema, _dot, _name = right.on.partition(".")
    on = ".".join(quote(part) for part in right.on.split(".", 1))
    if schema != "public" and engine.dialect.name == "postgresql":
        first = f"GRANT USAGE ON SCHEMA {quote(schema)} TO {user}; "
    else:
        first = ""
    return f"{first}GRANT {right.verb}{f' ({columns})' if columns else ''} ON {on} TO {user};"


def _user(connection: Connection) -> str:
    """Return who we are as GRANT names it."""
    if connection.dialect.name == "postgresql":
        quoted: str = connection.execute(text("SELECT quote_ident(current_user)")).scalar_one()
        return quoted
    user, _, host = str(connection.execute(text("SELECT CURRENT_USER()")).scalar_one()).rpartition(
        "@"
    )
    return f"'{user}'@'{host}'"
