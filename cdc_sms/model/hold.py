"""Holds: why nothing is sent, since when, and what ends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class HoldKind(StrEnum):
    """What put a hold in force."""

    MANUAL = "manual"
    """A person: ``cdc-sms hold``."""
    ACCOUNT = "account"
    """The provider refuses the account: key, funds or rights."""
    FLOOD = "flood"
    """Many messages in a row were given up."""
    BACKLOG = "backlog"
    """The first start found more, or older, pending rows than anybody may want sent."""
    HISTORY = "history"
    """Messages older than the ledger's memory, of which it can't know whether they were sent."""


WAYS_OUT: Mapping[HoldKind, str] = {
    HoldKind.MANUAL: "cdc-sms resume",
    HoldKind.ACCOUNT: "put the account right: it is asked for by itself, and the flow goes on",
    HoldKind.FLOOD: "look at 'cdc-sms dlq list', then cdc-sms resume [--let N | --dead-letter]",
    HoldKind.BACKLOG: "cdc-sms resume [--let N | --dead-letter], which shows first what waits",
    HoldKind.HISTORY: "cdc-sms resume [--let N | --dead-letter], which shows first what waits",
}
"""What ends a hold of each kind."""

OF_OLD_MESSAGES = frozenset({HoldKind.BACKLOG, HoldKind.HISTORY})
"""These hold only messages that are older than the ledger's memory; the others hold everything."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold in force, as the control table keeps it.

    Attributes:
        name: the kind, and what it holds where there can be several: ``account:justsend``.
        kind: what put it in force.
        reason: in one sentence.
        since: when; aware.
        let: how many messages may still pass it.
        give_up_before: of each partition the offset before which messages are dead-lettered
            instead of held.
        gives_all_up: every message that it would hold is dead-lettered.
        facts: what else the log and the screens show.
    """

    name: str
    kind: HoldKind
    reason: str
    since: datetime
    let: int = 0
    give_up_before: Mapping[int, int] = field(default_factory=dict[int, int])
    gives_all_up: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def way_out(self) -> str:
        """Return what ends it."""
        return WAYS_OUT[self.kind]

    @property
    def is_of_old_messages(self) -> bool:
        """Say whether only messages older than the ledger's memory are held."""
        return self.kind in OF_OLD_MESSAGES

    @property
    def holds_what_comes(self) -> bool:
        """Say whether what it held is dead-lettered, and what comes after that is still held."""
        stands = self.let <= 0 and not self.is_of_old_messages and not self.gives_all_up
        return stands and bool(self.give_up_before)

    def gives_up(self, partition: int, offset: int) -> bool:
        """Say whether a record's message is to be dead-lettered instead of held."""
        return self.gives_all_up or offset < self.give_up_before.get(partition, 0)

    def as_value(self) -> dict[str, Any]:
        """Return what the control table keeps."""
        return {
            "kind": self.kind.value,
            "reason": self.reason,
            "since": self.since.isoformat(),
            "let": self.let,
            "give_up_before": {str(p): offset for p, offset in self.give_up_before.items()},
            "gives_all_up": self.gives_all_up,
            "facts": dict(self.facts),
        }

    @classmethod
    def from_value(cls, name: str, value: Mapping[str, Any]) -> "Hold":
        """Read what :meth:`as_value` wrote."""
        given_up: Mapping[str, int] = value.get("give_up_before", {})
        return cls(
            name=name,
            kind=HoldKind(value["kind"]),
            reason=value["reason"],
            since=datetime.fromisoformat(value["since"]),
            let=int(value.get("let", 0)),
            give_up_before={int(p): offset for p, offset in given_up.items()},
            gives_all_up=bool(value.get("gives_all_up")),
            facts=value.get("facts", {}),
        )
