"""The rows of one table, as its events hold them: which columns are there, and their values.

Pure. An image needn't hold every column: ``binlog_row_image`` says which it does. Such a row is
produced with what it has, and marked, since the claim reads the row itself anyway.
"""

from collections.abc import Sequence
from typing import NamedTuple

from cdc_sms.errors import LogDecodeError
from cdc_sms.model.captured_row import BinlogTransaction, CapturedRow, CapturedTable, Undecodable
from cdc_sms.model.change_event import Operation
from cdc_sms.sources.binlog.column import Column
from cdc_sms.sources.binlog.events import length_encoded
from cdc_sms.sources.binlog.row import RowDecoder, row_decoder

_ABSENT = Undecodable(b"")

_ONE_BYTE = 251
"""Smaller numbers are encoded in one byte."""


def _long(count: int) -> bytes:
    return b"\xfc" + count.to_bytes(2, "little")


class _Layout(NamedTuple):
    """Which columns are in an image.

    Attributes:
        decode: reads them.
        places: the number of each among the table's columns; None: all are there.
    """

    decode: RowDecoder
    places: tuple[int, ...] | None


class Images:
    """How the rows of one table are written at one moment.

    Args:
        schema: the table's database.
        table: its name.
        columns: as its TABLE_MAP says.
        key: the primary key's columns.
        mariadb: whether the server is MariaDB.
        hidden: how many columns at the end are no part of the row: since when, and till when, it
            holds; 0 where there are none.

    Thread: one owner.
    """

    def __init__(
        self,
        schema: str,
        table: str,
        columns: Sequence[Column],
        key: tuple[str, ...],
        *,
        mariadb: bool,
        hidden: int = 0,
    ) -> None:
        self._columns = columns
        self._mariadb = mariadb
        self._hidden = hidden
        shown = tuple(column.name for column in columns[: len(columns) - hidden])
        self._captured = CapturedTable(schema, table, shown, key)
        self._key_places = [shown.index(name) for name in key if name in shown]
        self._layouts: dict[bytes, _Layout] = {}
        self._count = len(columns).to_bytes(1) if len(columns) < _ONE_BYTE else _long(len(columns))
        self._count_bytes = len(self._count)
        self._bitmap_bytes = (len(columns) + 7) // 8

    def head_bytes(self, *, is_update: bool) -> int:
        """Return the size of what stands before the rows: their number of columns, and bitmaps.

        Args:
            is_update: whether there are two images a row.
        """
        return self._count_bytes + (2 if is_update else 1) * self._bitmap_bytes

    def inserted(
        self,
        data: bytes,
        begin: int,
        end: int,
        position: int,
        transaction: BinlogTransaction,
        target: list[CapturedRow],
    ) -> None:
        """Read the rows of an insert.

        Args:
            data: holds the event.
            begin: where the number of columns stands.
            end: where the event's content ends.
            position: the event's place in the file.
            transaction: the rows'.
            target: gets the rows.

        Raises:
            LogDecodeError: the event isn't what the table's description says.
        """
        at = begin + self._count_bytes
        decode, places = self._layout(data, begin, at)
        at += self._bitmap_bytes
        captured, create = self._captured, Operation.CREATE
        ordinal = 0
        while at < end:
            values, at = decode(data, at)
            if places is not None:
                values = self._whole(values, places)
                if self._hidden and _is_former(values.pop(), values.pop()):
                    continue
            target.append(CapturedRow(captured, values, create, position, transaction, ordinal))
            ordinal += 1
        self._ends_at(at, end)

    def updated(
        self,
        data: bytes,
        begin: int,
        end: int,
        position: int,
        transaction: BinlogTransaction,
        target: list[CapturedRow],
    ) -> None:
        """Read the rows of an update, before and after; see :meth:`inserted`."""
        at = begin + self._count_bytes
        former = self._layout(data, begin, at)
        latter = self._layout(data, begin, at + self._bitmap_bytes)
        at += 2 * self._bitmap_bytes
        ordinal = 0
        while at < end:
            before, at = former.decode(data, at)
            values, at = latter.decode(data, at)
            before, values = self._shown(before, former.places), self._shown(values, latter.places)
            for place in self._key_places:  # a minimal image leaves out a key that didn't change
                if values[place] is _ABSENT:
                    values[place] = before[place]
            row = (self._captured, values, Operation.UPDATE, position, transaction, ordinal, before)
            target.append(CapturedRow(*row))
            ordinal += 1
        self._ends_at(at, end)

    def _layout(self, data: bytes, begin: int, bitmap_at: int) -> _Layout:
        if not data.startswith(self._count, begin):
            count, _end = length_encoded(data, begin)
            raise LogDecodeError(
                f"An event holds rows of {count} columns, and its table has {len(self._columns)}.",
                hint="Report it with the server's version.",
            )
        bitmap = data[bitmap_at : bitmap_at + self._bitmap_bytes]
        layout = self._layouts.get(bitmap)
        if layout is None:
            layout = self._layouts[bitmap] = self._made(int.from_bytes(bitmap, "little"))
        return layout

    def _made(self, bitmap: int) -> _Layout:
        present = tuple(n for n in range(len(self._columns)) if bitmap >> n & 1)
        decode = row_decoder([self._columns[n] for n in present], mariadb=self._mariadb)
        is_whole = len(present) == len(self._columns) and not self._hidden
        return _Layout(decode, None if is_whole else present)

    def _shown(self, values: list[object], places: tuple[int, ...] | None) -> list[object]:
        if places is None:
            return values
        return self._whole(values, places)[: len(self._columns) - self._hidden]

    def _whole(self, values: Sequence[object], places: tuple[int, ...]) -> list[object]:
        whole: list[object] = [_ABSENT] * len(self._columns)
        for place, value in zip(places, values, strict=True):
            whole[place] = value
        return whole

    def _ends_at(self, at: int, end: int) -> None:
        if at != end:
            raise LogDecodeError(
                f"Rows of {self._captured.name} end {at - end} bytes behind their event.",
                hint="Report it with the server's version.",
            )


_FOR_EVER = ("2038-01-19", "2106-02-07")
"""The largest TIMESTAMP of MariaDB before 11.5, and since: the version that holds ends there."""


def _is_former(end: object, _start: object) -> bool:
    """Say whether a row is a version that an update or a delete has put aside."""
    return not str(end).startswith(_FOR_EVER)
