"""Values arrive as Debezium writes them: compared with golden records, field by field."""

import pytest
from support.golden import KEYS, VERSIONS, captured_rows, debezium_records, is_same

from cdc_sms.model.captured_row import Undecodable
from cdc_sms.sources.postgres import values

TEXT = 25


@pytest.mark.parametrize("table", KEYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_value_is_what_debezium_wrote(version: str, table: str) -> None:
    rows = captured_rows(version, table)
    records = debezium_records(version, table)

    differences = [
        (record.key, name, ours, record.value["after"].get(name, "absent"))
        for row, record in zip(rows, records, strict=True)
        for name, ours in zip(row.table.columns, row.values, strict=True)
        if not is_same(name, ours, record.value["after"].get(name, "absent"))
    ]

    assert differences == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_row_has_the_columns_that_debezium_wrote_in_their_order(version: str) -> None:
    rows = captured_rows(version, "sms")
    records = debezium_records(version, "sms")

    assert [row.table.columns for row in rows] == [tuple(r.value["after"]) for r in records]


@pytest.mark.parametrize(
    ("type_id", "written", "expected"),
    [
        pytest.param(values.TIMESTAMPTZ, b"2026-11-24 05:47:11+00", "2026-11-24T05:47:11.000000Z",
                     id="a timestamptz without a fraction"),
        pytest.param(values.TIMETZ, b"00:30:00+01:15:20", "23:14:40Z",
                     id="a timetz whose zone has seconds"),
        pytest.param(values.BYTEA, b"\\x", "", id="an empty bytea"),
        pytest.param(values.INT8, b"-9223372036854775808", -(2**63), id="the smallest bigint"),
    ],
)  # fmt: skip
def test_a_value_becomes_its_json_form(type_id: int, written: bytes, expected: object) -> None:
    convert = values.converter(values.BaseType(type_id, -1))
    assert convert is not None

    assert convert(written) == expected


@pytest.mark.parametrize(
    ("type_id", "written"),
    [
        pytest.param(TEXT, b"\xff", id="a text in no encoding"),
        pytest.param(values.INT4, b"seven", id="a number in words"),
        pytest.param(values.BYTEA, b"abc", id="a bytea in escape form"),
        pytest.param(values.DATE, b"24.11.2026", id="a date in German form"),
        pytest.param(values.TIMESTAMPTZ, b"2026-11-24 05:47:11+02", id="a time in another zone"),
        pytest.param(values.TIMETZ, b"noon", id="a time in words"),
    ],
)
def test_a_value_in_an_unknown_form_is_marked_undecodable(type_id: int, written: bytes) -> None:
    convert = values.converter(values.BaseType(type_id, -1))
    assert convert is not None

    assert values.convert_one(convert, written) == Undecodable(written)


def test_an_undecodable_value_hides_its_bytes() -> None:
    assert "48600700800" not in repr(Undecodable(b"48600700800"))


@pytest.mark.parametrize(
    ("type_id", "base", "expected"),
    [
        pytest.param(25, values.BaseType(25, -1), "__debezium_unavailable_value", id="a text"),
        pytest.param(17, values.BaseType(17, -1), "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
                     id="bytes"),
        pytest.param(99_999, values.BaseType(17, -1), "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
                     id="a domain over bytes"),
        pytest.param(1009, values.BaseType(1009, -1), ["__debezium_unavailable_value"],
                     id="texts"),
        pytest.param(1007, values.BaseType(1007, -1), list(b"__debezium_unavailable_value"),
                     id="whole numbers"),
        pytest.param(1231, values.BaseType(1231, -1), None, id="an array without a word"),
        pytest.param(99_999, values.BaseType(1009, -1), None, id="a domain over texts"),
        pytest.param(99_999, values.BaseType(99_999, -1, "hstore"),
                     '{"__debezium_unavailable_value":"__debezium_unavailable_value"}',
                     id="an hstore"),
    ],
)  # fmt: skip
def test_a_value_that_the_log_leaves_out_has_a_word_for_it(
    type_id: int, base: values.BaseType, expected: object
) -> None:
    assert values.unavailable(type_id, base) == expected
