import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import LiteralString, cast

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData
from support.business.base import Database
from support.factories import hold
from support.ledgers import Bench, bench
from support.waiting import until

from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.refusals import LockTimeout
from cdc_sms.databases.schema import metadata
from cdc_sms.databases.version import HEAD, VERSION_TABLE
from cdc_sms.deliver.decide import Claim, Finished, OwesDeadLetter, Wait
from cdc_sms.deliver.settle import Acknowledged
from cdc_sms.errors import NeedsPerson
from cdc_sms.model.acts import replayed
from cdc_sms.model.hold import HoldKind
from cdc_sms.model.outcome import Failed, FailureClass, InDoubt, Sent
from cdc_sms.model.state import DeadLetterClass, State

PERMANENT = Failed(FailureClass.PERMANENT, "INVALID_VALUE", "the provider refuses the number " * 3)

PARTIAL = {"cdc_sms_delivery_open", "cdc_sms_delivery_owed"}
"""Indexes of a part of a table: on MySQL and MariaDB their condition's column comes first."""

_GUARD: LiteralString = (
    "CREATE TRIGGER guard BEFORE UPDATE ON sms FOR EACH ROW"
    " BEGIN IF NEW.body = 'guarded' THEN SIGNAL SQLSTATE '45000'; END IF; END"
)
GUARDS: Mapping[str, Sequence[LiteralString]] = {
    "postgres": (
        (
            "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF NEW.body = 'guarded' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$"
        ),
        "CREATE TRIGGER guard BEFORE UPDATE ON sms FOR EACH ROW EXECUTE FUNCTION guard()",
    ),
    "mysql": (_GUARD,),
    "mariadb": (_GUARD,),
}


@pytest.fixture
def desk(database: Database) -> Iterator[Bench]:
    made = bench(database)
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
                    kind != "table" or name in plain.tables
                ),
            },
        )
        differences = compare_metadata(context, plain)
        revision = context.get_current_revision()

    whole = set() if desk.business.source == "postgres" else PARTIAL
    assert {index.name for _, index in differences} == whole
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


def test_row_that_the_application_holds_is_skipped_and_others_go_on(desk: Bench) -> None:
    held, free = desk.insert(), desk.insert()

    with desk.application() as application:
        application.execute("SELECT * FROM sms WHERE id = %s FOR UPDATE", held)
        results = desk.take(desk.look(held), desk.look(free))

    by_key = {result.look.key[0]: result for result in results}
    assert isinstance(by_key[held], Wait)
    assert isinstance(by_key[free], Claim)


def test_write_back_to_a_held_row_is_owed_and_repeated(desk: Bench) -> None:
    key = desk.insert()
    [claim] = desk.claim(key)

    with desk.application() as application:
        application.execute("SELECT * FROM sms WHERE id = %s FOR UPDATE", key)
        [result] = desk.settle([claim], Sent("7"))
        owed = desk.state(claim.message.id)["owes_write"]
    until(lambda: desk.settles.write_owed(limit=10)[0] == 1, within_s=10)

    assert isinstance(result, Finished)
    assert owed
    assert desk.row(key)["status"] == "sent"
    assert not desk.state(claim.message.id)["owes_write"]


def test_row_that_refuses_its_status_harms_no_other_and_the_log_says_why(
    desk: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [desk.insert(text) for text in ("one", "guarded", "three", "four")]
    claims = desk.claim(*keys)
    for statement in GUARDS[desk.business.source]:
        desk.database.execute(statement)

    results = desk.settle(claims, Sent("1"))

    assert all(isinstance(result, Finished) for result in results)
    assert [desk.row(key)["status"] for key in keys] == ["sent", "sending", "sent", "sent"]
    assert [desk.state(claim.message.id)["owes_write"] for claim in claims] == [
        False, True, False, False,
    ]  # fmt: skip
    assert "write_back.refused" in caplog.messages


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
    desk.database.execute("UPDATE cdc_sms_delivery SET lease_until = now() - interval '1' minute")

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
    desk.database.execute("UPDATE cdc_sms_delivery SET lease_until = now() - interval '1' minute")
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


def test_outcome_never_depends_on_the_business_table(desk: Bench) -> None:
    key = desk.insert()
    claims = desk.claim(key)
    desk.database.execute("ALTER TABLE sms DROP COLUMN provider_message_id")

    [result] = desk.settle(claims, Sent("912345"))

    assert isinstance(result, Finished)
    state = desk.state(claims[0].message.id)
    assert (state["state"], state["owes_write"]) == ("sent", True)
    assert state["provider_message_id"] == "912345"


def test_ledger_row_that_another_member_holds_too_long_is_waited_for(desk: Bench) -> None:
    key = desk.insert()
    claims = desk.claim(key)

    with desk.application() as member:
        member.execute("SELECT * FROM cdc_sms_delivery FOR UPDATE")
        with pytest.raises(LockTimeout):
            desk.settle(claims, Sent("1"))

    [result] = desk.settle(claims, Sent("1"))
    assert isinstance(result, Finished)


def test_member_that_died_in_its_transaction_stops_only_its_own_key(desk: Bench) -> None:
    held, free = desk.insert(), desk.insert()
    [claim] = desk.claim(held)
    with desk.application() as dead:
        dead.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
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
    desk.database.execute("UPDATE cdc_sms_delivery SET lease_until = now() - interval '1' minute")
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
