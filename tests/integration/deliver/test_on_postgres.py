"""Claim, settle and write-back on PostgreSQL alone: its transactions' ids, its types."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql
from support.fixtures.databases import PostgresDatabase
from support.ledgers import Bench, bench
from support.waiting import until

from cdc_sms.config.settings import TableSettings
from cdc_sms.databases.control import ADOPTED, Control
from cdc_sms.databases.engine import in_transaction
from cdc_sms.deliver.claim import LOOKS_BEFORE_DOUBT
from cdc_sms.deliver.decide import Claim, Finished, Wait
from cdc_sms.errors import MappingError
from cdc_sms.model.outcome import Sent


@pytest.fixture
def desk(postgres_database: PostgresDatabase) -> Iterator[Bench]:
    made = bench(postgres_database)
    yield made
    made.engine.dispose()


def test_insert_that_is_not_visible_yet_waits_and_is_then_claimed(desk: Bench) -> None:
    with psycopg.connect(desk.database.dsn) as application:
        cursor = application.execute(
            "INSERT INTO sms (phone, body) VALUES ('+48600100200', 'x')"
            " RETURNING id, pg_current_xact_id()::text::bigint"
        )
        found = cursor.fetchone()
        assert found is not None
        key, xid = found
        look = desk.look(key, transaction_id=xid & 0xFFFFFFFF)
        [before] = desk.take(look)
        application.commit()

    [after] = desk.take(look)

    assert isinstance(before, Wait)
    assert before.reason == "not_visible"
    assert isinstance(after, Claim)


def test_record_of_a_transaction_that_was_never_begun_waits_as_lost_history(desk: Bench) -> None:
    key = desk.insert()
    [(next_xid,)] = desk.database.execute("SELECT pg_current_xact_id()::text::bigint")
    look = desk.look(key, transaction_id=(next_xid + 1_000) & 0xFFFFFFFF)

    [at_first] = desk.take(look)
    look.looks = LOOKS_BEFORE_DOUBT
    [at_last] = desk.take(look)

    assert isinstance(at_first, Wait)
    assert isinstance(at_last, Wait)
    assert (at_first.reason, at_last.reason) == ("not_visible", "lost_history")


def test_after_adopting_the_row_counts_for_a_record_of_lost_history(desk: Bench) -> None:
    key = desk.insert()
    [(next_xid,)] = desk.database.execute("SELECT pg_current_xact_id()::text::bigint")
    look = desk.look(key, transaction_id=(next_xid + 1_000) & 0xFFFFFFFF)
    later = datetime.fromtimestamp(look.record.timestamp_ms / 1000 + 1, tz=UTC)
    in_transaction(desk.engine, lambda c: Control().put(c, ADOPTED, {"at": later.isoformat()}))

    [claimed] = desk.take(look)

    assert isinstance(claimed, Claim)


def test_after_adopting_a_transaction_that_is_under_way_is_still_waited_for(desk: Bench) -> None:
    with psycopg.connect(desk.database.dsn) as application:
        found = application.execute(
            "INSERT INTO sms (phone, body) VALUES ('+48600100200', 'x')"
            " RETURNING id, pg_current_xact_id()::text::bigint"
        ).fetchone()
        assert found is not None
        look = desk.look(found[0], transaction_id=found[1] & 0xFFFFFFFF)
        later = datetime.fromtimestamp(look.record.timestamp_ms / 1000 + 1, tz=UTC)
        in_transaction(desk.engine, lambda c: Control().put(c, ADOPTED, {"at": later.isoformat()}))

        [result] = desk.take(look)

    assert isinstance(result, Wait)
    assert result.reason == "not_visible"


def test_visible_and_absent_row_is_finished_as_gone(desk: Bench) -> None:
    [(xid,)] = desk.database.execute("SELECT pg_current_xact_id()::text::bigint")

    [result] = desk.take(desk.look(4711, transaction_id=xid & 0xFFFFFFFF))

    assert isinstance(result, Finished)
    assert result.how == "gone"


def test_table_of_another_shape_works_by_configuration_alone(
    postgres_database: PostgresDatabase,
) -> None:
    settings = TableSettings.model_validate(
        {
            "name": "notices.outgoing",
            "time_zone": "Europe/Warsaw",
            "columns": {
                "key": ["country", "number"],
                "recipient": "msisdn",
                "text": "content",
                "status": "state",
                "created_at": "made",
                "sent_at": "done",
                "provider_message_id": "reference",
            },
            "status": {"pending": 0, "sending": 1, "sent": 2, "failed": 9},
        }
    )
    postgres_database.execute("CREATE SCHEMA notices")
    desk = bench(
        postgres_database,
        create="CREATE TABLE notices.outgoing (number uuid, country char(2), msisdn text,"
        " content text, state smallint DEFAULT 0, made timestamp DEFAULT now(), done timestamp,"
        " reference bigint, PRIMARY KEY (country, number))",
        table=settings,
    )
    number = uuid.uuid4()
    postgres_database.execute(
        "INSERT INTO notices.outgoing VALUES (%s, 'PL', '600100200', 'x')", number
    )

    claims = desk.claim(("PL", number))
    desk.settle(claims, Sent("912345"))

    [(state, reference, done)] = postgres_database.execute(
        "SELECT state, reference, done FROM notices.outgoing"
    )
    assert (state, reference) == (2, 912345)
    assert done is not None
    desk.engine.dispose()


@pytest.mark.parametrize("schema", ["public", "bookkeeping"])
def test_enum_status_column_takes_its_words_wherever_the_ledger_is(
    postgres_database: PostgresDatabase, schema: str
) -> None:
    postgres_database.execute("CREATE TYPE mood AS ENUM ('pending', 'sent', 'failed')")
    settings = TableSettings.model_validate(
        {
            "name": "sms",
            "columns": {"key": "id", "recipient": "phone", "text": "body", "status": "status"},
        }
    )
    desk = bench(
        postgres_database,
        create="CREATE TABLE sms (id int PRIMARY KEY, phone text, body text,"
        " status mood DEFAULT 'pending')",
        table=settings,
        schema=schema,
    )
    postgres_database.execute("INSERT INTO sms VALUES (1, '+48600100200', 'x')")

    desk.settle(desk.claim(1), Sent("1"))

    assert postgres_database.execute("SELECT status::text FROM sms") == [("sent",)]
    desk.engine.dispose()


def test_key_that_is_too_long_for_an_index_is_hashed(postgres_database: PostgresDatabase) -> None:
    settings = TableSettings.model_validate(
        {
            "name": "sms",
            "columns": {"key": "name", "recipient": "phone", "text": "body", "status": "status"},
        }
    )
    desk = bench(
        postgres_database,
        create="CREATE TABLE sms (name text PRIMARY KEY, phone text, body text,"
        " status text DEFAULT 'pending')",
        table=settings,
    )
    names = [f"{n}/ä'@" + "x" * 1500 for n in range(2)]
    for name in names:
        postgres_database.execute("INSERT INTO sms VALUES (%s, '+48600100200', 'x')", name)

    claims = desk.claim(*names)
    desk.settle(claims, Sent("1"))

    assert postgres_database.execute("SELECT DISTINCT status FROM sms") == [("sent",)]
    assert len({claim.message.id for claim in claims}) == 2
    desk.engine.dispose()


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "0044-03-15 BC", "12026-01-01"])
def test_time_that_python_has_none_for_stops_nothing(desk: Bench, moment: str) -> None:
    key = desk.insert()
    desk.database.execute("UPDATE sms SET created_at = %s WHERE id = %s", moment, key)

    desk.settle(desk.claim(key), Sent("1"))

    assert desk.database.execute("SELECT status FROM sms") == [("sent",)]


def test_bytes_and_uuid_keys_find_their_rows_again_for_an_owed_write(
    postgres_database: PostgresDatabase,
) -> None:
    settings = TableSettings.model_validate(
        {
            "name": "sms",
            "columns": {
                "key": ["a", "b"], "recipient": "phone", "text": "body", "status": "status",
            },
        }
    )  # fmt: skip
    desk = bench(
        postgres_database,
        create="CREATE TABLE sms (a bytea, b uuid, phone text, body text,"
        " status text DEFAULT 'pending', PRIMARY KEY (a, b))",
        table=settings,
    )
    key = (b"\x00\xff", uuid.uuid4())
    postgres_database.execute("INSERT INTO sms VALUES (%s, %s, '+48600100200', 'x')", *key)
    claims = desk.claim(key)
    with psycopg.connect(postgres_database.dsn) as application:
        application.execute("SELECT * FROM sms FOR UPDATE")
        desk.settle(claims, Sent("1"))

    until(lambda: desk.settles.write_owed(limit=10)[0] == 1, within_s=10)

    assert postgres_database.execute("SELECT status FROM sms") == [("sent",)]
    desk.engine.dispose()


def simple(desk_database: PostgresDatabase, columns: LiteralString, **mapped: str) -> Bench:
    settings = TableSettings.model_validate(
        {
            "name": "sms",
            "columns": {"key": "id", "recipient": "phone", "text": "body", **mapped},
            "status": {"sending": "sending"},
        }
    )
    create = sql.SQL("CREATE TABLE sms (id int PRIMARY KEY, phone text, body text, {})").format(
        sql.SQL(columns)
    )
    made = bench(desk_database, create=create, table=settings)
    desk_database.execute("INSERT INTO sms (id, phone, body) VALUES (1, '+48600100200', 'x')")
    return made


@pytest.mark.parametrize(
    ("columns", "mapped"),
    [
        ("status char(9) DEFAULT 'pending'", {}),
        ("status text DEFAULT 'pending', note text NOT NULL DEFAULT ''", {"error_text": "note"}),
        ("status text DEFAULT 'pending', until date DEFAULT 'infinity'", {"expires_at": "until"}),
        ("status text DEFAULT 'pending', made date DEFAULT 'infinity'", {"created_at": "made"}),
    ],
    ids=["padded status", "note that can't be null", "date as a limit", "endless date"],
)
def test_columns_as_people_have_them_take_their_status(
    postgres_database: PostgresDatabase, columns: LiteralString, mapped: dict[str, str]
) -> None:
    desk = simple(postgres_database, columns, status="status", **mapped)

    desk.settle(desk.claim(1), Sent("1"))

    [(status,)] = postgres_database.execute("SELECT status FROM sms")
    assert status.strip() == "sent"
    desk.engine.dispose()


@pytest.mark.parametrize(
    "columns",
    ["status varchar(6) DEFAULT 'x'", "status int, made interval"],
    ids=["word too long", "created-at of no use"],
)
def test_column_that_cannot_serve_is_refused_at_the_start(
    postgres_database: PostgresDatabase, columns: LiteralString
) -> None:
    mapped = {"created_at": "made"} if "made" in columns else {}

    with pytest.raises(MappingError):
        simple(postgres_database, columns, status="status", **mapped)
