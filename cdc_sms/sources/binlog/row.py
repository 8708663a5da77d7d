"""Reads rows of one table out of the log's events, by a function written for just this table.

Pure. A row image is a bitmap (a bit for each column in the image, set where it is NULL), then the
values of the others, one after the other, without types or separators. The function for a table and
a set of NULLs is written as Python source from the templates in ``values.py`` and compiled once:
neighbours of a fixed width are taken by one ``struct`` call, nothing is looked up or asked for
while a row is read. A row that such a function can't read is read column by column, so that one
value that can't be decoded costs that value only.

Source: MySQL source documentation, ``Rows_event``.
"""

import struct
from collections.abc import Callable, Sequence

from cdc_sms.errors import LogDecodeError
from cdc_sms.model.captured_row import Undecodable
from cdc_sms.sources.binlog.column import Column
from cdc_sms.sources.binlog.values import FUNCTIONS, Fixed, Reading, Sized, reading

RowDecoder = Callable[[bytes, int], tuple[list[object], int]]
"""From a buffer and the place of a row image in it to the row's values and the place behind it."""

_Read = Callable[[bytes, int], tuple[list[object], int]]

_MOST_PATTERNS = 256
"""So many functions are kept for a table; another set of NULLs is read column by column."""


def row_decoder(columns: Sequence[Column], *, mariadb: bool) -> RowDecoder:
    """Return what reads the row images of a table.

    Args:
        columns: those that are present in the image, in order.
        mariadb: whether the server is MariaDB.

    Returns:
        A function of a buffer and the place of the image's bitmap. Its values are JSON values in
        Debezium's encoding, or :class:`Undecodable`; a place behind the buffer's end says that the
        event is cut, or that it isn't what the columns say.

    Raises:
        LogDecodeError: a column's type is unknown; the returned function: the image is cut.
    """
    return _RowDecoder([reading(column, mariadb=mariadb) for column in columns]).decode


class _RowDecoder:
    """The functions of one table: one for each set of NULLs that was met.

    Thread: one owner.
    """

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings
        self._bitmap_size = (len(readings) + 7) // 8
        self._by_bitmap: dict[bytes, _Read] = {}
        self._singly = [(_compiled([one]), _size_reader(one)) for one in readings]

    def decode(self, buffer: bytes, offset: int) -> tuple[list[object], int]:
        start = offset + self._bitmap_size
        bitmap = bytes(buffer[offset:start])
        read = self._by_bitmap.get(bitmap)
        try:
            if read is not None or (read := self._written(bitmap)) is not None:
                return read(buffer, start)
        except (ValueError, IndexError, struct.error):
            pass  # which of the values it is, is found out below
        return self._column_by_column(bitmap, buffer, start)

    def _written(self, bitmap: bytes) -> _Read | None:
        if len(self._by_bitmap) >= _MOST_PATTERNS or len(bitmap) < self._bitmap_size:
            return None
        nulls = int.from_bytes(bitmap, "little")
        readings = [None if nulls >> place & 1 else one for place, one in enumerate(self._readings)]
        read = self._by_bitmap[bitmap] = _compiled(readings)
        return read

    def _column_by_column(
        self, bitmap: bytes, buffer: bytes, offset: int
    ) -> tuple[list[object], int]:
        nulls = int.from_bytes(bitmap, "little")
        values: list[object] = []
        for place, (read, size) in enumerate(self._singly):
            if nulls >> place & 1:
                values.append(None)
                continue
            end = offset + size(buffer, offset)
            if end > len(buffer):
                raise _cut(len(buffer))
            try:
                values += read(buffer, offset)[0]
            except (ValueError, IndexError):
                values.append(Undecodable(bytes(buffer[offset:end])))
            offset = end
        return values, offset


def _size_reader(one: Reading) -> Callable[[bytes, int], int]:
    """Return what tells how many bytes a value takes."""
    if isinstance(one, Fixed):
        width = struct.calcsize(f"<{one.codes}")
        return lambda _buffer, _offset: width
    prefix = one.prefix

    def size(buffer: bytes, offset: int) -> int:
        if offset + prefix > len(buffer):
            raise _cut(len(buffer))
        return prefix + int.from_bytes(buffer[offset : offset + prefix], "little")

    return size


def _cut(length: int) -> LogDecodeError:
    return LogDecodeError(
        f"A row goes beyond its event's {length} bytes.",
        hint="The table was changed in a way that the log doesn't tell: report it with the "
        "server's version and the statement that changed the table.",
    )


# Writing the function


def _compiled(readings: Sequence[Reading | None]) -> _Read:
    """Write and compile the function for columns of which some are NULL."""
    writer = _Writer()
    for one in readings:
        match one:
            case None:
                writer.add_null()
            case Fixed():
                writer.add_fixed(one)
            case Sized():
                writer.add_sized(one)
    return writer.function()


class _Writer:
    """The source of one function, as it grows; used once.

    ``at`` in the source is where the next value begins, as far as that isn't known yet while it is
    written; ``behind`` is how far behind ``at`` the writing has come.
    """

    def __init__(self) -> None:
        self._names: dict[str, object] = dict(FUNCTIONS)
        self._lines: list[str] = []
        self._results: list[str] = []
        self._run: list[str] = []  # the codes of neighbours of a fixed width
        self._taken: list[str] = []  # the names of what they are taken into
        self._behind = 0

    def add_null(self) -> None:
        self._results.append("None")

    def add_fixed(self, one: Fixed) -> None:
        parts = len(struct.unpack(f"<{one.codes}", bytes(struct.calcsize(f"<{one.codes}"))))
        names = [f"f{len(self._results)}_{part}" for part in range(parts)]
        self._run.append(one.codes)
        self._taken += names
        self._results.append(one.expression.format(*names, own=self._own(one.own)))

    def add_sized(self, one: Sized) -> None:
        self._end_run()
        start, end = self._behind, f"e{len(self._results)}"
        length = " | ".join(
            f"buffer[{self._place(start + byte)}]" + (f" << {8 * byte}" if byte else "")
            for byte in range(one.prefix)
        )
        begin = self._place(start + one.prefix)
        self._lines.append(f"{end} = {begin} + ({length})")
        raw = f"r{len(self._results)}"
        self._lines.append(f"{raw} = buffer[{begin}:{end}]")
        self._lines.append(f"at = {end}")
        self._behind = 0
        self._results.append(one.expression.format(raw=raw, own=self._own(one.own)))

    def function(self) -> _Read:
        self._end_run()
        body = "\n    ".join(self._lines)
        source = (
            "def read(buffer, at):\n"
            f"    {body}\n"
            f"    return [{', '.join(self._results)}], {self._place(self._behind)}\n"
        )
        exec(compile(source, "<rows of a table>", "exec"), self._names)  # noqa: S102 - see above
        read: _Read = self._names["read"]  # type: ignore[assignment]
        return read

    def _own(self, own: object) -> str:
        name = f"own{len(self._results)}"
        self._names[name] = own
        return name

    def _end_run(self) -> None:
        if not self._run:
            return
        layout = struct.Struct("<" + "".join(self._run))
        name = f"take{len(self._lines)}"
        self._names[name] = layout.unpack_from
        self._lines.append(
            f"{', '.join(self._taken)}, = {name}(buffer, {self._place(self._behind)})"
        )
        self._behind += layout.size
        self._run, self._taken = [], []

    @staticmethod
    def _place(behind: int) -> str:
        return f"at + {behind}" if behind else "at"
