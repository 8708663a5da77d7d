"""``replay``: what is shown, produced and left alone, and each refusal."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from support.acts_site import Site
from support.business.dialects import SOURCES
from support.waiting import until

from cdc_sms.databases.act_lock import only_act
from cdc_sms.databases.control import MEMORY
from cdc_sms.kafka.headers import EMITTED, REPLAYED
from cdc_sms.model.hold import Hold, HoldKind
from cdc_sms.model.memory import Memory
from cdc_sms.model.state import DeadLetterClass, State


def _record(site: Site, key: int, **headers: bytes) -> str:
    """Write a row's record to the outbox; return where it lies."""
    return site.produce(
        "outbox",
        key=json.dumps({"id": key}).encode(),
        value=json.dumps({"before": None, "after": {"id": key}, "op": "r"}).encode(),
        headers={"theirs": b"kept", **headers},
    )


@pytest.mark.parametrize("source", SOURCES)
def test_record_of_an_unknown_message_is_produced_again_as_it_was(site: Site) -> None:
    [key] = site.insert(status="pending")
    place = _record(site, key, **{EMITTED: b"overdue"})

    said = site.json("replay", "--from-time", "1h", "--yes")

    assert said["done"]["produced"] == {"would be sent": 1}
    first, again = site.records()
    assert (again.key(), again.value()) == (first.key(), first.value())
    assert dict(again.headers()) == {"theirs": b"kept", REPLAYED: place.encode()}
    [(act, details, outcome)] = site.acts()
    assert (act, "from_time" in details) == ("replay", True)
    assert outcome == said["done"]


@pytest.mark.parametrize("source", SOURCES)
def test_dry_run_names_what_is_left_alone_and_changes_nothing(site: Site) -> None:
    sent, failed, doubt, sending = (site.insert(status="failed")[0] for _ in range(4))
    site.know([sent], State.SENT)
    site.know([failed], State.FAILED)
    site.know([doubt], State.FAILED, dead_letter_class=DeadLetterClass.IN_DOUBT, doubts=1)
    site.know([sending], State.SENDING)
    for key in (sent, failed, doubt, sending):
        _record(site, key)
    site.produce("outbox", key=b"{", value=b"{", headers={})

    said = site.json("replay", "--from-time", "1h", "--dry-run")

    assert said["would"]["produced"] == {}
    assert said["would"]["left"] == {
        "already sent": 1,
        "failed": 1,
        "in doubt": 1,
        "under way": 1,
        "undecodable": 1,
    }
    assert len(site.records()) == 5
    assert site.acts() == []


def test_included_states_are_opened_again_but_never_what_is_in_doubt(site: Site) -> None:
    failed, doubt = (site.insert()[0] for _ in range(2))
    site.give_up(failed)
    site.give_up(doubt, DeadLetterClass.IN_DOUBT)
    _record(site, failed)
    _record(site, doubt)

    said = site.json("replay", "--from-time", "1h", "--include", "failed", "--yes")

    assert said["done"]["produced"] == {"opened again": 1}
    assert said["done"]["left"] == {"in doubt": 1}
    assert (site.message(failed)["state"], site.message(failed)["round"]) == ("pending", 2)
    assert (site.message(doubt)["state"], site.message(doubt)["round"]) == ("failed", 1)


def test_what_was_dropped_or_owes_its_dead_letter_is_not_opened_with_include(site: Site) -> None:
    dropped, owing = (site.insert()[0] for _ in range(2))
    site.know([dropped], State.FAILED, failure_code="dropped", doubts=1)
    site.know([owing], State.FAILED, dead_letter_class=DeadLetterClass.PERMANENT)
    _record(site, dropped)
    _record(site, owing)

    said = site.json("replay", "--from-time", "1h", "--include", "failed", "--yes")

    assert said["done"]["produced"] == {}
    assert said["done"]["left"] == {"dropped: it may have been sent": 1, "under way": 1}
    assert site.states() == {("failed", 1): 2}


def test_preview_says_what_is_older_than_the_ledgers_memory(site: Site) -> None:
    [key] = site.insert(status="pending")
    _record(site, key, **{EMITTED: b"overdue"})
    site.put(MEMORY, Memory(since=datetime.now(UTC) + timedelta(minutes=1)).as_value())

    said = site.json("replay", "--from-time", "1h", "--dry-run")

    assert said["would"]["produced"] == {"would be held": 1}


def test_opened_message_notes_the_record_that_brings_it_back(site: Site) -> None:
    [key] = site.insert(status="cancelled")
    [message] = site.know([key], State.CANCELLED, row_word="cancelled")
    place = _record(site, key)

    site.json("replay", "--from-offset", place, "--include", "cancelled", "--yes")

    [(act, details, outcome)] = site.acts(message.id)
    assert (act, details) == ("replay", {"record": place})
    assert outcome == {"from": "cancelled", "to": "pending", "round": 2}


def test_records_of_one_row_are_produced_once(site: Site) -> None:
    [key] = site.insert(status="pending")
    _record(site, key)
    _record(site, key)

    said = site.json("replay", "--from-time", "1h", "--yes")

    assert said["done"]["produced"] == {"would be sent": 1}
    assert said["done"]["left"] == {"the same row again": 1}
    assert len(site.records()) == 3


def test_preview_says_what_a_hold_keeps_back(site: Site) -> None:
    [key] = site.insert(status="pending")
    _record(site, key)
    site.hold(Hold("manual", HoldKind.MANUAL, "a test", datetime.now(UTC)))

    said = site.json("replay", "--from-time", "1h", "--dry-run")

    assert said["would"]["produced"] == {"would be held": 1}


def test_range_of_offsets_ends_before_its_second(site: Site) -> None:
    [key] = site.insert(status="pending")
    place = _record(site, key)
    partition, offset = (int(part) for part in place.split(":"))
    _record(site, key)

    to = f"{partition}:{offset + 1}"
    said = site.json("replay", "--from-offset", place, "--to", to, "--dry-run")

    assert said["would"]["produced"] == {"would be sent": 1}
    assert said["would"]["left"] == {}


def test_offset_that_retention_removed_is_refused_with_the_first_there_is(site: Site) -> None:
    [key] = site.insert(status="pending")
    place = _record(site, key)
    partition = int(place.split(":")[0])
    _record(site, key)
    admin = AdminClient({"bootstrap.servers": site.kafka, "log_level": 0})
    gone = TopicPartition(f"{site.prefix}.outbox", partition, 1)
    admin.delete_records([gone])[gone].result(10)

    refused = site.run("replay", "--from-offset", f"{partition}:0", "--yes", expect=2)

    assert "retention removed it" in refused.errors
    assert f"{partition}:1" in refused.errors


def test_offset_beyond_the_end_is_refused_with_the_last_there_is(site: Site) -> None:
    [key] = site.insert(status="pending")
    place = _record(site, key)
    partition = place.split(":")[0]

    refused = site.run("replay", "--from-offset", f"{partition}:7", "--yes", expect=2)

    assert "beyond the end" in refused.errors
    assert place in refused.errors


def test_unknown_partition_is_refused(site: Site) -> None:
    refused = site.run("replay", "--from-offset", "9:0", "--yes", expect=2)

    assert "no partition 9" in refused.errors


def test_time_in_the_future_is_refused(site: Site) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()

    refused = site.run("replay", "--from-time", later, "--yes", expect=2)

    assert "in the future" in refused.errors


def test_replay_killed_in_the_middle_is_given_again_and_doubles_nothing(site: Site) -> None:
    keys = site.insert(250)
    messages = site.know(keys, State.FAILED, row_word="failed")
    for key in keys:
        _record(site, key)
    wish = ("replay", "--from-time", "1h", "--include", "failed", "--yes")
    with site.business.session() as other:
        last = f"sms/{keys[-1]}"
        other.execute("SELECT 1 FROM cdc_sms_delivery WHERE message_key = %s FOR UPDATE", last)
        command = site.start(*wish, CDC_SMS_LEDGER__LOCK_TIMEOUT_S="60")
        until(lambda: ("pending", 2) in site.states() and _waits_for_a_lock(site), within_s=60)
        command.kill()
    done = site.states()[("pending", 2)]
    assert 0 < done < len(messages)

    again = site.json(*wish)

    assert again["done"]["produced"] == {"opened again": len(messages) - done}
    assert again["done"]["left"] == {"under way": done}
    assert site.states() == {("pending", 2): len(messages)}
    assert [outcome is None for _, _, outcome in site.acts()] == [True, False]


def _waits_for_a_lock(site: Site) -> bool:
    return site.business.waits() > 0


def test_second_replay_is_refused_while_one_runs(site: Site) -> None:
    with only_act(site.engine):
        refused = site.run("replay", "--from-time", "1h", "--yes", expect=2)

    assert "is running" in refused.errors


def test_nothing_is_produced_without_a_yes(site: Site) -> None:
    [key] = site.insert(status="pending")
    _record(site, key)

    refused = site.run("replay", "--from-time", "1h", expect=2)

    assert "--yes" in refused.errors
    assert len(site.records()) == 1
