"""The rows that are pending at one moment, streamed as they lie there.

By a query whose rows the server sends one after the other, as fast as they are taken. Nothing is
collected on either side.
"""

from collections.abc import Sequence

from pymysql.constants import COMMAND

from cdc_sms.config.settings import TableSettings
from cdc_sms.errors import LogDecodeError
from cdc_sms.model.captured_row import BinlogTransaction, CapturedRow, CapturedTable
from cdc_sms.model.change_event import Operation
from cdc_sms.sources.base import Batch
from cdc_sms.sources.binlog.column import Column
from cdc_sms.sources.binlog.connection import Connection, close, errors_mapped, execute, texts
from cdc_sms.sources.binlog.dictionary import Declared, Dictionary
from cdc_sms.sources.binlog.events import length_encoded
from cdc_sms.sources.binlog.inspection import quoted
from cdc_sms.sources.binlog.server import Server
from cdc_sms.sources.binlog.texts import selected, text_converter
from cdc_sms.sources.binlog.wire import Wire

BATCH_ROWS = 500
BATCH_BYTES = 1 << 20

_NULL = 0xFB


class Snapshot:
    """One snapshot of the pending rows, from its beginning to its end.

    Args:
        connection: belongs to the snapshot from now on, which closes it.
        server: where it is.
        table: where the rows are, and the word of those that are pending.
        names: the table's database and its name, as the server has them.

    Attributes:
        file: the binlog file at the snapshot's moment; empty where the server doesn't say.
        offset: in it.

    Thread: one owner.

    Raises:
        SourceUnavailable: the connection was lost.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        server: Server,
        table: TableSettings,
        names: tuple[str, str],
    ) -> None:
        self._connection = connection
        self._server = server
        self._table = table
        self._names = names
        unlimited = "max_statement_time" if server.is_mariadb else "max_execution_time"
        with errors_mapped("Opening the snapshot"):
            execute(connection, f"SET character_set_results = NULL, {unlimited} = 0")
            execute(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
            moment = texts(execute(connection, "SELECT UNIX_TIMESTAMP(NOW(6)) * 1000000"))
            status = texts(execute(connection, "SHOW STATUS LIKE 'binlog_snapshot_%'"))
        known = {str(name).lower(): value or "" for name, value in status}
        self.file = known.get("binlog_snapshot_file", "")
        self.offset = int(known.get("binlog_snapshot_position", "") or 0)
        began_us = int(float(moment[0][0] or 0))
        self._transaction = BinlogTransaction(self.file, None, 0, began_us, None)
        self._wire: Wire | None = None

    def begin(self, dictionary: Dictionary) -> None:
        """Ask for the rows; returns before the server answers.

        Args:
            dictionary: the table as it is now.

        Raises:
            SourceUnavailable: the connection was lost.
        """
        columns = [_column(column) for column in dictionary.columns]
        mariadb = self._server.is_mariadb
        self._converters = [text_converter(column, mariadb=mariadb) for column in columns]
        captured = tuple(column.name for column in columns)
        self._captured = CapturedTable(*self._names, captured, dictionary.key)
        self._wire = Wire(self._connection, doing="Reading the pending rows")
        self._wire.begin(COMMAND.COM_QUERY, self._query(columns))
        self._ends_left = 2  # of the columns' descriptions, and of the rows

    def read(self, *, wait_s: float) -> Batch:
        """Return the next rows; the last batch says that it is the last.

        Args:
            wait_s: how long to wait for the first of them, in seconds.

        Raises:
            SourceUnavailable: the connection was lost: the snapshot has to be made anew.
            SetupError: the server refuses the query.
            LogDecodeError: a row is not understood.
        """
        wire = self._wire
        assert wire is not None
        batch = Batch()
        size = 0
        while size < BATCH_BYTES and len(batch.rows) < BATCH_ROWS:
            packet = wire.packet(0.0 if size else wait_s)
            if packet is None:
                return batch
            if refusal := wire.refused(packet):
                raise refusal
            size += len(packet)
            if wire.is_end(packet):
                self._ends_left -= 1
                if not self._ends_left:
                    batch.ends_snapshot = True
                    return batch
            elif self._ends_left == 1:
                batch.rows.append(self._row(packet))
        return batch

    def close(self) -> None:
        """Give up the snapshot and its connection."""
        close(self._connection)

    def _row(self, packet: bytes) -> CapturedRow:
        raw = _fields(packet)
        if len(raw) != len(self._converters):
            raise LogDecodeError(
                f"A row of the snapshot has {len(raw)} values, not {len(self._converters)}.",
                hint="Report it with the server's version.",
            )
        values = [convert(one) for convert, one in zip(self._converters, raw, strict=True)]
        return CapturedRow(self._captured, values, Operation.READ, self.offset, self._transaction)

    def _query(self, columns: Sequence[Column]) -> bytes:
        status = self._table.columns.status
        assert status is not None, "a table without a status column has no pending rows"
        wanted = ", ".join(selected(column, quoted(column.name)) for column in columns)
        pending = self._connection.escape(self._table.status.pending)
        return (
            f"SELECT {wanted} FROM {quoted(*self._names)} "  # noqa: S608 - quoted
            f"WHERE {quoted(status)} = {pending}"
        ).encode()


def _column(declared: Declared) -> Column:
    return Column(
        name=declared.name,
        type_code=0,
        metadata=declared.size if declared.declared == "bit" else declared.digits,
        declared=declared.declared,
        unsigned=declared.unsigned,
        charset=declared.charset,
        words=declared.words,
        nullable=declared.nullable,
        default=declared.default,
        scale=declared.scale,
    )


def _fields(packet: bytes) -> list[bytes | None]:
    """Read a row of the text protocol: each value's length, then the value.

    Source: MySQL source documentation, "Text Resultset Row".
    """
    fields: list[bytes | None] = []
    at = 0
    while at < len(packet):
        if packet[at] == _NULL:
            fields.append(None)
            at += 1
        else:
            size, begin = length_encoded(packet, at)
            at = begin + size
            fields.append(packet[begin:at])
    return fields
