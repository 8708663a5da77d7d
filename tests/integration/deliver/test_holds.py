"""Holds in the ledger: every member obeys, over restarts; the flood guard and the backlog."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event
from support.business.base import Database
from support.factories import hold
from support.ledgers import SETTINGS, Bench, bench

from cdc_sms.databases.control import FLOOD, MEMORY, Control
from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.identity import check_identity, server_identifier
from cdc_sms.deliver.decide import Claim, OwesDeadLetter, Wait
from cdc_sms.deliver.flood import FloodGuard
from cdc_sms.errors import NeedsPerson
from cdc_sms.model.clock import SystemClock
from cdc_sms.model.hold import HoldKind
from cdc_sms.model.identity import Identity
from cdc_sms.model.memory import Memory
from cdc_sms.model.outcome import Failed, FailureClass, Sent
from cdc_sms.runtime.deliver import begin_memory

PERMANENT = Failed(FailureClass.PERMANENT, "INVALID_MSISDN", "the number is none")
SMALL = SETTINGS.model_copy(update={"flood_after": 3})


@pytest.fixture
def desk(database: Database) -> Iterator[Bench]:
    made = bench(database, settings=SMALL)
    yield made
    made.engine.dispose()


def test_a_run_of_dead_letters_pauses_the_flow_with_its_reason(desk: Bench) -> None:
    keys = [desk.insert() for _ in range(4)]
    desk.settle(desk.claim(*keys[:3]), PERMANENT)

    [next_one] = desk.take(desk.look(keys[3]))

    [flood] = desk.holds()
    assert isinstance(next_one, Wait)
    assert (flood.kind, flood.facts["code"]) == (HoldKind.FLOOD, "INVALID_MSISDN")


def test_a_success_ends_the_run(desk: Bench) -> None:
    keys = [desk.insert() for _ in range(5)]
    desk.settle(desk.claim(*keys[:2]), PERMANENT)
    desk.settle(desk.claim(keys[2]), Sent("1"))
    desk.settle(desk.claim(*keys[3:5]), PERMANENT)

    assert desk.holds() == []


def test_the_run_counts_over_members(desk: Bench) -> None:
    other = bench(desk.database, settings=SMALL, is_there=True)
    keys = [desk.insert() for _ in range(3)]

    desk.settle(desk.claim(keys[0]), PERMANENT)
    other.settle(other.claim(*keys[1:3]), PERMANENT)
    other.engine.dispose()

    assert [found.kind for found in desk.holds()] == [HoldKind.FLOOD]


def test_records_whose_rows_nobody_ever_saw_pause_the_flow_like_dead_letters(desk: Bench) -> None:
    desk.take(*(desk.look(key) for key in (901, 902, 903)))

    assert [found.facts["code"] for found in desk.holds()] == ["gone"]


def test_undecodable_records_count_for_the_run(desk: Bench) -> None:
    desk.settles.count_undecodable(3)

    assert [found.facts["code"] for found in desk.holds()] == ["undecodable"]


def test_what_passes_a_hold_is_counted_in_the_ledger(desk: Bench) -> None:
    keys = [desk.insert() for _ in range(3)]
    desk.hold(hold(HoldKind.FLOOD, let=2))

    results = desk.take(*(desk.look(key) for key in keys))

    assert sorted(type(result).__name__ for result in results) == ["Claim", "Claim", "Wait"]
    assert [found.let for found in desk.holds()] == [0]


def test_what_a_person_gave_up_is_dead_lettered_unsent(desk: Bench) -> None:
    key = desk.insert()
    desk.hold(hold(HoldKind.FLOOD, gives_all_up=True))

    [given_up] = desk.take(desk.look(key))

    assert isinstance(given_up, OwesDeadLetter)
    assert given_up.message.failure_code == "given_up"


def test_rows_from_before_the_first_start_are_held_beyond_a_small_number(desk: Bench) -> None:
    keys = [desk.insert() for _ in range(3)]

    def begin(connection: Connection) -> None:
        since = desk.ledger.now(connection) + timedelta(seconds=1)
        Control().put(connection, MEMORY, Memory(since=since, let=2).as_value())

    in_transaction(desk.engine, begin)
    looks = [replace(desk.look(key), is_snapshot=True) for key in keys]
    results = desk.take(*looks)

    assert sorted(type(result).__name__ for result in results) == ["Claim", "Claim", "Wait"]
    assert [found.kind for found in desk.holds()] == [HoldKind.BACKLOG]


def test_a_hold_that_was_lifted_lets_the_same_look_pass(desk: Bench) -> None:
    key = desk.insert()
    desk.hold(hold())
    [held] = desk.take(desk.look(key))

    in_transaction(desk.engine, lambda c: Control().lift(c, "manual"))
    [claimed] = desk.take(held.look)

    assert isinstance(claimed, Claim)


def test_success_writes_no_run_where_there_is_none(desk: Bench) -> None:
    key = desk.insert()
    desk.settle(desk.claim(key), Sent("1"))

    assert in_transaction(desk.engine, lambda c: Control().get(c, FLOOD)) is None


def test_a_ledger_from_another_place_is_refused_with_the_difference(desk: Bench) -> None:
    def here(connection: Connection, kafka: str) -> None:
        place = Identity("production", server_identifier(connection), kafka)
        check_identity(connection, place)

    in_transaction(desk.engine, lambda c: here(c, "cluster-a"))
    in_transaction(desk.engine, lambda c: here(c, "cluster-a"))

    with pytest.raises(NeedsPerson, match="the Kafka cluster was cluster-a and is cluster-b"):
        in_transaction(desk.engine, lambda c: here(c, "cluster-b"))


def test_what_a_person_had_dead_lettered_is_no_flood(desk: Bench) -> None:
    keys = [desk.insert() for _ in range(4)]
    desk.hold(hold(HoldKind.HISTORY, gives_all_up=True))
    in_transaction(desk.engine, lambda c: _forget_what_was_before(desk, c))

    desk.take(*(desk.look(key) for key in keys))

    assert [found.kind for found in desk.holds()] == [HoldKind.HISTORY]


def test_a_hold_that_was_lifted_meanwhile_is_not_put_back_by_a_claim(desk: Bench) -> None:
    lifted = hold(HoldKind.FLOOD, let=5)

    in_transaction(desk.engine, lambda c: Control().change_hold(c, lifted))

    assert desk.holds() == []


def test_members_that_claim_at_once_let_no_more_pass_than_a_person_said(desk: Bench) -> None:
    other = bench(desk.database, settings=SMALL, is_there=True)
    keys = [desk.insert() for _ in range(6)]
    desk.hold(hold(HoldKind.FLOOD, let=3))

    with ThreadPoolExecutor(2) as members:
        takes = [
            members.submit(member.take, *(member.look(key) for key in mine))
            for member, mine in ((desk, keys[:3]), (other, keys[3:]))
        ]
        results = [result for take in takes for result in take.result()]
    other.engine.dispose()

    assert sum(isinstance(result, Claim) for result in results) == 3
    assert [found.let for found in desk.holds()] == [0]


def test_old_messages_that_pass_are_counted_in_the_memory(desk: Bench) -> None:
    key = desk.insert()

    def begin(connection: Connection) -> None:
        since = desk.ledger.now(connection) + timedelta(seconds=1)
        memory = Memory(since=since, let=5)
        Control().put(connection, MEMORY, memory.as_value())

    in_transaction(desk.engine, begin)
    desk.take(replace(desk.look(key), is_snapshot=True))

    value = in_transaction(desk.engine, lambda c: Control().get(c, MEMORY))
    assert value is not None
    assert Memory.from_value(value).let == 4


def test_a_success_that_was_rolled_back_still_ends_the_run(desk: Bench) -> None:
    keys = [desk.insert() for _ in range(2)]
    desk.settle(desk.claim(*keys), PERMANENT)
    guard = FloodGuard(control=Control(), after=3, clock=SystemClock())
    guard.seen({"run": 2})

    with desk.engine.connect() as connection:
        guard.note(connection, [False], code=None)
        connection.rollback()
    in_transaction(desk.engine, lambda c: guard.note(c, [False], code=None))

    assert in_transaction(desk.engine, lambda c: Control().get(c, FLOOD)) == {"run": 0}


def test_what_an_old_backlog_holds_is_not_emitted_over_and_over(desk: Bench) -> None:
    keys = [desk.insert() for _ in range(2)]
    desk.claim(keys[0])
    desk.database.execute(
        "UPDATE sms SET send_after = now() + interval '2' hour WHERE id = %s", keys[1]
    )
    desk.take(desk.look(keys[1]))
    held = desk.insert()
    desk.hold(hold(HoldKind.BACKLOG))
    in_transaction(desk.engine, lambda c: _forget_what_was_before(desk, c))
    desk.take(desk.look(held))
    later = datetime.now(UTC) + timedelta(hours=3)

    def overdue(connection: Connection) -> list[str]:
        found = desk.ledger.overdue(
            connection, now=later, after=timedelta(minutes=5), limit=10, old_are_held=True
        )
        desk.ledger.emitted(connection, [message.id for message in found], now=later)
        return sorted(message.state for message in found)

    assert in_transaction(desk.engine, overdue) == ["pending", "scheduled", "sending"]
    assert in_transaction(desk.engine, overdue) == []


def test_a_ledger_from_before_there_was_a_memory_holds_nothing_that_it_knows(desk: Bench) -> None:
    key = desk.insert()
    desk.database.execute("UPDATE sms SET send_after = now() + interval '1' minute")
    desk.take(desk.look(key))
    desk.database.execute("UPDATE sms SET send_after = NULL")
    desk.database.execute(
        "UPDATE cdc_sms_delivery SET seen_at = '2026-01-02', due_at = '2026-01-02'"
    )

    in_transaction(desk.engine, lambda c: begin_memory(c, let=0))
    in_transaction(desk.engine, lambda c: begin_memory(c, let=7))

    value = in_transaction(desk.engine, lambda c: Control().get(c, MEMORY))
    assert value is not None
    assert Memory.from_value(value) == Memory(since=datetime(2026, 1, 2, tzinfo=UTC))
    desk.claim(key)


def test_a_backlog_that_is_accepted_during_a_claim_is_not_held_again(desk: Bench) -> None:
    key = desk.insert()
    in_transaction(desk.engine, lambda c: _forget_what_was_before(desk, c))
    person = bench(desk.database, is_there=True)

    def accept(connection: Connection) -> None:
        value = Control().get(connection, MEMORY)
        assert value is not None
        Control().put(connection, MEMORY, {**value, "accepted": True})

    @event.listens_for(desk.engine, "before_cursor_execute")
    def _meanwhile(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT") and "cdc_sms_delivery" in statement:
            in_transaction(person.engine, accept)

    [held] = desk.take(desk.look(key))
    person.engine.dispose()

    assert isinstance(held, Wait)
    assert desk.holds() == []


def test_a_claim_that_counts_and_a_person_who_resumes_never_wait_for_each_other(
    desk: Bench,
) -> None:
    key = desk.insert()
    in_transaction(desk.engine, lambda c: Control().put(c, FLOOD, {"run": 1}))
    desk.hold(hold(HoldKind.FLOOD, let=5))
    order: list[str] = []

    @event.listens_for(desk.engine, "before_cursor_execute")
    def _locking(_c: object, _cursor: object, statement: str, names: Any, *_: object) -> None:
        if "FOR UPDATE" in statement and "cdc_sms_control" in statement:
            order.extend(names.values())

    desk.take(desk.look(key))

    assert order[:2] == [FLOOD, "hold:flood"]


def _forget_what_was_before(desk: Bench, connection: Connection) -> None:
    since = desk.ledger.now(connection) + timedelta(seconds=1)
    memory = Memory(since=since, kind=HoldKind.HISTORY, margin_s=0.0)
    Control().put(connection, MEMORY, memory.as_value())
