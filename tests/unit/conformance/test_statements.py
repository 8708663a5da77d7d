"""A SQL file is cut where its server's own client would cut it."""

import pytest
from conformance.statements import Statement, split


def cut(text: str, *, mysql: bool = False) -> list[str]:
    return [statement.text for statement in split(text, mysql=mysql)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a; b;c", ["a", "b", "c"], id="semicolons"),
        pytest.param("a 'x;''y;' \"z;\"; b", ["a 'x;''y;' \"z;\"", "b"], id="quotes"),
        pytest.param(r"a E'\';'; b", [r"a E'\';'", "b"], id="an escape string"),
        pytest.param(r"a '\'; b", [r"a '\'", "b"], id="a backslash that is only one"),
        pytest.param("a $$;'$$; b $x$;$$;$x$", ["a $$;'$$", "b $x$;$$;$x$"], id="dollar quotes"),
        pytest.param("a -- ;\n; /* ; /* ; */ ; */ b", ["a -- ;", "/* ; /* ; */ ; */ b"],
                     id="comments, nested ones too"),
        pytest.param("-- only\n/* comments */;\n", [], id="nothing but comments"),
        pytest.param("rule (a; b); c", ["rule (a; b)", "c"], id="brackets"),
        pytest.param(
            "create function f() begin atomic select 1; select case when a then 1 end; end; b",
            ["create function f() begin atomic select 1; select case when a then 1 end; end", "b"],
            id="a body of SQL",
        ),
        pytest.param("begin; a; end; b", ["begin", "a", "end", "b"], id="a transaction"),
        pytest.param("\\set x 1\na;\n\\echo b;\nc", ["a", "c"], id="commands of psql"),
        pytest.param(r"set standard_conforming_strings = off; a '\';'; reset all; b '\'; c",
                     ["set standard_conforming_strings = off", r"a '\';'", "reset all",
                      r"b '\'", "c"],
                     id="backslashes that mean something for a while"),
        pytest.param(r"set local standard_conforming_strings to 'off'; a '\';'; commit; b '\'; c",
                     ["set local standard_conforming_strings to 'off'", r"a '\';'", "commit",
                      r"b '\'", "c"], id="… until the transaction ends"),
        pytest.param(f"/*{'x' * 3000}*/ create /* ; */ procedure p() begin atomic a; end; b",
                     [f"/*{'x' * 3000}*/ create /* ; */ procedure p() begin atomic a; end", "b"],
                     id="a body behind comments"),
        pytest.param("copy (select 'from stdin') to stdout;\na",
                     ["copy (select 'from stdin') to stdout", "a"], id="a copy to the client"),
        pytest.param("a$1; b", ["a$1", "b"], id="a dollar in a name"),
    ],
)  # fmt: skip
def test_postgres_statements_end_where_psql_ends_them(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(r"a 'x\';' `y;` ; b", [r"a 'x\';' `y;`", "b"], id="quotes with backslashes"),
        pytest.param("a # ;\n; b", ["a # ;", "b"], id="a comment behind a hash"),
        pytest.param("a 1--1; b", ["a 1--1", "b"], id="two signs that are no comment"),
        pytest.param("/* ; /* */ a; b", ["/* ; /* */ a", "b"], id="comments that don't nest"),
        pytest.param("/*! a; b */; c", ["/*! a; b */", "c"], id="a comment that is code"),
        pytest.param("delimiter //\na; b//\ndelimiter ;\nc;", ["a; b", "c"], id="DELIMITER"),
        pytest.param("DELIMITER $$\nbegin a; end$$\n", ["begin a; end"], id="another DELIMITER"),
        pytest.param(
            "use d\na;use e; b;\nUSE `f`\nc",
            ["use d", "a", "use e", "b", "USE `f`", "c"],
            id="USE without an end",
        ),
        pytest.param(r"a\G b\g c", ["a", "b", "c"], id="other ends"),
        pytest.param(
            r"set sql_mode = 'NO_BACKSLASH_ESCAPES'; a '\'; set sql_mode = default; a '\';'",
            [
                "set sql_mode = 'NO_BACKSLASH_ESCAPES'",
                r"a '\'",
                "set sql_mode = default",
                r"a '\';'",
            ],
            id="quotes in which a backslash means itself",
        ),
    ],
)
def test_mysql_statements_end_where_its_client_ends_them(text: str, expected: list[str]) -> None:
    assert cut(text, mysql=True) == expected


def test_lines_that_are_copied_in_belong_to_their_statement() -> None:
    text = "copy t from stdin;\n1\ta;b\n\\.\nnext"

    first, second = split(text, mysql=False)

    assert (first.text, first.data, second.text) == ("copy t from stdin", "1\ta;b\n", "next")


def test_a_statement_knows_its_number_and_line() -> None:
    statements = list(split("a;\n\n-- why\nb\n;", mysql=False))

    assert [(s.number, s.line, s.first_word) for s in statements] == [(1, 1, "a"), (2, 3, "b")]


@pytest.mark.parametrize(
    ("text", "writes", "changes", "removes"),
    [
        pytest.param("insert into t values (1)", True, False, False, id="an insert"),
        pytest.param("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", True, False, True,
                     id="an insert that may update"),
        pytest.param("update t set a = 1", True, False, True, id="an update"),
        pytest.param("-- why\nalter table t add b int", True, True, False, id="a change"),
        pytest.param("drop table t", True, True, True, id="a drop"),
        pytest.param("select 1 into t", True, True, True, id="a select that makes a table"),
        pytest.param("do $$ $$", True, True, True, id="a block, which may do anything"),
        pytest.param("set a = 1", False, False, False, id="a setting"),
        pytest.param("set @a = f(1)", True, False, False, id="a setting that a function makes"),
        pytest.param("begin not atomic insert into t values (1); end", True, True, True,
                     id="a block of MariaDB's"),
        pytest.param("execute s", True, True, True, id="a statement that was prepared"),
        pytest.param("/*!40000 ALTER TABLE t ENABLE KEYS */", True, True, False,
                     id="a comment that is code"),
    ],
)  # fmt: skip
def test_a_statement_tells_what_it_may_do(
    text: str, writes: bool, changes: bool, removes: bool
) -> None:
    statement = Statement(1, 1, text)

    said = (statement.may_write, statement.may_change_tables, statement.may_remove)

    assert said == (writes, changes, removes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("begin isolation level serializable", {"begins"}, id="a beginning"),
        pytest.param("rollback and chain", {"ends"}, id="an end"),
        pytest.param("rollback to savepoint a", set(), id="no end"),
        pytest.param("select f()", {"calls"}, id="a call"),
        pytest.param("create or replace function f() …", {"makes_routine"}, id="a function"),
        pytest.param("copy t to stdout", {"copies_out"}, id="a copy to the client"),
    ],
)
def test_a_statement_tells_what_it_is(text: str, said: set[str]) -> None:
    statement = Statement(1, 1, text)
    names = ("begins", "ends", "calls", "makes_routine", "copies_out")

    assert {name for name in names if getattr(statement, name)} == said
