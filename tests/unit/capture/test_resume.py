"""How capture begins, case by case."""

import pytest

from cdc_sms.capture.resume import decide, is_lost
from cdc_sms.errors import NeedsPerson
from cdc_sms.sources.base import Found, LogState, Start

ABSENT, USABLE, LOST = (Found(state) for state in LogState)


@pytest.mark.parametrize(
    ("found", "complete", "shows_pending", "start"),
    [
        pytest.param(ABSENT, False, True, Start.NEW_SNAPSHOT, id="the very first start"),
        pytest.param(ABSENT, False, False, Start.NEW_STREAM, id="the first, without a status"),
        pytest.param(ABSENT, True, True, Start.NEW_SNAPSHOT, id="the slot was dropped by hand"),
        pytest.param(USABLE, True, True, Start.STREAM, id="an ordinary start"),
        pytest.param(USABLE, False, True, Start.SNAPSHOT, id="the first snapshot was cut short"),
        pytest.param(USABLE, True, False, Start.STREAM, id="an ordinary one, without a status"),
        pytest.param(USABLE, False, False, Start.STREAM, id="it has no snapshot to complete"),
        pytest.param(LOST, True, True, Start.NEW_SNAPSHOT, id="the slot was invalidated"),
        pytest.param(LOST, False, True, Start.NEW_SNAPSHOT, id="the same before the snapshot"),
    ],
)
def test_capture_begins(found: Found, complete: bool, shows_pending: bool, start: Start) -> None:
    assert decide(found, snapshot_complete=complete, shows_pending=shows_pending) is start


@pytest.mark.parametrize(
    ("found", "complete"),
    [
        pytest.param(LOST, True, id="the slot was invalidated"),
        pytest.param(LOST, False, id="it was before anything was streamed"),
        pytest.param(ABSENT, True, id="the slot was dropped by hand"),
    ],
)
def test_a_lost_position_needs_a_person_where_no_column_shows_what_is_pending(
    found: Found, complete: bool
) -> None:
    with pytest.raises(NeedsPerson, match="no status column"):
        decide(found, snapshot_complete=complete, shows_pending=False)


def test_the_reason_of_a_loss_is_named() -> None:
    with pytest.raises(NeedsPerson, match="wal_removed"):
        decide(Found(LogState.LOST, "wal_removed"), snapshot_complete=True, shows_pending=False)


@pytest.mark.parametrize(
    ("found", "complete", "lost"),
    [
        pytest.param(ABSENT, False, False, id="there never was one"),
        pytest.param(ABSENT, True, True, id="there was one"),
        pytest.param(USABLE, True, False, id="it is there"),
        pytest.param(LOST, False, True, id="the server gave it up"),
    ],
)
def test_a_position_is_lost_only_where_there_was_one(
    found: Found, complete: bool, lost: bool
) -> None:
    assert is_lost(found, snapshot_complete=complete) is lost
