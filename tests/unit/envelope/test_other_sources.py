"""Records of Debezium's other connectors, written by hand from its documentation."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Column, types
from sqlalchemy.dialects import mssql, mysql, oracle

from cdc_sms.databases.key_column import key_column
from cdc_sms.envelope.row_key import NoMessage, RowKey, RowKeys
from cdc_sms.errors import EnvelopeError

FILE = Path(__file__).parents[2] / "data" / "debezium" / "documented-other-sources.jsonl"
SAMPLES = {one["name"]: one for one in map(json.loads, FILE.read_text().splitlines())}

IDENTIFIER = UUID("0190f3b6-7c1e-7a52-9d3a-5b1f8c2d4e6f")
MADE = datetime(2026, 11, 24, 5, 47, 11, 123456)  # noqa: DTZ001 - a column without a zone

# without annotations in SQLAlchemy
Number: Any = oracle.NUMBER
DateTime2: Any = mssql.DATETIME2
DateTimeOffset: Any = mssql.DATETIMEOFFSET

Reflected = tuple[str, types.TypeEngine[Any]]
ID: Reflected = ("id", types.BIGINT())
NUMBER: Reflected = ("id", Number())

# A column's name and type as SQLAlchemy reflects them, and its value as the connection reads it.
DECODED: Mapping[str, tuple[Reflected, object]] = {
    "sqlserver bigint": (ID, 4711),
    "sqlserver snapshot": (ID, 4711),
    "sqlserver datetime2(7)": (("made", DateTime2(7)), MADE),
    "sqlserver datetime2(7) without its schema": (("made", DateTime2(7)), MADE),
    "sqlserver datetime": (("made", types.DATETIME()), MADE.replace(microsecond=123000)),
    "sqlserver datetimeoffset": (
        ("made", DateTimeOffset(6)),
        MADE.replace(tzinfo=UTC),
    ),
    "sqlserver uniqueidentifier": (("uid", mssql.UNIQUEIDENTIFIER()), IDENTIFIER),
    "oracle number": (NUMBER, Decimal(4711)),
    "oracle number as text": (NUMBER, Decimal(4711)),
    "oracle number as double": (("id", Number(19, 0)), Decimal(4711)),
    "oracle number(19)": (("id", Number(19, 0)), Decimal(4711)),
    "oracle number(9)": (("id", Number(9, 0)), Decimal(4711)),
    "oracle date": (("made", oracle.DATE()), MADE.replace(microsecond=0)),
    "oracle timestamp(9)": (("made", oracle.TIMESTAMP()), MADE),
    "oracle raw": (("uid", oracle.RAW(16)), IDENTIFIER.bytes),
    "db2 bigint": (ID, 4711),
    "db2 timestamp": (("made", types.TIMESTAMP()), MADE),
    "informix bigint": (ID, 4711),
    "vitess bigint unsigned": (("id", mysql.BIGINT(unsigned=True)), 2**64 - 1),
    "spanner int64": (ID, 4711),
}


def _read(name: str, reflected: Reflected) -> RowKey | NoMessage:
    key = key_column(Column(*reflected))
    row_keys = RowKeys("sms", [key], "status", "pending", names_transactions=False)
    sample = SAMPLES[name]
    return row_keys.read(sample["key"].encode(), sample["value"].encode(), [])


@pytest.mark.parametrize("name", DECODED)
def test_a_row_of_another_database_is_looked_at_by_its_key(name: str) -> None:
    reflected, value = DECODED[name]

    found = _read(name, reflected)

    assert isinstance(found, RowKey)
    assert found.key == (value,)
    assert type(found.key[0]) is type(value)


@pytest.mark.parametrize("name", ["sqlserver bigint", "oracle number(9)", "informix bigint"])
def test_a_row_from_the_log_may_not_be_visible_yet_whatever_the_record_calls_a_transaction(
    name: str,
) -> None:
    found = _read(name, ID)

    assert isinstance(found, RowKey)
    assert (found.was_visible, found.transaction_id) == (False, None)


def test_a_row_that_a_snapshot_read_was_visible() -> None:
    found = _read("sqlserver snapshot", ID)

    assert isinstance(found, RowKey)
    assert found.was_visible


@pytest.mark.parametrize("name", ["sqlserver another word", "oracle another word"])
def test_another_status_word_is_seen_whatever_letters_a_columns_name_has(name: str) -> None:
    assert _read(name, ID) == NoMessage("not_pending")


@pytest.mark.parametrize(
    ("name", "reflected", "reason"),
    [
        (
            "sqlserver datetime2(7) finer than microseconds",
            ("made", DateTime2(7)),
            "nanoseconds don't fit",
        ),
        ("oracle number as double", NUMBER, "isn't exact"),
        ("cloudevents", ID, "CloudEvent"),
    ],
)
def test_what_can_not_be_told_exactly_is_refused(
    name: str, reflected: Reflected, reason: str
) -> None:
    with pytest.raises(EnvelopeError, match=reason):
        _read(name, reflected)


def test_every_sample_is_tested() -> None:
    refused = {"sqlserver datetime2(7) finer than microseconds", "cloudevents"}
    others = {"sqlserver another word", "oracle another word"}

    assert SAMPLES.keys() == DECODED.keys() | refused | others
