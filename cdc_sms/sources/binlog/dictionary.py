"""A table as the data dictionary describes it: what the binlog itself leaves out. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Declared(NamedTuple):
    """A column as it was declared.

    Attributes:
        name: its name.
        declared: its type's word in small letters: ``int``, ``enum``, ``uuid``.
        unsigned: whether it holds no negative numbers.
        charset: the server's name of its character set; None: bytes, or no text at all.
        words: of ENUM and SET, in the declaration's order.
        digits: behind the point of a time's seconds; 0 where there are none.
        size: the most bytes of a text, the digits of a decimal; 0 where that says nothing.
        nullable: whether it may be NULL.
        default: the literal that an insert without it stores; None: NULL, or none, or no literal.
        scale: digits behind the point of a number; None where none are declared.
    """

    name: str
    declared: str
    unsigned: bool = False
    charset: str | None = None
    words: tuple[str, ...] = ()
    digits: int = 0
    size: int = 0
    nullable: bool = True
    default: str | None = None
    scale: int | None = None


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A table at one moment.

    Attributes:
        columns: in the table's order.
        key: the primary key's columns, in the key's order.
    """

    columns: tuple[Declared, ...]
    key: tuple[str, ...]

    def to_value(self) -> Mapping[str, object]:
        """Return the form in which it is kept with a position."""
        return {"columns": [list(column) for column in self.columns], "key": list(self.key)}

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> "Dictionary":
        """Read the form in which it is kept."""
        return cls(tuple(map(_declared, value["columns"])), tuple(value["key"]))


def _declared(value: Sequence[Any]) -> Declared:
    name, declared, unsigned, charset, words, *rest = value
    return Declared(name, declared, unsigned, charset, tuple(words), *rest)


def enum_words(column_type: str) -> tuple[str, ...]:
    """Return the words of an ENUM or SET: ``enum('a','it''s')``.

    Args:
        column_type: as ``INFORMATION_SCHEMA.COLUMNS.COLUMN_TYPE`` has it: apostrophes doubled, and
            backslashes, line ends and zeros behind a backslash.
    """
    words: list[str] = []
    at = column_type.index("(") + 1
    while column_type[at : at + 1] == "'":
        word, at = _quoted(column_type, at + 1)
        words.append(word)
        at += 1  # the comma, or the closing bracket
    return tuple(words)


_ESCAPED: Mapping[str, str] = {"n": "\n", "r": "\r", "0": "\0"}


def _quoted(text: str, at: int) -> tuple[str, int]:
    characters: list[str] = []
    while True:
        following = text[at + 1 : at + 2]
        if text[at] == "\\":
            characters.append(_ESCAPED.get(following, following))
            at += 2
        elif text[at] != "'":
            characters.append(text[at])
            at += 1
        elif following == "'":
            characters.append("'")
            at += 2
        else:
            return "".join(characters), at + 1
