"""The protocol: one key's messages and its row as they stand, to what becomes of them. Pure.

The row as it stands says which message it is. A record stands for every message of its key, and is
finished when each of them is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cdc_sms.config.settings import DeliverSettings, StatusSettings
from cdc_sms.deliver.gate import Gate, Verdict
from cdc_sms.deliver.intake import Look
from cdc_sms.model.business_row import BusinessRow
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.override import Override
from cdc_sms.model.state import DeadLetterClass, State

FAR_AHEAD = timedelta(hours=1)
"""A message that waits longer for its date lets its offset go; the keeper emits it then."""


GIVEN_UP = "given_up"
"""The code of what a person had dead-lettered unsent."""

MOMENT_S = 0.01
"""What a wait for a moment is longer than the moment, so that it has passed then; seconds."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The record's offset may go; ``how`` is from a closed set."""

    look: Look
    how: str


@dataclass(frozen=True, slots=True)
class Wait:
    """The record is to be looked at again.

    Attributes:
        reason: what it waits for; from a closed set.
        delay_s: seconds; None: as often as that reason is worth it.
    """

    look: Look
    reason: str
    delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to send one message, once.

    Attributes:
        message: in the ledger, as claimed.
        row: as it stood under the lock, with a person's correction: what is sent.
        token: says whose claim it is.
        lease_until_s: on the monotonic clock, counted from before the claim.
    """

    look: Look
    message: Delivery
    row: BusinessRow
    token: str
    lease_until_s: float


@dataclass(frozen=True, slots=True)
class OwesDeadLetter:
    """A message was given up: its dead letter is to be produced, and acknowledged.

    Attributes:
        dead_letter_class: why.
    """

    look: Look
    message: Delivery
    dead_letter_class: DeadLetterClass


Result = Finished | Wait | Claim | OwesDeadLetter


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides beside the facts.

    Attributes:
        status: the words; None where the table has no status column.
        settings: leases, pauses, the rule for doubts.
        token: of the claims that may be taken now.
        lease_until_s: of these, on the monotonic clock.
        gate: what the holds in force let through.
        may_take_over: False until the database has been reachable for a grace: after an outage
            whoever holds a claim that ran out meanwhile must first have had time to settle it.
    """

    status: StatusSettings | None
    settings: DeliverSettings
    token: str
    lease_until_s: float
    gate: Gate
    may_take_over: bool = True

    @property
    def may_give_up(self) -> bool:
        """Say whether a doubt may be given up now: not while everything is held."""
        return self.gate.blocks() is None


@dataclass(slots=True)
class Decision:
    """What becomes of one look.

    Attributes:
        result: of the record.
        changed: messages to be saved.
    """

    result: Result
    changed: list[Delivery] = field(default_factory=list[Delivery])


def finished_without_locks(
    look: Look, messages: Sequence[Delivery], row: BusinessRow | None, status: StatusSettings | None
) -> Finished | None:
    """Say whether a record is finished by what a read saw that saw its transaction.

    Args:
        look: the record.
        messages: every message of its key.
        row: the key's row; None: gone.
        status: the words.
    """
    if any(not message.is_done for message in messages):
        return None
    if row is None:
        return Finished(look, "gone")
    current = next((m for m in messages if m.id == row.message_id), None)
    if current is None:
        return None
    if current.state is State.CANCELLED and status is None:
        return None
    reads_pending = status is not None and row.word == status.pending
    if reads_pending and not current.owes_write and current.unclear_at is None:
        return None
    return Finished(look, "unclear" if reads_pending and current.unclear_at else current.state)


def decide(
    look: Look,
    messages: Sequence[Delivery],
    row: BusinessRow | None,
    *,
    row_is_locked: bool,
    now: datetime,
    rules: Rules,
) -> Decision:
    """Decide what becomes of a key's messages and of the record that asked for it.

    Args:
        look: the record; its transaction has been seen.
        messages: every message of the key, locked; the row's own among them.
        row: as it stands; locked unless ``row_is_locked``; None: gone.
        row_is_locked: someone else holds the row.
        now: the database's clock.
        rules: see there.
    """
    own = [m for m in messages if m.state is State.SENDING and m.claim_token == rules.token]
    if own:  # COMMIT's reply was lost: the claim is ours, and is decided anew
        freed = {m.id: _given_back(m, now) for m in own}
        again = [freed.get(m.id, m) for m in messages]
        decision = decide(look, again, row, row_is_locked=row_is_locked, now=now, rules=rules)
        known = {m.id for m in decision.changed}
        decision.changed += [m for m in freed.values() if m.id not in known]
        return decision
    changed: list[Delivery] = []
    for other in messages:
        if other.is_done or (row is not None and other.id == row.message_id):
            continue
        stop = _without_row(look, other, changed, now, rules)
        if stop is not None:
            return Decision(stop, changed)
    if row is None:
        return Decision(Finished(look, "gone"), changed)
    current = next(m for m in messages if m.id == row.message_id)
    return _current(look, current, row, changed, row_is_locked=row_is_locked, now=now, rules=rules)


def _without_row(
    look: Look, message: Delivery, changed: list[Delivery], now: datetime, rules: Rules
) -> Result | None:
    """Bring a message to its end whose row is gone, or is another message's now."""
    match message.state:
        case State.FAILED:
            return _owes(look, message)
        case State.SENDING if not _lease_is_over(message, now, rules):
            return _wait_for_claim(look, message, now, rules)
        case State.SENDING:
            changed.append(_taken_over(message, now, rules))
            return Wait(look, "claimed", 0.0)
        case State.IN_DOUBT if not rules.may_give_up:
            return Wait(look, "held")
        case State.IN_DOUBT:
            given_up = _doubt_given_up(message, now)
            changed.append(given_up)
            return _owes(look, given_up)
        case _:
            changed.append(replace(message, state=State.CANCELLED, changed_at=now))
            return None


def _current(
    look: Look,
    message: Delivery,
    row: BusinessRow,
    changed: list[Delivery],
    *,
    row_is_locked: bool,
    now: datetime,
    rules: Rules,
) -> Decision:
    """Decide about the message that the row is."""
    if message.state in {State.SENT, State.FAILED, State.EXPIRED, State.CANCELLED}:
        if not _is_pending_again(message, row, rules):
            return Decision(_final(look, message, row, rules), changed)
        message = replace(message, state=State.PENDING, due_at=now)
    if message.state is State.SENDING:
        if not _lease_is_over(message, now, rules):
            return Decision(_wait_for_claim(look, message, now, rules), changed)
        message = _taken_over(message, now, rules)
        changed.append(message)
    result, after = _open(look, message, row, row_is_locked=row_is_locked, now=now, rules=rules)
    if after is not None:
        changed[:] = [m for m in changed if m.id != after.id] + [after]
    return Decision(result, changed)


def _open(
    look: Look,
    message: Delivery,
    row: BusinessRow,
    *,
    row_is_locked: bool,
    now: datetime,
    rules: Rules,
) -> tuple[Result, Delivery | None]:
    """Decide about a message that nobody holds and that isn't final."""
    in_doubt = message.state is State.IN_DOUBT
    if in_doubt and not rules.may_give_up:
        return Wait(look, "held"), None
    if in_doubt and (rules.settings.doubt == "hold" or message.round_doubts > 1):
        given_up = _doubt_given_up(message, now)
        return _owes(look, given_up), given_up
    if message.due_at > now and message.state in {State.IN_DOUBT, State.RETRYING}:
        return Wait(look, message.state, _until(message.due_at, now)), None
    if row_is_locked:
        return Wait(look, "row_locked"), None
    if not _word_is_ours(message, row, rules):
        if in_doubt:
            given_up = _doubt_given_up(message, now)
            return _owes(look, given_up), given_up
        return Finished(look, "cancelled"), replace(message, state=State.CANCELLED, changed_at=now)
    if row.expires_at is not None and row.expires_at <= now:
        return _expired(look, message, now)
    if row.send_after is not None and row.send_after > now and not in_doubt:
        return _scheduled(look, message, row.send_after, now)
    return _at_the_gate(look, message, row, now, rules)


def _at_the_gate(
    look: Look, message: Delivery, row: BusinessRow, now: datetime, rules: Rules
) -> tuple[Result, Delivery | None]:
    """Claim what the holds in force let through."""
    match rules.gate.ask(look, message, row):
        case Verdict.HELD:
            return Wait(look, "held"), None
        case Verdict.GIVE_UP:
            in_doubt = message.state is State.IN_DOUBT
            given_up = _doubt_given_up(message, now) if in_doubt else _held_given_up(message, now)
            return _owes(look, given_up), given_up
        case Verdict.PASS:
            claimed = _claim(message, row, now, rules)
            return _claimed(look, claimed, row, rules), claimed


def _given_back(message: Delivery, now: datetime) -> Delivery:
    former = message.former_state or State.PENDING
    return replace(
        message, state=former, claim_token=None, lease_until=None, due_at=now, changed_at=now
    )


def _final(look: Look, message: Delivery, row: BusinessRow, rules: Rules) -> Result:
    if message.owes_dead_letter:
        return _owes(look, message)
    reads_pending = rules.status is not None and row.word == rules.status.pending
    if reads_pending and not message.owes_write and message.unclear_at is None:
        return OwesDeadLetter(look, message, DeadLetterClass.UNCLEAR)
    return Finished(look, message.state)


def _is_pending_again(message: Delivery, row: BusinessRow, rules: Rules) -> bool:
    """Say whether it was cancelled before any attempt, and its row reads pending again."""
    return (
        message.state is State.CANCELLED
        and message.attempts == 0
        and (rules.status is None or row.word == rules.status.pending)
    )


def _word_is_ours(message: Delivery, row: BusinessRow, rules: Rules) -> bool:
    if rules.status is None:
        return True
    return row.word in {rules.status.pending, message.row_word, message.intended_word} - {None}


def _claim(message: Delivery, row: BusinessRow, now: datetime, rules: Rules) -> Delivery:
    return replace(
        message,
        former_state=State.PENDING if message.state is State.SCHEDULED else message.state,
        state=State.SENDING,
        claim_token=rules.token,
        lease_until=now + timedelta(seconds=rules.settings.lease_s),
        due_at=now + timedelta(seconds=rules.settings.lease_s + rules.settings.lease_grace_s),
        content_digest=row.digest,
        unclear_at=None,
        changed_at=now,
    )


def _claimed(look: Look, message: Delivery, row: BusinessRow, rules: Rules) -> Claim:
    corrected = Override.from_text(message.override).corrected(row)
    return Claim(look, message, corrected, rules.token, rules.lease_until_s)


def _owes(look: Look, message: Delivery) -> OwesDeadLetter:
    return OwesDeadLetter(look, message, message.dead_letter_class or DeadLetterClass.PERMANENT)


def _expired(look: Look, message: Delivery, now: datetime) -> tuple[Result, Delivery]:
    if message.state is State.IN_DOUBT:
        given_up = _doubt_given_up(message, now)
        return _owes(look, given_up), given_up
    text = "its time to be sent ran out"
    return Finished(look, State.EXPIRED), replace(
        message, state=State.EXPIRED, failure_text=text, changed_at=now
    )


def _scheduled(
    look: Look, message: Delivery, date: datetime, now: datetime
) -> tuple[Result, Delivery]:
    state = message.state if message.state is State.RETRYING else State.SCHEDULED
    after = replace(message, state=state, due_at=date, changed_at=now)
    if date - now > FAR_AHEAD:
        return Finished(look, State.SCHEDULED), replace(after, state=State.SCHEDULED)
    return Wait(look, State.SCHEDULED, _until(date, now)), after


def _taken_over(message: Delivery, now: datetime, rules: Rules) -> Delivery:
    """Call a claim in doubt that ran out: whoever held it may have sent it."""
    return replace(
        message,
        state=State.IN_DOUBT,
        claim_token=None,
        lease_until=None,
        doubts=message.doubts + 1,
        attempts=message.attempts + 1,
        failure_class="in_doubt",
        failure_code="lease_expired",
        failure_text="the process that was sending it ended; it may have been sent",
        first_failed_at=message.first_failed_at or now,
        last_failed_at=now,
        due_at=now + timedelta(seconds=rules.settings.doubt_pause_s),
        changed_at=now,
    )


def _doubt_given_up(message: Delivery, now: datetime) -> Delivery:
    return replace(
        message,
        state=State.FAILED,
        dead_letter_class=DeadLetterClass.IN_DOUBT,
        dlq_partition=None,
        dlq_offset=None,
        claim_token=None,
        changed_at=now,
    )


def _held_given_up(message: Delivery, now: datetime) -> Delivery:
    return replace(
        message,
        state=State.FAILED,
        dead_letter_class=DeadLetterClass.PERMANENT,
        dlq_partition=None,
        dlq_offset=None,
        failure_class="permanent",
        failure_code=GIVEN_UP,
        failure_text="it was held, and a person had it dead-lettered",
        first_failed_at=message.first_failed_at or now,
        last_failed_at=now,
        due_at=now,
        changed_at=now,
    )


def _lease_end(message: Delivery, rules: Rules) -> datetime:
    assert message.lease_until is not None
    return message.lease_until + timedelta(seconds=rules.settings.lease_grace_s)


def _lease_is_over(message: Delivery, now: datetime, rules: Rules) -> bool:
    return rules.may_take_over and _lease_end(message, rules) < now


def _wait_for_claim(look: Look, message: Delivery, now: datetime, rules: Rules) -> Wait:
    left_s = _until(_lease_end(message, rules), now)
    return Wait(look, "claimed", left_s if left_s > MOMENT_S else None)


def _until(moment: datetime, now: datetime) -> float:
    return max(0.0, (moment - now).total_seconds()) + MOMENT_S
