"""Golden records: what PostgreSQL sent and what Debezium wrote for the same rows."""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdc_sms.model.captured_row import CapturedRow
from cdc_sms.sources.base import Batch
from cdc_sms.sources.postgres.pgoutput import Column, Decoder
from cdc_sms.sources.postgres.values import FIRST_USER_TYPE, BaseType

DATA = Path(__file__).parents[1] / "data"
TABLES = (DATA / "debezium" / "tables.sql").read_text()
ROWS = (DATA / "debezium" / "rows.sql").read_text()
VERSIONS = ("15", "18")

KEYS: Mapping[str, tuple[str, ...]] = {
    "sms": ("id",),
    "sms_composite": (
        "c_numeric", "c_text", "c_uuid", "c_timestamptz", "c_bytea", "c_date", "c_char", "c_enum",
        "c_timestamp_3", "c_boolean", "c_smallint", "c_double", "c_real", "c_time",
        'C mixed "case"', "c_jsonb", "c_timestamp",
    ),
}  # fmt: skip

_DOMAINS = {
    "c_whole": BaseType(23, -1),
    "c_code": BaseType(1043, 14),
    "c_short_code": BaseType(1043, 14),
    "c_amount": BaseType(1700, 524294),
    "c_enum": BaseType(FIRST_USER_TYPE, -1, "mood", "e"),
}


@dataclass(frozen=True)
class DebeziumRecord:
    """One record that Debezium wrote."""

    table: str
    partition: int
    key: bytes
    value: Mapping[str, Any]


def stream_messages(version: str) -> list[bytes]:
    """Return what the server sent, message by message."""
    lines = (DATA / "pgoutput" / f"every-type-{version}.hex").read_text().split()
    return [bytes.fromhex(line) for line in lines]


def base_types(columns: Sequence[Column]) -> dict[int, BaseType]:
    """Return what the catalogue said of the columns' domains."""
    return {c.type_id: _DOMAINS[c.name] for c in columns if c.name in _DOMAINS}


def decoded(messages: Sequence[bytes], *, table: str) -> Batch:
    """Return everything that the messages hold of one table, as one batch."""
    decoder = Decoder(key=KEYS[table], slot="golden", base_types=base_types, required=lambda _: ())
    batch = Batch()
    for message in messages:
        decoder.take(message, batch)
    return batch


def captured_rows(version: str, table: str) -> list[CapturedRow]:
    """Return the rows of one table, as the reader captures them."""
    return decoded(list(_of_table(version, table)), table=table).rows


def is_same(column: str, ours: object, theirs: object) -> bool:
    """Tell whether two values of a column are the same.

    A ``real`` has 32 bits: Java 17 prints a digit more of some than need be.
    """
    if column == "c_real" and isinstance(ours, float) and isinstance(theirs, float):
        return struct.pack("f", ours) == struct.pack("f", theirs)
    return ours == theirs


def _of_table(version: str, table: str) -> Iterator[bytes]:
    """Leave out what belongs to the other table: a reader has one."""
    others = set()
    for message in stream_messages(version):
        body = message[25:]
        if message[:1] == b"w" and body[:1] == b"R":
            schema_and_name = body[5:].split(b"\0", 2)[:2]
            if schema_and_name[1].decode() != table:
                others.add(body[1:5])
        if not (message[:1] == b"w" and body[:1] in (b"R", b"I") and body[1:5] in others):
            yield message


def debezium_records(version: str, table: str, operation: str = "c") -> list[DebeziumRecord]:
    """Return Debezium's records of one table, in the log's order."""
    lines = (DATA / "debezium" / f"postgres-{version}.jsonl").read_text().split("\n")
    found = [json.loads(line) for line in lines if line]
    records = [
        DebeziumRecord(r["table"], r["partition"], r["key"].encode(), json.loads(r["value"]))
        for r in found
        if r["table"] == table
    ]
    return [record for record in records if record.value["op"] == operation]
