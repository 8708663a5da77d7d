"""Gaps in the outbox that deliver flagged: capture makes them good by a snapshot."""

from collections.abc import Collection
from typing import Protocol


class Gaps(Protocol):
    """The flags of partitions whose unread records are gone, kept where the ledger is.

    Thread: capture's loop.
    """

    def flagged(self) -> frozenset[str]:
        """Return the flags that stand.

        Raises:
            DatabaseUnavailable: the ledger can't be asked now.
        """
        ...

    def healed(self, flags: Collection[str]) -> None:
        """Remove flags: every row that was pending since is acknowledged on the outbox again.

        Raises:
            DatabaseUnavailable: wait and repeat.
        """
        ...
