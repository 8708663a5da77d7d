"""Golden rows of MySQL and MariaDB: the log's bytes, and what Debezium wrote for the same rows."""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cdc_sms.sources.binlog import table_map
from cdc_sms.sources.binlog.column import Column
from cdc_sms.sources.binlog.events import length_encoded
from cdc_sms.sources.binlog.row import row_decoder
from cdc_sms.sources.binlog.texts import text_converter

DATA = Path(__file__).parents[1] / "data"
VERSIONS = ("mysql-9.7", "mariadb-10.11", "mariadb-11.8")

HEADER_BYTES = 19
TABLE_MAP, WRITE_ROWS_2 = 19, 30


@dataclass(frozen=True)
class DebeziumRecord:
    """One record that Debezium wrote."""

    key: bytes
    value: Mapping[str, Any]


@dataclass
class Table:
    """What was recorded of one table.

    Attributes:
        columns: as the log and the dictionary describe them.
        key: the primary key's columns, in the table's order.
        rows: their values out of the log, in its order.
        records: what Debezium wrote for them.
        selected: the same rows by SELECT, in the key's order.
    """

    columns: Sequence[Column]
    key: Sequence[str]
    rows: list[list[object]] = field(default_factory=list)
    records: list[DebeziumRecord] = field(default_factory=list)
    selected: list[list[object]] = field(default_factory=list)


def tables(version: str) -> Mapping[str, Table]:
    """Return what was recorded on a server."""
    is_mariadb = version.startswith("mariadb")
    described: dict[str, list[Mapping[str, Any]]] = {}
    for column in _lines(DATA / "binlog" / f"{version}.columns.jsonl"):
        described.setdefault(column["table"], []).append(column)
    found: dict[str, Table] = {}
    name = ""
    for line in (DATA / "binlog" / f"{version}.hex").read_text().split():
        event = bytes.fromhex(line)
        if event[4] == TABLE_MAP:
            name = _table_name(event)
            found.setdefault(name, _table(event, described[name], is_mariadb=is_mariadb))
        else:
            found[name].rows += _rows(event, found[name].columns, is_mariadb=is_mariadb)
    for one in _lines(DATA / "debezium" / f"{version}.jsonl"):
        record = DebeziumRecord(one["key"].encode(), json.loads(one["value"]))
        found[one["table"]].records.append(record)
    for one in _lines(DATA / "binlog" / f"{version}.selected.jsonl"):
        table = found[one["table"]]
        table.selected.append(
            [
                text_converter(_as_declared(column, metadata), mariadb=is_mariadb)(
                    None if text is None else bytes.fromhex(text)
                )
                for column, metadata, text in zip(
                    table.columns, map(_digits, described[one["table"]]), one["row"], strict=True
                )
            ]
        )
    return found


def is_same(column: Column, ours: object, theirs: object) -> bool:
    """Tell whether two values of a column are the same.

    Numbers of 32 bits: Java 17 prints a digit more of some than need be.
    """
    if column.declared == "float" and isinstance(ours, float) and isinstance(theirs, float):
        return struct.pack("f", ours) == struct.pack("f", theirs)
    if isinstance(ours, list) and isinstance(theirs, list):
        return struct.pack(f"{len(ours)}f", *ours) == struct.pack(f"{len(theirs)}f", *theirs)
    return ours == theirs and isinstance(ours, bool) == isinstance(theirs, bool)


def _table_name(event: bytes) -> str:
    """Return the table of a TABLE_MAP event: it stands behind the database's name."""
    schema_at = HEADER_BYTES + 8
    table_at = schema_at + 2 + event[schema_at]
    return event[table_at + 1 : table_at + 1 + event[table_at]].decode()


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _table(event: bytes, described: Sequence[Mapping[str, Any]], *, is_mariadb: bool) -> Table:
    begin = HEADER_BYTES + 8
    for _name in range(2):
        begin += event[begin] + 2
    found = table_map.parse(event[begin:], mariadb=is_mariadb)
    columns = [
        _column(one, type_code, metadata)
        for one, type_code, metadata in zip(described, found.types, found.metadata, strict=True)
    ]
    return Table(columns, [column.name for column in columns if column.is_key])


def _column(one: Mapping[str, Any], type_code: int, metadata: int) -> Column:
    return Column(
        name=one["name"],
        type_code=type_code,
        metadata=metadata,
        declared=one["declared"],
        unsigned="unsigned" in one["type"],
        charset=one["charset"],
        words=_words(one["type"]) if one["declared"] in {"enum", "set"} else (),
        nullable=one["nullable"] == "YES",
        default=_default(one["default"]),
        scale=one["scale"] if one["declared"] in {"float", "double"} else None,
        is_key=bool(one["is_key"]),
    )


def _words(column_type: str) -> tuple[str, ...]:
    # of these tables alone: their words have an apostrophe or a backslash at most
    inner = column_type[column_type.index("(") + 2 : -2]
    return tuple(word.replace("''", "'").replace("\\\\", "\\") for word in inner.split("','"))


def _default(text: str | None) -> str | None:
    if text is None or text == "NULL" or "(" in text or text == "CURRENT_TIMESTAMP":
        return None
    return text.strip("'")


def _as_declared(column: Column, metadata: int) -> Column:
    return Column(
        name=column.name,
        type_code=0,
        metadata=metadata,
        declared=column.declared,
        unsigned=column.unsigned,
        charset=column.charset,
        nullable=column.nullable,
        default=column.default,
        scale=column.scale,
    )


def _digits(one: Mapping[str, Any]) -> int:
    if one["declared"] == "bit":
        return int(one["precision"]) % 8 | int(one["precision"]) // 8 << 8
    return one["digits"] or 0


def _rows(event: bytes, columns: Sequence[Column], *, is_mariadb: bool) -> Iterator[list[object]]:
    at = HEADER_BYTES + 8
    if event[4] == WRITE_ROWS_2:
        at += int.from_bytes(event[at : at + 2], "little")
    count, at = length_encoded(event, at)
    assert count == len(columns)
    at += (count + 7) // 8
    decode = row_decoder(columns, mariadb=is_mariadb)
    while at < len(event):
        values, at = decode(event, at)
        yield values
    assert at == len(event)
