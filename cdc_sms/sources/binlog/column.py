"""A column of a table as rows of one moment were written: what the log says and what it doesn't."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: its name.
        type_code: the type byte of the TABLE_MAP event.
        metadata: what the event says of the type beside it (length, precision, digits): its bytes
            as a little-endian number, of ``STRING`` and ``NEWDECIMAL`` as a big-endian one.
        declared: the type's word in the data dictionary, in small letters: ``int``, ``enum``,
            ``uuid``; the log writes several of them in one and the same way.
        unsigned: whether it holds no negative numbers.
        charset: the server's name of its character set; None: bytes, or no text at all.
        words: of ENUM and SET, in the declaration's order.
        nullable: whether it may be NULL.
        default: what an insert without it gets, where the declaration says that plainly; None: no
            default, NULL or an expression.
        scale: of FLOAT and DOUBLE: how many digits behind the point were declared.
        is_key: whether it belongs to the primary key.

    Source: MySQL source documentation, ``Table_map_event``; the servers' ``INFORMATION_SCHEMA``.
    """

    name: str
    type_code: int
    metadata: int
    declared: str
    unsigned: bool = False
    charset: str | None = None
    words: tuple[str, ...] = ()
    nullable: bool = True
    default: str | None = None
    scale: int | None = None
    is_key: bool = False
