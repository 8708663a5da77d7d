"""The flood guard: dead letters in a row, over all members, pause the flow until a person looks.

A wrong mapping or a changed number format makes every message fail; without the guard the whole
backlog would be dead-lettered before anybody is awake. The run is kept in the ledger, so that it
counts over members and over restarts.
"""

import logging
from collections.abc import Sequence

from sqlalchemy import Connection

from cdc_sms.databases.control import FLOOD, Control, Value
from cdc_sms.model.clock import Clock
from cdc_sms.model.hold import Hold, HoldKind

_log = logging.getLogger(__name__)


class FloodGuard:
    """Counts what was given up since the last success.

    Thread: the ledger's.

    Args:
        control: where the run is kept.
        after: the run that pauses the flow.
        clock: says since when.
    """

    def __init__(self, *, control: Control, after: int, clock: Clock) -> None:
        self._control = control
        self._after = after
        self._clock = clock
        self._may_run = True

    def seen(self, value: Value | None) -> None:
        """Take note of the run as a claim read it: a success need not be noted while there is none.

        Another member's run that began since is seen at the next claim.
        """
        self._may_run = bool(value and value.get("run"))

    def note(self, connection: Connection, ends: Sequence[bool], *, code: str | None) -> None:
        """Count messages that came to an end, in the transaction that notes their end.

        Args:
            connection: it locks the run last of all that it locks.
            ends: in order; True: given up, False: sent.
            code: the last failure's, for the reason.
        """
        if not any(ends) and not (ends and self._may_run):
            return
        self._control.add(connection, FLOOD, {"run": 0})
        value = self._control.get(connection, FLOOD, lock=True) or {}
        run = run_after(int(value.get("run", 0)), ends)
        self._control.put(connection, FLOOD, {"run": run})
        # only a claim says that there is none: this transaction may still be undone
        self._may_run = True
        if run >= self._after:
            self._pause(connection, run, code)

    def _pause(self, connection: Connection, run: int, code: str | None) -> None:
        because = f", the last for {code}" if code else ""
        hold = Hold(
            name=HoldKind.FLOOD.value,
            kind=HoldKind.FLOOD,
            reason=f"{run} messages in a row were given up{because}",
            since=self._clock.now(),
            facts={"run": run, "code": code},
        )
        self._control.hold(connection, hold)
        _log.error("hold.started", extra={"kind": "flood", "reason": hold.reason})


def run_after(run: int, ends: Sequence[bool]) -> int:
    """Return the dead letters in a row after these ends: True for given up, False for sent."""
    for given_up in ends:
        run = run + 1 if given_up else 0
    return run
