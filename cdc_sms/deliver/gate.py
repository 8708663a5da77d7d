"""What the holds in force let through: one gate for each claim transaction.

Two things are asked: may anything be sent now, and may this message, which is older than the
ledger's memory? A person's ``resume --let N`` lets N pass; ``resume --dead-letter`` gives up what
was held when it was said.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

from cdc_sms.deliver.intake import Look
from cdc_sms.model.business_row import BusinessRow
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.hold import Hold, HoldKind
from cdc_sms.model.memory import Memory


class Verdict(Enum):
    """What becomes of a message that asks."""

    PASS = "pass"  # noqa: S105 - no secret
    HELD = "held"
    GIVE_UP = "give_up"


@dataclass(slots=True)
class Gate:
    """The holds and the memory as one transaction read them, and what it let through.

    Attributes:
        holds: in force.
        memory: None: everything is known.
        account: the name of our provider's hold, which a probe may pass.
        probing: one message is to be sent although the provider is held.
        now: the database's clock.
        oldest: an older message than this makes a backlog by itself.
        changed: holds whose ``let`` went down, by name.
        let_by_memory: how many old messages passed without a hold.
        made: the hold that an old message put in force.
    """

    holds: Sequence[Hold]
    memory: Memory | None
    account: str
    probing: bool
    now: datetime
    oldest: timedelta
    changed: dict[str, Hold] = field(default_factory=dict[str, Hold])
    let_by_memory: int = 0
    made: Hold | None = None

    def ask(self, look: Look, message: Delivery, row: BusinessRow) -> Verdict:
        """Say whether a message may be claimed now; a pass that is counted is used up."""
        concerned = self._concerned(look, message, row)
        if any(hold.gives_up(look.record.partition, look.record.offset) for hold in concerned):
            return Verdict.GIVE_UP
        if any(hold.let <= 0 for hold in concerned):
            return Verdict.HELD
        for hold in concerned:
            self._use_up(hold)
        return Verdict.PASS

    def standing(self) -> list[Hold]:
        """Return the holds as they stand after this transaction."""
        standing = [self.changed.get(hold.name, hold) for hold in self.holds]
        return standing + ([self.made] if self.made is not None else [])

    def blocks(self) -> Hold | None:
        """Return the hold that lets nothing at all through; None: something may be looked at."""
        for hold in self.standing():
            counts = not hold.is_of_old_messages and not self._is_probed(hold)
            gives_up = hold.gives_all_up or hold.give_up_before
            if counts and hold.let <= 0 and not gives_up:
                return hold
        return None

    def _concerned(self, look: Look, message: Delivery, row: BusinessRow) -> list[Hold]:
        found = [
            self.changed.get(hold.name, hold)
            for hold in self.holds
            if not hold.is_of_old_messages and not self._is_probed(hold)
        ]
        if self._is_old(look, message, row):
            found.append(self._hold_of_old())
        return found

    def _is_probed(self, hold: Hold) -> bool:
        return self.probing and hold.name == self.account

    def _hold_of_old(self) -> Hold:
        """Return the hold of old messages, which stands, lets some pass, or is made now."""
        assert self.memory is not None
        kind = self.memory.kind
        for hold in self.holds:
            if hold.kind is kind:
                return self.changed.get(hold.name, hold)
        if self.made is not None:
            return self.made
        hold = Hold(
            name=kind.value,
            kind=kind,
            reason=_REASONS[kind],
            since=self.now,
            let=self.memory.let,
        )
        if hold.let <= 0:
            self.made = hold
        return hold

    def _use_up(self, hold: Hold) -> None:
        if any(standing.name == hold.name for standing in self.holds):
            self.changed[hold.name] = replace(hold, let=hold.let - 1)
        elif self.memory is not None:
            self.memory = replace(self.memory, let=self.memory.let - 1)
            self.let_by_memory += 1

    def _is_old(self, look: Look, message: Delivery, row: BusinessRow) -> bool:
        """Say whether the ledger can't know whether this message was sent before its time."""
        memory = self.memory
        if memory is None or memory.is_sure_of(message):
            return False
        created_at = row.created_instant
        if created_at is not None and memory.is_far_older(created_at, self.oldest):
            self.memory = replace(memory, let=0)
        return memory.may_have_forgotten(
            created_at, is_snapshot=look.is_snapshot, now=self.now, oldest=self.oldest
        )


_REASONS = {
    HoldKind.BACKLOG: "the first start found more or older pending rows than are sent unasked",
    HoldKind.HISTORY: "messages are older than the ledger's memory: they may have been sent before",
}
