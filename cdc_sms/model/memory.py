"""What the ledger can know: messages that are older than its memory may have been sent before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cdc_sms.model.delivery import Delivery
from cdc_sms.model.hold import HoldKind

MARGIN = timedelta(days=1)
"""Clocks, time zones and long transactions differ by less: only what is older is certainly old."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the ledger can know.

    Attributes:
        since: it knows every message that was created later.
        kind: what holds older ones: ``backlog`` after the first start, ``history`` after pruning.
        let: how many older ones may pass without a word.
        accepted: a person said that older ones are to be sent.
        margin_s: how much older than ``since`` history is; seconds.
    """

    since: datetime
    kind: HoldKind = HoldKind.BACKLOG
    let: int = 0
    accepted: bool = False
    margin_s: float = MARGIN.total_seconds()

    def may_have_forgotten(
        self, created_at: datetime | None, *, is_snapshot: bool, now: datetime, oldest: timedelta
    ) -> bool:
        """Say whether a message that the ledger doesn't know may have been sent before its time.

        Args:
            created_at: when its row was created; None where nobody knows.
            is_snapshot: its record was read from the table, not from the log.
            now: the database's clock.
            oldest: a message that is older by this makes a backlog by itself.
        """
        if self.accepted:
            return False
        if created_at is None:  # a snapshot's rows were there before it; the log's are new
            return is_snapshot and now - self.since < MARGIN
        if self.kind is HoldKind.HISTORY:
            return created_at < self.since - timedelta(seconds=self.margin_s)
        return created_at < self.since and (is_snapshot or self.is_far_older(created_at, oldest))

    def is_sure_of(self, message: Delivery) -> bool:
        """Say whether what the ledger knows of a message holds: it was tried, and not before then.

        A history that a backup has undone may have gone on with a message that was tried already.
        """
        tried = message.attempts or message.doubts or message.round > 1
        undone = self.kind is HoldKind.HISTORY and message.changed_at < self.since
        return bool(tried) and not undone

    def is_far_older(self, created_at: datetime, oldest: timedelta) -> bool:
        """Say whether a message makes a backlog by itself, however few there are."""
        return self.kind is HoldKind.BACKLOG and created_at < self.since - oldest

    def as_value(self) -> dict[str, object]:
        """Return what the control table keeps."""
        return {
            "since": self.since.isoformat(),
            "kind": self.kind.value,
            "let": self.let,
            "accepted": self.accepted,
            "margin_s": self.margin_s,
        }

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> "Memory":
        """Read what :meth:`as_value` wrote."""
        return cls(
            since=datetime.fromisoformat(value["since"]),
            kind=HoldKind(value["kind"]),
            let=int(value["let"]),
            accepted=bool(value["accepted"]),
            margin_s=float(value["margin_s"]),
        )
