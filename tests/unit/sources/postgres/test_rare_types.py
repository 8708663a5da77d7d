"""Types that few columns have arrive as Debezium writes them."""

from typing import Any

import pytest

from cdc_sms.sources.postgres import rare_types
from cdc_sms.sources.postgres.values import (
    BIT,
    FIRST_USER_TYPE,
    INTERVAL,
    MONEY,
    NAME,
    NUMERIC,
    OIDVECTOR,
    POINT,
    TIMESTAMP,
    VARBIT,
    BaseType,
    converter,
)

TIMESTAMP_ARRAY = 1115


def converted(written: str, type_id: int, modifier: int = -1, **described: Any) -> object:
    convert = converter(BaseType(type_id, modifier, **described))
    assert convert is not None
    return convert(written.encode())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("00:00:00", 0, id="none"),
        pytest.param("1 day", 86_400_000_000, id="a day"),
        pytest.param("1 mon", 2_629_800_000_000, id="a month is 30.4375 days"),
        pytest.param("1 year 2 mons 3 days 04:05:06.789012", 37_091_106_789_012, id="all parts"),
        pytest.param("-1 years -2 mons +3 days -04:05:06.789012", -36_572_706_789_012,
                     id="signs of their own"),
        pytest.param("-00:00:00.001", -1000, id="a negative part of a second"),
        pytest.param("178000000 years", 2**63 - 1, id="more than 64 bits hold"),
    ],
)  # fmt: skip
def test_an_interval_is_about_so_many_microseconds(written: str, expected: int) -> None:
    assert converted(written, INTERVAL) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("$1,234,567.89", "1234567.89", id="separators"),
        pytest.param("-$0.01", "-0.01", id="a negative amount"),
        pytest.param("($5.00)", "-5.00", id="a negative amount in brackets"),
        pytest.param("€7", "7", id="another currency"),
    ],
)
def test_money_is_its_number(written: str, expected: str) -> None:
    assert converted(written, MONEY) == expected


@pytest.mark.parametrize(
    ("type_id", "length", "written", "expected"),
    [
        pytest.param(BIT, 1, "1", True, id="one bit"),
        pytest.param(VARBIT, 1, "", None, id="no bit of one"),
        pytest.param(BIT, 9, "100000001", "AQE=", id="the last bit first"),
        pytest.param(BIT, 9, "000000001", "AQ==", id="no zero bytes at the end"),
        pytest.param(VARBIT, -1, "", "", id="no bits"),
    ],
)
def test_bits_are_bytes_but_one(type_id: int, length: int, written: str, expected: object) -> None:
    assert converted(written, type_id, length) == expected


def test_a_point_is_its_numbers_and_well_known_binary() -> None:
    assert converted("(1.5,NaN)", POINT) == {
        "x": 1.5,
        "y": "NaN",
        "wkb": "AQEAAAAAAAAAAAD4PwAAAAAAAPh/",
        "srid": None,
    }


def test_an_hstore_has_its_keys_in_the_order_of_javas_hashes() -> None:
    written = '"a"=>"1", "b"=>NULL, "aa"=>"q\\"\\\\"'

    found = converted(written, FIRST_USER_TYPE, name="hstore")

    assert found == '{"aa":"q\\"\\\\","a":"1","b":null}'


def test_keys_of_one_hash_keep_their_order() -> None:
    hashes = {text: rare_types.java_hash(text) for text in ("BB", "Aa", "C#")}

    assert len(set(hashes.values())) == 1
    assert rare_types.hash_order(hashes, capacity=16) == ["BB", "Aa", "C#"]


def test_a_vector_is_its_numbers() -> None:
    assert converted("[1,2.5,-3e-05]", FIRST_USER_TYPE, name="vector") == [1.0, 2.5, -3e-05]


def test_a_sparse_vector_is_its_dimensions_and_pairs() -> None:
    found = converted("{1:1.5,3:-2}/5", FIRST_USER_TYPE, name="sparsevec")

    assert found == {"dimensions": 5, "vector": [[1, 1.5], [3, -2.0]]}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("0101000000000000000000f03f0000000000000040", None, id="no reference system"),
        pytest.param("0101000020e6100000000000000000f03f0000000000000040", 4326, id="one"),
    ],
)
def test_a_geometry_is_its_binary_and_reference_system(written: str, expected: object) -> None:
    found = rare_types.geometry(written.encode())

    assert found["srid"] == expected


def test_a_numeric_of_negative_scale_has_as_many_zeros_as_debezium_reads_of_it() -> None:
    modifier = (5 << 16 | (-2 & 0x7FF)) + 4

    assert converted("12300", NUMERIC, modifier) == "12300." + "0" * 2046


@pytest.mark.parametrize(
    ("written", "modifier", "expected"),
    [
        pytest.param("294247-01-10 04:00:54.775807", -1, 2**63 - 1, id="the last"),
        pytest.param("294247-01-10 04:00:54.775808", -1, -(2**63), id="the one after it"),
        pytest.param("294247-01-10 04:00:55", -1, 2**63 - 1, id="a second that stops at the end"),
        pytest.param("294276-12-31 23:59:59.999999", -1, -9_223_372_036_853_775_810,
                     id="what is added to such a second"),
        pytest.param("294276-12-31 23:59:59.999", 3, 9_224_318_015_999_999, id="milliseconds"),
    ],
)  # fmt: skip
def test_a_timestamp_behind_the_last_of_64_bits_goes_on_from_their_other_end(
    written: str, modifier: int, expected: int
) -> None:
    assert converted(written, TIMESTAMP, modifier) == expected
    assert converted(f'{{"{written}"}}', TIMESTAMP_ARRAY, modifier) == [expected]


def test_an_infinite_interval_is_none() -> None:
    assert (converted("infinity", INTERVAL), converted("-infinity", INTERVAL)) == (0, 0)


def test_what_debezium_loses_is_null_or_empty() -> None:
    assert (converted("1 2", OIDVECTOR), converted("", OIDVECTOR)) == ([], None)


def test_a_name_is_lost_and_empty_where_it_may_not_be_null() -> None:
    required = converter(BaseType(NAME, -1), is_required=True)

    assert required is not None
    assert (converted("a", NAME), required(b"a")) == (None, "")


@pytest.mark.parametrize(
    ("name", "kind", "is_array", "expected"),
    [
        pytest.param("ltree", "c", False, "(1,2)", id="a composite type, read as text"),
        pytest.param("vector", "c", False, None, id="a composite type, read as numbers"),
        pytest.param("geometry", "e", False, None, id="an enum, read as binary"),
        pytest.param("hstore", "d", True, None, id="an array of domains"),
    ],
)
def test_a_type_is_read_by_its_name_whatever_it_is(
    name: str, kind: str, is_array: bool, expected: object
) -> None:
    assert converted("(1,2)", 99_999, name=name, kind=kind, is_array=is_array) == expected


@pytest.mark.parametrize(
    "base",
    [
        pytest.param(BaseType(603, -1), id="box"),
        pytest.param(BaseType(718, -1), id="circle"),
        pytest.param(BaseType(3615, -1), id="tsquery"),
        pytest.param(BaseType(3220, -1), id="pg_lsn"),
        pytest.param(BaseType(4451, -1), id="int4multirange"),
        pytest.param(BaseType(791, -1), id="an array of money"),
        pytest.param(BaseType(1187, -1), id="an array of intervals"),
        pytest.param(BaseType(99_999, -1, "pair", "c"), id="a composite type"),
        pytest.param(BaseType(99_999, -1, "span", "r"), id="a range of somebody's own"),
        pytest.param(BaseType(99_999, -1, "cube"), id="a type of an extension"),
        pytest.param(BaseType(99_999, -1, "whole", "d", is_array=True), id="an array of a domain"),
    ],
)
def test_a_type_without_a_rule_is_left_out(base: BaseType) -> None:
    assert converter(base) is None
