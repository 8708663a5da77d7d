"""TABLE_MAP: how the rows behind it are written, and the columns that this makes. Pure.

The event says the types for certain. Names, signs, character sets and words it says where the
server's ``binlog_row_metadata`` has it say so; what it leaves out comes from the data dictionary,
which is believed only where it fits the types.

mysql-replication's reading of it is not used: it takes YEAR for numeric where the servers don't,
and asks the present dictionary without comparing.

Source: MySQL source documentation, ``Table_map_event``; MySQL source, ``rpl_utility.cc``
(``table_def``) and ``log_event.cc`` (``is_numeric_type``, ``is_character_type``).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from pymysqlreplication.constants import FIELD_TYPE

from cdc_sms.sources.binlog.charsets import UTF_8, decoder
from cdc_sms.sources.binlog.column import Column
from cdc_sms.sources.binlog.dictionary import Declared, Dictionary
from cdc_sms.sources.binlog.events import length_encoded

BLOB_COMPRESSED, VARCHAR_COMPRESSED, VECTOR = 140, 141, 242
"""MariaDB's compressed columns, and MySQL's VECTOR."""

_LITTLE_ENDIAN = frozenset(
    {
        FIELD_TYPE.VARCHAR,
        FIELD_TYPE.VAR_STRING,
        FIELD_TYPE.BIT,
        VARCHAR_COMPRESSED,
    }
)
_BIG_ENDIAN = frozenset({FIELD_TYPE.STRING, FIELD_TYPE.ENUM, FIELD_TYPE.SET, FIELD_TYPE.NEWDECIMAL})
_ONE_BYTE = frozenset(
    {
        FIELD_TYPE.FLOAT,
        FIELD_TYPE.DOUBLE,
        FIELD_TYPE.TIMESTAMP2,
        FIELD_TYPE.DATETIME2,
        FIELD_TYPE.TIME2,
        FIELD_TYPE.JSON,
        FIELD_TYPE.TINY_BLOB,
        FIELD_TYPE.MEDIUM_BLOB,
        FIELD_TYPE.LONG_BLOB,
        FIELD_TYPE.BLOB,
        FIELD_TYPE.GEOMETRY,
        BLOB_COMPRESSED,
        VECTOR,
    }
)
_NUMERIC = frozenset(
    {
        FIELD_TYPE.TINY,
        FIELD_TYPE.SHORT,
        FIELD_TYPE.INT24,
        FIELD_TYPE.LONG,
        FIELD_TYPE.LONGLONG,
        FIELD_TYPE.NEWDECIMAL,
        FIELD_TYPE.FLOAT,
        FIELD_TYPE.DOUBLE,
    }
)
_TEXTUAL = frozenset(
    {
        FIELD_TYPE.STRING,
        FIELD_TYPE.VAR_STRING,
        FIELD_TYPE.VARCHAR,
        FIELD_TYPE.BLOB,
        BLOB_COMPRESSED,
        VARCHAR_COMPRESSED,
        VECTOR,
    }
)
"""What the event counts where it says collations: a vector is counted, though it has none."""
_BINARY_CHARSET = "binary"


@dataclass(slots=True)
class TableMap:
    """What the event says of a table.

    Attributes:
        types: the type byte of each column.
        metadata: what the event says of each type beside it.
        real_types: the same as ``types``, but ENUM and SET told from texts.
        nullable: whether it may be NULL, for each column.
        names: where it says them; empty else.
        unsigned: where it says so, for each column; empty else.
        collations: the number of each textual column's collation, by column.
        words: of each ENUM and SET, by column, as bytes.
        key: the primary key's columns, as numbers; empty where it doesn't say.
        mariadb: whether the server is MariaDB, to which a geometry is text of the character set
            ``binary``.
    """

    types: bytes
    metadata: list[int]
    real_types: list[int]
    mariadb: bool = False
    nullable: list[bool] = field(default_factory=list[bool])
    names: list[str] = field(default_factory=list[str])
    unsigned: list[bool] = field(default_factory=list[bool])
    collations: dict[int, int] = field(default_factory=dict[int, int])
    words: dict[int, list[bytes]] = field(default_factory=dict[int, list[bytes]])
    key: list[int] = field(default_factory=list[int])

    @property
    def says_names(self) -> bool:
        """Say whether the event describes the columns in full."""
        return bool(self.names)


class UnfittingError(ValueError):
    """The dictionary describes another table than the one that the rows were written to."""


def signature(schema: str, table: str) -> bytes:
    """Return the bytes that stand for a table in its TABLE_MAP events, behind id and flags."""
    names = (schema.encode(), table.encode())
    return b"".join(bytes([len(name)]) + name + b"\0" for name in names)


def parse(content: bytes, *, mariadb: bool) -> TableMap:
    """Read the event behind the table's names.

    Args:
        content: from the number of columns to where the event's content ends.
        mariadb: whether the server is MariaDB.

    Raises:
        ValueError: it describes other columns than it has.
    """
    count, at = length_encoded(content, 0)
    types = content[at : at + count]
    size, at = length_encoded(content, at + count)
    metadata = _metadata(types, content[at : at + size])
    real_types = [
        value >> 8
        if kind == FIELD_TYPE.STRING and value >> 8 in (FIELD_TYPE.ENUM, FIELD_TYPE.SET)
        else kind
        for kind, value in zip(types, metadata, strict=True)
    ]
    found = TableMap(types, metadata, real_types, mariadb)
    at += size
    nulls = int.from_bytes(content[at : at + (count + 7) // 8], "little")
    found.nullable = [bool(nulls >> number & 1) for number in range(count)]
    at += (count + 7) // 8
    while at < len(content):
        size, begin = length_encoded(content, at + 1)
        read = _OPTIONAL.get(content[at])
        if read is not None:
            read(found, content[begin : begin + size])
        at = begin + size
    return found


def _metadata(types: bytes, raw: bytes) -> list[int]:
    values: list[int] = []
    at = 0
    for kind in types:
        if kind in _ONE_BYTE:
            values.append(raw[at])
            at += 1
        elif kind in _BIG_ENDIAN:
            values.append(int.from_bytes(raw[at : at + 2], "big"))
            at += 2
        elif kind in _LITTLE_ENDIAN:
            values.append(int.from_bytes(raw[at : at + 2], "little"))
            at += 2
        else:
            values.append(0)
    return values


def _columns(found: TableMap, kinds: frozenset[int]) -> list[int]:
    if found.mariadb and kinds is _TEXTUAL:
        kinds |= {FIELD_TYPE.GEOMETRY}
    return [number for number, kind in enumerate(found.real_types) if kind in kinds]


def _integers(raw: bytes) -> Iterator[int]:
    at = 0
    while at < len(raw):
        value, at = length_encoded(raw, at)
        yield value


def _texts(raw: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(raw):
        size, at = length_encoded(raw, at)
        yield raw[at : at + size]
        at += size


def _read_signs(found: TableMap, raw: bytes) -> None:
    found.unsigned = [False] * len(found.types)
    for number, column in enumerate(_columns(found, _NUMERIC)):
        found.unsigned[column] = bool(raw[number // 8] & 0x80 >> number % 8)


def _default_charset(kinds: frozenset[int]) -> Callable[[TableMap, bytes], None]:
    def read(found: TableMap, raw: bytes) -> None:
        default, *pairs = _integers(raw)
        others = dict(zip(pairs[::2], pairs[1::2], strict=True))
        for number, column in enumerate(_columns(found, kinds)):
            found.collations[column] = others.pop(number, default)
        if others:
            raise ValueError(f"collations of columns that are none: {sorted(others)}")

    return read


def _each_charset(kinds: frozenset[int]) -> Callable[[TableMap, bytes], None]:
    def read(found: TableMap, raw: bytes) -> None:
        found.collations.update(zip(_columns(found, kinds), _integers(raw), strict=True))

    return read


def _words(kind: int) -> Callable[[TableMap, bytes], None]:
    def read(found: TableMap, raw: bytes) -> None:
        at = 0
        for column in _columns(found, frozenset({kind})):
            count, at = length_encoded(raw, at)
            words: list[bytes] = []
            for _word in range(count):
                size, at = length_encoded(raw, at)
                words.append(raw[at : at + size])
                at += size
            found.words[column] = words

    return read


def _read_names(found: TableMap, raw: bytes) -> None:
    found.names = [name.decode() for name in _texts(raw)]


def _read_key(found: TableMap, raw: bytes) -> None:
    found.key = list(_integers(raw))


def _read_prefixed_key(found: TableMap, raw: bytes) -> None:
    found.key = list(_integers(raw))[::2]


_WORDED = frozenset({FIELD_TYPE.ENUM, FIELD_TYPE.SET})

_OPTIONAL: Mapping[int, Callable[[TableMap, bytes], None]] = {
    1: _read_signs,
    2: _default_charset(_TEXTUAL),
    3: _each_charset(_TEXTUAL),
    4: _read_names,
    5: _words(FIELD_TYPE.SET),
    6: _words(FIELD_TYPE.ENUM),
    8: _read_key,
    9: _read_prefixed_key,
    10: _default_charset(_WORDED),
    11: _each_charset(_WORDED),
}
"""The optional metadata's fields that matter; the others are the geometry's type, visibility and
the dimension of vectors."""


def described(
    found: TableMap, dictionary: Dictionary | None, charsets: Mapping[int, str]
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Return the columns and the primary key as the rows behind the event have them.

    Args:
        found: what the event says.
        dictionary: the table as far as it is known; None: it isn't there any more.
        charsets: the character set of each collation's number.

    Raises:
        UnfittingError: the event leaves something out, and the dictionary is of another moment.
    """
    if found.says_names:
        known = {column.name: column for column in dictionary.columns} if dictionary else {}
        declared = [known.get(name) for name in found.names]
    else:
        declared = list(dictionary.columns) if dictionary else []
        if hidden_columns(found, dictionary):
            declared += _VERSION
        if len(declared) != len(found.types):
            raise UnfittingError
    key = _key(found, dictionary)
    columns = tuple(
        _column(found, number, column, charsets, key) for number, column in enumerate(declared)
    )
    return columns, key


def hidden_columns(found: TableMap, dictionary: Dictionary | None) -> int:
    """Return how many columns at the end no query shows unless it names them.

    MariaDB's tables with system versioning have two: from when till when a version held.
    """
    if dictionary is None or len(found.types) != len(dictionary.columns) + len(_VERSION):
        return 0
    ends = found.types[-len(_VERSION) :], found.metadata[-len(_VERSION) :]
    is_named = found.names[-len(_VERSION) :] in ([], [column.name for column in _VERSION])
    is_versioned = ends == (bytes([FIELD_TYPE.TIMESTAMP2] * 2), [6, 6])
    return len(_VERSION) if is_versioned and is_named else 0


_VERSION = [
    Declared("row_start", "timestamp", digits=6, nullable=False),
    Declared("row_end", "timestamp", digits=6, nullable=False),
]


def _key(found: TableMap, dictionary: Dictionary | None) -> tuple[str, ...]:
    if found.says_names and found.key:
        return tuple(found.names[number] for number in found.key)
    return dictionary.key if dictionary else ()


def _column(
    found: TableMap,
    number: int,
    declared: Declared | None,
    charsets: Mapping[int, str],
    key: tuple[str, ...],
) -> Column:
    kind, metadata = found.real_types[number], found.metadata[number]
    fits = declared is not None and _fits(kind, metadata, declared)
    if not found.says_names and not fits:
        raise UnfittingError
    known = declared if fits else None
    collation = found.collations.get(number)
    charset = known.charset if known and not found.says_names else None
    if collation is not None:
        charset = charsets.get(collation)
    if charset == _BINARY_CHARSET:
        charset = None
    words = known.words if known else ()
    if number in found.words:
        words = _decoded(found.words[number], charset, words)
    unsigned = known.unsigned if known else False
    name = found.names[number] if found.says_names else known.name if known else ""
    return Column(
        name=name,
        type_code=found.types[number],
        metadata=metadata,
        declared=known.declared if known else _undeclared(kind, charset),
        unsigned=found.unsigned[number] if found.unsigned else unsigned,
        charset=charset,
        words=words,
        nullable=known.nullable if known else found.nullable[number],
        default=known.default if known else None,
        scale=known.scale if known else None,
        is_key=name in key,
    )


def _decoded(words: list[bytes], charset: str | None, declared: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of ENUM and SET as text.

    Debezium has them from the declaration; of the rarer character sets it knows some only in part.
    """
    if charset not in UTF_8 and len(words) == len(declared):
        return declared
    return tuple(map(decoder(charset or _BINARY_CHARSET), words))


_DECLARED: Mapping[int, tuple[str, ...]] = {
    FIELD_TYPE.TINY: ("tinyint",),
    FIELD_TYPE.SHORT: ("smallint",),
    FIELD_TYPE.INT24: ("mediumint",),
    FIELD_TYPE.LONG: ("int",),
    FIELD_TYPE.LONGLONG: ("bigint",),
    FIELD_TYPE.FLOAT: ("float",),
    FIELD_TYPE.DOUBLE: ("double",),
    FIELD_TYPE.NEWDECIMAL: ("decimal",),
    FIELD_TYPE.DECIMAL: ("decimal",),
    FIELD_TYPE.YEAR: ("year",),
    FIELD_TYPE.DATE: ("date",),
    FIELD_TYPE.NEWDATE: ("date",),
    FIELD_TYPE.TIME: ("time",),
    FIELD_TYPE.TIME2: ("time",),
    FIELD_TYPE.DATETIME: ("datetime",),
    FIELD_TYPE.DATETIME2: ("datetime",),
    FIELD_TYPE.TIMESTAMP: ("timestamp",),
    FIELD_TYPE.TIMESTAMP2: ("timestamp",),
    FIELD_TYPE.BIT: ("bit",),
    FIELD_TYPE.JSON: ("json",),
    FIELD_TYPE.ENUM: ("enum",),
    FIELD_TYPE.SET: ("set",),
    FIELD_TYPE.VARCHAR: ("varchar", "varbinary", "vector"),
    FIELD_TYPE.VAR_STRING: ("varchar", "varbinary"),
    FIELD_TYPE.STRING: ("char", "binary", "uuid", "inet6", "inet4"),
    FIELD_TYPE.BLOB: (
        "text",
        "blob",
        "tinytext",
        "tinyblob",
        "mediumtext",
        "mediumblob",
        "longtext",
        "longblob",
        "json",
    ),
    FIELD_TYPE.GEOMETRY: (
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
        "geomcollection",
    ),
    VECTOR: ("vector",),
    BLOB_COMPRESSED: (
        "text",
        "blob",
        "tinytext",
        "tinyblob",
        "mediumtext",
        "mediumblob",
        "longtext",
        "longblob",
    ),
    VARCHAR_COMPRESSED: ("varchar", "varbinary"),
}
"""The declared types that the log writes as each of its own; the first stands for it where the
dictionary knows no better."""

_TIMES = frozenset({FIELD_TYPE.TIME2, FIELD_TYPE.DATETIME2, FIELD_TYPE.TIMESTAMP2})


def _fits(kind: int, metadata: int, declared: Declared) -> bool:
    if declared.declared not in _DECLARED.get(kind, (declared.declared,)):
        return False
    if kind in _TIMES:
        return metadata == declared.digits
    if kind == FIELD_TYPE.NEWDECIMAL:
        return metadata == declared.size << 8 | (declared.scale or 0)
    if kind == FIELD_TYPE.VARCHAR and declared.declared != "vector":
        return metadata == declared.size
    return True


def _undeclared(kind: int, charset: str | None) -> str:
    names = _DECLARED.get(kind, ("",))
    if kind in _TEXTUAL and charset is None:
        return names[1]
    return names[0]
