"""``hold`` and ``resume``: a person stops the flow, and lets it go on; every member obeys.

What is lifted was made for a reason: what a hold of old messages holds back is shown first.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from cdc_sms.config.settings import Sections
from cdc_sms.databases.acts import Acts
from cdc_sms.databases.control import FLOOD, HOLD_PREFIX, MEMORY, Control
from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.lookup import in_flight
from cdc_sms.databases.pending_rows import PendingRows, pending_rows
from cdc_sms.databases.reading import read_only
from cdc_sms.errors import ActRefused, DatabaseError
from cdc_sms.kafka.standing import standing_of
from cdc_sms.model.hold import Hold, HoldKind
from cdc_sms.model.memory import Memory

_KEPT = "a person holds all messages"


@dataclass(frozen=True, slots=True)
class Held:
    """What ``hold`` led to.

    Attributes:
        hold: in force.
        stood_already: it was in force before.
        in_flight: messages that are being sent now: they are not stopped any more.
    """

    hold: Hold
    stood_already: bool
    in_flight: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a hold holds back, before it is lifted.

    Attributes:
        hold: as it stands.
        asks: whether a person is to look at it and agree.
        memory_since: the ledger knows every message that was created later.
        pending: the table's pending rows; None: not counted.
        why_not: why they were not.
        give_up_before: with ``--dead-letter``: the ends of the outbox's partitions now.
        open_records: records before these ends that are not finished; None: not asked for.
    """

    hold: Hold
    asks: bool
    memory_since: datetime | None = None
    pending: PendingRows | None = None
    why_not: str | None = None
    give_up_before: Mapping[int, int] | None = None
    open_records: int | None = None

    def as_value(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "hold": self.hold.name,
            "kind": self.hold.kind,
            "reason": self.hold.reason,
            "since": self.hold.since,
            "memory_since": self.memory_since,
            "pending": None if self.pending is None else asdict(self.pending),
            "why_not": self.why_not,
            "open_records": self.open_records,
        }


def hold_all(engine: Engine, *, reason: str | None) -> Held:
    """Hold all messages, from every member's next claim on.

    Args:
        engine: where the ledger is.
        reason: for those who wonder; None: that a person did it.

    Raises:
        DatabaseUnavailable: give it again.
    """

    def work(connection: Connection) -> Held:
        control, name = Control(), HoldKind.MANUAL.value
        now = Ledger().now(connection)
        wanted = Hold(name=name, kind=HoldKind.MANUAL, reason=reason or _KEPT, since=now)
        stood = control.get(connection, HOLD_PREFIX + name) is not None
        control.hold(connection, wanted)
        value = control.get(connection, HOLD_PREFIX + name)
        assert value is not None
        standing = Hold.from_value(name, value)
        Acts().record(
            connection,
            "hold",
            target=HOLD_PREFIX + name,
            details={"reason": reason},
            outcome={"stood_already": stood},
        )
        return Held(standing, stood, in_flight(connection))

    return in_transaction(engine, work)


def chosen_hold(engine: Engine, name: str | None) -> Hold:
    """Return the hold that a person means.

    Args:
        engine: where the ledger is.
        name: as ``status`` lists it; None: the only one in force.

    Raises:
        ActRefused: none is in force, or several are, or none of that name.
        DatabaseUnavailable: the database can't be reached now.
    """
    return pick(read_only(engine, Control().holds), name)


def pick(holds: list[Hold], name: str | None) -> Hold:
    """Return the hold that a person means; pure.

    Raises:
        ActRefused: see :func:`chosen_hold`.
    """
    names = ", ".join(hold.name for hold in holds)
    if not holds:
        raise ActRefused("No hold is in force.", hint="'cdc-sms status' shows what waits and why.")
    if name is None and len(holds) > 1:
        raise ActRefused(
            f"Several holds are in force: {names}.", hint="Name the one that is to be lifted."
        )
    for hold in holds:
        if name in {None, hold.name}:
            return hold
    raise ActRefused(f"No hold {name!r} is in force.", hint=f"In force: {names}.")


def preview(
    sections: Sections, engine: Engine, hold: Hold, *, dead_letter: bool, wait_s: float
) -> Preview:
    """Say what lifting a hold would let go; changes nothing.

    Args:
        sections: the configuration.
        engine: where the ledger is.
        hold: which.
        dead_letter: what it holds is to be given up, not sent.
        wait_s: how long a broker may take to answer; seconds.

    Raises:
        ActRefused: what it holds are good messages, which must not be given up.
        DatabaseUnavailable: the database can't be reached now.
        BrokerUnavailable: no broker answers.
    """
    if dead_letter and hold.kind in {HoldKind.MANUAL, HoldKind.ACCOUNT}:
        raise ActRefused(
            f"The hold {hold.name} holds good messages: they are not dead-lettered.",
            hint="Let them go with 'cdc-sms resume', or cancel them in your own table.",
        )
    shown = Preview(hold, asks=dead_letter or hold.is_of_old_messages)
    if dead_letter:
        outbox = standing_of(sections.kafka, sections.kafka.outbox, wait_s=wait_s)
        shown = replace(
            shown,
            give_up_before={p: standing.end for p, standing in outbox.items()},
            open_records=sum(standing.open_records for standing in outbox.values()),
        )
    return _with_pending(shown, sections, engine) if hold.is_of_old_messages else shown


def _with_pending(shown: Preview, sections: Sections, engine: Engine) -> Preview:
    """Add what waits in the table; where it can't be counted, say why."""
    value = read_only(engine, lambda connection: Control().get(connection, MEMORY))
    memory = None if value is None else Memory.from_value(value)
    if memory is not None:
        shown = replace(shown, memory_since=memory.since)
    if sections.table.columns.status is None:
        return replace(shown, why_not="the table has no status column that says what is pending")
    try:
        found = read_only(
            engine, lambda c: pending_rows(c, sections.table, before=_oldest_known(memory))
        )
    except DatabaseError as error:
        return replace(shown, why_not=error.message)
    return replace(shown, pending=found)


def _oldest_known(memory: Memory | None) -> datetime | None:
    """Return when what the ledger can't know was created at the latest."""
    if memory is None:
        return None
    is_history = memory.kind is HoldKind.HISTORY
    return memory.since - timedelta(seconds=memory.margin_s if is_history else 0)


def resume(
    engine: Engine,
    name: str,
    *,
    let: int | None = None,
    give_up_before: Mapping[int, int] | None = None,
) -> Hold | None:
    """Lift a hold, or let some of what it holds go.

    Args:
        engine: where the ledger is.
        name: which.
        let: so many messages may pass, the hold stays in force.
        give_up_before: by partition of the outbox: what it holds of records before these
            offsets is dead-lettered, the hold stays in force. With neither it is lifted.

    Returns:
        The hold as it stands now; None: it is lifted.

    Raises:
        ActRefused: it isn't in force any more.
        DatabaseUnavailable: whether it was done is not known: give it again.
    """

    def work(connection: Connection) -> Hold | None:
        control = Control()
        # in the order of a claim: flood, holds, memory
        control.get(connection, FLOOD, lock=True)
        value = control.get(connection, HOLD_PREFIX + name, lock=True)
        if value is None:
            raise ActRefused(
                f"The hold {name} isn't in force any more.", hint="See 'cdc-sms status'."
            )
        hold = Hold.from_value(name, value)
        if let is not None:
            left: Hold | None = replace(hold, let=let)
        elif give_up_before is not None:
            left = replace(hold, give_up_before=dict(give_up_before))
        else:
            left = None
        if left is not None:
            control.change_hold(connection, left)
        else:
            _lift(connection, control, hold)
        Acts().record(
            connection,
            "resume",
            target=HOLD_PREFIX + name,
            details={"let": let, "dead_letter": give_up_before is not None},
            outcome={"lifted": left is None, "reason": hold.reason},
        )
        return left

    return in_transaction(engine, work)


def _lift(connection: Connection, control: Control, hold: Hold) -> None:
    if hold.kind is HoldKind.FLOOD:
        control.put(connection, FLOOD, {"run": 0})
    control.lift(connection, hold.name)
    if not hold.is_of_old_messages:
        return
    value = control.get(connection, MEMORY, lock=True)
    if value is not None:
        accepted = replace(Memory.from_value(value), accepted=True)
        control.put(connection, MEMORY, accepted.as_value())
