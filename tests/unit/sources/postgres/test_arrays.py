"""Arrays arrive as Debezium writes them, who takes their elements through Java's older classes."""

from typing import Any

import pytest

from cdc_sms.sources.postgres import arrays
from cdc_sms.sources.postgres.values import FIRST_USER_TYPE, BaseType, converter

BOOL, BYTEA, INT4, TEXT, FLOAT8, BIT = 1000, 1001, 1007, 1009, 1022, 1561
TIMESTAMP, DATE, TIME, TIMESTAMPTZ, TIMETZ = 1115, 1182, 1183, 1185, 1270
NUMERIC, TSVECTOR, OIDVECTOR = 1231, 3643, 1013


def converted(written: str, type_id: int, modifier: int = -1, **described: Any) -> object:
    convert = converter(BaseType(type_id, modifier, **described))
    assert convert is not None
    return convert(written.encode())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("{}", [], id="empty"),
        pytest.param("{a,NULL,b}", ["a", None, "b"], id="a NULL"),
        pytest.param('{"NULL",""," "}', ["NULL", "", " "], id="what looks like nothing"),
        pytest.param('{"a \\"b\\" \\\\ {},",ż😀}', ['a "b" \\ {},', "ż😀"], id="quotes"),
        pytest.param('{"a\nb"}', ["a\nb"], id="a line feed"),
        pytest.param("[2:3]={a,b}", ["a", "b"], id="other bounds"),
        pytest.param("{{a,b},{c,NULL}}", [["a", "b"], ["c", None]], id="two dimensions"),
        pytest.param("{{{a}}}", [[["a"]]], id="three dimensions"),
    ],
)
def test_an_array_is_read_by_its_syntax(written: str, expected: object) -> None:
    assert arrays.parsed(written) == expected


@pytest.mark.parametrize("written", ["", "a", "{a", '{"a'])
def test_what_is_no_array_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="an array"):
        arrays.parsed(written)


@pytest.mark.parametrize(
    ("type_id", "modifier", "written", "expected"),
    [
        pytest.param(INT4, -1, "{1,NULL,-3}", [1, None, -3], id="integers"),
        pytest.param(INT4, -1, "{{1,2},{3,4}}", [None, None], id="integers in two dimensions"),
        pytest.param(TEXT, -1, "{{a,NULL},{b,c}}", ["{a,NULL}", "{b,c}"], id="texts in two"),
        pytest.param(BOOL, -1, "{t,f}", [True, False], id="booleans"),
        pytest.param(BYTEA, -1, '{"\\\\x00ff",NULL}', ["AP8=", None], id="bytes"),
        pytest.param(FLOAT8, -1, "{NaN,1e+21}", ["NaN", 1e21], id="doubles"),
        pytest.param(NUMERIC, -1, "{1.50,NULL}", ["1.50", None], id="numerics"),
        pytest.param(NUMERIC, -1, "{1,NaN}", None, id="a numeric that is none"),
        pytest.param(NUMERIC, -1, "{-Infinity}", None, id="an infinite numeric"),
        pytest.param(DATE, -1, "{2026-11-24,infinity,-infinity}",
                     [20781, -622191234, -625821272], id="dates"),
        pytest.param(DATE, -1, '{1582-10-10,1582-10-15,0001-01-01,"0044-03-15 BC"}',
                     [-141422, -141427, -719162, -703383], id="dates that calendars disagree on"),
        pytest.param(TIME, -1, "{05:47:11.123456,24:00:00}", [20831123000, 0], id="times"),
        pytest.param(TIME, 3, "{05:47:11.12}", [20831120], id="times in milliseconds"),
        pytest.param(TIMETZ, -1, "{05:47:11.9+02}", ["03:47:11Z"], id="times with a zone"),
        pytest.param(TIMESTAMP, -1, '{"2026-11-24 05:47:11.123456",infinity}',
                     [1795499231123456, 9223372036825200000], id="timestamps"),
        pytest.param(TIMESTAMP, 0, '{"2026-11-24 05:47:11"}', [1795499231000], id="in whole ones"),
        pytest.param(TIMESTAMP, -1, '{"0044-03-15 10:00:00.5 BC","1582-10-10 00:00:00"}',
                     [-63517960799500000, -12218860800000000], id="Julian timestamps"),
        pytest.param(TIMESTAMPTZ, -1, '{"2026-07-24 03:47:11.1+00",infinity,-infinity}',
                     ["2026-07-24T03:47:11.100000Z", "infinity",
                      "+292269055-12-02T23:00:00.000000Z"], id="timestamps with a zone"),
        pytest.param(TIMESTAMPTZ, 3, "{-infinity}", ["+292269055-12-02T23:00:00.000Z"],
                     id="one before all others, by its digits"),
        pytest.param(TIMESTAMPTZ, 0, "{-infinity}", ["+292269055-12-02T23:00:00Z"],
                     id="one before all others, without digits"),
        pytest.param(TIMESTAMPTZ, -1, '{"0044-03-15 10:00:00+00 BC"}',
                     ["0044-03-15T10:00:00.000000Z"], id="an era that is lost"),
        pytest.param(BIT, 1, "{1}", None, id="bits, which are lost"),
        pytest.param(OIDVECTOR, -1, '{"1 2"}', None, id="vectors of ids, which are lost"),
        pytest.param(OIDVECTOR, -1, "{}", [], id="no vectors of ids"),
        pytest.param(TSVECTOR, -1, "{'a'}", ["'a'"], id="tsvectors"),
        pytest.param(TSVECTOR, -1, "{'a',NULL}", None, id="a NULL among tsvectors"),
    ],
)  # fmt: skip
def test_a_builtin_array_is_what_debezium_makes_of_it(
    type_id: int, modifier: int, written: str, expected: object
) -> None:
    assert converted(written, type_id, modifier) == expected


@pytest.mark.parametrize(
    ("name", "kind", "written", "expected"),
    [
        pytest.param("mood", "e", "{calm,wild}", ["calm", "wild"], id="enums"),
        pytest.param("mood", "e", "{calm,NULL}", None, id="a NULL among enums"),
        pytest.param("citext", "b", "{A,NULL}", ["A", None], id="a NULL among citexts"),
        pytest.param("hstore", "b", '{"\\"a\\"=>\\"1\\""}', ['{"a":"1"}'], id="hstores"),
    ],
)
def test_an_array_of_other_types_is_what_debezium_makes_of_it(
    name: str, kind: str, written: str, expected: object
) -> None:
    found = converted(written, FIRST_USER_TYPE, name=name, kind=kind, is_array=True)

    assert found == expected
