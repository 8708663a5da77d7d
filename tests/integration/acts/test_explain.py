"""``explain``: a message's story, and what would move it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.acts_site import NUMBER, Site
from support.business.dialects import SOURCES

from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.ledger import Ledger
from cdc_sms.model.delivery import AttemptRow
from cdc_sms.model.hold import Hold, HoldKind
from cdc_sms.model.state import DeadLetterClass, State

NOW = datetime.now(UTC)


def _story(site: Site, what: str, *options: str) -> Any:
    [story] = site.json("explain", what, *options)["stories"]
    return story


def _record(site: Site, key: int) -> str:
    return site.produce(
        "outbox",
        key=json.dumps({"id": key}).encode(),
        value=json.dumps(
            {"after": {"id": key}, "source": {"lsn": 4711, "txId": 812}, "op": "c"}
        ).encode(),
        headers={},
    )


@pytest.mark.parametrize("source", SOURCES)
def test_story_of_a_dead_letter_names_what_people_did_and_what_moves_it(site: Site) -> None:
    [key] = site.insert()
    letter = site.give_up(key, last_failed_at=NOW)
    site.run("dlq", "edit", letter, "--recipient", "+48600100300")

    story = _story(site, str(key))

    whats = [event["what"] for event in story["events"]]
    assert sorted(whats) == ["dead letter", "dlq edit", "row created", "seen"]
    assert letter in story["moved_by"]
    assert "600100300" not in str(story)


def test_story_goes_from_the_log_to_the_attempts_in_order_of_time(site: Site) -> None:
    [key] = site.insert()
    partition, offset = (int(part) for part in _record(site, key).split(":"))
    [message] = site.know(
        [key],
        State.SENT,
        record_partition=partition,
        record_offset=offset,
        row_word="sent",
        seen_at=NOW,
    )
    attempt = AttemptRow(
        claim_token="t",
        message_id=message.id,
        round=1,
        number=1,
        counted=True,
        started_at=NOW + timedelta(hours=1),
        finished_at=NOW + timedelta(hours=1, seconds=2),
        outcome="sent",
        code="OK",
        text=None,
        provider="justsend",
        provider_message_id="1",
    )
    in_transaction(site.engine, lambda c: Ledger().record_attempts(c, [attempt]))

    story = _story(site, message.id)

    times = [event["at"] for event in story["events"]]
    assert times == sorted(times)
    [at_provider] = [e["facts"] for e in story["events"] if e["what"] == "attempt"]
    assert (at_provider["outcome"], at_provider["seconds"]) == ("sent", 2.0)
    assert story["record"]["record"] == f"{partition}:{offset}"
    assert (story["record"]["lsn"], story["record"]["transaction"]) == (4711, 812)
    assert story["write_back"]["written"] == "sent"
    assert story["waits_for"] == "Nothing: it was sent."


def test_numbers_and_texts_are_masked_unless_asked(site: Site) -> None:
    [key] = site.insert()
    site.know([key], State.SENT)

    masked = site.run("explain", str(key)).output
    revealed = _story(site, str(key), "--reveal")

    assert NUMBER not in masked
    assert "Anna" not in masked
    assert (revealed["row"]["recipient"], revealed["row"]["text"]) == (NUMBER, "Hello Anna 1")


def test_message_in_doubt_is_moved_by_resolve_alone(site: Site) -> None:
    [key] = site.insert()
    site.give_up(key, DeadLetterClass.IN_DOUBT)

    story = _story(site, f"sms/{key}")

    assert story["moved_by"].startswith("cdc-sms in-doubt resolve")


def test_message_behind_a_hold_names_its_way_out(site: Site) -> None:
    [key] = site.insert(status="pending")
    [message] = site.know([key], State.PENDING)
    hold = Hold("manual", HoldKind.MANUAL, "wrong price", NOW)
    site.hold(hold)

    story = _story(site, message.id)

    assert "wrong price" in story["waits_for"]
    assert story["moved_by"] == hold.way_out


def test_owed_write_back_is_what_a_sent_message_waits_for(site: Site) -> None:
    [key] = site.insert(status="pending")
    site.know(
        [key],
        State.SENT,
        owes_write=True,
        intended_word="sent",
        next_write_at=NOW,
        write_failures=3,
    )

    story = _story(site, str(key))

    assert "failed 3 times" in story["waits_for"]
    assert (story["write_back"]["owed"], story["write_back"]["failures"]) == ("sent", 3)


def test_row_whose_record_waits_on_the_outbox_says_so(site: Site) -> None:
    [key] = site.insert(status="pending")
    place = _record(site, key)

    story = _story(site, str(key))

    assert story["state"] is None
    assert story["record"]["record"] == place
    assert place in story["waits_for"]


@pytest.mark.parametrize("source", SOURCES)
def test_row_that_was_never_captured_says_how_far_capture_is(site: Site, source: str) -> None:
    [key] = site.insert(status="pending")

    story = _story(site, f"sms/{key}")

    assert story["state"] is None
    assert story["waits_for"].startswith("Capture: no record of it")
    far = "no replication slot" if source == "postgres" else "status says how far"
    assert far in story["waits_for"]


@pytest.mark.parametrize("number", ["+48600100200", "600 100 200", "0048600100200"])
def test_number_lists_the_newest_messages_to_it(site: Site, number: str) -> None:
    keys = site.insert(2, status="pending")
    [known] = site.know(keys[:1], State.SENT)
    site.database.execute("UPDATE sms SET phone = '600100200' WHERE id = %s", keys[1])

    found = site.json("explain", number)

    assert found["stories"] == []
    assert [line["state"] for line in found["to_number"]] == [None, "sent"]
    assert found["to_number"][1]["message_id"] == known.id


@pytest.mark.parametrize("what", ["4711", "sms/4711@2026-11-24T05:47:11.000000Z", "no/such", "x"])
def test_what_is_nowhere_is_refused(site: Site, what: str) -> None:
    refused = site.run("explain", what, expect=2)

    assert f"knows a message {what}." in refused.errors


def test_refusal_tells_no_number(site: Site) -> None:
    refused = site.run("explain", "600 100 299", expect=2)

    assert "600 100 299" not in refused.errors
