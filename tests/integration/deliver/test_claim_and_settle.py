import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import LiteralString, cast

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from psycopg import sql
from sqlalchemy import Connection, MetaData
from support.factories import hold
from support.fixtures.databases import PostgresDatabase
from support.ledgers import Bench, bench
from support.waiting import until

from cdc_sms.config.settings import TableSettings
from cdc_sms.databases.control import ADOPTED, Control
from cdc_sms.databases.engine import LockTimeout, in_transaction
from cdc_sms.databases.schema import metadata
from cdc_sms.databases.version import HEAD, VERSION_TABLE
from cdc_sms.deliver.claim import LOOKS_BEFORE_DOUBT
from cdc_sms.deliver.decide import Claim, Finished, OwesDeadLetter, Wait
from cdc_sms.deliver.settle import Acknowledged
from cdc_sms.errors import MappingError, NeedsPerson
from cdc_sms.model.acts import replayed
from cdc_sms.model.hold import HoldKind
from cdc_sms.model.outcome import Failed, FailureClass, InDoubt, Sent
from cdc_sms.model.state import DeadLetterClass, State

PERMANENT = Failed(FailureClass.PERMANENT, "INVALID_VALUE", "the provider refuses the number " * 3)


@pytest.fixture
def desk(postgres_database: PostgresDatabase) -> Iterator[Bench]:
    made = bench(postgres_database)
    yield made
    made.engine.dispose()


def test_migrations_make_exactly_the_schema_that_the_code_knows(desk: Bench) -> None:
    plain = MetaData()
    for table in metadata.tables.values():
        table.to_metadata(plain, schema=cast("str", None))  # None: the default schema

    with desk.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "version_table": VERSION_TABLE,
                "include_object": lambda _o, name, kind, *_: (
                    kind != "table" or str(name).startswith("cdc_sms")
                ),
            },
        )
        differences = compare_metadata(context, plain)
        revision = context.get_current_revision()

    assert differences == []
    assert revision == HEAD


def test_row_is_claimed_sent_and_shows_it(desk: Bench) -> None:
    key = desk.insert()

    [claim] = desk.claim(key)
    while_sending = desk.row(key)["status"]
    [result] = desk.settle([claim], Sent("912345"))

    assert while_sending == "sending"
    assert isinstance(result, Finished)
    row = desk.row(key)
    assert (row["status"], row["provider_message_id"], row["attempts"]) == ("sent", "912345", 1)
    assert abs((row["sent_at"] - datetime.now(UTC)).total_seconds()) < 60
    assert desk.state(claim.message.id)["state"] == "sent"


def test_record_of_what_is_sent_is_finished_without_another_claim(desk: Bench) -> None:
    key = desk.insert()
    desk.settle(desk.claim(key), Sent("1"))

    [again] = desk.take(desk.look(key))

    assert isinstance(again, Finished)
    assert again.how == "sent"


def test_set_of_claims_is_settled_by_set(desk: Bench) -> None:
    keys = [desk.insert(f"text {n}") for n in range(40)]

    desk.settle(desk.claim(*keys), Sent("1"))

    assert {desk.row(key)["status"] for key in keys} == {"sent"}


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


def test_row_that_the_application_holds_is_skipped_and_others_go_on(desk: Bench) -> None:
    held, free = desk.insert(), desk.insert()

    with psycopg.connect(desk.database.dsn) as application:
        application.execute("SELECT * FROM sms WHERE id = %s FOR UPDATE", (held,))
        results = desk.take(desk.look(held), desk.look(free))

    by_key = {result.look.key[0]: result for result in results}
    assert isinstance(by_key[held], Wait)
    assert isinstance(by_key[free], Claim)


def test_write_back_to_a_held_row_is_owed_and_repeated(desk: Bench) -> None:
    key = desk.insert()
    [claim] = desk.claim(key)

    with psycopg.connect(desk.database.dsn) as application:
        application.execute("SELECT * FROM sms WHERE id = %s FOR UPDATE", (key,))
        [result] = desk.settle([claim], Sent("7"))
        owed = desk.state(claim.message.id)["owes_write"]
    until(lambda: desk.settles.write_owed(limit=10)[0] == 1, within_s=10)

    assert isinstance(result, Finished)
    assert owed
    assert desk.row(key)["status"] == "sent"
    assert not desk.state(claim.message.id)["owes_write"]


def test_row_that_refuses_its_status_harms_no_other(desk: Bench) -> None:
    keys = [desk.insert(text) for text in ("one", "guarded", "three", "four")]
    claims = desk.claim(*keys)
    desk.database.execute(
        "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.body = 'guarded' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$"
    )
    desk.database.execute(
        "CREATE TRIGGER guard BEFORE UPDATE ON sms FOR EACH ROW EXECUTE FUNCTION guard()"
    )

    results = desk.settle(claims, Sent("1"))

    assert all(isinstance(result, Finished) for result in results)
    assert [desk.row(key)["status"] for key in keys] == ["sent", "sending", "sent", "sent"]
    assert [desk.state(claim.message.id)["owes_write"] for claim in claims] == [
        False, True, False, False,
    ]  # fmt: skip


def test_row_that_the_business_cancelled_meanwhile_keeps_its_own_word(desk: Bench) -> None:
    key = desk.insert()
    claims = desk.claim(key)
    desk.database.execute("UPDATE sms SET status = 'stopped' WHERE id = %s", key)

    desk.settle(claims, Sent("1"))

    assert desk.row(key)["status"] == "stopped"
    assert not desk.state(claims[0].message.id)["owes_write"]


def test_row_inserted_anew_under_the_same_key_is_another_message(desk: Bench) -> None:
    key = desk.insert("first")
    claims = desk.claim(key)
    desk.database.execute("DELETE FROM sms WHERE id = %s", key)
    desk.database.execute(
        "INSERT INTO sms (id, phone, body) VALUES (%s, '+48600100200', 'second')", key
    )

    desk.settle(claims, Sent("1"))
    [second] = desk.take(desk.look(key))

    assert isinstance(second, Claim)
    assert second.row.text == "second"
    assert second.message.id != claims[0].message.id


def test_refused_message_shows_why_and_owes_a_dead_letter_until_it_is_acknowledged(
    desk: Bench,
) -> None:
    key = desk.insert()
    [owes] = desk.settle(desk.claim(key), PERMANENT)
    assert isinstance(owes, OwesDeadLetter)

    [again] = desk.take(desk.look(key))
    letter = Acknowledged(owes.look, owes.message.id, DeadLetterClass.PERMANENT, 3, 99)
    desk.settles.acknowledge([letter])
    [after] = desk.take(desk.look(key))

    row = desk.row(key)
    assert row["status"] == "failed"
    assert row["error_text"] == PERMANENT.text[:40]
    assert isinstance(again, OwesDeadLetter)
    assert isinstance(after, Finished)
    assert desk.state(owes.message.id)["dlq_offset"] == 99


def test_lost_reply_to_the_claims_commit_is_answered_by_its_token(desk: Bench) -> None:
    key, token = desk.insert(), str(uuid.uuid4())
    desk.take(desk.look(key), token=token)

    [again] = desk.take(desk.look(key), token=token)
    [stranger] = desk.take(desk.look(key))

    assert isinstance(again, Claim)
    assert isinstance(stranger, Wait)


def test_abandoned_claim_is_in_doubt_after_lease_and_grace_then_sent_once_more(
    desk: Bench,
) -> None:
    key = desk.insert()
    [claim] = desk.claim(key)
    desk.database.execute("UPDATE cdc_sms_delivery SET lease_until = now() - interval '1 minute'")

    [doubted] = desk.take(desk.look(key))
    doubtful = desk.state(claim.message.id)
    desk.database.execute("UPDATE cdc_sms_delivery SET due_at = now()")
    [second] = desk.claim(key)
    desk.settle([second], InDoubt("timeout", "no answer in time"))
    desk.database.execute("UPDATE cdc_sms_delivery SET due_at = now()")
    [given_up] = desk.take(desk.look(key))

    assert isinstance(doubted, Wait)
    assert (doubtful["state"], doubtful["doubts"]) == (State.IN_DOUBT, 1)
    assert isinstance(given_up, OwesDeadLetter)
    assert given_up.dead_letter_class is DeadLetterClass.IN_DOUBT
    assert desk.row(key)["status"] == "failed"


def test_late_acceptance_of_an_abandoned_claim_settles_it_as_sent(desk: Bench) -> None:
    key = desk.insert()
    [claim] = desk.claim(key)
    desk.database.execute("UPDATE cdc_sms_delivery SET lease_until = now() - interval '1 minute'")
    desk.take(desk.look(key))

    [result] = desk.settle([claim], Sent("55"))

    assert isinstance(result, Finished)
    assert desk.row(key)["status"] == "sent"


def test_claim_given_back_leaves_the_row_pending_and_counts_nothing(desk: Bench) -> None:
    key = desk.insert()
    [claim] = desk.claim(key)

    desk.settle([claim], None)

    assert desk.row(key)["status"] == "pending"
    state = desk.state(claim.message.id)
    assert (state["state"], state["attempts"], state["claim_token"]) == ("pending", 0, None)


def test_hold_in_the_ledger_stops_claims_of_every_member_but_the_probe(desk: Bench) -> None:
    key = desk.insert()
    desk.hold(hold(HoldKind.ACCOUNT, name="account:justsend"))

    [held] = desk.take(desk.look(key))
    [probe] = desk.take(desk.look(key), probing=True)

    assert isinstance(held, Wait)
    assert isinstance(probe, Claim)


def test_done_message_whose_row_reads_pending_again_is_unclear_once(desk: Bench) -> None:
    key = desk.insert()
    desk.settle(desk.claim(key), Sent("1"))
    desk.database.execute("UPDATE sms SET status = 'pending' WHERE id = %s", key)

    [first] = desk.take(desk.look(key))
    assert isinstance(first, OwesDeadLetter)
    letter = Acknowledged(first.look, first.message.id, first.dead_letter_class, 0, 1)
    desk.settles.acknowledge([letter])
    [second] = desk.take(desk.look(key))

    assert first.dead_letter_class is DeadLetterClass.UNCLEAR
    assert isinstance(second, Finished)


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


def test_outcome_never_depends_on_the_business_table(desk: Bench) -> None:
    key = desk.insert()
    claims = desk.claim(key)
    desk.database.execute("ALTER TABLE sms DROP COLUMN provider_message_id")

    [result] = desk.settle(claims, Sent("912345"))

    assert isinstance(result, Finished)
    state = desk.state(claims[0].message.id)
    assert (state["state"], state["owes_write"]) == ("sent", True)
    assert state["provider_message_id"] == "912345"


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


def test_ledger_row_that_another_member_holds_too_long_is_waited_for(desk: Bench) -> None:
    key = desk.insert()
    claims = desk.claim(key)

    with psycopg.connect(desk.database.dsn) as member:
        member.execute("SELECT * FROM cdc_sms_delivery FOR UPDATE")
        with pytest.raises(LockTimeout):
            desk.settle(claims, Sent("1"))

    [result] = desk.settle(claims, Sent("1"))
    assert isinstance(result, Finished)


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


def test_member_that_died_in_its_transaction_stops_only_its_own_key(desk: Bench) -> None:
    held, free = desk.insert(), desk.insert()
    [claim] = desk.claim(held)
    with psycopg.connect(desk.database.dsn) as dead:
        dead.execute("DELETE FROM cdc_sms_delivery")  # what it had locked or inserted
        with pytest.raises(LockTimeout):
            desk.settle([claim], Sent("1"))
        results = desk.take(desk.look(free))
        dead.rollback()

    assert isinstance(results[0], Claim)


def test_state_that_could_not_be_shown_is_looked_at_again(desk: Bench) -> None:
    key = desk.insert()
    claims = desk.claim(key)
    desk.database.execute(
        "UPDATE sms SET status = 'pending', body = 'corrected' WHERE id = %s", key
    )

    [again] = desk.settle(claims, Sent("1"))
    [letter] = desk.take(desk.look(key))

    assert isinstance(again, Wait)
    assert isinstance(letter, OwesDeadLetter)
    assert letter.dead_letter_class is DeadLetterClass.UNCLEAR


def test_acceptance_after_a_takeover_is_one_attempt(desk: Bench) -> None:
    key = desk.insert()
    [claim] = desk.claim(key)
    desk.database.execute("UPDATE cdc_sms_delivery SET lease_until = now() - interval '1 minute'")
    desk.take(desk.look(key))

    desk.settle([claim], Sent("1"))

    assert desk.state(claim.message.id)["attempts"] == 1


def test_ledger_that_lost_a_claimed_message_stops_for_a_person(desk: Bench) -> None:
    claims = desk.claim(desk.insert(), desk.insert())
    desk.database.execute("DELETE FROM cdc_sms_delivery WHERE id = %s", claims[0].message.id)

    with pytest.raises(NeedsPerson, match="doesn't know 1 messages that were claimed"):
        desk.settle(claims, Sent("1"))


def test_row_that_failed_and_is_sent_after_all_shows_no_error_any_more(desk: Bench) -> None:
    key = desk.insert()
    [owes] = desk.settle(desk.claim(key), PERMANENT)
    assert isinstance(owes, OwesDeadLetter)
    letter = Acknowledged(owes.look, owes.message.id, DeadLetterClass.PERMANENT, 0, 1)
    desk.settles.acknowledge([letter])
    failed = desk.row(key)["error_text"]

    def replay(connection: Connection) -> None:
        now = desk.ledger.now(connection)
        [message] = desk.ledger.lock(connection, [owes.message.id], skip_locked=False).values()
        desk.ledger.save(connection, [replayed(message, now=now)])

    in_transaction(desk.engine, replay)
    desk.settle(desk.claim(key), Sent("1"))

    assert failed
    assert (desk.row(key)["status"], desk.row(key)["error_text"]) == ("sent", None)
