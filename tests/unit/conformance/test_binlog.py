"""A statement of MySQL is written as the server itself would describe the table."""

import pytest
from conformance.binlog import as_the_server_describes, databases_of
from conformance.statements import Statement, split


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("create table t (a bool, b BOOLEAN not null)",
                     "create table t (a tinyint(1), b tinyint(1) not null)", id="both words"),
        pytest.param("alter table t add column a bool", "alter table t add column a tinyint(1)",
                     id="a column that is added"),
        pytest.param("create table t (`bool` int, c text default 'a bool', \"x bool\" int)",
                     "create table t (`bool` int, c text default 'a bool', \"x bool\" int)",
                     id="quoted words"),
        pytest.param("create table t (bool int, boolean int)",
                     "create table t (bool int, boolean int)", id="columns of that name"),
        pytest.param("insert into t values (bool)", "insert into t values (bool)", id="rows"),
    ],
)  # fmt: skip
def test_a_boolean_is_written_as_what_it_is(text: str, expected: str) -> None:
    assert as_the_server_describes(Statement(1, 1, text)) == expected


def test_a_file_tells_which_databases_it_makes() -> None:
    text = "-- why\nCREATE DATABASE IF NOT EXISTS `a``b`; create schema c default charset x; use d;"

    assert databases_of(split(text, mysql=True)) == ["a`b", "c"]
