"""How far a reader is in a binlog: the text that is kept, the number that orders. Pure.

Kept is everything that a start needs to go on exactly there: file and offset for the same server,
transaction ids for another one that took over, and the table as rows behind that place are written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from cdc_sms.sources.binlog.dictionary import Dictionary

FIRST_OFFSET = 4
"""Behind the four bytes that every binlog file begins with."""

_OFFSET_BITS = 40


def file_number(name: str) -> int:
    """Return the number that a binlog file's name ends with.

    Raises:
        ValueError: it ends with none.
    """
    return int(name.rpartition(".")[2])


def coordinate(file: str, offset: int) -> int:
    """Return a number that grows along the log of one server."""
    return file_number(file) << _OFFSET_BITS | offset


@dataclass(frozen=True, slots=True)
class BinlogPosition:
    """A place between two transactions.

    Attributes:
        server: what the server calls itself.
        file: the binlog file.
        offset: in the file.
        created: when the server began the file, by the file's own first event; None: not known.
        gtids: every transaction before it, as the server prints them; empty where it numbers none.
        prepared: XA transactions without a row of ours that were prepared before it, and neither
            committed nor rolled back.
        table: the table as rows behind it are written; None where that isn't known.
    """

    server: str
    file: str
    offset: int
    created: int | None = None
    gtids: str = ""
    prepared: tuple[str, ...] = ()
    table: Dictionary | None = field(default=None, compare=False)

    @property
    def coordinate(self) -> int:
        """Return a number that grows along the log of one server."""
        return coordinate(self.file, self.offset)

    def moved(self, **changes: Any) -> "BinlogPosition":
        """Return the position with changes."""
        return replace(self, **changes)

    def to_text(self) -> str:
        """Return the form in which it is kept."""
        value = {
            "server": self.server,
            "file": self.file,
            "offset": self.offset,
            "created": self.created,
            "gtids": self.gtids,
            "prepared": list(self.prepared),
            "table": None if self.table is None else self.table.to_value(),
        }
        return orjson.dumps(value).decode()

    @classmethod
    def from_text(cls, text: str) -> "BinlogPosition":
        """Read the form in which it is kept.

        Raises:
            ValueError: it has another form.
        """
        try:
            value: Mapping[str, Any] = orjson.loads(text)
            table = value["table"]
            return cls(
                server=str(value["server"]),
                file=str(value["file"]),
                offset=int(value["offset"]),
                created=value["created"],
                gtids=str(value["gtids"]),
                prepared=tuple(value["prepared"]),
                table=None if table is None else Dictionary.from_value(table),
            )
        except (KeyError, TypeError) as error:
            raise ValueError("it is no position in a binlog") from error
