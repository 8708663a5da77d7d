"""What a message waits for, and what would move it."""

from datetime import timedelta
from typing import Any

import pytest
from support.factories import NOW, hold, message, row

from cdc_sms.config.settings import Sections
from cdc_sms.model.hold import HoldKind
from cdc_sms.model.memory import Memory
from cdc_sms.model.state import DeadLetterClass, State
from cdc_sms.operate.waits import (
    Surroundings,
    what_an_unknown_row_waits_for,
    what_it_waits_for,
)

SECTIONS = Sections.model_validate(
    {
        "source": {"dsn": "postgresql://sms@127.0.0.1/shop"},
        "table": {
            "name": "sms",
            "columns": {"key": "id", "recipient": "phone", "text": "body", "status": "status"},
        },
        "kafka": {"bootstrap_servers": "127.0.0.1:9092"},
        "providers": {"justsend": {}},
    }
)
LATER = NOW + timedelta(minutes=1)
DELIVER = {"role": "deliver", "reachable": True, "breaker": "closed"}


def _around(**changes: Any) -> Surroundings:
    plain: dict[str, Any] = {
        "sections": SECTIONS,
        "holds": [],
        "memory": None,
        "roles": [DELIVER],
        "now": NOW,
    }
    return Surroundings(**{**plain, **changes})


@pytest.mark.parametrize(
    ("state", "facts", "reason", "moved_by"),
    [
        (State.SENT, {}, "Nothing: it was sent.", "-"),
        (State.SENT, {"owes_write": True}, "Its row's status to be written", "deliver tries"),
        (State.SENT, {"unclear_at": NOW}, "reads pending again", "dlq replay --second"),
        (State.CANCELLED, {}, "it ended as cancelled", "replay --include cancelled"),
        (State.EXPIRED, {}, "it ended as expired", "replay --include expired"),
        (State.FAILED, {}, "it ended as failed", "replay --include failed"),
        (State.FAILED, {"failure_code": "dropped"}, "a person gave it up", "-"),
        (
            State.FAILED,
            {"dead_letter_class": DeadLetterClass.PERMANENT},
            "Its dead letter to be acknowledged",
            "deliver",
        ),
        (
            State.FAILED,
            {
                "dead_letter_class": DeadLetterClass.PERMANENT,
                "dlq_partition": 1,
                "dlq_offset": 7,
            },
            "its dead letter stands",
            "dlq show 1:7",
        ),
        (
            State.FAILED,
            {"dead_letter_class": DeadLetterClass.IN_DOUBT},
            "it may have been sent",
            "in-doubt resolve",
        ),
        (State.SENDING, {}, "the end of its claim", "by itself"),
        (
            State.SENDING,
            {"lease_until": NOW - timedelta(hours=1)},
            "its claim ran out",
            "deliver",
        ),
        (State.RETRYING, {"due_at": LATER}, "Its time", "by itself"),
        (State.IN_DOUBT, {"doubts": 1, "due_at": LATER}, "sent again, once", "resolve sms/1@a"),
        (State.IN_DOUBT, {"doubts": 2, "due_at": LATER}, "left for a person", "resolve sms/1@a"),
        (State.PENDING, {}, "Its turn, or its row", "deliver"),
    ],
)
def test_every_state_names_what_it_waits_for_and_what_moves_it(
    state: State, facts: dict[str, Any], reason: str, moved_by: str
) -> None:
    waits = what_it_waits_for(message(state, **facts), row(), _around())

    assert reason in waits.reason
    assert moved_by in waits.moved_by


def test_hold_comes_before_the_time_of_a_retry() -> None:
    waits = what_it_waits_for(
        message(State.RETRYING, due_at=LATER, attempts=1), row(), _around(holds=[hold()])
    )

    assert waits.reason == "A hold: because."
    assert waits.moved_by == hold().way_out


@pytest.mark.parametrize(
    ("created_at", "attempts", "is_held"),
    [
        (NOW - timedelta(days=3), 0, True),
        (NOW - timedelta(days=3), 1, False),
        (NOW, 0, False),
    ],
    ids=["old", "old but tried", "new"],
)
def test_hold_of_old_messages_holds_only_untried_old_ones(
    created_at: Any, attempts: int, *, is_held: bool
) -> None:
    around = _around(holds=[hold(HoldKind.BACKLOG)], memory=Memory(since=NOW))

    waits = what_it_waits_for(
        message(State.PENDING, attempts=attempts), row(created_instant=created_at), around
    )

    assert waits.reason.startswith("A hold") is is_held


def test_open_breaker_is_named_with_its_reason() -> None:
    role = {**DELIVER, "breaker": "open", "breaker_reason": "the provider answers with 503"}

    waits = what_it_waits_for(message(), row(), _around(roles=[role]))

    assert "the provider answers with 503" in waits.reason


def test_message_without_a_deliver_says_that_none_answers() -> None:
    waits = what_it_waits_for(message(), row(), _around(roles=[]))

    assert "no deliver answers" in waits.reason


def test_message_whose_row_is_gone_waits_for_its_end() -> None:
    assert "its row is gone" in what_it_waits_for(message(), None, _around()).reason


@pytest.mark.parametrize(
    ("word", "record", "reason"),
    [
        ("sent", None, "Nothing: its row doesn't read 'pending'"),
        ("pending", None, "Capture: no record of it is among the newest of the outbox; no slot"),
        ("pending", "1:7", "Deliver to look at record 1:7"),
    ],
)
def test_unknown_row_waits_for_the_step_that_it_did_not_reach(
    word: str, record: str | None, reason: str
) -> None:
    waits = what_an_unknown_row_waits_for(row(word=word), record, _around(), slot="no slot")

    assert waits.reason.startswith(reason)
