"""A person's acts while the roles run: held, let go, corrected, replayed, and nothing doubled."""

import json
from collections.abc import Callable
from typing import LiteralString

from support.flow import Flow
from support.waiting import until

from cdc_sms.playground.faults import Rule

HELD: LiteralString = "SELECT count(*) FROM cdc_sms_control WHERE name = 'hold:backlog'"


def test_dead_letter_that_is_corrected_and_replayed_is_sent_once(flow: Flow) -> None:
    flow.start("capture")
    flow.start("deliver")
    flow.database.execute("INSERT INTO sms (phone, body) VALUES ('12', 'Your parcel is here')")
    flow.await_statuses(failed=1)
    flow.await_rest()
    [letter] = [line["letter"] for line in flow.dead_letters()]

    flow.run("dlq", "edit", letter, "--recipient", "+48600100200")
    flow.run("dlq", "replay", letter)

    flow.await_statuses(sent=1)
    flow.await_rest()
    [message] = flow.provider.accepted()
    assert (message.number, message.text) == ("48600100200", "Your parcel is here")
    [(phone,)] = flow.database.execute("SELECT phone FROM sms")
    assert phone == "12"
    refused = flow.run("dlq", "replay", letter, "--second", "--yes", expect=2)
    assert "was sent since" in refused.errors
    assert flow.dead_letters() == []


def test_hold_stops_every_member_and_resume_sends_what_came_meanwhile(flow: Flow) -> None:
    flow.start("capture")
    flow.start("deliver")
    flow.insert(5)
    flow.await_statuses(sent=5)
    flow.run("hold", "--reason", "wrong price")
    flow.insert(5)
    until(
        lambda: "held" in json.dumps(flow.status("deliver")),
        within_s=30,
        what="deliver to say that it is held",
    )
    assert len(flow.provider.accepted()) == 5

    flow.run("resume")

    flow.await_statuses(sent=10)
    assert set(flow.accepted().values()) == {1}


def test_doubts_that_a_person_resolves_are_sent_again_once_or_not_at_all(flow: Flow) -> None:
    flow.provider.set_rules(Rule(text="doubt", status=500))
    flow.start("capture")
    flow.start("deliver")
    for text in ("doubt one", "doubt two"):
        flow.database.execute("INSERT INTO sms (phone, body) VALUES ('+48600100200', %s)", text)
    left: LiteralString = (
        "SELECT count(*) FROM cdc_sms_delivery WHERE dead_letter_class = 'in_doubt' AND done"
    )
    until(lambda: flow.ledger(left) == 2, within_s=60)
    flow.provider.set_rules()

    flow.run("in-doubt", "resolve", "1", "--resend")
    flow.run("in-doubt", "resolve", "2", "--sent")

    flow.await_statuses(sent=2)
    flow.await_rest()
    assert flow.accepted()["doubt two"] == 0
    assert flow.accepted()["doubt one"] == 1


def test_backlog_is_shown_and_sent_only_when_a_person_says_so(
    make_flow: Callable[..., Flow],
) -> None:
    flow = make_flow(deliver={"backlog_messages": 0})
    flow.insert(10)
    flow.start("capture")
    flow.start("deliver", ready=False)
    until(lambda: flow.ledger(HELD) == 1, within_s=30, what="the backlog to be held")
    assert flow.provider.accepted() == []

    shown = json.loads(flow.run("resume", "--let", "2", "--yes", "--json").output)
    flow.await_statuses(sent=2, pending=8)
    flow.run("resume", "--yes")

    flow.await_statuses(sent=10)
    assert (shown["pending"]["count"], shown["pending"]["older"]) == (10, 10)
    assert set(flow.accepted().values()) == {1}


def test_backlog_that_nobody_wants_is_dead_lettered_and_new_messages_go_on(
    make_flow: Callable[..., Flow],
) -> None:
    flow = make_flow(deliver={"backlog_messages": 0, "flood_after": 5})
    flow.insert(10)
    flow.start("capture")
    flow.start("deliver", ready=False)
    until(lambda: flow.ledger(HELD) == 1, within_s=30, what="the backlog to be held")

    flow.run("resume", "backlog", "--dead-letter", "--yes")

    flow.await_statuses(failed=10)
    flow.insert(3)
    flow.await_statuses(failed=10, sent=3)
    assert {line["code"] for line in flow.dead_letters()} == {"given_up"}
