"""The rows that are pending at one moment, streamed as they lie there.

By ``COPY … TO STDOUT``: the server sends row by row, as fast as they are taken, and writes values
in the very form in which the log has them. Nothing is collected on either side.
"""

import re

from psycopg import sql

from cdc_sms.config.settings import TableSettings
from cdc_sms.errors import LogDecodeError
from cdc_sms.model.captured_row import CapturedRow, CapturedTable, Transaction
from cdc_sms.model.change_event import Operation
from cdc_sms.model.position import Lsn
from cdc_sms.sources.base import Batch
from cdc_sms.sources.postgres.connection import (
    Connection,
    errors_mapped,
    take_bytes_as_they_are,
)
from cdc_sms.sources.postgres.pgoutput import converters_of
from cdc_sms.sources.postgres.slot import Catalogue, base_types
from cdc_sms.sources.postgres.values import Converter, convert_one
from cdc_sms.sources.postgres.wire import Wire

BATCH_ROWS = 500
BATCH_BYTES = 1 << 20

_MOMENT = """
SELECT (extract(epoch FROM now()) * 1000000)::bigint,
    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
    ELSE pg_current_wal_insert_lsn() END)::text
"""


class Snapshot:
    """One snapshot of the pending rows, from its beginning to its end.

    Args:
        connection: belongs to the snapshot from now on, which closes it.
        table: where the rows are, and the word of those that are pending.
        exported: the name of the snapshot that the slot was made with; None takes a new one,
            which may show rows that the stream brings again.

    Thread: one owner.

    Raises:
        SourceUnavailable: the connection was lost.
    """

    def __init__(
        self, connection: Connection, *, table: TableSettings, exported: str | None
    ) -> None:
        self._connection = connection
        self._table = table
        with errors_mapped("Opening the snapshot"):
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            if exported is not None:
                connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(exported))
            found = connection.execute(_MOMENT).fetchone()
        assert found is not None
        self._transaction = Transaction(None, found[0], None)
        self._position = Lsn.parse(found[1])
        self._wire: Wire | None = None

    def begin(self, catalogue: Catalogue) -> None:
        """Ask for the rows; returns before the server answers.

        Raises:
            SourceUnavailable: the connection was lost.
        """
        types = base_types(self._connection, catalogue.columns)
        converters = converters_of(catalogue.columns, types)
        captured = {
            column.name: convert
            for column, convert in zip(catalogue.columns, converters, strict=True)
            if convert is not None
        }
        self._converters = tuple(captured.values())
        names = tuple(captured)
        key = tuple(name for name in catalogue.key if name in captured)
        self._captured = CapturedTable(*self._table.schema_and_table, names, key)
        take_bytes_as_they_are(self._connection)
        self._wire = Wire(self._connection, doing="Reading the pending rows")
        self._wire.begin(self._command(names).as_bytes(self._connection))

    def read(self, *, wait_s: float) -> Batch:
        """Return the next rows; the last batch says that it is the last.

        Args:
            wait_s: how long to wait for the first of them, in seconds.

        Raises:
            SourceUnavailable: the connection was lost: the snapshot has to be made anew.
            SetupError: the server refuses the query.
            LogDecodeError: a row is not understood.
        """
        assert self._wire is not None
        batch = Batch()
        size = 0
        line = self._wire.receive()
        if line is None and not self._wire.has_ended and self._wire.wait(wait_s):
            line = self._wire.receive()
        while line is not None:
            batch.rows.append(self._row(line))
            size += len(line)
            if size >= BATCH_BYTES or len(batch.rows) >= BATCH_ROWS:
                return batch
            line = self._wire.receive()
        batch.ends_snapshot = self._wire.has_ended
        return batch

    def close(self) -> None:
        """Give up the snapshot and its connection."""
        self._connection.close()

    def _row(self, line: bytes) -> CapturedRow:
        values = copied_values(line, self._converters)
        return CapturedRow(
            self._captured, values, Operation.READ, self._position, self._transaction
        )

    def _command(self, columns: tuple[str, ...]) -> sql.Composed:
        status = self._table.columns.status
        assert status is not None, "a table without a status column has no pending rows"
        return sql.SQL("COPY (SELECT {} FROM {} WHERE {} = {}) TO STDOUT").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.Identifier(*self._table.schema_and_table),
            sql.Identifier(status),
            sql.Literal(self._table.status.pending),
        )


_ESCAPE = re.compile(rb"\\(.)")
_ESCAPED = {
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
    b"\\": b"\\",
}


def copied_values(line: bytes, converters: tuple[Converter, ...]) -> list[object]:
    r"""Read a row of COPY's text format: values between tabs, ``\N`` for NULL.

    Args:
        line: with its line feed.
        converters: one for each column.

    Raises:
        LogDecodeError: it has another number of values.

    Source: PostgreSQL manual, COPY, "Text Format".
    """
    fields = line[:-1].split(b"\t") if converters else []
    if len(fields) != len(converters):
        raise LogDecodeError(
            f"A row of the snapshot has {len(fields)} values, not {len(converters)}.",
            hint="Report it with the server's version.",
        )
    return [
        None if raw == b"\\N" else convert_one(convert, _unescaped(raw))
        for raw, convert in zip(fields, converters, strict=True)
    ]


def _unescaped(raw: bytes) -> bytes:
    if b"\\" not in raw:
        return raw
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), raw)
