"""``in-doubt resolve``: one, some, and everything; interrupted and given again."""

from datetime import timedelta

import pytest
from support.acts_site import Site
from support.business.dialects import SOURCES
from support.waiting import until

from cdc_sms.databases.act_lock import only_act
from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.ledger import Ledger
from cdc_sms.kafka.headers import EMITTED
from cdc_sms.model.state import DeadLetterClass, State


def _in_doubt(site: Site, count: int = 1) -> list[str]:
    keys = site.insert(count, status="sending")
    known = site.know(
        keys, State.IN_DOUBT, doubts=1, attempts=1, provider="justsend", row_word="sending"
    )
    return [message.id for message in known]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("verdict", "state", "owes_write"),
    [("--sent", "sent", True), ("--resend", "pending", False), ("--drop", "failed", True)],
    ids=["sent", "resend", "drop"],
)
def test_resolve_makes_of_it_what_a_person_says(
    site: Site, verdict: str, state: str, owes_write: bool
) -> None:
    [one] = _in_doubt(site)

    said = site.json("in-doubt", "resolve", one, verdict)

    message = site.message(1)
    assert said["done"] == 1
    assert (message["state"], message["owes_write"]) == (state, owes_write)
    [(act, _, outcome)] = site.acts(one)
    assert act == f"in-doubt resolve {verdict}"
    assert (outcome["from"], outcome["to"]) == ("in_doubt", state)


def test_resolve_brings_what_is_sent_again_back_to_the_outbox(site: Site) -> None:
    [one] = _in_doubt(site)

    site.json("in-doubt", "resolve", one, "--resend")

    [record] = site.records()
    assert record.key() == b'{"id": 1}'
    assert (EMITTED, b"resend") in record.headers()
    assert site.message(1)["round"] == 2


def test_resolve_opens_what_was_left_for_a_person_by_its_key(site: Site) -> None:
    [key] = site.insert()
    site.give_up(key, DeadLetterClass.IN_DOUBT)

    site.json("in-doubt", "resolve", str(key), "--resend")

    assert site.message(key)["state"] == "pending"


def test_resolve_refuses_what_is_not_in_doubt_and_what_nobody_knows(site: Site) -> None:
    [sent] = site.know(site.insert(), State.SENT)

    other = site.run("in-doubt", "resolve", sent.id, "--resend", expect=2)
    unknown = site.run("in-doubt", "resolve", "sms/99@", "--sent", expect=2)

    assert "is sent, not in doubt" in other.errors
    assert "knows no message sms/99@" in unknown.errors
    assert site.message(1)["state"] == "sent"
    assert site.acts(sent.id) == []


def test_resolve_of_several_does_what_it_can_and_names_the_others(site: Site) -> None:
    [one] = _in_doubt(site)

    said = site.json("in-doubt", "resolve", one, "sms/99@", "--sent", expect=2)

    assert said["done"] == 1
    assert [refused["target"] for refused in said["refused"]] == ["sms/99@"]


@pytest.mark.parametrize(
    "words",
    [["x"], ["x", "--sent", "--drop"], ["--sent"], ["x", "--all", "--sent"], ["x", "--provider",
     "p", "--sent"]],
    ids=["no verdict", "two verdicts", "nothing", "ids and all", "provider without all"],
)  # fmt: skip
def test_resolve_refuses_half_a_wish(site: Site, words: list[str]) -> None:
    site.run("in-doubt", "resolve", *words, expect=2)


def test_resolve_all_asks_first(site: Site) -> None:
    _in_doubt(site, 3)

    command = site.run("in-doubt", "resolve", "--all", "--drop", expect=2)

    assert "Nobody can be asked here" in command.errors
    assert site.states() == {("in_doubt", 1): 3}


def test_resolve_all_can_be_for_one_provider(site: Site) -> None:
    _in_doubt(site, 2)
    site.database.execute("UPDATE cdc_sms_delivery SET provider = 'other' WHERE id LIKE 'sms/1@%'")

    said = site.json("in-doubt", "resolve", "--all", "--provider", "other", "--drop", "--yes")

    assert said["done"] == 1
    assert site.message(2)["state"] == "in_doubt"


@pytest.mark.parametrize("source", SOURCES)
def test_resolve_all_is_refused_while_another_long_act_runs(site: Site) -> None:
    _in_doubt(site, 3)

    with only_act(site.engine):
        command = site.run("in-doubt", "resolve", "--all", "--drop", "--yes", expect=2)

    assert "is running" in command.errors
    assert site.states() == {("in_doubt", 1): 3}


@pytest.mark.parametrize("source", SOURCES)
def test_resolve_all_killed_in_the_middle_is_given_again_and_doubles_nothing(site: Site) -> None:
    ids = sorted(_in_doubt(site, 350))
    wish = ("in-doubt", "resolve", "--all", "--resend", "--yes")
    with site.business.session() as other:
        other.execute("SELECT * FROM cdc_sms_delivery WHERE id = %s FOR UPDATE", ids[250])
        command = site.start(*wish, CDC_SMS_LEDGER__LOCK_TIMEOUT_S="60")
        until(lambda: site.states().get(("pending", 2)) == 200, within_s=30)
        command.kill()
    assert site.states() == {("pending", 2): 200, ("in_doubt", 1): 150}

    again = site.json(*wish)

    assert again["done"] == 150
    assert site.states() == {("pending", 2): 350}
    assert len(site.records()) == 350
    assert all(len(site.acts(one)) == 1 for one in ids[150:260])
    assert [outcome is None for _, _, outcome in site.acts()] == [True, False]


def test_message_that_a_killed_resolve_did_not_emit_is_the_keeper_s(site: Site) -> None:
    [one] = _in_doubt(site)
    deaf = "127.0.0.1:1"

    command = site.start(
        "in-doubt",
        "resolve",
        one,
        "--resend",
        "--wait",
        "60",
        CDC_SMS_KAFKA__BOOTSTRAP_SERVERS=deaf,
    )
    until(lambda: site.message(1)["state"] == "pending", within_s=30)
    command.kill()

    refused = site.run("in-doubt", "resolve", one, "--resend", expect=2)
    assert "is pending, not in doubt" in refused.errors
    assert site.records() == []
    overdue = in_transaction(
        site.engine,
        lambda c: Ledger().overdue(c, now=Ledger().now(c), after=timedelta(0), limit=10),
    )
    assert [message.id for message in overdue] == [one]


def test_resolve_says_what_the_broker_did_not_take_in_time(site: Site) -> None:
    [one] = _in_doubt(site)

    command = site.run(
        "in-doubt",
        "resolve",
        one,
        "--resend",
        "--wait",
        "0.5",
        CDC_SMS_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1",
    )

    assert "deliver brings them back" in " ".join(command.output.split())
