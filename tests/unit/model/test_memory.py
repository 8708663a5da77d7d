"""What the ledger can't know: whether a message was sent before its time."""

from datetime import UTC, datetime, timedelta

import pytest

from cdc_sms.model.hold import HoldKind
from cdc_sms.model.memory import Memory

SINCE = datetime(2026, 11, 24, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("kind", "created_at", "is_snapshot", "forgotten"),
    [
        (HoldKind.BACKLOG, SINCE, True, False),
        (HoldKind.BACKLOG, SINCE - HOUR, True, True),
        (HoldKind.BACKLOG, SINCE - HOUR, False, False),
        (HoldKind.BACKLOG, SINCE - 3 * DAY, False, True),
        (HoldKind.BACKLOG, None, True, True),
        (HoldKind.BACKLOG, None, False, False),
        (HoldKind.HISTORY, SINCE - HOUR, True, False),
        (HoldKind.HISTORY, SINCE - 2 * DAY, False, True),
    ],
)
def test_only_what_is_certainly_known_is_not_forgotten(
    kind: HoldKind, created_at: datetime | None, *, is_snapshot: bool, forgotten: bool
) -> None:
    memory = Memory(since=SINCE, kind=kind)

    assert forgotten is memory.may_have_forgotten(
        created_at, is_snapshot=is_snapshot, now=SINCE + HOUR, oldest=2 * DAY
    )


def test_nothing_is_forgotten_once_a_person_accepted_it() -> None:
    memory = Memory(since=SINCE, accepted=True)

    assert not memory.may_have_forgotten(
        SINCE - 9 * DAY, is_snapshot=True, now=SINCE + HOUR, oldest=DAY
    )
