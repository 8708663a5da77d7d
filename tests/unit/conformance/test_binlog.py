"""A statement of MySQL is written as the server itself would describe the table."""

import pytest
from conformance.binlog import as_the_server_describes, databases_of, makes_described_table
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
        pytest.param("alter table t add a float4, add `float4` int",
                     "alter table t add a float, add `float4` int", id="a short float"),
        pytest.param(r"alter table t add a text default ('\' bool'), add b bool",
                     r"alter table t add a text default ('\' bool'), add b tinyint(1)",
                     id="behind a quote in quotes"),
        pytest.param("insert into t values (bool)", "insert into t values (bool)", id="rows"),
    ],
)  # fmt: skip
def test_a_boolean_is_written_as_what_it_is(text: str, expected: str) -> None:
    assert as_the_server_describes(Statement(1, 1, text)) == expected


def test_a_file_tells_which_databases_it_makes() -> None:
    text = "-- why\nCREATE DATABASE IF NOT EXISTS `a``b`; create schema c default charset x; use d;"

    assert databases_of(split(text, mysql=True)) == ["a`b", "c"]


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("create table t (id int)", True),
        ("/* why */ CREATE OR REPLACE TABLE `a b` (`select` int, c text default 'like')", True),
        ("/*! create table t (a int) partition by list (a) (partition p values in (1)) */", True),
        ("create table t (id int) -- as select", True),
        ("create table t as select 1", False),
        ("create table t (id int) select 1 as id", False),
        ("create table if not exists t like other", False),
        ("create table `t` (like other)", False),
        ("create table t table other", False),
        ("create temporary table t (id int)", False),
        ("create view v as table t", False),
        ("alter table t add id int", False),
    ],
)  # fmt: skip
def test_a_table_that_a_statement_describes_is_told_from_copies(text: str, is_so: bool) -> None:
    assert makes_described_table(text) is is_so
