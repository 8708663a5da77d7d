"""``audit``: each kind of finding, what is left out, and that nothing is changed."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import pytest
from confluent_kafka import Consumer, TopicPartition
from sqlalchemy import Connection
from support.acts_site import Site
from support.business.dialects import SOURCES

from cdc_sms.databases.acts import Acts
from cdc_sms.databases.engine import in_transaction
from cdc_sms.model.hold import Hold, HoldKind
from cdc_sms.model.state import DeadLetterClass, State

AT_ONCE = ("audit", "--grace", "0s")
LONG_AGO = datetime.now(UTC) - timedelta(days=2)
OLD: Mapping[str, Any] = {"due_at": LONG_AGO, "seen_at": LONG_AGO, "changed_at": LONG_AGO}

_TWO_COLUMNS: LiteralString = (
    "ALTER TABLE sms DROP PRIMARY KEY, ADD PRIMARY KEY (area, id), ADD KEY (id)"
)
TWO_COLUMNS: Mapping[str, LiteralString] = {
    "postgres": "ALTER TABLE sms DROP CONSTRAINT sms_pkey, ADD PRIMARY KEY (area, id)",
    "mysql": _TWO_COLUMNS,
    "mariadb": _TWO_COLUMNS,
}


def _found(site: Site, *words: str) -> list[tuple[str, str]]:
    """Return kind and target of what is found."""
    report = site.json(*AT_ONCE, *words, expect=10)
    return [(one["kind"], one["target"]) for one in report["findings"]]


def _record(site: Site, key: int) -> tuple[int, int]:
    """Write a row's record to the outbox; return where it lies."""
    place = site.produce(
        "outbox",
        key=json.dumps({"id": key}).encode(),
        value=json.dumps({"before": None, "after": {"id": key}, "op": "r"}).encode(),
        headers={},
    )
    partition, offset = place.split(":")
    return int(partition), int(offset)


def _commit_behind(site: Site, place: tuple[int, int]) -> None:
    """Have the group be done with a record."""
    group = f"{site.prefix}.deliver"
    consumer = Consumer({"bootstrap.servers": site.kafka, "group.id": group})
    at = TopicPartition(f"{site.prefix}.outbox", place[0], place[1] + 1)
    consumer.commit(offsets=[at], asynchronous=False)
    consumer.close()


def _carried(place: tuple[int, int]) -> Mapping[str, int]:
    return {"record_partition": place[0], "record_offset": place[1]}


@pytest.mark.parametrize("source", SOURCES)
def test_site_on_which_all_is_accounted_for_is_said_to_be_so(site: Site) -> None:
    sent, gone = site.insert(2, status="sent")
    site.know([sent, gone], State.SENT, row_word="sent", **OLD)
    site.database.execute("DELETE FROM sms WHERE id = %s", gone)

    report = site.json(*AT_ONCE)

    assert (report["totals"], report["findings"]) == ({}, [])
    assert (report["messages"], report["rows"], report["gone"]) == (2, 1, 1)


def test_unknown_row_is_told_apart_by_where_its_record_lies(site: Site) -> None:
    without, waiting, passed = site.insert(3, status="pending")
    place = _record(site, passed)
    _commit_behind(site, place)
    _record(site, waiting)

    report = site.json(*AT_ONCE, expect=10)

    keys = {one["target"].partition("@")[0]: one for one in report["findings"]}
    assert keys[f"sms/{without}"]["kind"] == "unknown, no record"
    assert keys[f"sms/{waiting}"]["kind"] == "unknown, record waits"
    assert keys[f"sms/{passed}"]["kind"] == "unknown, record passed"
    assert keys[f"sms/{passed}"]["where"] == f"{place[0]}:{place[1]}"


def test_what_is_younger_than_the_grace_is_no_finding(site: Site) -> None:
    site.insert(status="pending")
    site.know(site.insert(status="pending"), State.SENT, row_word="sent")

    assert site.json("audit")["totals"] == {}


def test_message_whose_record_is_committed_is_not_carried(site: Site) -> None:
    passed, waiting = site.insert(2, status="pending")
    place = _record(site, passed)
    _commit_behind(site, place)
    [first] = site.know([passed], State.RETRYING, **OLD, **_carried(place))
    [second] = site.know([waiting], State.PENDING, **OLD, **_carried(_record(site, waiting)))

    found = _found(site)

    assert sorted(found) == [("not carried", first.id), ("waits long", second.id)]


def test_message_that_is_scheduled_or_was_emitted_lately_is_no_finding(site: Site) -> None:
    later, emitted = site.insert(2, status="pending")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    site.know([later], State.SCHEDULED, **{**OLD, "due_at": tomorrow})
    site.know([emitted], State.RETRYING, emitted_at=datetime.now(UTC), **OLD)

    assert site.json(*AT_ONCE)["totals"] == {}


def test_claim_is_found_when_its_lease_is_long_over_only(site: Site) -> None:
    over, held = site.insert(2, status="sending")
    [message] = site.know([over], State.SENDING, lease_until=LONG_AGO, **OLD)
    site.know([held], State.SENDING, lease_until=datetime.now(UTC) + timedelta(minutes=1), **OLD)

    assert _found(site) == [("claim ran out", message.id)]


@pytest.mark.parametrize(
    ("kind", "word", "facts"),
    [
        ("done, reads pending", "pending", {"row_word": "sent"}),
        ("unclear", "pending", {"row_word": "sent", "unclear_at": LONG_AGO}),
        ("other word", "archived", {"row_word": "sent"}),
        ("write owed", "pending", {"owes_write": True, "next_write_at": LONG_AGO}),
    ],
)
def test_row_that_differs_from_what_the_ledger_says_is_found(
    site: Site, kind: str, word: str, facts: Mapping[str, Any]
) -> None:
    [message] = site.know(site.insert(status=word), State.SENT, **OLD, **facts)

    assert _found(site) == [(kind, message.id)]


def test_what_was_left_for_a_person_is_found(site: Site) -> None:
    [key] = site.insert()
    site.give_up(key, DeadLetterClass.IN_DOUBT)

    [(kind, target)] = _found(site)

    assert kind == "in doubt"
    assert target.startswith(f"sms/{key}@")


def test_dead_letter_is_found_when_it_is_owed_or_gone_and_not_while_it_lies_there(
    site: Site,
) -> None:
    lies, owed, gone = site.insert(3)
    site.give_up(lies)
    plain = {"dead_letter_class": DeadLetterClass.PERMANENT, "row_word": "failed", **OLD}
    [first] = site.know([owed], State.FAILED, **plain)
    [second] = site.know([gone], State.FAILED, dlq_partition=0, dlq_offset=99, **plain)

    found = _found(site)

    assert sorted(found) == [("dead letter gone", second.id), ("dead letter owed", first.id)]


@pytest.mark.parametrize("source", SOURCES)
def test_holds_gaps_and_interrupted_acts_are_found(site: Site) -> None:
    site.hold(Hold("manual", HoldKind.MANUAL, "wrong price", LONG_AGO))
    site.put("gap:0", {})
    one = in_transaction(
        site.engine, lambda c: Acts().begin(c, "dlq replay", target=None, details={})
    )

    found = _found(site)

    assert found == [("hold", "manual"), ("gap", "gap:0"), ("act interrupted", f"dlq replay {one}")]


def test_since_bounds_rows_messages_and_acts(site: Site) -> None:
    [old] = site.insert(status="pending")
    site.database.execute("UPDATE sms SET created_at = %s WHERE id = %s", LONG_AGO, old)
    site.know(site.insert(status="pending"), State.SENT, row_word="sent", **OLD)

    assert site.json(*AT_ONCE, "--since", "1d")["totals"] == {}


def test_limit_bounds_what_is_named_and_not_what_is_counted(site: Site) -> None:
    site.insert(1_200, status="pending")

    report = site.json(*AT_ONCE, "--limit", "3", expect=10)

    assert report["totals"] == {"unknown, no record": 1_200}
    assert len(report["findings"]) == 3


@pytest.mark.parametrize("source", SOURCES)
def test_table_with_a_key_of_two_columns_is_read_to_its_end(site: Site, source: str) -> None:
    site.database.execute("ALTER TABLE sms ADD COLUMN area varchar(9)")
    site.database.execute(TWO_COLUMNS[source])
    rows = [("+48600100200", "Hello", f"a{n % 7}", "pending") for n in range(1_200)]
    site.business.insert(rows, "phone, body, area, status")
    config = site.config.read_text()
    site.config.write_text(config.replace('key = "id"', 'key = ["area", "id"]'))

    report = site.json(*AT_ONCE, expect=10)

    assert (report["rows"], report["totals"]) == (1_200, {"unknown, no record": 1_200})


def test_table_without_status_says_what_is_not_compared(site: Site) -> None:
    never_written = ("status", "attempts", "error_text", "provider_message_id", "sent_at")
    unmapped = (*(f"{name} = " for name in never_written), "[table.status]", "sending = ")
    lines = site.config.read_text().splitlines(keepends=True)
    site.config.write_text("".join(line for line in lines if not line.startswith(unmapped)))
    [known, _] = site.insert(2, status="pending")
    site.know([known], State.SENT, row_word="sent", **OLD)

    report = site.json(*AT_ONCE, expect=10)

    assert report["totals"] == {"unknown, no record": 1}
    assert "no status column" in report["not_compared"][0]


def test_nothing_personal_is_printed_and_nothing_is_changed(site: Site) -> None:
    [key] = site.insert()
    site.give_up(key, DeadLetterClass.IN_DOUBT)
    before = site.message(key)

    said = site.run(*AT_ONCE, expect=10)

    assert "600100200" not in said.output
    assert "Anna" not in said.output
    assert site.message(key) == before
    assert site.acts() == []


def test_act_that_was_given_again_to_its_end_is_no_finding(site: Site) -> None:
    def interrupted(connection: Connection) -> None:
        Acts().begin(connection, "dlq replay", target=None, details={"class": "permanent"})

    def repeated(connection: Connection) -> None:
        Acts().record(
            connection,
            "dlq replay",
            target=None,
            details={"class": "permanent"},
            outcome={"messages": 1},
        )

    in_transaction(site.engine, interrupted)
    in_transaction(site.engine, repeated)

    assert site.json(*AT_ONCE)["totals"] == {}


def test_a_time_in_the_future_is_refused(site: Site) -> None:
    refused = site.run("audit", "--since", "2099-01-01", expect=2)

    assert "in the future" in refused.errors
