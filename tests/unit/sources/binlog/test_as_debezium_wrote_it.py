"""Rows of every type arrive as Debezium wrote them: compared with golden records by field."""

import json
from functools import cache

import pytest
from support.golden_binlog import VERSIONS, Table, is_same, tables

from cdc_sms import __version__
from cdc_sms.envelope.encode import Encoder
from cdc_sms.envelope.source_block import BinlogBlock
from cdc_sms.model.captured_row import BinlogTransaction, CapturedRow, CapturedTable
from cdc_sms.model.change_event import Operation

golden = cache(tables)

# A UUID of MariaDB that ends in a zero byte is another one to Debezium: in a key that would be
# another row.
OF_ANOTHER_ROW = ("only_mariadb", "id")
# What a snapshot writes otherwise: UUIDs as they are and, as Debezium, the server's text of JSON.
OF_THE_SNAPSHOT = {
    ("mariadb", "only_mariadb", "c_uuid"),
    ("mysql", "documents", "c_json"),
    ("mysql", "documents", "c_json_nn"),
}


def cases(*, without: str = "") -> list[object]:
    """Return each table of each server, one of them left out."""
    return [
        pytest.param(version, name, id=f"{version}-{name}")
        for version in VERSIONS
        for name in golden(version)
        if name != without
    ]


@pytest.mark.parametrize(("version", "name"), cases())
def test_every_value_is_what_debezium_wrote(version: str, name: str) -> None:
    table = golden(version)[name]

    differences = [
        (record.key, column.name, ours, record.value["after"].get(column.name, "absent"))
        for values, record in zip(table.rows, table.records, strict=True)
        for column, ours in zip(table.columns, values, strict=True)
        if not is_same(column, ours, record.value["after"].get(column.name, "absent"))
        and (name, column.name) != OF_ANOTHER_ROW
    ]

    assert differences == []


@pytest.mark.parametrize(("version", "name"), cases())
def test_a_row_has_the_columns_that_debezium_wrote_in_their_order(version: str, name: str) -> None:
    table = golden(version)[name]

    names = [column.name for column in table.columns]
    assert [list(record.value["after"]) for record in table.records] == [names] * len(table.rows)


@pytest.mark.parametrize(("version", "name"), cases(without=OF_ANOTHER_ROW[0]))
def test_a_key_has_the_bytes_that_debezium_wrote(version: str, name: str) -> None:
    table = golden(version)[name]

    assert encoded_keys(name, table) == [record.key for record in table.records]


def encoded_keys(name: str, table: Table) -> list[bytes | None]:
    """Return our keys of a table's rows."""
    key = tuple(golden_key(table))
    captured = CapturedTable("db", name, tuple(column.name for column in table.columns), key)
    source = BinlogBlock(connector="mysql", name="sms", version=__version__)
    encoder = Encoder(source=source, max_record_bytes=4_000_000)
    transaction = BinlogTransaction("binlog.000001", None, 1, 0, None)
    return [
        encoder.encode(
            CapturedRow(captured, values, Operation.CREATE, 4, transaction), now_us=0
        ).key
        for values in table.rows
    ]


def golden_key(table: Table) -> list[str]:
    """Return the key's columns in the key's order, as Debezium has them."""
    return list(json.loads(table.records[0].key))


@pytest.mark.parametrize(("version", "name"), cases())
def test_a_selected_row_is_the_same_as_in_the_log(version: str, name: str) -> None:
    table = golden(version)[name]
    by_key = {identity(table, values): values for values in table.rows}

    differences = [
        (column.name, selected, of_log)
        for row in table.selected
        for column, selected, of_log in zip(
            table.columns, row, by_key[identity(table, row)], strict=True
        )
        if selected != of_log
        and (version.partition("-")[0], name, column.name) not in OF_THE_SNAPSHOT
    ]

    assert differences == []
    assert len(table.selected) == len(table.rows)


def identity(table: Table, values: list[object]) -> tuple[object, ...]:
    """Return the values of a row's key."""
    return tuple(
        value for column, value in zip(table.columns, values, strict=True) if column.is_key
    )
