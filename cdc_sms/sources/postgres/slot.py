"""Slot and publication: looked at, made and dropped; the reader's statements about the server."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from cdc_sms.config.settings import CaptureSettings, TableSettings
from cdc_sms.errors import SetupError, SourceUnavailable
from cdc_sms.model.position import Lsn
from cdc_sms.sources.base import Found, HeldByAnother, LogState
from cdc_sms.sources.postgres.connection import Connection, errors_mapped
from cdc_sms.sources.postgres.inspection import (
    PLUGIN,
    Facts,
    lost_because,
    publication_command,
    raise_findings,
)
from cdc_sms.sources.postgres.pgoutput import Column
from cdc_sms.sources.postgres.values import FIRST_USER_TYPE, BaseType

_OPTIONS_IN_BRACKETS = 150_000
_FAILOVER_SLOTS = 170_000

_FACTS = """
SELECT jsonb_build_object(
    'version', current_setting('server_version_num')::int,
    'wal_level', current_setting('wal_level'),
    'user', current_user,
    'database', current_database(),
    'may_replicate', (
        SELECT rolreplication OR rolsuper OR EXISTS (
            SELECT FROM pg_roles managed
            WHERE managed.rolname = 'rds_replication' AND pg_has_role(managed.oid, 'member'))
        FROM pg_roles WHERE rolname = current_user),
    'free_slots', current_setting('max_replication_slots')::int
        - (SELECT count(*) FROM pg_replication_slots),
    'table', (
        SELECT jsonb_build_object(
            'kind', c.relkind,
            'key', (
                SELECT jsonb_agg(a.attname ORDER BY k.place)
                FROM pg_index i
                CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
                JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts),
            'unique', (
                SELECT (
                    SELECT jsonb_agg(a.attname ORDER BY k.place)
                    FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
                    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number)
                FROM pg_index i JOIN pg_class ci ON ci.oid = i.indexrelid
                WHERE i.indrelid = c.oid AND i.indisunique AND 0 <> ALL (i.indkey::int2[])
                ORDER BY i.indisclustered DESC, ci.relname LIMIT 1),
            'may_select', has_table_privilege(c.oid, 'SELECT'))
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %(schema)s AND c.relname = %(table)s),
    'publication', (
        SELECT to_jsonb(p) || jsonb_build_object('tables', (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'schema', n.nspname,
                'name', c.relname,
                'filtered', to_jsonb(r)->>'prqual' IS NOT NULL,
                'cut', to_jsonb(r)->>'prattrs' IS NOT NULL)), '[]')
            FROM pg_publication_rel r
            JOIN pg_class c ON c.oid = r.prrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE r.prpubid = p.oid))
        FROM pg_publication p WHERE p.pubname = %(publication)s),
    'slot', (SELECT to_jsonb(s) FROM pg_replication_slots s WHERE s.slot_name = %(slot)s))
"""
# The rows as JSON, so that columns that only newer servers have are simply absent on older ones.

_COLUMNS = """
SELECT a.attname::text, a.atttypid::bigint, a.atttypmod,
    a.attnotnull OR (SELECT typnotnull FROM pg_type WHERE oid = a.atttypid)
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""

_REQUIRED = """
SELECT a.attname::text FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s AND a.attnum > 0 AND (a.attnotnull OR t.typnotnull)
"""

_BASE_TYPES = """
WITH RECURSIVE base AS (
    SELECT oid AS asked, oid, -1 AS modifier FROM pg_type WHERE oid = ANY(%s::oid[])
    UNION ALL
    SELECT base.asked, t.typbasetype, CASE WHEN base.modifier < 0
        THEN t.typtypmod ELSE base.modifier END
    FROM base JOIN pg_type t ON t.oid = base.oid AND t.typtype = 'd')
SELECT base.asked::bigint, t.oid::bigint, base.modifier, coalesce(e.typname, t.typname)::text,
    coalesce(e.typtype, t.typtype)::text, e.oid IS NOT NULL
FROM base JOIN pg_type t ON t.oid = base.oid AND t.typtype <> 'd'
LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
"""

_OLDEST_TRANSACTION = """
SELECT pid, xact_start FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
UNION ALL
SELECT NULL, prepared FROM pg_prepared_xacts
ORDER BY 2 LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The table as the catalogue describes it.

    Attributes:
        columns: in the table's order, generated ones too.
        key: the primary key's columns, in the key's order.
    """

    columns: tuple[Column, ...]
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewSlot:
    """A slot that was just made: where it begins, and the name of a snapshot as of there."""

    consistent_point: Lsn
    snapshot: str


class Slot:
    """The slot and the publication of one table.

    Args:
        table: the business table.
        capture: the names of slot and publication.

    Thread: one owner; it holds no connection.
    """

    def __init__(self, *, table: TableSettings, capture: CaptureSettings) -> None:
        self._table = table
        self._capture = capture

    def inspect(self, connection: Connection) -> Found:
        """Check everything and say what the slot is good for.

        Raises:
            SetupError: all findings at once, each with its remedy.
            HeldByAnother: the slot is active.
            SourceUnavailable: the connection was lost.
        """
        facts = self.facts(connection)
        raise_findings(facts, self._table, self._capture)
        slot = facts["slot"]
        if slot is None:
            return Found(LogState.ABSENT)
        if slot["active_pid"] is not None:
            raise HeldByAnother(
                f"The slot {self._capture.slot} is read through the server's process "
                f"{slot['active_pid']}.",
                hint="Nothing needs to be done: it takes over when that one ends.",
            )
        reason = lost_because(facts)
        return Found(LogState.USABLE) if reason is None else Found(LogState.LOST, reason)

    def describe(self, connection: Connection) -> Catalogue:
        """Read the table's columns and key; the inspection has shown that they are there.

        Raises:
            SourceUnavailable: the connection was lost.
        """
        with errors_mapped("Reading the table's columns"):
            columns = connection.execute(_COLUMNS, self._table.schema_and_table).fetchall()
        table = self.facts(connection)["table"] or {}
        # as Debezium does; the inspection lets no table pass that has no primary key
        key = table.get("key") or table.get("unique")
        return Catalogue(tuple(Column(*column) for column in columns), tuple(key or ()))

    def make(self, replication: Connection, connection: Connection) -> NewSlot:
        """Make the publication if it is missing, then the slot.

        In that order: the server would not know the publication where the slot begins.

        Args:
            replication: makes the slot; the snapshot lives until its next command.
            connection: any other.

        Raises:
            SourceUnavailable: an older transaction is in the way; the message names it.
            HeldByAnother: another reader made the slot at the same time.
            SetupError: a right is missing.
        """
        self._make_publication(connection)
        try:
            with errors_mapped(f"Making the replication slot {self._capture.slot}"):
                made = replication.execute(self._creation(replication, connection)).fetchone()
        except SourceUnavailable as error:
            if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                raise self._blocked(connection) from error
            raise
        assert made is not None
        return NewSlot(Lsn.parse(made[1]), made[2])

    def drop(self, connection: Connection) -> None:
        """Drop the slot, if there is one.

        Raises:
            HeldByAnother: it is active.
        """
        with (
            errors_mapped(f"Dropping the replication slot {self._capture.slot}"),
            suppress(psycopg.errors.UndefinedObject),
        ):
            connection.execute("SELECT pg_drop_replication_slot(%s)", (self._capture.slot,))

    def start_command(self) -> bytes:
        """Return the command that begins the stream.

        It asks for 0/0: the server then begins where the slot was confirmed last, the one place
        where our position is kept.
        """
        command = sql.SQL(
            "START_REPLICATION SLOT {} LOGICAL 0/0 "
            "(proto_version '1', publication_names {}, messages 'true')"
        ).format(sql.Identifier(self._capture.slot), sql.Literal(f'"{self._capture.publication}"'))
        return command.as_bytes(None)

    def facts(self, connection: Connection) -> Facts:
        """Read what :mod:`~cdc_sms.sources.postgres.inspection` judges.

        Raises:
            SourceUnavailable: the connection was lost.
        """
        schema, name = self._table.schema_and_table
        asked = {
            "schema": schema,
            "table": name,
            "publication": self._capture.publication,
            "slot": self._capture.slot,
        }
        with errors_mapped("Inspecting PostgreSQL"):
            found = connection.execute(_FACTS, asked).fetchone()
        assert found is not None
        facts: Facts = found[0]
        return facts

    def _creation(self, replication: Connection, connection: Connection) -> sql.Composed:
        version = replication.info.server_version
        options = "EXPORT_SNAPSHOT"
        if version >= _OPTIONS_IN_BRACKETS:
            options = "(SNAPSHOT 'export')"
        if version >= _FAILOVER_SLOTS and not _is_standby(connection):
            options = "(SNAPSHOT 'export', FAILOVER true)"
        return sql.SQL("CREATE_REPLICATION_SLOT {} LOGICAL {} {}").format(
            sql.Identifier(self._capture.slot), sql.SQL(PLUGIN), sql.SQL(options)
        )

    def _make_publication(self, connection: Connection) -> None:
        if self.facts(connection)["publication"] is not None:
            return
        command = publication_command(self._table, self._capture)
        try:
            with errors_mapped(f"Making the publication {self._capture.publication}"):
                connection.execute(command.encode())
        except SetupError as error:
            raise SetupError(
                error.message, hint=f"Let the table's owner run: {command};"
            ) from error

    def _blocked(self, connection: Connection) -> SourceUnavailable:
        with errors_mapped("Looking for the oldest transaction"):
            found = connection.execute(_OLDEST_TRANSACTION).fetchone()
        pid = found[0] if found else None
        whose = f"that of the server's process {pid}" if pid else "a prepared one"
        return SourceUnavailable(
            f"The slot {self._capture.slot} can't be made while an older transaction is open: "
            f"{whose}.",
            hint=(
                "Let it end; capture tries again by itself. "
                + (f"SELECT pg_terminate_backend({pid}); ends it by force." if pid else "")
            ).strip(),
        )


def base_types(connection: Connection, columns: Sequence[Column]) -> Mapping[int, BaseType]:
    """Return what the catalogue says of those of the columns' types that aren't built in.

    Raises:
        SourceUnavailable: the connection was lost.
    """
    asked = [column.type_id for column in columns if column.type_id >= FIRST_USER_TYPE]
    if not asked:
        return {}
    with errors_mapped("Reading the columns' types"):
        found = connection.execute(_BASE_TYPES, (asked,)).fetchall()
    return {asked: BaseType(*described) for asked, *described in found}


def required(connection: Connection, table: int) -> frozenset[str]:
    """Return the columns that are NOT NULL of the table with this object id.

    Raises:
        SourceUnavailable: the connection was lost.
    """
    with errors_mapped("Reading which columns are NOT NULL"):
        found = connection.execute(_REQUIRED, (table,)).fetchall()
    return frozenset(name for (name,) in found)


def _is_standby(connection: Connection) -> bool:
    with errors_mapped("Looking whether the server is a standby"):
        found = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    return bool(found and found[0])
