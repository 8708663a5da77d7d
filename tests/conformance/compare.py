"""What our records and Debezium's have to have in common, and what may differ. Pure.

Values are compared as JSON values with their types: ``1``, ``1.0`` and ``"1"`` are three different
ones. How a number is written (``1.0E7``, ``10000000.0``) is not part of its value. Keys are
compared byte by byte, but for what Java's version or memory decides: :func:`is_written_alike`.
"""

import json
import re
import struct
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

ALLOWED: Mapping[str, str] = {
    "ts_ms": "when the record was made: each reader's own clock",
    "ts_us": "the same, in microseconds",
    "ts_ns": "the same, in nanoseconds",
    "source.version": "of the program that wrote the record",
    "source.name": "each side has a prefix of its own",
    "source.sequence": "begins with the position that the reader itself saw last",
    "source.pos": "MariaDB 11.8 says no place inside a transaction: Debezium repeats the first",
    "source.snapshot": "false: Kafka Connect writes null where it is told to keep NULLs",
}
"""THE list: every field that may differ, and why. Nothing of the row, the key, ``op``."""

JAVA_OBJECT = re.compile(r"\[+L[\w.$]+;@[0-9a-f]+")
"""What Debezium writes for the inner arrays of an array of texts: a name of an object in its
memory, another one each time. It says nothing of the value, so any text of ours will do."""


@dataclass(frozen=True)
class Record:
    """A record as it lies on a topic.

    Attributes:
        partition: of its topic.
        offset: in the partition.
        key: its bytes; None where the table has no key.
        value: the change event; numbers with a fraction are kept as they are written.
    """

    partition: int
    offset: int
    key: bytes | None
    value: Mapping[str, Any]

    @property
    def table(self) -> str:
        """Return schema and table, or database and table."""
        source = self.value["source"]
        return f"{source.get('schema') or source['db']}.{source['table']}"

    @property
    def position(self) -> tuple[Any, ...]:
        """Return where the row stands in the log: the same on both sides."""
        source = self.value["source"]
        if "lsn" in source:
            return (source["lsn"],)
        return (source["file"], source["pos"], source["row"])


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same on both sides.

    Attributes:
        table: of the row.
        key: of the record; empty where it has none.
        field: its path: ``key``, ``partition``, ``after.<column>``, …
        ours: what our record says.
        theirs: what Debezium's says.
    """

    table: str
    key: str
    field: str
    ours: object
    theirs: object

    def __str__(self) -> str:
        """Say it in one line."""
        where = f"{self.table} {self.key}".strip()
        if self.field == NUMBER:
            return f"{where}: rows inserted: {self.ours}, records of {self.theirs}"
        return f"{where}: {self.field}: ours {_short(self.ours)}, Debezium's {_short(self.theirs)}"


@dataclass(frozen=True)
class Compared:
    """What a comparison found, and over how much."""

    fields: int
    differences: Sequence[Difference]


ABSENT = "absent"
NUMBER = "number"
"""The field of a difference between the rows of a table and one side's records."""


def parsed(value: bytes) -> Mapping[str, Any]:
    """Read a record's value; whole numbers stay exact, others keep their digits.

    Raises:
        ValueError: it is no JSON object, or holds what JSON has no word for.
    """
    found = json.loads(value, parse_float=Decimal, parse_constant=_no_json)
    if not isinstance(found, dict):
        raise TypeError("the value is no object")
    return found


def _no_json(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


def compare(
    ours: Iterable[Record], theirs: Iterable[Record], *, reals: Collection[tuple[str, str]]
) -> Compared:
    """Compare all records of both sides.

    Args:
        ours: of the built-in reader.
        theirs: Debezium's.
        reals: table and column of each column of 32-bit floats.
    """
    fields = 0
    found: list[Difference] = []
    for our, their in _pairs(ours, theirs):
        if our is None or their is None:
            some = our or their
            assert some is not None
            present = ("a record", ABSENT) if our else (ABSENT, "a record")
            found.append(Difference(some.table, _key_text(some), "record", *present))
            continue
        one, other = flat(our), flat(their)
        if one["key"] != other["key"] and is_written_alike(our, their, reals=reals):
            for side in (one, other):
                side.pop("partition"), side.pop("key")
        names = sorted(one.keys() | other.keys())
        fields += len(names)
        found += [
            Difference(
                their.table, _key_text(their), name, one.get(name, ABSENT), other.get(name, ABSENT)
            )
            for name in names
            if not (
                name in one
                and name in other
                and is_same(
                    one[name],
                    other[name],
                    real=(their.table, name.removeprefix("after.")) in reals,
                )
            )
        ]
    return Compared(fields, found)


def flat(record: Record) -> dict[str, Any]:
    """Return a record's fields by their path, without those that may differ."""
    fields: dict[str, Any] = {"key": record.key}
    if record.key is not None:  # without a key any partition will do
        fields["partition"] = record.partition
    for name, field in record.value.items():
        if name in {"after", "source"} and isinstance(field, dict):
            fields |= {f"{name}.{inner}": value for inner, value in field.items()}
        else:
            fields[name] = field
    return {name: value for name, value in fields.items() if name not in ALLOWED}


def is_same(ours: Any, theirs: Any, *, real: bool = False) -> bool:
    """Tell whether two JSON values are the same, types included.

    Args:
        ours: parsed by :func:`parsed`, as is the other.
        theirs: the other.
        real: the column has 32 bits: Java 17 prints a digit more of some than need be.
    """
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(
            is_same(ours[name], theirs[name], real=real) for name in ours
        )
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(
            is_same(one, other, real=real) for one, other in zip(ours, theirs, strict=True)
        )
    if isinstance(ours, Decimal):
        form = "<f" if real else "<d"
        return struct.pack(form, float(ours)) == struct.pack(form, float(theirs))
    if isinstance(ours, str) and JAVA_OBJECT.fullmatch(theirs):
        return True
    return bool(ours == theirs)


_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+\.\d+(?:E-?\d+)?|.', re.DOTALL)
_FRACTION = re.compile(rb"-?\d+\.\d+(?:E-?\d+)?")


def is_written_alike(our: Record, their: Record, *, reals: Collection[tuple[str, str]]) -> bool:
    """Tell whether two keys differ in nothing but what Java makes of a float, or of an array.

    Only Java before 19 prints a digit more of some floats than need be, so the bytes of such a key
    depend on who runs Debezium; and so does the partition.
    """
    if our.key is None or their.key is None:
        return False
    real = any(table == their.table and f'"{name}":'.encode() in their.key for table, name in reals)
    one, other = _TOKEN.findall(our.key), _TOKEN.findall(their.key)
    return len(one) == len(other) and all(
        mine == others
        or (
            _FRACTION.fullmatch(mine)
            and _FRACTION.fullmatch(others)
            and is_same(Decimal(mine.decode()), Decimal(others.decode()), real=real)
        )
        or (mine[:1] == others[:1] == b'"' and JAVA_OBJECT.fullmatch(others[1:-1].decode()))
        for mine, others in zip(one, other, strict=True)
    )


Pair = tuple[Record | None, Record | None]


def _pairs(ours: Iterable[Record], theirs: Iterable[Record]) -> Iterator[Pair]:
    """Pair the records of the same row; one side alone: None.

    By table, key and place in the log, then by ever less of it: so that what is wrong is told as
    the field that it is.
    """
    mine, others = list(ours), list(theirs)
    for likeness in (
        lambda record: (record.table, record.key, record.position),
        lambda record: (record.table, record.position),
        lambda record: (record.table, record.key),
        lambda record: record.table,
    ):
        pairs, mine, others = _paired(mine, others, likeness)
        yield from pairs
    yield from ((record, None) for record in mine)
    yield from ((None, record) for record in others)


def _paired(
    ours: Iterable[Record], theirs: Iterable[Record], likeness: Callable[[Record], object]
) -> tuple[list[Pair], list[Record], list[Record]]:
    """Pair what is alike, in the order of its content; return also what is left of each side."""
    groups: dict[object, tuple[list[Record], list[Record]]] = defaultdict(lambda: ([], []))
    for side, records in enumerate((ours, theirs)):
        for record in records:
            groups[likeness(record)][side].append(record)
    pairs: list[Pair] = []
    mine: list[Record] = []
    others: list[Record] = []
    for group in groups.values():
        one, other = (sorted(side, key=_canonical) for side in group)
        pairs += zip(one, other, strict=False)
        mine += one[len(other) :]
        others += other[len(one) :]
    return pairs, mine, others


def _canonical(record: Record) -> str:
    return json.dumps([record.value.get("after"), record.position], sort_keys=True, default=str)


def _key_text(record: Record) -> str:
    return "" if record.key is None else _short(record.key.decode(errors="replace"))


_SHORT = 300


def _short(value: object) -> str:
    text = value if isinstance(value, str) else _literal(value)
    text = repr(value) if isinstance(value, str) and value != ABSENT else text
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}… ({len(text)} characters)"


def _literal(value: object) -> str:
    return str(value) if isinstance(value, Decimal) else repr(value)
