"""How capture begins: one table, from what is there to what is done.

Pure; the documentation prints it.
"""

from collections.abc import Mapping
from typing import Protocol

from cdc_sms.errors import NeedsPerson
from cdc_sms.sources.base import Found, LogState, Start


class FirstSnapshot(Protocol):
    """Whether the pending rows of the start are on the topic, kept where the ledger is.

    Thread: capture's loop.
    """

    def is_complete(self) -> bool:
        """Say whether it was recorded.

        Raises:
            DatabaseUnavailable: wait and repeat.
        """
        ...

    def mark_complete(self) -> None:
        """Record it; called when every row of the snapshot is acknowledged.

        Raises:
            DatabaseUnavailable: wait and repeat.
        """
        ...

    def forget(self) -> None:
        """Take the record back; called before a new position is made.

        Raises:
            DatabaseUnavailable: wait and repeat.
        """
        ...


_TABLE: Mapping[tuple[LogState, bool, bool], Start | None] = {
    # our position, first snapshot complete, the table shows what is pending
    (LogState.ABSENT, False, True): Start.NEW_SNAPSHOT,
    (LogState.ABSENT, False, False): Start.NEW_STREAM,
    # it was there once: somebody dropped it, and what came since is not in any log
    (LogState.ABSENT, True, True): Start.NEW_SNAPSHOT,
    (LogState.ABSENT, True, False): None,
    (LogState.USABLE, False, True): Start.SNAPSHOT,
    (LogState.USABLE, False, False): Start.STREAM,
    (LogState.USABLE, True, True): Start.STREAM,
    (LogState.USABLE, True, False): Start.STREAM,
    # the pending rows hold everything that is still to be sent, whatever the log lost
    (LogState.LOST, False, True): Start.NEW_SNAPSHOT,
    (LogState.LOST, False, False): None,
    (LogState.LOST, True, True): Start.NEW_SNAPSHOT,
    (LogState.LOST, True, False): None,
}
"""None: rows may be missing, and nothing shows which: a person decides."""


def is_lost(found: Found, *, snapshot_complete: bool) -> bool:
    """Say whether a position that once was ours is gone."""
    return found.state is LogState.LOST or (found.state is LogState.ABSENT and snapshot_complete)


def decide(
    found: Found, *, snapshot_complete: bool, shows_pending: bool, accept_gap: bool = False
) -> Start:
    """Return how to begin.

    Args:
        found: from the source's inspection.
        snapshot_complete: whether the first snapshot is recorded complete.
        shows_pending: whether the table has a status column.
        accept_gap: a person said to go on from the present.

    Raises:
        NeedsPerson: the position is lost, and no column tells what is still to be sent.
    """
    start = _TABLE[found.state, snapshot_complete, shows_pending]
    if start is None and accept_gap:
        return Start.NEW_STREAM
    if start is None:
        because = f" ({found.reason})" if found.reason else ""
        raise NeedsPerson(
            f"The position in the database's log is lost{because}, and the table has no status "
            "column that would tell which rows are still to be sent.",
            hint="Find the rows that were inserted meanwhile and decide about them; then start "
            "once with 'cdc-sms capture --accept-gap', which goes on from the present.",
        )
    return start
