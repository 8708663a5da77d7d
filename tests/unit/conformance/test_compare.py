"""What is not the same on both sides is told: shown on records that Debezium wrote."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from conformance.compare import ALLOWED, Record, compare, is_same, parsed
from support.golden import debezium_records

RECORDS = debezium_records("15", "sms")


def records(change: Callable[[dict[str, Any]], None] = lambda _: None) -> list[Record]:
    """Return the recorded records, their values changed."""
    made = []
    for offset, recorded in enumerate(RECORDS):
        value = json.loads(json.dumps(recorded.value))
        change(value)
        written = json.dumps(value).encode()
        made.append(Record(recorded.partition, offset, recorded.key, parsed(written)))
    return made


def told(ours: list[Record], theirs: list[Record]) -> set[str]:
    return {found.field for found in compare(ours, theirs, reals=()).differences}


def test_the_same_records_have_no_difference() -> None:
    compared = compare(records(), records(), reals=())

    assert (compared.differences, compared.fields > 50 * len(RECORDS)) == ([], True)


@pytest.mark.parametrize("place", range(len(RECORDS)))
def test_one_byte_of_one_value_is_told(place: int) -> None:
    theirs = records()
    value = json.loads(json.dumps(theirs[place].value, default=float))
    value["after"]["c_text"] = "y" + str(value["after"]["c_text"] or "")[1:]
    theirs[place] = replace(theirs[place], value=value)

    assert told(records(), theirs) >= {"after.c_text"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param(
            lambda v: v["after"].update(id=v["after"]["id"] + 1), "after.id", id="a number"
        ),
        pytest.param(lambda v: v["after"].update(c_bigint=1), "after.c_bigint", id="a field more"),
        pytest.param(lambda v: v["after"].pop("c_uuid"), "after.c_uuid", id="a field less"),
        pytest.param(lambda v: v.update(op="r"), "op", id="the operation"),
        pytest.param(lambda v: v.update(before={}), "before", id="the image before"),
        pytest.param(lambda v: v["source"].update(txId=1), "source.txId", id="the transaction"),
        pytest.param(lambda v: v.update(after=None), "after.id", id="no row"),
    ],
)
def test_a_changed_field_is_told_by_its_path(
    change: Callable[[dict[str, Any]], None], field: str
) -> None:
    assert field in told(records(), records(change))


def test_a_key_of_other_bytes_is_told() -> None:
    ours = [replace(r, key=r.key.replace(b":", b": ")) for r in records() if r.key is not None]

    assert told(ours, records()) == {"key"}


@pytest.mark.parametrize(
    ("ours", "theirs", "is_told"),
    [
        pytest.param('{"id":6.351783550692849E16}', '{"id":6.3517835506928488E16}', False,
                     id="a double with a digit more"),
        pytest.param('{"id":6.351783550692849E16}', '{"id":6.351783550692850E16}', True,
                     id="another double"),
        pytest.param('{"a":"1.0","r":8.79464E12}', '{"a":"1.0","r":8.7946402E12}', False,
                     id="a real with a digit more"),
        pytest.param('{"a":"1.0","r":1.5}', '{"a":"1.00","r":1.5}', True,
                     id="a text like a number"),
        pytest.param('{"id":["{a,b}"]}', '{"id":["[Ljava.lang.String;@359111aa"]}', False,
                     id="an array in an array of texts"),
        pytest.param('{"id":["é"]}', r'{"id":["\u00e9"]}', True, id="a text with an escape"),
    ],
)  # fmt: skip
def test_keys_may_differ_in_what_java_makes_of_floats_and_arrays(
    ours: str, theirs: str, *, is_told: bool
) -> None:
    mine = [replace(record, key=ours.encode()) for record in records()]
    others = [replace(record, key=theirs.encode(), partition=99) for record in records()]

    found = compare(mine, others, reals=[(mine[0].table, "r")]).differences

    assert {difference.field for difference in found} == (
        {"key", "partition"} if is_told else set()
    )


def test_another_partition_is_told() -> None:
    ours = [replace(r, partition=r.partition + 1) for r in records()]

    assert told(ours, records()) == {"partition"}


@pytest.mark.parametrize("keep", [0, 1, len(RECORDS) - 1])
def test_records_that_one_side_lacks_are_told(keep: int) -> None:
    compared = compare(records()[:keep], records(), reals=())

    assert [d.field for d in compared.differences] == ["record"] * (len(RECORDS) - keep)


def test_what_may_differ_is_only_of_the_source_and_the_time_of_writing() -> None:
    fields = {name for name in ALLOWED if not name.startswith("source.")}

    assert fields == {"ts_ms", "ts_us", "ts_ns"}


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        pytest.param("1", "1.0", False, id="a whole number and one with a fraction"),
        pytest.param("1", '"1"', False, id="a number and a text"),
        pytest.param("1", "true", False, id="a number and a truth value"),
        pytest.param("10000000.0", "1.0E7", True, id="one number, written in two ways"),
        pytest.param("0.0", "-0.0", False, id="the sign of zero"),
        pytest.param("9223372036854775807", "9223372036854775806", False, id="large numbers"),
        pytest.param("0.1", "0.10000000000000001", True, id="one double"),
        pytest.param("0.1", "0.10000000000000002", False, id="two doubles"),
        pytest.param('{"a":[1,null]}', '{"a":[1,0]}', False, id="deep inside"),
        pytest.param('["{a}"]', '["[Ljava.lang.String;@9641ebf"]', True, id="a Java object's name"),
    ],
)
def test_values_are_the_same_by_type_and_number(ours: str, theirs: str, expected: bool) -> None:
    one, other = (parsed(f'{{"v":{value}}}'.encode())["v"] for value in (ours, theirs))

    assert is_same(one, other) is expected


def test_a_real_is_compared_by_its_32_bits() -> None:
    one, other = parsed(b'{"v":1.1754944E-38}')["v"], parsed(b'{"v":1.17549435E-38}')["v"]

    assert (is_same(one, other), is_same(one, other, real=True)) == (False, True)


def test_a_value_that_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        parsed(b'{"v":NaN}')
