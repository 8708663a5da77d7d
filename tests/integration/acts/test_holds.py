"""``hold`` and ``resume``."""

from datetime import UTC, datetime

import pytest
from support.acts_site import Site
from support.business.dialects import SOURCES

from cdc_sms.databases.control import FLOOD, IDENTITY, MEMORY
from cdc_sms.model.hold import Hold, HoldKind
from cdc_sms.model.memory import Memory
from cdc_sms.model.state import State

NOW = datetime.now(UTC)


def _hold(kind: HoldKind, name: str | None = None) -> Hold:
    return Hold(name=name or kind.value, kind=kind, reason="because", since=NOW)


def test_hold_stands_from_the_first_time_it_was_given(site: Site) -> None:
    first = site.json("hold", "--reason", "wrong price")
    again = site.json("hold", "--reason", "another")

    assert (first["stood_already"], again["stood_already"]) == (False, True)
    assert again["reason"] == "wrong price"
    assert again["since"] == first["since"]
    assert [act for act, _, _ in site.acts("hold:manual")] == ["hold", "hold"]


@pytest.mark.parametrize("source", SOURCES)
def test_hold_says_what_is_in_flight_and_how_long(site: Site) -> None:
    lease = datetime(2999, 1, 1, tzinfo=UTC)
    site.know(site.insert(3), State.SENDING, claim_token="t", lease_until=lease)

    said = site.json("hold")

    assert (said["in_flight"], said["effective_within_s"]) == (3, 30.0)


def test_resume_lifts_the_only_hold(site: Site) -> None:
    site.hold(_hold(HoldKind.MANUAL))

    said = site.json("resume")

    assert (said["done"], said["hold"]) == ("lifted", "manual")
    assert site.control("hold:manual") is None
    assert [outcome["lifted"] for _, _, outcome in site.acts("hold:manual")] == [True]


@pytest.mark.parametrize(
    ("holds", "words", "said"),
    [
        ([], ["resume"], "No hold is in force"),
        ([HoldKind.MANUAL, HoldKind.FLOOD], ["resume"], "flood, manual"),
        ([HoldKind.MANUAL], ["resume", "flood"], "No hold 'flood' is in force"),
        ([HoldKind.MANUAL], ["resume", "--dead-letter", "--yes"], "holds good messages"),
        ([HoldKind.ACCOUNT], ["resume", "--dead-letter", "--yes"], "holds good messages"),
        ([HoldKind.BACKLOG], ["resume"], "Nobody can be asked here"),
        ([HoldKind.FLOOD], ["resume", "--dead-letter"], "Nobody can be asked here"),
        ([HoldKind.FLOOD], ["resume", "--dead-letter", "--let", "1"], "not both"),
    ],
    ids=[
        "none in force",
        "several in force",
        "another name",
        "good messages of a person's hold",
        "good messages of the account",
        "backlog unseen",
        "dead-letter unasked",
        "two ways at once",
    ],
)
def test_resume_refuses_what_is_not_safe_and_changes_nothing(
    site: Site, holds: list[HoldKind], words: list[str], said: str
) -> None:
    site.hold(*map(_hold, holds))

    command = site.run(*words, expect=2)

    assert said in command.errors
    assert all(site.control(f"hold:{kind.value}") for kind in holds)


@pytest.mark.parametrize("source", SOURCES)
def test_resume_shows_the_backlog_and_then_remembers_that_it_was_accepted(site: Site) -> None:
    keys = site.insert(3, status="pending")
    site.database.execute("UPDATE sms SET created_at = '2020-01-01' WHERE id = %s", keys[0])
    site.insert(2, status="sent")
    site.put(MEMORY, Memory(since=datetime(2021, 1, 1, tzinfo=UTC)).as_value())
    site.hold(_hold(HoldKind.BACKLOG))

    said = site.json("resume", "--yes")

    assert said["pending"]["count"] == 3
    assert said["pending"]["older"] == 1
    assert said["pending"]["oldest"] == "2020-01-01T00:00:00Z"
    assert f"sms/{keys[0]}@2020-01-01T00:00:00.000000Z" in said["pending"]["newest"]
    assert site.control("hold:backlog") is None
    memory = site.control(MEMORY)
    assert memory is not None
    assert memory["accepted"]


def test_resume_let_leaves_the_hold_in_force_for_all_but_a_few(site: Site) -> None:
    site.hold(_hold(HoldKind.FLOOD))

    site.json("resume", "flood", "--let", "5")

    value = site.control("hold:flood")
    assert value is not None
    assert value["let"] == 5


def test_resume_dead_letter_gives_up_what_lies_on_the_outbox_by_now(site: Site) -> None:
    site.hold(_hold(HoldKind.FLOOD))
    for number in range(5):
        site.produce("outbox", key=b"%d" % number, value=b"{}", headers={})

    said = site.json("resume", "--dead-letter", "--yes")

    value = site.control("hold:flood")
    assert value is not None
    assert said["open_records"] == sum(value["give_up_before"].values()) == 5


def test_resume_begins_the_run_of_dead_letters_anew(site: Site) -> None:
    site.hold(_hold(HoldKind.FLOOD))
    site.put(FLOOD, {"run": 100})

    site.json("resume")

    assert site.control(FLOOD) == {"run": 0}


def test_resume_of_an_account_says_that_it_may_come_back(site: Site) -> None:
    site.hold(_hold(HoldKind.ACCOUNT, "account:justsend"))

    command = site.run("resume", "account:justsend")

    assert "comes back" in command.output


@pytest.mark.parametrize(("answer", "code", "stands"), [("n", 130, True), ("y", 0, False)])
def test_resume_of_a_backlog_does_what_the_person_at_the_terminal_says(
    site: Site, answer: str, code: int, *, stands: bool
) -> None:
    site.insert(3, status="pending")
    site.hold(_hold(HoldKind.BACKLOG))

    said = site.run("resume", answer=answer, expect=code)

    assert "Pending rows in the table  3" in said.output
    assert "Let all of them be sent?" in said.errors
    assert (site.control("hold:backlog") is not None) is stands


def test_act_for_another_environment_is_refused_and_changes_nothing(site: Site) -> None:
    site.put(IDENTITY, {"environment": "production", "server": "7001"})

    refused = site.run("hold", CDC_SMS_LEDGER__ENVIRONMENT="staging", expect=5)

    assert "belongs to the environment production" in refused.errors
    assert site.control("hold:manual") is None
