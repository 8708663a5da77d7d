"""What may be done about a dead letter."""

from typing import Any

import pytest
from support.factories import NOW, message, row

from cdc_sms.errors import ActRefused
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.state import DeadLetterClass, State
from cdc_sms.operate.letter_rules import need_present, why_in_vain, why_left
from cdc_sms.operate.letter_standing import DISCARD, REPLAY, Known, Letter

LETTER = Letter(1, 7, NOW, DeadLetterClass.PERMANENT, "code", "sms/1@a")
UNCLEAR = Letter(1, 8, NOW, DeadLetterClass.UNCLEAR, "unclear", "sms/1@a")
PENDING = "pending"


def _failed(letter_class: DeadLetterClass = DeadLetterClass.PERMANENT, **changes: Any) -> Delivery:
    plain = {"dead_letter_class": letter_class, "dlq_partition": 1, "dlq_offset": 7}
    return message(State.FAILED, row_word="failed", **{**plain, **changes})


@pytest.mark.parametrize("command", [REPLAY, DISCARD])
def test_open_letter_is_not_left_alone(command: str) -> None:
    assert why_left(LETTER, Known(_failed()), command=command, second=False) is None


@pytest.mark.parametrize("second", [False, True], ids=["plain", "second"])
@pytest.mark.parametrize("command", [REPLAY, DISCARD])
@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (_failed(DeadLetterClass.IN_DOUBT), "in doubt"),
        (message(State.SENT, dlq_partition=1, dlq_offset=7), "already sent"),
        (message(State.PENDING, round=2), "already replayed"),
        (_failed(dead_letter_class=None), "settled"),
        (_failed(dlq_offset=9), "superseded"),
        (None, "unknown to the ledger"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_letter_is_left_alone_where_an_act_could_do_harm(
    known: Delivery | None, reason: str, command: str, *, second: bool
) -> None:
    left = why_left(LETTER, Known(known), command=command, second=second)

    assert left is not None
    assert left.reason == reason
    assert LETTER.name in left.why
    assert "cdc-sms" in left.hint or "Name " in left.hint


def test_second_sms_must_be_wanted() -> None:
    known = Known(message(State.SENT, unclear_at=NOW))

    plain = why_left(UNCLEAR, known, command=REPLAY, second=False)

    assert plain is not None
    assert plain.reason == "unclear"
    assert why_left(UNCLEAR, known, command=REPLAY, second=True) is None
    assert why_left(UNCLEAR, known, command=DISCARD, second=False) is None


@pytest.mark.parametrize(
    ("stands", "reason"),
    [
        (None, "row gone"),
        (row(message_id="sms/1@b"), "row gone"),
        (row(word="their own"), "row changed"),
        (row(word="failed", expires_at=NOW), "expired"),
        (row(word="failed"), None),
        (row(word="pending"), None),
    ],
    ids=["gone", "another message's", "cancelled", "expired", "ours", "pending again"],
)
def test_replay_in_vain_is_seen_before(stands: Any, reason: str | None) -> None:
    left = why_in_vain(LETTER, _failed(), stands, now=NOW, pending=PENDING)

    assert (left and left.reason) == reason


def test_table_without_a_status_column_cancels_nothing_by_a_word() -> None:
    assert why_in_vain(LETTER, _failed(), row(word=None), now=NOW, pending=None) is None


def test_letter_that_was_replayed_meanwhile_is_refused_under_the_lock() -> None:
    need_present(LETTER, _failed())

    with pytest.raises(ActRefused, match="was replayed already"):
        need_present(LETTER, message(State.PENDING, round=2))
