"""``explain``: a message's story, and what would move it."""

from datetime import UTC, datetime

from support.acts_site import Site

from cdc_sms.model.hold import Hold, HoldKind
from cdc_sms.model.state import DeadLetterClass, State


def test_story_of_a_dead_letter_names_what_people_did_and_what_moves_it(site: Site) -> None:
    [key] = site.insert()
    letter = site.give_up(key, last_failed_at=datetime.now(UTC))
    site.run("dlq", "edit", letter, "--recipient", "+48600100300")

    [story] = site.json("explain", str(key))

    assert [event["what"] for event in story["events"]] == ["seen", "dead letter", "dlq edit"]
    assert letter in story["moved_by"]
    assert "600100300" not in str(story)


def test_message_in_doubt_is_moved_by_resolve_alone(site: Site) -> None:
    [key] = site.insert()
    site.give_up(key, DeadLetterClass.IN_DOUBT)

    [story] = site.json("explain", f"sms/{key}")

    assert story["moved_by"].startswith("cdc-sms in-doubt resolve")


def test_message_behind_a_hold_names_its_way_out(site: Site) -> None:
    [key] = site.insert(status="pending")
    [message] = site.know([key], State.PENDING)
    hold = Hold("manual", HoldKind.MANUAL, "wrong price", datetime.now(UTC))
    site.hold(hold)

    [story] = site.json("explain", message.id)

    assert "wrong price" in story["waits_for"]
    assert story["moved_by"] == hold.way_out


def test_message_that_the_ledger_does_not_know_is_refused(site: Site) -> None:
    refused = site.run("explain", "4711", expect=2)

    assert "knows no message 4711" in refused.errors
