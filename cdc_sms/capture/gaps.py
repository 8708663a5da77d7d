"""Gaps, in the outbox or in the log, that were flagged: capture makes them good by a snapshot."""

from collections.abc import Mapping
from typing import Protocol


class Gaps(Protocol):
    """The flags of partitions whose unread records are gone, and of a log that may lack rows.

    They are kept where the ledger is.

    Thread: capture's loop.
    """

    def flag_log(self, why: str) -> None:
        """Flag the log: rows may be missing in it.

        Raises:
            DatabaseUnavailable: the ledger can't be asked now.
        """
        ...

    def flagged(self) -> Mapping[str, str]:
        """Return the flags that stand, and what each says.

        Raises:
            DatabaseUnavailable: the ledger can't be asked now.
        """
        ...

    def healed(self, flags: Mapping[str, str]) -> None:
        """Remove flags that still say the same: what was pending is on the outbox again.

        Raises:
            DatabaseUnavailable: wait and repeat.
        """
        ...
