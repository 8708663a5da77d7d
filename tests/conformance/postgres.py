"""PostgreSQL under one run: a fresh database, the file's session, our reader, a count."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import pq, sql
from sqlalchemy import Engine
from support.fixtures.databases import PostgresDatabase

from cdc_sms.config.settings import Sections, TableSettings
from cdc_sms.databases.engine import open_engine
from cdc_sms.envelope.encode import EncodedRecord, Encoder
from cdc_sms.model.clock import SystemClock
from cdc_sms.runtime.capture import build_source_block
from cdc_sms.sources.base import Batch
from cdc_sms.sources.postgres.connection import connect, take_bytes_as_they_are
from cdc_sms.sources.postgres.pgoutput import Column, Decoder, Relation, parse_relation
from cdc_sms.sources.postgres.slot import Slot, base_types, required
from cdc_sms.sources.postgres.values import BaseType
from cdc_sms.sources.postgres.wire import Wire
from conformance.compare import Difference
from conformance.database import StatementError, Table, sections
from conformance.site import CAUGHT_UP_S, MARKER
from conformance.statements import Statement

PUBLICATION = "cdc_sms"
OURS, COUNTING, DEBEZIUM = "ours", "counting", "debezium"

_TABLES = """
SELECT n.nspname, c.relname,
    (SELECT array_agg(a.attname::text) FROM pg_attribute a
        LEFT JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_type e ON e.oid = CASE WHEN t.typcategory = 'A' THEN t.typelem
            WHEN t.typtype = 'd' THEN t.typbasetype END
        LEFT JOIN pg_type f ON f.oid = e.typbasetype
        WHERE a.attrelid = c.oid AND a.attnum > 0
        AND 'float4'::regtype IN (t.oid, e.oid, f.oid))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


class Postgres:
    """One fresh database of a server, for one run.

    Args:
        database: fresh.
        bootstrap: the broker.
        prefix: of the run's topics.
    """

    def __init__(self, database: PostgresDatabase, *, bootstrap: str, prefix: str) -> None:
        self._database = database
        self._stack = ExitStack()
        self._mark = 0
        self.stops: list[Difference] = []
        self._names: dict[bytes, str] = {}
        self._with_rows: set[str] = set()
        password = quote(database.server.password, safe="")
        server = database.server
        self.sections = sections(
            dsn=f"postgresql://{server.user}@{server.host}:{server.port}/{database.name}"
            "?options=-c%20wal_sender_timeout%3D0",
            password=password,
            bootstrap=bootstrap,
            prefix=prefix,
            slot=self._slot(OURS),
            table=f"{MARKER}.{MARKER}",
        )
        self.connector_changes: Mapping[str, str] = {
            "database.password": server.password,
            "slot.name": self._slot(DEBEZIUM),
            "errors.max.retries": "0",  # what stops it is told at once
            "table.include.list": "",
        }

    def __enter__(self) -> Self:
        opened = self._stack
        dsn = self._database.dsn
        self._own = opened.enter_context(closing(psycopg.connect(dsn, autocommit=True)))
        opened.callback(self._give_up_prepared)
        # what is committed so is seen before it is in the log: Debezium looks up the key of a
        # table that was made in the same transaction, and may be faster than its COMMIT
        self._files = opened.enter_context(
            closing(psycopg.connect(dsn, autocommit=True, options="-c synchronous_commit=off"))
        )
        self._files.prepare_threshold = None  # a statement that comes often is still its text
        # a schema of its own: the file may drop the one that every database has
        self._own.execute(f"CREATE SCHEMA {MARKER}")
        self._own.execute(
            f"CREATE TABLE {MARKER}.{MARKER}"
            " (id bigint PRIMARY KEY, recipient text, body text, status text)"
        )
        self._own.execute(
            f"CREATE PUBLICATION {PUBLICATION} FOR ALL TABLES"
            " WITH (publish = 'insert', publish_via_partition_root = true)"
        )
        for use in (OURS, COUNTING):
            self._own.execute(
                "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (self._slot(use),)
            )
        self._reader = opened.enter_context(closing(Reader(self.sections)))
        self.engine: Engine = open_engine(
            self.sections.source, self.sections.ledger, role="conformance"
        )
        opened.callback(self.engine.dispose)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def in_transaction(self) -> bool:
        """Say whether the file's session is within a transaction."""
        return self._files.info.transaction_status is not pq.TransactionStatus.IDLE

    def prepare(self, statement: Statement) -> None:
        """Commit nothing: here tables are made and changed within transactions too."""

    def run(self, statement: Statement) -> None:
        """Run one statement of the file.

        Raises:
            StatementError: the server refuses it.
        """
        text = statement.text.encode()
        try:
            if statement.data is not None:
                with self._files.cursor().copy(text) as copy:
                    copy.write(statement.data.encode())
            elif statement.copies_out:
                with self._files.cursor().copy(text) as copy:
                    for _ in copy:
                        pass
            else:
                self._files.execute(text)
        except psycopg.Error as error:
            raise StatementError(statement, str(error).strip()) from error

    def end(self) -> None:
        """Roll back what the file left open."""
        self._files.execute("ROLLBACK")

    def _give_up_prepared(self) -> None:
        """Roll back what the file prepared and left: no database is dropped while it stands."""
        with suppress(psycopg.OperationalError):  # the server is gone
            left = self._own.execute(
                "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
            ).fetchall()
            for (gid,) in left:
                self._own.execute(sql.SQL("ROLLBACK PREPARED {}").format(gid))

    def mark(self) -> int:
        """Write a mark into the log; return its number."""
        self._mark += 1
        self._own.execute(
            f"INSERT INTO {MARKER}.{MARKER} (id) VALUES (%s)",
            (self._mark,),
        )
        return self._mark

    def captured(self, mark: int) -> list[EncodedRecord]:
        """Return what our reader makes of the log up to a mark."""
        return self._reader.read_up_to(mark)

    def inserted(self, *, may_remove: bool) -> Counter[str]:
        """Return how many rows the server itself has in its log since the last time, by table."""
        del may_remove  # the log tells either way
        messages = self._own.execute(
            "SELECT CASE get_byte(data, 0) WHEN 82 THEN data ELSE substr(data, 1, 5) END"
            " FROM pg_logical_slot_get_binary_changes(%s, NULL, NULL,"
            " 'proto_version', '1', 'publication_names', %s)",
            (self._slot(COUNTING), PUBLICATION),
        ).fetchall()
        rows: Counter[str] = Counter()
        for (message,) in messages:
            kind, relation = message[:1], message[1:5]
            if kind == b"R":
                self._names[relation] = self._name(relation, parse_relation(message))
            elif kind == b"I":
                rows[self._names[relation]] += 1
        del rows[f"{MARKER}.{MARKER}"], rows[""]  # a table without columns nobody captures
        self._with_rows = set(rows)
        return rows

    def tables(self) -> Mapping[str, Table]:
        """Return the tables with new rows that are there now, by schema and name."""
        found = {}
        for schema, name, reals in self._own.execute(_TABLES).fetchall():
            if f"{schema}.{name}" not in self._with_rows:
                continue
            key = Slot(table=_named(schema, name), capture=self.sections.capture).describe(
                self._own
            )
            found[f"{schema}.{name}"] = Table(schema, name, key.key, tuple(reals or ()))
        return found

    def _name(self, number: bytes, relation: Relation) -> str:
        """Return the name that the readers are told: an open stream is late to know a schema's."""
        told = self._reader.names.get(number, [])
        if not (relation.columns and told):
            return ""
        name = f"{relation.schema}.{relation.name}"
        return name if name in told else told[-1]

    def _slot(self, use: str) -> str:
        return f"{self._database.name}_{use}"


class NamedTable(TableSettings):
    """A table whose names may hold dots."""

    names: tuple[str, str]

    @property
    def schema_and_table(self) -> tuple[str, str]:
        """Return both names as they were given."""
        return self.names


def _named(schema: str, name: str) -> TableSettings:
    columns = {"key": "-k", "recipient": "-r", "text": "-t"}
    return NamedTable.model_validate({"name": name, "names": (schema, name), "columns": columns})


class Reader:
    """The built-in reader on every table: its connection, and a decoder for each table.

    The product reads one table, and its publication says which. Here each relation of the
    stream has a decoder of its own; transactions are told to all of them.

    Args:
        settings: the configuration.

    Attributes:
        names: each relation's schemas and names as the stream told them, by its number.
    """

    def __init__(self, settings: Sections) -> None:
        self._settings = settings
        self._encoder = Encoder(
            source=build_source_block(settings),
            max_record_bytes=settings.capture.max_record_bytes,
        )
        self._clock = SystemClock()
        self._stack = ExitStack()
        self._queries = self._stack.enter_context(closing(connect(settings.source)))
        replication = self._stack.enter_context(closing(connect(settings.source, replication=True)))
        take_bytes_as_they_are(replication)
        slot = Slot(table=settings.table, capture=settings.capture)
        self._wire = Wire(replication, doing="Reading PostgreSQL's log")
        self._wire.begin(slot.start_command())
        self._wire.await_start()
        self._decoders: dict[bytes, Decoder] = {}
        self._keyed: set[bytes] = set()
        self._empty: set[bytes] = set()
        self._begun: list[bytes] = []
        self.names: dict[bytes, list[str]] = {}

    def read_up_to(self, mark: int) -> list[EncodedRecord]:
        """Return the records of everything up to a mark."""
        records: list[EncodedRecord] = []
        while True:
            message = self._wire.receive()
            if message is None:
                if not self._wire.wait(CAUGHT_UP_S):
                    raise TimeoutError("our reader does not come to the mark")
                continue
            batch = Batch()
            self._take(message, batch)
            for row in batch.rows:
                if message[26:30] in self._empty:
                    continue
                if row.table.name == MARKER:
                    if row.values[0] == mark:
                        return records
                    continue
                record = self._encoder.encode(row, now_us=self._now_us())
                has_key = message[26:30] in self._keyed
                records.append(record if has_key else record._replace(key=None))

    def close(self) -> None:
        """Let the slot go."""
        self._stack.close()

    def _take(self, message: bytes, batch: Batch) -> None:
        kind, relation = message[25:26], message[26:30]
        if message[:1] != b"w":
            return
        if kind == b"R":
            self._decoders[relation] = self._decoder(relation, message[25:])
            for former in self._begun:
                self._decoders[relation].take(former, Batch())
            self._decoders[relation].take(message, batch)
        elif kind == b"I":
            self._decoders[relation].take(message, batch)
        elif kind in (b"B", b"O", b"C"):
            self._begun = {b"B": [message], b"O": [*self._begun, message], b"C": []}[kind]
            for decoder in self._decoders.values():
                decoder.take(message, Batch())

    def _decoder(self, number: bytes, body: bytes) -> Decoder:
        relation = parse_relation(body)
        self.names.setdefault(number, []).append(f"{relation.schema}.{relation.name}")
        slot = Slot(table=_named(relation.schema, relation.name), capture=self._settings.capture)
        names = {column.name for column in relation.columns}
        key = [column for column in slot.describe(self._queries).key if column in names]
        (self._keyed.add if key else self._keyed.discard)(number)
        (self._empty.discard if relation.columns else self._empty.add)(number)
        return Decoder(
            key=tuple(key),
            slot="conformance",
            base_types=self._base_types,
            required=lambda table: required(self._queries, table),
        )

    def _base_types(self, columns: Sequence[Column]) -> Mapping[int, BaseType]:
        return base_types(self._queries, columns)

    def _now_us(self) -> int:
        return int(self._clock.now().timestamp() * 1_000_000)
