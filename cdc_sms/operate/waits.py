"""What a message waits for now, and what would move it: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cdc_sms.config.settings import Sections
from cdc_sms.model.acts import DROPPED
from cdc_sms.model.business_row import BusinessRow
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.hold import Hold
from cdc_sms.model.memory import Memory
from cdc_sms.model.state import State

BY_ITSELF = "by itself"


@dataclass(frozen=True, slots=True)
class Waits:
    """What it waits for, and what would move it.

    Attributes:
        reason: what it waits for, in one sentence.
        moved_by: a command, or who does it.
    """

    reason: str
    moved_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What matters beside the message.

    Attributes:
        sections: the configuration.
        holds: in force.
        memory: what the ledger can know; None: nothing says so.
        roles: what the roles that answer say of themselves.
        now: the database's clock.
    """

    sections: Sections
    holds: Sequence[Hold]
    memory: Memory | None
    roles: Sequence[Mapping[str, Any]]
    now: datetime


def what_it_waits_for(message: Delivery, row: BusinessRow | None, around: Surroundings) -> Waits:
    """Say what a message that the ledger knows waits for.

    Args:
        message: as the ledger has it.
        row: the row of its key, if that is still this message's.
        around: the rest.
    """
    if message.awaits_person:
        return Waits(
            "A person: it may have been sent.",
            f"cdc-sms in-doubt resolve --sent, --resend or --drop {message.id}",
        )
    if message.owes_dead_letter:
        return Waits("Its dead letter to be acknowledged.", "deliver, by itself")
    if message.unclear_at is not None:
        return Waits(
            "A person: it is done, and its row reads pending again.",
            "cdc-sms dlq list --class unclear, then dlq replay --second or dlq discard",
        )
    if message.owes_write:
        times = f", which failed {message.write_failures} times" if message.write_failures else ""
        return Waits(
            f"Its row's status to be written{times}.",
            "deliver tries again while the row is locked, or refuses it (write_back.refused in "
            "its log says why)",
        )
    if message.state.is_final:
        return _of_final(message)
    return _of_open(message, row, around)


def what_an_unknown_row_waits_for(
    row: BusinessRow, record: str | None, around: Surroundings, *, slot: str
) -> Waits:
    """Say what a row waits for that the ledger doesn't know.

    Args:
        row: as it stands.
        record: where a record of it lies; None: none was found.
        around: the rest.
        slot: how far capture is, in words.
    """
    status, pending = around.sections.table.columns.status, around.sections.table.status.pending
    if status is not None and row.word != pending:
        return Waits(
            f"Nothing: its row doesn't read {pending!r}, and deliver never looked at it.",
            "insert a row that is pending",
        )
    if record is None:
        return Waits(
            f"Capture: no record of it is among the newest of the outbox; {slot}.",
            "cdc-sms capture, which must run: cdc-sms status",
        )
    return _behind_hold(row, around, is_sure=False) or Waits(
        f"Deliver to look at record {record} of the outbox.",
        f"cdc-sms deliver, which must run: cdc-sms status; if the group is past it, "
        f"cdc-sms replay --from-offset {record}",
    )


def _of_final(message: Delivery) -> Waits:
    match message.state:
        case State.FAILED if message.dead_letter_class is not None:
            letter = f"{message.dlq_partition}:{message.dlq_offset}"
            return Waits(
                "A person: its dead letter stands.",
                f"cdc-sms dlq show {letter}, then dlq edit, dlq replay or dlq discard",
            )
        case State.FAILED if message.failure_code == DROPPED:
            return Waits("Nothing: it was in doubt, and a person gave it up.", "-")
        case State.FAILED | State.CANCELLED | State.EXPIRED as state:
            return Waits(
                f"Nothing: it ended as {state}.",
                f"if it is wanted: cdc-sms replay --include {state}",
            )
        case _:
            return Waits("Nothing: it was sent.", "-")


def _of_open(message: Delivery, row: BusinessRow | None, around: Surroundings) -> Waits:
    if message.state is State.SENDING:
        grace = timedelta(seconds=around.sections.deliver.lease_grace_s)
        over = message.lease_until is not None and message.lease_until + grace < around.now
        if over:
            return Waits("A member to take it over: its claim ran out.", "deliver, by itself")
        return Waits(f"Its answer, or the end of its claim: {message.lease_until}.", BY_ITSELF)
    if row is None:
        return Waits("Its end: its row is gone.", "deliver, by itself")
    if message.state is not State.IN_DOUBT:
        is_sure = around.memory is not None and around.memory.is_sure_of(message)
        held = _behind_hold(row, around, is_sure=is_sure)
        if held is not None:
            return held
    elif around.holds:
        return Waits(f"A hold: {around.holds[0].reason}.", around.holds[0].way_out)
    if message.state is State.IN_DOUBT:
        again = around.sections.deliver.doubt == "resend" and message.round_doubts <= 1
        then = "sent again, once" if again else "left for a person, as a dead letter"
        return Waits(
            f"The pause after a doubt, until {message.due_at}; then it is {then}.",
            f"{BY_ITSELF}, or cdc-sms in-doubt resolve {message.id}",
        )
    if message.due_at > around.now:
        return Waits(f"Its time: {message.due_at}.", BY_ITSELF)
    return _of_due(around)


def _of_due(around: Surroundings) -> Waits:
    delivers = [role for role in around.roles if role.get("role") == "deliver"]
    for role in delivers:
        if role.get("breaker") not in {None, "closed"}:
            why = role.get("breaker_reason") or "it fails"
            return Waits(f"The provider, which is paused: {why}.", "the provider; then by itself")
    if not delivers:
        return Waits(
            "Its turn; no deliver answers at the addresses in serve.roles.",
            "cdc-sms deliver, which must run: cdc-sms status",
        )
    return Waits(
        "Its turn, or its row, which somebody may hold locked.",
        f"deliver, which brings it back when it is overdue "
        f"({around.sections.deliver.overdue_s:g} s): cdc-sms status",
    )


def _behind_hold(row: BusinessRow, around: Surroundings, *, is_sure: bool) -> Waits | None:
    for hold in around.holds:
        if not hold.is_of_old_messages or (not is_sure and _may_be_old(row, around)):
            return Waits(f"A hold: {hold.reason}.", hold.way_out)
    return None


def _may_be_old(row: BusinessRow, around: Surroundings) -> bool:
    return around.memory is not None and around.memory.may_have_forgotten(
        row.created_instant,
        is_snapshot=True,
        now=around.now,
        oldest=timedelta(seconds=around.sections.deliver.backlog_age_s),
    )
