"""Which history the server's log is of, as far as this process saw it: it never goes back.

A restored backup undoes what was committed, sent and noted since; the world it can't undo. A
process that went on would take what was sent for pending, so it ends, and a person decides.
"""

import threading

from cdc_sms.errors import NeedsPerson


class History:
    """The server, and how far its log was seen to reach.

    Thread: any; each new connection is checked in the thread that opens it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: str | None = None
        self._furthest = 0

    def saw(self, position: int | None) -> None:
        """Take note of how far the log reaches; None: a standby, which writes none."""
        with self._lock:
            self._furthest = max(self._furthest, position or 0)

    @property
    def furthest(self) -> int:
        """Return how far the log was seen to reach."""
        with self._lock:
            return self._furthest

    def check(self, server: str, position: int | None, *, seen: int) -> None:
        """Check a server that was just connected to.

        Args:
            server: what it calls itself.
            position: the end of its log; None: a standby.
            seen: :attr:`furthest` from before the server was asked. Another thread may have
                seen more meanwhile, which says nothing against this answer.

        Raises:
            NeedsPerson: it is another server, or its log ends before what was seen of it.
        """
        with self._lock:
            known = self._server
            self._server = known or server
        if known is not None and known != server:
            raise NeedsPerson(
                f"The database is another server now: it was {known} and is {server}.",
                hint="Stop all roles; cdc-sms adopt says what becomes of messages from before.",
            )
        if position is not None and position < seen:
            raise gone_back(position, seen)
        self.saw(position)


def gone_back(position: int, furthest: int) -> NeedsPerson:
    """Return the error of a log that ends before what was seen of it.

    Args:
        position: its end, of the class that prints it.
        furthest: where it ended before.
    """
    before = type(position)(furthest)
    return NeedsPerson(
        f"The database's log ends at {position}, and was seen up to {before} before: "
        "a backup was restored, or it is another server.",
        hint="Stop all roles; cdc-sms adopt says what becomes of messages from before.",
    )
