"""``dlq list`` with its standing, ``dlq edit``, ``dlq replay`` and ``dlq discard``."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.acts_site import NUMBER, Site
from support.business.dialects import SOURCES
from support.waiting import until

from cdc_sms.databases.act_lock import only_act
from cdc_sms.kafka.headers import EMITTED, REDRIVES, texts
from cdc_sms.model.state import DeadLetterClass, State

NOW = datetime.now(UTC)


def _given_up(site: Site, **facts: object) -> str:
    [key] = site.insert()
    return site.give_up(key, **facts)  # type: ignore[arg-type]


def _unclear(site: Site) -> str:
    """Return the letter of a message that was sent and whose row reads pending again."""
    [key] = site.insert(status="pending")
    [message] = site.know([key], State.SENT, unclear_at=NOW, round=1)
    return site.write_letter(key, DeadLetterClass.UNCLEAR, message_id=message.id, code="unclear")


# ---- list and show -------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
def test_list_leaves_out_what_is_settled_unless_asked(site: Site) -> None:
    opened = _given_up(site)
    replayed = _given_up(site)
    site.json("dlq", "replay", replayed)

    plain = site.json("dlq", "list")
    everything = site.json("dlq", "list", "--all")

    assert [(one["letter"], one["standing"]) for one in plain] == [(opened, "open")]
    assert {one["letter"]: one["standing"] for one in everything} == {
        opened: "open",
        replayed: "replayed",
    }


def test_list_finds_what_waits_behind_what_is_settled(site: Site) -> None:
    letters = [_given_up(site) for _ in range(4)]
    site.json("dlq", "discard", *letters[1:])

    listed = site.json("dlq", "list", "--limit", "1")

    assert [one["letter"] for one in listed] == [letters[0]]


def test_list_and_show_work_without_the_database(site: Site) -> None:
    letter = _given_up(site)
    nowhere = "postgresql://sms@127.0.0.1:1/shop?connect_timeout=1"

    listed = site.run("dlq", "list", "--json", CDC_SMS_SOURCE__DSN=nowhere)
    shown = site.run("dlq", "show", letter, "--json", CDC_SMS_SOURCE__DSN=nowhere)

    assert [one["standing"] for one in json.loads(listed.output)] == [None]
    assert "not known" in listed.errors
    assert json.loads(shown.output)["standing"] is None


# ---- edit ----------------------------------------------------------------------------------------


def test_edit_keeps_the_correction_in_the_ledger_and_no_value_in_the_audit(site: Site) -> None:
    letter = _given_up(site)

    said = site.json("dlq", "edit", letter, "--recipient", "600 100 999", "--text", "Dear Ola")

    message = site.message(1)
    assert json.loads(message["override"]) == {"recipient": "+48600100999", "text": "Dear Ola"}
    assert message["state"] == "failed"
    assert (said["corrected"], said["segments"]) == (["recipient", "text"], 1)
    [(act, details, _)] = site.acts(message["id"])
    assert (act, details) == ("dlq edit", {"letter": letter, "changed": ["recipient", "text"]})
    [line] = site.json("dlq", "list")
    assert line["standing"] == "edited"


@pytest.mark.parametrize("source", SOURCES)
def test_edit_adds_to_an_earlier_correction(site: Site, tmp_path: Path) -> None:
    letter = _given_up(site)
    text = tmp_path / "text"
    text.write_text("Żółw\n")

    site.json("dlq", "edit", letter, "--sender", "ACME")
    site.json("dlq", "edit", letter, "--text-file", str(text))

    assert json.loads(site.message(1)["override"]) == {"sender": "ACME", "text": "Żółw"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Nothing is to be corrected"),
        (["--recipient", "12"], "no valid telephone number"),
        (["--text", " "], "The text is empty"),
        (["--text", "ż" * 200], "needs 3 segments of UCS-2, because of U+017C"),
        (["--sender", ""], "The sender is empty"),
    ],
    ids=["nothing", "no number", "empty text", "too long", "empty sender"],
)
def test_edit_refuses_nonsense(site: Site, words: list[str], said: str) -> None:
    letter = _given_up(site)

    command = site.run("dlq", "edit", letter, *words, expect=2)

    assert said in command.errors
    assert site.message(1)["override"] is None


def test_edit_refuses_a_file_that_is_no_text(site: Site, tmp_path: Path) -> None:
    letter = _given_up(site)
    text = tmp_path / "text"
    text.write_bytes(b"\xff\xfe")

    command = site.run("dlq", "edit", letter, "--text-file", str(text), expect=2)

    assert "no text in UTF-8" in command.errors


def test_edit_refuses_what_is_no_dead_letter_any_more(site: Site) -> None:
    in_doubt = _given_up(site, letter_class=DeadLetterClass.IN_DOUBT)
    discarded = _given_up(site)
    site.json("dlq", "discard", discarded)
    undecodable = site.write_letter(None, DeadLetterClass.UNDECODABLE, code="undecodable")

    for letter, said in (
        (in_doubt, "may have been sent"),
        (discarded, "was discarded"),
        (undecodable, "Nothing could be read"),
        (_unclear(site), "no dead letter that stands"),
        ("1:99", "has no record 1:99"),
    ):
        command = site.run("dlq", "edit", letter, "--text", "x", expect=2)
        assert said in command.errors


# ---- replay --------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
def test_replay_opens_the_message_anew_and_brings_it_back(site: Site) -> None:
    letter = _given_up(site, attempts=8)

    said = site.json("dlq", "replay", letter)

    message = site.message(1)
    assert (said["messages"], said["would"]["messages"]) == (1, 1)
    assert (message["state"], message["round"], message["attempts"]) == ("pending", 2, 0)
    [record] = site.records()
    assert (record.key(), record.headers()) == (b'{"id": 1}', [(EMITTED, b"replay")])
    assert [act for act, _, _ in site.acts(message["id"])] == ["dlq replay"]


def test_replay_of_the_same_letter_again_is_refused(site: Site) -> None:
    letter = _given_up(site)
    site.json("dlq", "replay", letter)

    command = site.run("dlq", "replay", letter, expect=2)

    assert "was replayed already" in command.errors
    assert site.message(1)["round"] == 2
    assert len(site.records()) == 1


def test_replay_of_a_letter_that_a_later_one_stands_for_is_refused(site: Site) -> None:
    first = _given_up(site)
    second = site.write_letter(1, DeadLetterClass.PERMANENT, message_id=site.message(1)["id"])
    partition, offset = second.split(":")
    site.database.execute(
        "UPDATE cdc_sms_delivery SET dlq_partition = %s, dlq_offset = %s", partition, offset
    )

    command = site.run("dlq", "replay", first, expect=2)

    assert f"which is {second}" in command.errors


def test_replay_never_touches_what_may_have_been_sent_or_was(site: Site) -> None:
    in_doubt = _given_up(site, letter_class=DeadLetterClass.IN_DOUBT)
    late = _given_up(site)
    site.database.execute("UPDATE cdc_sms_delivery SET state = 'sent' WHERE id LIKE 'sms/2@%'")
    foreign = site.produce("dlq", key=b"x", value=b"\xff", headers={})

    for letter, said in (
        (in_doubt, "in-doubt resolve"),
        (late, "was sent since"),
        (foreign, "no dead letter of ours"),
        ("0:4711", "has no record 0:4711"),
    ):
        command = site.run("dlq", "replay", letter, "--second", "--yes", expect=2)
        assert said in command.errors
    assert site.records() == []


def test_replay_of_what_is_unclear_needs_to_be_told_that_it_is_a_second_sms(site: Site) -> None:
    letter = _unclear(site)

    plain = site.run("dlq", "replay", letter, expect=2)
    unasked = site.run("dlq", "replay", letter, "--second", expect=2)
    wanted = site.run("dlq", "replay", letter, "--second", "--yes")

    assert "--second" in plain.errors
    assert "Nobody can be asked here" in unasked.errors
    assert "SECOND SMS" in wanted.output
    assert (site.message(1)["state"], site.message(1)["round"]) == ("pending", 2)
    again = site.run("dlq", "replay", letter, "--second", "--yes", expect=2)
    assert "was replayed already" in again.errors


def test_replay_leaves_alone_what_would_come_to_nothing(site: Site) -> None:
    for _ in range(4):
        _given_up(site)
    site.database.execute("DELETE FROM sms WHERE id = 1")
    site.database.execute("UPDATE sms SET expires_at = now() WHERE id = 2")
    site.database.execute("UPDATE sms SET status = 'their own' WHERE id = 3")

    said = site.json("dlq", "replay", "--class", "permanent", "--yes")

    assert said["messages"] == 1
    assert said["would"]["left"] == {"expired": 1, "row changed": 1, "row gone": 1}
    assert site.states() == {("failed", 1): 3, ("pending", 2): 1}


def test_replay_by_filters_shows_first_and_asks(site: Site) -> None:
    letters = [_given_up(site) for _ in range(3)]
    site.json("dlq", "replay", letters[0])
    _given_up(site, letter_class=DeadLetterClass.IN_DOUBT)

    dry = site.json("dlq", "replay", "--since", "1h", "--dry-run")
    unasked = site.run("dlq", "replay", "--since", "1h", expect=2)

    assert dry["would"] == {
        "messages": 2,
        "seconds": 0,
        "records": 0,
        "left": {"already replayed": 1, "in doubt": 1},
    }
    assert "Nobody can be asked here" in unasked.errors
    assert site.states() == {("pending", 2): 1, ("failed", 1): 3}


@pytest.mark.parametrize(
    "words",
    [[], ["0:1", "--class", "permanent"], ["--since", "2999-01-01"]],
    ids=["nothing chosen", "letters and filters", "the future"],
)
def test_replay_refuses_half_a_wish(site: Site, words: list[str]) -> None:
    site.run("dlq", "replay", *words, expect=2)


def test_replay_is_refused_while_another_runs(site: Site) -> None:
    letter = _given_up(site)

    with only_act(site.engine):
        command = site.run("dlq", "replay", letter, expect=2)

    assert "is running" in command.errors
    assert site.message(1)["state"] == "failed"


def test_replay_killed_in_the_middle_is_given_again_and_doubles_nothing(site: Site) -> None:
    site.give_all_up(site.insert(350))
    wish = ("dlq", "replay", "--class", "permanent", "--yes")
    with site.business.session() as other:
        other.execute(
            "SELECT * FROM cdc_sms_delivery WHERE dlq_partition = 1"
            " ORDER BY dlq_offset DESC LIMIT 1 FOR UPDATE"
        )
        other.execute(
            "SELECT * FROM cdc_sms_delivery WHERE dlq_partition = 0"
            " ORDER BY dlq_offset DESC LIMIT 1 FOR UPDATE"
        )
        command = site.start(*wish, CDC_SMS_LEDGER__LOCK_TIMEOUT_S="60")
        until(lambda: ("pending", 2) in site.states() and _waits_for_a_lock(site), within_s=60)
        command.kill()
    done = site.states()[("pending", 2)]
    assert 0 < done < 350

    again = site.json(*wish)

    assert again["messages"] == 350 - done
    assert again["would"]["left"] == {"already replayed": done}
    assert site.states() == {("pending", 2): 350}
    assert len({record.key() for record in site.records()}) == len(site.records()) == 350


def _waits_for_a_lock(site: Site) -> bool:
    return site.business.waits() > 0


def test_replay_of_what_could_not_be_read_produces_its_bytes_again_once(site: Site) -> None:
    letter = site.write_letter(None, DeadLetterClass.UNDECODABLE, code="undecodable", value=b"\xff")

    said = site.json("dlq", "replay", letter)
    again = site.run("dlq", "replay", letter, expect=2)

    [record] = site.records()
    assert said["records"] == 1
    assert (record.key(), record.value()) == (None, b"\xff")
    assert texts(record.headers()) == {"theirs": "kept", REDRIVES: "1"}
    assert "was replayed already" in again.errors
    assert [act for act, _, _ in site.acts(f"dlq {letter}")] == ["dlq replay"]


# ---- discard -------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
def test_discard_settles_letters_and_sends_nothing(site: Site) -> None:
    letter = _given_up(site)
    undecodable = site.write_letter(None, DeadLetterClass.UNDECODABLE, code="undecodable")

    said = site.json("dlq", "discard", letter, undecodable)

    assert (said["messages"], said["records"]) == (1, 1)
    assert site.message(1)["dead_letter_class"] is None
    assert site.json("dlq", "list") == []
    assert {one["standing"] for one in site.json("dlq", "list", "--all")} == {"discarded"}
    assert site.records() == []
    site.run("dlq", "replay", letter, expect=2)


def test_discard_of_what_is_unclear_has_the_row_put_right(site: Site) -> None:
    letter = _unclear(site)

    site.json("dlq", "discard", letter)

    message = site.message(1)
    assert (message["unclear_at"], message["owes_write"]) == (None, True)


def test_discard_never_hides_what_may_have_been_sent(site: Site) -> None:
    letter = _given_up(site, letter_class=DeadLetterClass.IN_DOUBT)

    command = site.run("dlq", "discard", letter, expect=2)

    assert "in-doubt resolve" in command.errors


def test_acts_show_no_number_and_no_text(site: Site) -> None:
    letter = _given_up(site)

    commands = [
        site.run("dlq", "edit", letter, "--recipient", "600100999", "--text", "Dear Ola"),
        site.run("dlq", "replay", "--recipient", NUMBER, "--yes"),
        site.run("dlq", "list", "--all"),
    ]

    said = "".join(command.output + command.errors for command in commands)
    noted = str(site.database.execute("SELECT details, outcome FROM cdc_sms_act"))
    for secret in ("600100999", "600100200", "Anna", "Ola"):
        assert secret not in said
        assert secret not in noted
