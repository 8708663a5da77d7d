"""A row of the snapshot has the very values that the stream gave it, whatever its types."""

from pathlib import Path

import psycopg
import pytest
from conformance.statements import Statement, split
from support.captures import postgres_source, table_settings
from support.fixtures.databases import PostgresDatabase
from support.waiting import until

from cdc_sms.model.captured_row import CapturedRow
from cdc_sms.sources.base import Log, Start

CORPUS = Path(__file__).parents[2] / "conformance" / "corpus" / "postgres.sql"


def statements_of(table: str) -> tuple[list[Statement], list[Statement]]:
    """Return what makes the corpus's types and one of its tables, and what fills the table."""
    found = list(split(CORPUS.read_text(encoding="utf-8"), mysql=False))
    made = [
        s
        for s in found
        if f"create table {table} (" in s.text
        or s.text.split()[:2] in (["create", "type"], ["create", "domain"], ["create", "schema"])
        or (table == "others" and "create table numbers (" in s.text)  # it has a row as a column
    ]
    return made, [s for s in found if f"insert into {table} " in s.text]


def rows(log: Log, count: int) -> list[CapturedRow]:
    found: list[CapturedRow] = []

    def all_there() -> bool:
        found.extend(log.read(wait_s=0.1).rows)
        return len(found) >= count

    until(all_there, within_s=20, what=f"{count} rows")
    return sorted(found, key=lambda row: repr(row.values))


@pytest.mark.parametrize(
    "table",
    ["numbers", "texts", "times", "others", "domains", "arrays", "more_arrays", "defaults"],
)
def test_a_row_of_the_snapshot_is_as_the_stream_gave_it(
    table: str, postgres_database: PostgresDatabase
) -> None:
    made, filled = statements_of(table)
    settings = table_settings(name=table, key="id")
    source = postgres_source(postgres_database, table=settings)
    with psycopg.connect(postgres_database.dsn, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        for statement in made:
            connection.execute(statement.text.encode())
        added = f"ALTER TABLE {table} ADD COLUMN status text DEFAULT 'pending'"
        connection.execute(added.encode())
        log = source.acquire(Start.NEW_STREAM)
        for statement in filled:
            connection.execute(statement.text.encode())
        [(count,)] = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchall()

    streamed = rows(log, count)
    log.close()
    log = source.acquire(Start.SNAPSHOT)
    found = rows(log, count)
    log.close()

    assert count > 1
    assert [row.table.columns for row in found] == [row.table.columns for row in streamed]
    assert [row.values for row in found] == [row.values for row in streamed]
