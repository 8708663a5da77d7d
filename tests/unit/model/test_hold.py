"""Holds: what they say, what they let through, and how they are kept."""

from typing import Any

import orjson
import pytest
from support.factories import NOW, hold

from cdc_sms.model.hold import WAYS_OUT, Hold, HoldKind


def test_every_kind_of_hold_names_its_way_out() -> None:
    assert WAYS_OUT.keys() == set(HoldKind)


def test_hold_is_read_as_it_was_kept() -> None:
    kept = Hold(
        name="flood",
        kind=HoldKind.FLOOD,
        reason="100 messages in a row were given up",
        since=NOW,
        let=3,
        give_up_before={0: 17, 11: 4},
        facts={"run": 100},
    )

    read = Hold.from_value("flood", orjson.loads(orjson.dumps(kept.as_value())))

    assert read == kept


def test_hold_gives_up_what_lay_before_it_was_said_and_nothing_later() -> None:
    given_up = hold(HoldKind.FLOOD, give_up_before={0: 17})

    assert given_up.gives_up(0, 16)
    assert not given_up.gives_up(0, 17)
    assert not given_up.gives_up(1, 0)


@pytest.mark.parametrize(
    ("changes", "is_so"),
    [
        ({"give_up_before": {0: 17}}, True),
        ({"give_up_before": {0: 17}, "let": 1}, False),
        ({}, False),
    ],
)
def test_hold_that_gives_up_what_lay_before_still_holds_what_comes(
    changes: dict[str, Any], *, is_so: bool
) -> None:
    assert hold(HoldKind.FLOOD, **changes).holds_what_comes is is_so
    assert not hold(HoldKind.BACKLOG, **changes).holds_what_comes


@pytest.mark.parametrize(
    ("kind", "is_of_old"),
    [
        (HoldKind.MANUAL, False),
        (HoldKind.ACCOUNT, False),
        (HoldKind.FLOOD, False),
        (HoldKind.BACKLOG, True),
        (HoldKind.HISTORY, True),
    ],
    ids=str,
)
def test_only_backlog_and_history_hold_nothing_but_old_messages(
    kind: HoldKind, *, is_of_old: bool
) -> None:
    assert hold(kind).is_of_old_messages is is_of_old
