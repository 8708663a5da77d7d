"""MySQL and MariaDB under one run: a fresh database, the file's session, our reader, a count."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from typing import Any, Self

import pymysql
from pymysql.constants import CLIENT, SERVER_STATUS
from sqlalchemy import Engine
from support.fixtures.binlog_databases import BinlogDatabase

from cdc_sms.databases.engine import open_engine
from cdc_sms.envelope.encode import EncodedRecord, Encoder
from cdc_sms.errors import CdcSmsError
from cdc_sms.model.captured_row import BinlogTransaction, CapturedRow
from cdc_sms.model.clock import SystemClock
from cdc_sms.runtime.capture import build_source_block
from cdc_sms.sources.base import Batch
from cdc_sms.sources.binlog import server as servers
from cdc_sms.sources.binlog.connection import close, connect
from cdc_sms.sources.binlog.dictionary import Dictionary
from cdc_sms.sources.binlog.position import BinlogPosition, coordinate
from cdc_sms.sources.binlog.replica import chosen_id, dump, register
from cdc_sms.sources.binlog.stream import Stream, Watched
from conformance.compare import Difference
from conformance.database import StatementError, Table, sections
from conformance.keys import Indexes, Keys
from conformance.site import CAUGHT_UP_S, MARKER
from conformance.statements import Statement, without_comments

# Plain queries, put together here: MariaDB 11.8 crashes over a correlated subquery on its schema.
_TABLES = """
SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
WHERE TABLE_SCHEMA IN %s AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')
"""
_KEYS = """
SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE
WHERE TABLE_SCHEMA IN %s AND CONSTRAINT_NAME = 'PRIMARY' ORDER BY ORDINAL_POSITION
"""
_REALS = """
SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA IN %s AND DATA_TYPE = 'float'
"""

_MAKES_DATABASE = re.compile(
    r"\s*create\s+(?:database|schema)\s+(?:if\s+not\s+exists\s+)?(`(?:[^`]|``)+`|[\w$]+)",
    re.IGNORECASE,
)


def databases_of(statements: Iterable[Statement]) -> list[str]:
    """Return the names of the databases that a file makes."""
    found = (_MAKES_DATABASE.match(without_comments(s.text)) for s in statements)
    return [one[1].strip("`").replace("``", "`") for one in found if one]


_QUOTED = r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`]|``)*`"""
_SYNONYM = re.compile(
    rf"{_QUOTED}|\b(?:(?P<bool>bool(?:ean)?)|(?P<float>float4))\b", re.IGNORECASE | re.DOTALL
)


def as_the_server_describes(statement: Statement) -> str:
    """Return a statement with BOOL, BOOLEAN and FLOAT4 of its columns written as what they are.

    They are words for TINYINT(1) and FLOAT, and the server itself never says them again. Debezium
    has a table's columns from the server where the table was there first, as in production; of what
    is made before its eyes it reads the statement, and takes the word for a type.
    """
    text = statement.text
    if statement.first_word not in {"create", "alter"}:
        return text

    def described(found: re.Match[str]) -> str:
        word = found.lastgroup
        if word is None or _BEFORE_A_NAME.search(text[: found.start()][-40:]):
            return found[0]
        return "tinyint(1)" if word == "bool" else "float"

    return _SYNONYM.sub(described, text)


_BEFORE_A_NAME = re.compile(
    r"(?:[(,.]|\b(?:add|column|modify|change|to|after|key|index|drop|alter|by|on|table|references))"
    r"\s*$",
    re.IGNORECASE,
)


_MAKES_TABLE = re.compile(
    r"(?:/\*M?!\d*\s*)?create\s+(?:or\s+replace\s+)?table\b"
    r"(?!.*(?:\bselect\b|\btable\b|\bvalues\s+row\b))"
    r"(?!(?:\s+if\s+not\s+exists)?\s+\S+\s*\(?\s*like\b)",
    re.IGNORECASE | re.DOTALL,
)
_COMMENT = re.compile(rf"({_QUOTED})|/\*(?!!|M!).*?\*/|(?:--(?=\s)|#)[^\n]*", re.DOTALL)


def makes_described_table(text: str) -> bool:
    """Say whether a statement makes a table by describing all of it: not of a query, not alike."""
    bare = _COMMENT.sub(lambda found: "x" if found[1] else " ", text).strip()
    return _MAKES_TABLE.match(bare) is not None


def _place(row: CapturedRow) -> tuple[int, int]:
    assert isinstance(row.transaction, BinlogTransaction)
    return coordinate(row.transaction.file, row.position), row.ordinal


def _quoted(*names: str) -> str:
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


_KEYS_OFF = re.compile(r"\b(?:dis|en)able\s+keys\b", re.IGNORECASE)
_COMMITS_FIRST = frozenset({"create", "alter", "drop", "rename", "truncate"})


class Binlog:
    """One fresh database of a MySQL or MariaDB, for one run.

    Args:
        database: fresh.
        others: databases that the file makes, which are removed at the end.
        bootstrap: the broker.
        prefix: of the run's topics.
    """

    def __init__(
        self, database: BinlogDatabase, *, others: Sequence[str], bootstrap: str, prefix: str
    ) -> None:
        self._database = database
        self._others = others
        self._stack = ExitStack()
        self._mark = 0
        self.stops: list[Difference] = []
        self._sizes: Counter[str] = Counter()
        self._keys = Keys()
        self._named: set[str] = set()
        self._locks = ""
        self._has_locks = False
        server = database.server
        self.sections = sections(
            dsn=database.dsn,
            password=server.password,
            bootstrap=bootstrap,
            prefix=prefix,
            slot=database.name,
        )
        self.connector_changes: Mapping[str, str] = {
            "database.password": server.password,
            "database.include.list": ",".join(map(re.escape, self._schemas)),
            "table.include.list": "",
            "driver.allowPublicKeyRetrieval": "true",
            "errors.max.retries": "0",  # what stops it is told at once
        }
        self._clock = SystemClock()
        self._encoder = Encoder(
            source=build_source_block(self.sections),
            max_record_bytes=self.sections.capture.max_record_bytes,
        )

    def __enter__(self) -> Self:
        opened = self._stack
        self._own = opened.enter_context(closing(self._database.connect()))
        self._files = opened.enter_context(
            closing(self._database.connect(client_flag=CLIENT.MULTI_STATEMENTS, local_infile=False))
        )
        self._queries = connect(self.sections.source)
        opened.callback(close, self._queries)
        self._server = servers.describe(self._queries)
        present = {name for (name,) in self._execute("SHOW DATABASES")}
        for name in self._others:
            if name not in present:
                opened.callback(self._execute, f"DROP DATABASE IF EXISTS {_quoted(name)}")
        self._charsets = servers.charsets(self._queries, self._server)
        self._execute(
            f"CREATE TABLE {MARKER} (id bigint PRIMARY KEY, recipient varchar(20), body text,"
            " status varchar(20))"
        )
        self._read_to = self._end()
        self.engine: Engine = open_engine(
            self.sections.source, self.sections.ledger, role="conformance"
        )
        opened.callback(self.engine.dispose)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def in_transaction(self) -> bool:
        """Say whether the file's session is within a transaction, or has locked tables."""
        status: int = self._files.server_status  # type: ignore[attr-defined]
        return self._has_locks or bool(status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    def prepare(self, statement: Statement) -> None:
        """Commit what the server would commit before the statement.

        Locks are let go till it has run: nobody can look at a table that is locked.
        """
        if self._has_locks and statement.may_change_tables and not _KEYS_OFF.search(statement.text):
            self._query("UNLOCK TABLES")
            self._has_locks = False
        temporary = "temporary" in statement.text[:60].lower()
        if (
            self.in_transaction
            and not self._has_locks
            and statement.first_word in _COMMITS_FIRST
            and not temporary
        ):
            self._files.commit()

    def run(self, statement: Statement) -> None:
        """Run one statement of the file.

        Raises:
            StatementError: the server refuses it.
        """
        try:
            if self._has_locks or not makes_described_table(statement.text):
                self._query(as_the_server_describes(statement))
            else:
                self._make(statement)
            if statement.first_word in {"lock", "unlock"}:
                self._has_locks = statement.first_word == "lock"
                self._locks = statement.text if self._has_locks else ""
            elif not self._has_locks:
                self._take_stock(statement)
        except pymysql.Error as error:
            raise StatementError(statement, str(error)) from error

    def _take_stock(self, statement: Statement) -> None:
        """See what a statement made of the tables; lock again what was locked before."""
        if statement.may_change_tables:
            self._note_keys(statement)
        if statement.first_word in {"rename", "alter"}:
            self._sizes = self._counted()
        if self._locks:
            with suppress(pymysql.Error):  # what was locked may be gone
                self._query(self._locks)
                self._has_locks = True

    def _query(self, text: str) -> None:
        with self._files.cursor() as cursor:
            cursor.execute(text)
            while cursor.nextset():
                pass

    def _make(self, statement: Statement) -> None:
        """Make a table in the words in which its server describes it.

        Debezium reads a table's columns from there where the table was there first, as in
        production. Of one that is made before its eyes it reads the statement, in which types have
        names that it doesn't know or takes otherwise, and lengths and character sets may be
        missing.
        """
        before = set(self.tables())
        with self._files.cursor() as cursor:
            cursor.execute("SELECT @@SESSION.sql_log_bin")
            is_logged = cursor.fetchone() == (1,)
        if not is_logged:
            self._query(statement.text)
            return
        self._query("SET SESSION sql_log_bin = 0")
        try:
            self._query(statement.text)
        finally:
            self._query("SET SESSION sql_log_bin = 1")
        made = next((one for name, one in self.tables().items() if name not in before), None)
        if made is None or not self._logged(made, statement.text):
            self._query(as_the_server_describes(statement))

    def _logged(self, made: Table, text: str) -> bool:
        """Make a table of which the log knows nothing once more, so that the log does.

        Returns:
            Whether it is there: the server doesn't take its own words for every default of bytes,
            and has a question mark for each character beyond 16 bits.
        """
        table = _quoted(made.schema, made.name)
        with closing(self._database.connect(use_unicode=False)) as connection:
            connection.select_db(made.schema)
            with connection.cursor() as cursor:
                cursor.execute("SET SESSION sql_mode = '', foreign_key_checks = 0")
                cursor.execute(f"SHOW CREATE TABLE {table}")
                described: bytes = cursor.fetchone()[1]
                cursor.execute("SET SESSION sql_log_bin = 0")
                cursor.execute(f"DROP TABLE {table}")
                cursor.execute("SET SESSION sql_log_bin = 1")
                if described.count(b"?") > text.count("?"):
                    return False
                try:
                    cursor.execute(described)
                except pymysql.Error:
                    return False
        return True

    def end(self) -> None:
        """Roll back what the file left open, and let go of its locks."""
        with self._files.cursor() as cursor:
            cursor.execute("ROLLBACK")
            cursor.execute("UNLOCK TABLES")

    def mark(self) -> int:
        """Write a mark into the log; return its number."""
        self._mark += 1
        self._execute(f"INSERT INTO {MARKER} (id) VALUES (%s)", self._mark)
        return self._mark

    def captured(self, mark: int) -> list[EncodedRecord]:
        """Return what our reader makes of the log up to a mark: one table after another."""
        end = self._end()
        begin, self._read_to = self._read_to, end
        found: list[tuple[CapturedRow, bool]] = []
        for name, table in self.tables().items():
            key, has_key = self._key(table)
            try:
                found += [(row, has_key) for row in self._rows(table, key, begin, end)]
            except CdcSmsError as error:
                self.stops.append(Difference(name, "", "our reader", error.message, "reads on"))
        found.sort(key=lambda one: _place(one[0]))
        now_us = int(self._clock.now().timestamp() * 1_000_000)
        records = [(self._encoder.encode(row, now_us=now_us), has_key) for row, has_key in found]
        return [record if has_key else record._replace(key=None) for record, has_key in records]

    def inserted(self, *, may_remove: bool) -> Counter[str] | None:
        """Return by how many rows each table has grown since the last time.

        Args:
            may_remove: rows may have been deleted meanwhile: then nothing is known.
        """
        before, self._sizes = self._sizes, self._counted()
        if may_remove:
            return None
        return Counter({name: size - before[name] for name, size in self._sizes.items()})

    def _counted(self) -> Counter[str]:
        return Counter(
            {
                name: self._execute(f"SELECT COUNT(*) FROM {_quoted(one.schema, one.name)}")[0][0]
                for name, one in self.tables().items()
            }
        )

    def tables(self) -> Mapping[str, Table]:
        """Return the tables that are there now, by database and name."""
        keys, reals = self._by_table(_KEYS), self._by_table(_REALS)
        return {
            f"{schema}.{name}": Table(
                schema, name, tuple(keys[schema, name]), tuple(reals[schema, name])
            )
            for schema, name in self._execute(_TABLES, self._schemas)
            if name != MARKER
        }

    @property
    def _schemas(self) -> list[str]:
        return [self._database.name, *self._others]

    def _by_table(self, query: str) -> defaultdict[tuple[str, str], list[str]]:
        found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for schema, table, column in self._execute(query, self._schemas):
            found[schema, table].append(column)
        return found

    def _key(self, table: Table) -> tuple[tuple[str, ...], bool]:
        """Return a table's key as Debezium takes it, and whether it has any.

        Our reader asks for one: a table without any is read by its first column, and its
        records lose their key.
        """
        key = self._keys.of(f"{table.schema}.{table.name}")
        if key is None:
            key = self._indexes(table).first
        found = servers.dictionary(self._queries, table.schema, table.name)
        assert found is not None
        columns = [column.name for column in found.columns]
        key = tuple(name for name in key if name in columns)
        return (key, True) if key else ((columns[0],), False)

    def _indexes(self, table: Table) -> Indexes:
        indexes: dict[str, list[str]] = {}
        others = set()
        for _, is_not_unique, index, _, column, _, _, _, _, null, *_ in self._execute(
            f"SHOW INDEX FROM {_quoted(table.schema, table.name)}"
        ):
            indexes.setdefault(index, []).append(column)
            if is_not_unique or null or column is None:  # of an expression
                others.add(index)
        found = {name: tuple(columns) for name, columns in indexes.items() if name not in others}
        return Indexes(found.pop("PRIMARY", ()), found, frozenset(others))

    def _note_keys(self, statement: Statement) -> None:
        text = without_comments(statement.text)
        tables = self.tables()
        for name in self._named - tables.keys():
            self._keys.forget(name)
        for name, table in tables.items():
            is_new = name not in self._named
            if is_new or table.name.replace("`", "``").lower() in text.lower():
                self._keys.note(name, self._indexes(table), text)
        self._named = set(tables)

    def _rows(
        self, table: Table, key: tuple[str, ...], begin: BinlogPosition, end: BinlogPosition
    ) -> list[CapturedRow]:
        rows: list[CapturedRow] = []
        with ExitStack() as opened:
            connection = connect(self.sections.source)
            opened.callback(close, connection)
            server_id = chosen_id(connection, self._server, wanted=None, name="conformance")
            register(connection, server_id)
            wire = dump(connection, self._server, begin, server_id=server_id)
            stream = Stream(
                begin,
                watched=Watched(
                    schema=table.schema,
                    table=table.name,
                    ledger_schema=self._database.name,
                    heartbeats="-",
                    slot="-",
                    reads_updates=False,
                ),
                charsets=self._charsets,
                lookup=lambda *_, **__: self._dictionary(table, key),
                server=self._server.identity,
                mariadb=self._server.is_mariadb,
                has_checksums=self._server.has_checksums,
            )
            while coordinate(stream.file, stream.offset) < end.coordinate:
                batch = Batch()
                wire.at = stream.take(wire.data, wire.at, batch)
                assert not stream.is_refused, "the server refuses the log"
                wire.skip(stream.skip)
                rows += batch.rows
                has_come = coordinate(stream.file, stream.offset) >= end.coordinate
                if not (batch.rows or has_come) and not wire.receive(
                    CAUGHT_UP_S, missing=max(stream.missing, 1)
                ):
                    raise TimeoutError("our reader does not come to the mark")
        return rows

    def _dictionary(self, table: Table, key: tuple[str, ...]) -> Dictionary | None:
        found = servers.dictionary(self._queries, table.schema, table.name)
        return None if found is None else Dictionary(found.columns, key)

    def _end(self) -> BinlogPosition:
        end = servers.end_of_log(self._queries, self._server)
        assert end is not None, "the server writes no binlog"
        return BinlogPosition(self._server.identity, end.file, end.offset)

    def _execute(self, statement: str, *values: object) -> list[Any]:
        with self._own.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())
