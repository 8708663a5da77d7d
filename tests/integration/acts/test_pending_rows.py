"""The pending rows behind a hold, whatever the table is made of."""

from datetime import UTC, datetime
from typing import Any, LiteralString

import pytest
from support.fixtures.databases import PostgresDatabase
from support.ledgers import source_settings

from cdc_sms.config.settings import LedgerSettings, TableSettings
from cdc_sms.databases.engine import open_engine
from cdc_sms.databases.pending_rows import PendingRows, pending_rows
from cdc_sms.databases.reading import read_only

BEFORE = datetime(2026, 6, 1, 10, tzinfo=UTC)
WORDS = {"pending": "0", "sent": "1", "failed": "2"}


def _count(
    database: PostgresDatabase, *, status: dict[str, str] | None = None, **columns: Any
) -> PendingRows:
    mapped = {"key": "id", "recipient": "phone", "text": "body", "status": "status", **columns}
    settings = TableSettings.model_validate(
        {"name": "sms", "columns": mapped, "status": status or {}, "time_zone": "Europe/Warsaw"}
    )
    engine = open_engine(source_settings(database), LedgerSettings())
    try:
        return read_only(engine, lambda c: pending_rows(c, settings, before=BEFORE))
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    ("column", "pending", "other", "words"),
    [
        ("text", "pending", "sent", None),
        ("char(10)", "pending", "sent", None),
        ("mood", "pending", "sent", None),
        ("smallint", "0", "1", WORDS),
    ],
    ids=["text", "padded text", "enum", "number"],
)
def test_pending_rows_are_counted_whatever_the_status_is_made_of(
    postgres_database: PostgresDatabase,
    column: LiteralString,
    pending: str,
    other: str,
    words: dict[str, str] | None,
) -> None:
    postgres_database.execute("CREATE TYPE mood AS ENUM ('pending', 'sent', 'failed')")
    postgres_database.execute(
        "CREATE TABLE sms (id int PRIMARY KEY, phone text, body text, status " + column + ")"
    )
    for key, word in enumerate((pending, pending, other), start=1):
        postgres_database.execute("INSERT INTO sms VALUES (%s, 'x', 'y', %s)", key, word)

    found = _count(postgres_database, status=words)

    assert found == PendingRows(2, None, None, ["sms/2@", "sms/1@"])


@pytest.mark.parametrize(
    ("column", "oldest"),
    [
        ("timestamptz", datetime(2026, 6, 1, 9, tzinfo=UTC)),
        ("timestamp", datetime(2026, 6, 1, 9, tzinfo=UTC)),
        ("date", datetime(2026, 5, 31, 22, tzinfo=UTC)),
        ("bigint", None),
    ],
    ids=["with zone", "without zone", "date", "number"],
)
def test_pending_rows_are_as_old_as_their_column_says(
    postgres_database: PostgresDatabase, column: LiteralString, oldest: datetime | None
) -> None:
    postgres_database.execute(
        "CREATE TABLE sms (id int PRIMARY KEY, phone text, body text, status text,"
        " at " + column + ")"
    )
    times = {
        "timestamptz": ("2026-06-01 09:00Z", "2026-06-01 11:00Z"),
        "timestamp": ("2026-06-01 11:00", "2026-06-01 13:00"),
        "date": ("2026-06-01", "2026-06-02"),
        "bigint": ("1", "2"),
    }[column]
    for key, time in enumerate(times, start=1):
        postgres_database.execute("INSERT INTO sms VALUES (%s, 'x', 'y', 'pending', %s)", key, time)

    found = _count(postgres_database, created_at="at")

    has_times = oldest is not None
    # a date is compared as one: the first of June is not before the first of June
    older = {"date": 0}.get(column, 1) if has_times else None
    assert (found.count, found.oldest, found.older) == (2, oldest, older)
