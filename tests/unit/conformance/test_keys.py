"""A table's key is what Debezium has seen of it."""

from conformance.keys import Indexes, Keys


def noted(*changes: tuple[Indexes, str]) -> tuple[str, ...] | None:
    keys = Keys()
    for indexes, statement in changes:
        keys.note("d.t", indexes, statement)
    return keys.of("d.t")


NONE = Indexes((), {})
OF_A = Indexes((), {"u": ("a",)})
MADE_WITHOUT, MADE_WITH = (NONE, "create table t …"), (OF_A, "create table t …")


def test_a_new_tables_key_is_its_primary_key_or_its_first_unique_index() -> None:
    assert noted((Indexes(("id",), {"u": ("a",)}), "create table t …")) == ("id",)
    assert noted((Indexes((), {"u": ("b", "a"), "v": ("c",)}), "create table t …")) == ("b", "a")
    assert noted(MADE_WITHOUT) == ()
    assert noted() is None


def test_an_index_that_a_change_adds_becomes_the_key_where_there_is_none() -> None:
    both = Indexes((), {"t": ("b",), "u": ("a",)})

    assert noted(MADE_WITHOUT, (OF_A, "alter table t add unique u (a)")) == ("a",)
    assert noted(MADE_WITH, (both, "alter table t add unique t (b)")) == ("a",)


def test_an_index_whose_column_may_no_more_be_null_is_not_looked_at_again() -> None:
    nullable = (Indexes((), {}, frozenset({"u"})), "create table t …")

    assert noted(nullable, (OF_A, "alter table t modify a int not null")) == ()


def test_an_index_of_its_own_statement_counts_from_the_next_change_on() -> None:
    created = (OF_A, "CREATE UNIQUE INDEX u ON t (a)")

    assert noted(MADE_WITHOUT, created) == ()
    assert noted(MADE_WITHOUT, created, (OF_A, "alter table t add b int")) == ("a",)


def test_a_key_stays_when_its_index_goes() -> None:
    assert noted(MADE_WITH, (NONE, "alter table t drop index u")) == ("a",)
    assert noted(MADE_WITH, (NONE, "drop index u on t")) == ("a",)


def test_a_primary_key_that_goes_leaves_none_unless_an_index_comes_with_it() -> None:
    made = (Indexes(("id",), {"u": ("a",)}), "create table t …")
    with_another = Indexes((), {"u": ("a",), "v": ("b",)})

    assert noted(made, (OF_A, "alter table t drop primary key")) == ()
    assert noted(made, (with_another, "alter table t drop primary key, add unique v (b)")) == ("b",)


def test_a_keys_columns_may_get_other_names() -> None:
    renamed = Indexes((), {"u": ("b",)})

    assert noted(MADE_WITH, (renamed, "alter table t rename column a to b")) == ("b",)


def test_a_table_that_is_gone_is_forgotten() -> None:
    keys = Keys()
    keys.note("d.t", OF_A, "create table t …")

    keys.forget("d.t")

    assert keys.of("d.t") is None
