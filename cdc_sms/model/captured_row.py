"""A row on its way from the log to the topic: its table as the log describes it, its values.

Not the form that lies on the topic: that is ``envelope/encode.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cdc_sms.model.change_event import Operation


@dataclass(frozen=True, slots=True)
class CapturedTable:
    """A table as a row of it was written: one object for each description that the log gives.

    Attributes:
        schema: the schema's name; on MySQL and MariaDB the database's.
        name: the table's bare name.
        columns: the columns' names, in the row's order.
        key: the primary key's columns, in the key's order; each is one of ``columns``.
    """

    schema: str
    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A value that the server wrote in a way that can't be read; holds the server's bytes.

    Its ``repr`` hides them: they may be a text or a number.
    """

    raw: bytes

    def __repr__(self) -> str:
        """Say how many bytes it is, and nothing of them."""
        return f"Undecodable(<{len(self.raw)} bytes>)"


class Transaction(NamedTuple):
    """The transaction that a row came with.

    Attributes:
        id: the database's own id (PostgreSQL: the 32-bit xid); None for snapshot rows.
        committed_us: when it was committed (a snapshot: when it began), by the database's
            clock; microseconds since 1970.
        former_position: where the transaction before it ended; None for the first that is read.
        origin: where it was replicated from: the origin's name here, its position there; None of
            what was written here.
    """

    id: int | None
    committed_us: int
    former_position: int | None
    origin: tuple[str, int] | None = None


class BinlogTransaction(NamedTuple):
    """The transaction that a row of MySQL or MariaDB came with.

    Attributes:
        file: the binlog file; of a snapshot the file it stands at, empty where that isn't known.
        gtid: as Debezium writes it; None where the server gave none.
        server_id: of the server that committed it; 0 for snapshot rows.
        committed_us: when it was committed (a snapshot: when it began), by the database's
            clock; microseconds since 1970.
        thread: the session's number; None where it isn't known.
    """

    file: str
    gtid: str | None
    server_id: int
    committed_us: int
    thread: int | None


class CapturedRow(NamedTuple):
    """One row as it was inserted, or as a snapshot found it, or as an update left it.

    A tuple and no dataclass: one is made for every row, and a frozen dataclass costs five times
    as much.

    Attributes:
        table: what its values mean.
        values: JSON values in Debezium's encoding, or :class:`Undecodable`; in the table's order.
        operation: created, read by a snapshot, or updated.
        position: where it stands in the log; MySQL and MariaDB: its event's place in the file.
        transaction: what it came with.
        ordinal: which row of its event it is, from 0; PostgreSQL has no such events.
        before: the row before the update, where the log says; encoded as ``values``.
    """

    table: CapturedTable
    values: Sequence[object]
    operation: Operation
    position: int
    transaction: Transaction | BinlogTransaction
    ordinal: int = 0
    before: Sequence[object] | None = None
