"""Slot and publication: what the server must have, whether it is so, and how it is made.

Every SQL statement of the reader but the snapshot's stands here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from cdc_sms.config.settings import CaptureSettings, TableSettings
from cdc_sms.errors import PositionLost, SetupError, SourceUnavailable
from cdc_sms.model.position import Lsn
from cdc_sms.sources.base import Found, HeldByAnother, LogState
from cdc_sms.sources.postgres.connection import Connection, errors_mapped
from cdc_sms.sources.postgres.pgoutput import Column
from cdc_sms.sources.postgres.values import FIRST_USER_TYPE

PLUGIN = "pgoutput"
LOCK_TIMEOUT_S = 10
"""How long the creation of a slot waits for transactions that are older than it; seconds."""

_OLDEST_SERVER = 140_000
_HAS_TWO_PHASE_SYNTAX = 150_000
_HAS_CONFLICTS = 160_000
_HAS_FAILOVER = 170_000


@dataclass(frozen=True, slots=True)
class Layout:
    """The table as the catalogue describes it.

    Attributes:
        columns: in the table's order, generated ones too.
        key: the primary key's columns, in the key's order.
        is_partitioned: rows lie in partitions and are published as the whole table's.
    """

    columns: tuple[Column, ...]
    key: tuple[str, ...]
    is_partitioned: bool


@dataclass(frozen=True, slots=True)
class NewSlot:
    """A slot that was just made: where it begins, and a snapshot of the database as it is there."""

    consistent_point: Lsn
    snapshot: str


class SlotKeeper:
    """Looks at, makes and drops the slot and the publication of one table.

    Args:
        table: the business table.
        capture: the names of slot and publication.

    Thread: one owner; it holds no connection.
    """

    def __init__(self, *, table: TableSettings, capture: CaptureSettings) -> None:
        self._table = table
        self._schema, self._name = table.schema_and_table
        self._slot = capture.slot
        self._publication = capture.publication

    def inspect(self, connection: Connection) -> Found:
        """Check everything and say what the slot is good for.

        Raises:
            SetupError: all findings at once, each with its remedy.
            HeldByAnother: the slot is active.
            SourceUnavailable: the connection was lost.
        """
        with errors_mapped("Inspecting PostgreSQL"):
            findings = list(self._findings(connection))
            if findings:
                raise SetupError(
                    " ".join(said for said, _ in findings),
                    hint=" ".join(remedy for _, remedy in findings),
                )
            return self._state(connection)

    def layout(self, connection: Connection) -> Layout:
        """Read the table's columns and key.

        Raises:
            SourceUnavailable: the connection was lost.
            SetupError: there is no such table (any more).
        """
        with errors_mapped("Reading the table's columns"):
            found = connection.execute(_TABLE, (self._schema, self._name)).fetchone()
            if found is None:
                raise SetupError(*_no_table(self._table.name))
            oid, kind, key = found
            columns = connection.execute(_COLUMNS, (oid,)).fetchall()
        return Layout(
            columns=tuple(Column(*column) for column in columns),
            key=tuple(key or ()),
            is_partitioned=kind == "p",
        )

    def make(self, replication: Connection, connection: Connection) -> NewSlot:
        """Make the publication if it is missing, then the slot; the order matters to the server.

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
            with errors_mapped(f"Making the replication slot {self._slot}"):
                replication.execute(
                    sql.SQL("SET lock_timeout = {}").format(f"{LOCK_TIMEOUT_S}s")
                )
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
            errors_mapped(f"Dropping the replication slot {self._slot}"),
            suppress(psycopg.errors.UndefinedObject),
        ):
            connection.execute("SELECT pg_drop_replication_slot(%s)", (self._slot,))

    def start_command(self) -> bytes:
        """Return the command that begins the stream at the slot's own position.

        The position asked for is 0/0: the server then begins where the slot was confirmed,
        which is the only place where a position of ours is kept.
        """
        command = sql.SQL(
            "START_REPLICATION SLOT {} LOGICAL 0/0 (proto_version '1', publication_names {})"
        ).format(sql.Identifier(self._slot), sql.Literal(f'"{self._publication}"'))
        return command.as_bytes()

    # findings

    def _findings(self, connection: Connection) -> Iterator[tuple[str, str]]:
        version = connection.info.server_version
        if version < _OLDEST_SERVER:
            yield (
                f"The server is PostgreSQL {version // 10_000}.",
                "Capture needs PostgreSQL 14 or newer.",
            )
            return
        yield from self._server_findings(connection)
        yield from self._table_findings(connection)
        yield from self._publication_findings(connection)
        yield from self._slot_findings(connection)

    def _server_findings(self, connection: Connection) -> Iterator[tuple[str, str]]:
        found = connection.execute(_SERVER).fetchone()
        assert found is not None
        wal_level, may_replicate, user, free_slots = found
        if wal_level != "logical":
            yield (
                f"wal_level is {wal_level}.",
                "Run ALTER SYSTEM SET wal_level = 'logical'; and restart the server (on managed "
                "services: rds.logical_replication = 1, cloudsql.logical_decoding = on).",
            )
        if not may_replicate:
            role = sql.Identifier(user).as_string()
            yield (
                f"The user {user} may not replicate.",
                f"Run ALTER ROLE {role} REPLICATION; (on RDS: GRANT rds_replication TO {role};).",
            )
        if free_slots < 1 and self._slot_row(connection) is None:
            yield (
                "No replication slot is free.",
                "Drop a slot that nobody uses, or raise max_replication_slots and restart.",
            )

    def _table_findings(self, connection: Connection) -> Iterator[tuple[str, str]]:
        found = connection.execute(_TABLE, (self._schema, self._name)).fetchone()
        if found is None:
            said, remedy = _no_table(self._table.name), ""
            yield said[0], said[1]
            return
        oid, kind, key = found
        mapped = self._table.columns.key
        quoted = sql.Identifier(self._schema, self._name).as_string()
        if kind not in ("r", "p"):
            yield f"{self._table.name} is no table.", "Name a table in table.name, not a view."
        elif not key:
            columns = sql.SQL(", ").join(map(sql.Identifier, mapped)).as_string()
            yield (
                f"The table {self._table.name} has no primary key.",
                f"Run ALTER TABLE {quoted} ADD PRIMARY KEY ({columns});",
            )
        elif sorted(key) != sorted(mapped):
            yield (
                f"The primary key of {self._table.name} is ({', '.join(key)}), "
                f"and mapped is ({', '.join(mapped)}).",
                "Set table.columns.key to the primary key.",
            )
        if not connection.execute(_MAY_SELECT, (oid,)).fetchone():
            yield (
                f"The user may not read {self._table.name}.",
                f"Run GRANT SELECT ON {quoted} TO the user of source.dsn;",
            )

    def _publication_findings(self, connection: Connection) -> Iterator[tuple[str, str]]:
        found = connection.execute(_PUBLICATION, (self._publication,)).fetchone()
        if found is None:
            return
        all_tables, inserts, others, via_root, tables = found
        table = connection.execute(_TABLE, (self._schema, self._name)).fetchone()
        partitioned = table is not None and table[1] == "p"
        wrong = [
            words
            for words, is_wrong in (
                ("publishes all tables", all_tables),
                ("publishes no inserts", not inserts),
                ("publishes more than inserts", others),
                ("publishes other tables", not all_tables and tables != [[self._schema, self._name]]),
                ("publishes partitions under their own names", partitioned and not via_root),
            )
            if is_wrong
        ]
        if wrong:
            name = sql.Identifier(self._publication).as_string()
            yield (
                f"The publication {self._publication} {', '.join(wrong)}.",
                f"Run DROP PUBLICATION {name}; {self._publication_command().as_string()}; "
                "or set capture.publication to another name.",
            )

    def _slot_findings(self, connection: Connection) -> Iterator[tuple[str, str]]:
        row = self._slot_row(connection)
        if row is None:
            return
        another = "Set capture.slot to another name, or drop the slot if nobody uses it."
        if row["slot_type"] != "logical":
            yield f"The slot {self._slot} is a physical one.", another
        elif row["plugin"] != PLUGIN:
            yield f"The slot {self._slot} is of the plugin {row['plugin']}.", another
        elif row["database"] != connection.info.dbname:
            yield f"The slot {self._slot} is of the database {row['database']}.", another

    # the slot's state

    def _state(self, connection: Connection) -> Found:
        row = self._slot_row(connection)
        if row is None:
            return Found(LogState.ABSENT)
        if row["active_pid"] is not None:
            raise HeldByAnother(
                f"The slot {self._slot} is read by the server's process {row['active_pid']}.",
                hint="Nothing needs to be done: it takes over when the other one ends.",
            )
        if reason := row["lost"]:
            return Found(LogState.LOST, str(reason))
        if connection.execute(_PUBLICATION, (self._publication,)).fetchone() is None:
            # the server reads the log with the catalogue of its time: a publication made now
            # doesn't exist yet where the slot stands
            return Found(LogState.LOST, "the publication was dropped")
        return Found(LogState.USABLE)

    def _slot_row(self, connection: Connection) -> Mapping[str, object] | None:
        version = connection.info.server_version
        cursor = connection.execute(_slot_query(version), (self._slot,))
        row = cursor.fetchone()
        if row is None or cursor.description is None:
            return None
        return dict(zip((column.name for column in cursor.description), row, strict=True))

    # making

    def _creation(self, replication: Connection, connection: Connection) -> sql.Composed:
        version = replication.info.server_version
        options = "(SNAPSHOT 'export')" if version >= _HAS_TWO_PHASE_SYNTAX else "EXPORT_SNAPSHOT"
        if version >= _HAS_FAILOVER and not _is_standby(connection):
            options = "(SNAPSHOT 'export', FAILOVER true)"
        return sql.SQL("CREATE_REPLICATION_SLOT {} LOGICAL {} {}").format(
            sql.Identifier(self._slot), sql.SQL(PLUGIN), sql.SQL(options)
        )

    def _make_publication(self, connection: Connection) -> None:
        with errors_mapped("Looking for the publication"):
            if connection.execute(_PUBLICATION, (self._publication,)).fetchone() is not None:
                return
        command = self._publication_command()
        try:
            with errors_mapped(f"Making the publication {self._publication}"):
                connection.execute(command)
        except SetupError as error:
            raise SetupError(
                error.message,
                hint=f"Let the table's owner run: {command.as_string()};",
            ) from error

    def _publication_command(self) -> sql.Composed:
        return sql.SQL(
            "CREATE PUBLICATION {} FOR TABLE {} "
            "WITH (publish = 'insert', publish_via_partition_root = true)"
        ).format(sql.Identifier(self._publication), sql.Identifier(self._schema, self._name))

    def _blocked(self, connection: Connection) -> SourceUnavailable:
        with errors_mapped("Looking for the oldest transaction"):
            oldest = connection.execute(_OLDEST_TRANSACTION).fetchone()
        who = f"that of the server's process {oldest[0]}, {oldest[1]} s old" if oldest else "one"
        return SourceUnavailable(
            f"The slot {self._slot} can't be made while an older transaction is open: {who}.",
            hint=(
                "End it, for example by SELECT pg_terminate_backend"
                f"({oldest[0] if oldest else '<pid>'}); capture tries again by itself."
            ),
        )


def base_types(
    connection: Connection, columns: Sequence[Column]
) -> Mapping[int, tuple[int, int]]:
    """Return the base type and its modifier of each domain among the columns' types.

    Raises:
        SourceUnavailable: the connection was lost.
    """
    asked = [column.type_id for column in columns if column.type_id >= FIRST_USER_TYPE]
    if not asked:
        return {}
    with errors_mapped("Reading the columns' types"):
        found = connection.execute(_BASE_TYPES, (asked,)).fetchall()
    return {domain: (base, modifier) for domain, base, modifier in found}


def position_lost(keeper: SlotKeeper, connection: Connection) -> PositionLost | None:
    """Return why the slot is lost, if it is.

    Raises:
        SourceUnavailable: the connection was lost.
        SetupError: something else is wrong.
    """
    found = keeper.inspect(connection)
    if found.state is LogState.USABLE:
        return None
    return PositionLost(
        f"The replication slot is lost: {found.reason or 'it was dropped'}.",
        hint="The slot is made anew, and pending rows are captured.",
    )


def _is_standby(connection: Connection) -> bool:
    found = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    return bool(found and found[0])


def _no_table(name: str) -> tuple[str, str]:
    return (f"There is no table {name}.", "Check table.name and the database in source.dsn.")


def _slot_query(version: int) -> sql.SQL:
    if version >= _HAS_FAILOVER:
        reason = sql.SQL("coalesce(invalidation_reason, nullif(wal_status, 'reserved'))")
        lost = "CASE WHEN wal_status = 'lost' OR invalidation_reason IS NOT NULL THEN {} END"
    return _SLOT


_SERVER = """
SELECT current_setting('wal_level'),
       rolreplication OR rolsuper OR EXISTS (
           SELECT 1 FROM pg_roles managed
           WHERE managed.rolname = 'rds_replication' AND pg_has_role(managed.oid, 'member')),
       current_user,
       current_setting('max_replication_slots')::int
           - (SELECT count(*) FROM pg_replication_slots)::int
FROM pg_roles WHERE rolname = current_user
"""
_TABLE = """
SELECT c.oid, c.relkind::text,
       (SELECT array_agg(a.attname::text ORDER BY k.place)
        FROM pg_index i
             CROSS JOIN unnest(i.indkey::int[]) WITH ORDINALITY AS k(number, place)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
        WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s
"""
_COLUMNS = """
SELECT attname::text, atttypid::bigint, atttypmod FROM pg_attribute
WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
