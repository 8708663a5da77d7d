"""Write outcomes where they belong: the ledger first, then the row, in one transaction.

Nothing here waits for the broker: a dead letter's acknowledgement is a settle of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.ledger import Ledger
from cdc_sms.deliver.decide import Claim, Finished, OwesDeadLetter, Result, Wait
from cdc_sms.deliver.flood import FloodGuard
from cdc_sms.deliver.intake import Look
from cdc_sms.deliver.route import Route
from cdc_sms.deliver.write_back import Owing, WriteBack, is_void
from cdc_sms.errors import NeedsPerson
from cdc_sms.model.delivery import AttemptRow, Delivery
from cdc_sms.model.outcome import Failed, InDoubt, Outcome, Sent
from cdc_sms.model.state import DeadLetterClass, State


@dataclass(frozen=True, slots=True)
class Settlement:
    """One claim and what it led to.

    Attributes:
        outcome: None: given back, nothing was sent.
        route: where it goes; None where it was given back.
        started_at: when the request began.
    """

    claim: Claim
    outcome: Outcome | None
    route: Route | None
    started_at: datetime | None = None
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A dead letter that the broker has.

    Attributes:
        message_id: whose it is.
        round: which of its rounds was given up: a person may have begun another meanwhile.
    """

    look: Look
    message_id: str
    dead_letter_class: DeadLetterClass
    partition: int
    offset: int
    round: int = 1


class Settles:
    """Runs settle transactions.

    Thread: the ledger's.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        table: BusinessTable,
        ledger: Ledger,
        write_back: WriteBack,
        flood: FloodGuard,
        provider: str,
    ) -> None:
        self._engine = engine
        self._table = table
        self._ledger = ledger
        self._write_back = write_back
        self._flood = flood
        self._provider = provider

    def settle(self, settlements: Sequence[Settlement]) -> list[Result]:
        """Write outcomes to the ledger and, where the rows let us, to the rows.

        Args:
            settlements: 1 to some hundred, of distinct messages.

        Returns:
            What becomes of each record, same order.

        Raises:
            DatabaseUnavailable: whether COMMIT was reached is not known: repeat the call; what
                is settled already is recognised by its state.
            NeedsPerson: the ledger has lost its history.
        """

        def work(connection: Connection) -> list[Result]:
            ids = sorted({s.claim.message.id for s in settlements})
            before = self._locked(connection, ids)
            now = self._ledger.now(connection)
            after = {
                s.claim.message.id: settled(before[s.claim.message.id], s, now, self._provider)
                for s in settlements
            }
            changed = [
                Owing(s.claim.look.key, after[s.claim.message.id])
                for s in settlements
                if after[s.claim.message.id] != before[s.claim.message.id]
            ]
            written = self._write_back.apply(connection, changed, now=now)
            self._ledger.save(connection, written)
            after.update({message.id: message for message in written})
            self._ledger.record_attempts(
                connection,
                [_attempt(s, now, self._provider) for s in settlements if s.outcome is not None],
            )
            self._guard(connection, [(before[i], after[i]) for i in ids])
            return [self._result(s.claim.look, after[s.claim.message.id], now) for s in settlements]

        return in_transaction(self._engine, work)

    def _locked(self, connection: Connection, ids: Sequence[str]) -> dict[str, Delivery]:
        """Lock messages that were claimed: a ledger that doesn't know them has lost its history.

        Raises:
            NeedsPerson: it doesn't.
        """
        found = self._ledger.lock(connection, ids, skip_locked=False)
        if len(found) < len(ids):
            raise NeedsPerson(
                f"The ledger doesn't know {len(ids) - len(found)} messages that were claimed: a "
                "backup was restored, or the ledger was emptied.",
                hint="Stop all roles; cdc-sms adopt says what becomes of messages from before.",
            )
        return found

    def _guard(self, connection: Connection, changes: Sequence[tuple[Delivery, Delivery]]) -> None:
        """Count what was given up and what was sent, as the flood guard wants it."""
        ended = [
            after
            for before, after in changes
            if after.state is not before.state and (after.owes_dead_letter or after.accepted_at)
        ]
        code = next((m.failure_code for m in ended if m.owes_dead_letter), None)
        self._flood.note(connection, [m.owes_dead_letter for m in ended], code=code)

    def count_undecodable(self, count: int) -> None:
        """Count records that were dead-lettered because nothing could be read in them.

        Raises:
            DatabaseUnavailable: repeat the call.
        """

        def work(connection: Connection) -> None:
            self._flood.note(connection, [True] * count, code="undecodable")

        in_transaction(self._engine, work)

    def _result(self, look: Look, message: Delivery, now: datetime) -> Result:
        """Look again where the state could not be shown: the row may still read pending."""
        if is_void(message, self._table.status):
            return Wait(look, "again", 0.0)
        return result_of(look, message, now)

    def acknowledge(self, acknowledged: Sequence[Acknowledged]) -> list[Result]:
        """Note dead letters that the broker has: their messages are done.

        Raises:
            DatabaseUnavailable: repeat the call.
            NeedsPerson: the ledger has lost its history.
        """

        def work(connection: Connection) -> list[Result]:
            ids = sorted({a.message_id for a in acknowledged})
            messages = self._locked(connection, ids)
            now = self._ledger.now(connection)
            for letter in acknowledged:
                messages[letter.message_id] = _with_letter(messages[letter.message_id], letter, now)
            self._ledger.save(connection, list(messages.values()))
            return [Wait(a.look, "again", 0.0) for a in acknowledged]

        return in_transaction(self._engine, work)

    def write_owed(self, *, limit: int) -> tuple[int, list[Delivery]]:
        """Repeat write-backs that rows could not take; for the keeper.

        Returns:
            How many were tried, and the messages whose write turned out void: their rows are
            to be looked at.

        Raises:
            DatabaseUnavailable: nothing changed.
        """

        def work(connection: Connection) -> tuple[int, list[Delivery]]:
            now = self._ledger.now(connection)
            messages = self._ledger.owed(connection, now=now, limit=limit)
            keys = self._table.keys_of([m.key_values for m in messages])
            owing = [Owing(key, m) for key, m in zip(keys, messages, strict=True)]
            after = self._write_back.apply(connection, owing, now=now)
            self._ledger.save(connection, after)
            return len(messages), [m for m in after if is_void(m, self._table.status)]

        return in_transaction(self._engine, work)


def settled(before: Delivery, settlement: Settlement, now: datetime, provider: str) -> Delivery:
    """Return a message after what one claim of it led to: pure.

    An acceptance is evidence, whoever holds the claim now: it makes any state ``sent``.
    Any other outcome counts only while the claim is still this one.

    Args:
        before: locked, as it stands.
        settlement: what happened.
        now: the database's clock.
        provider: the provider's name.
    """
    outcome, route = settlement.outcome, settlement.route
    if isinstance(outcome, Sent):
        return before if before.state is State.SENT else _sent(before, settlement, now, provider)
    is_ours = before.state is State.SENDING and before.claim_token == settlement.claim.token
    if not is_ours:
        return before
    released = replace(before, claim_token=None, lease_until=None, changed_at=now, due_at=now)
    former = before.former_state or State.PENDING
    if outcome is None or route is None:
        return replace(released, state=former)
    failed = replace(
        released,
        provider=provider,
        segments=settlement.segments,
        failure_class=_class_of(outcome),
        failure_code=_clean(outcome.code, 100),
        failure_text=_clean(outcome.text, 1000),
        first_failed_at=before.first_failed_at or now,
        last_failed_at=now,
    )
    if route.state is None:
        return replace(failed, state=former)
    return replace(
        failed,
        state=route.state,
        attempts=before.attempts + route.counted,
        doubts=before.doubts + (route.state is State.IN_DOUBT),
        due_at=now + timedelta(seconds=route.pause_s),
        dead_letter_class=route.dead_letter,
        dlq_partition=None,
        dlq_offset=None,
    )


def result_of(look: Look, message: Delivery, now: datetime) -> Result:
    """Return what becomes of a record whose message was settled to this state."""
    if message.is_done:
        return Finished(look, message.state)
    if message.owes_dead_letter:
        assert message.dead_letter_class is not None
        return OwesDeadLetter(look, message, message.dead_letter_class)
    delay_s = max(0.0, (message.due_at - now).total_seconds())
    if message.state is State.SENDING:
        return Wait(look, "claimed", delay_s)
    if message.state in {State.RETRYING, State.IN_DOUBT}:
        return Wait(look, message.state, delay_s)
    return Wait(look, "again", 0.0)


def _sent(before: Delivery, settlement: Settlement, now: datetime, provider: str) -> Delivery:
    assert isinstance(settlement.outcome, Sent)
    is_ours = before.claim_token == settlement.claim.token  # else the takeover counted it
    return replace(
        before,
        state=State.SENT,
        attempts=before.attempts + is_ours,
        claim_token=None,
        lease_until=None,
        provider=provider,
        provider_message_id=_clean(settlement.outcome.provider_message_id, 200),
        segments=settlement.segments,
        accepted_at=now,
        due_at=now,
        changed_at=now,
    )


def _with_letter(message: Delivery, letter: Acknowledged, now: datetime) -> Delivery:
    if letter.dead_letter_class is DeadLetterClass.UNCLEAR:
        return replace(message, unclear_at=now, changed_at=now)
    if not message.owes_dead_letter or message.round != letter.round:
        return message
    return replace(
        message, dlq_partition=letter.partition, dlq_offset=letter.offset, changed_at=now
    )


def _clean(said: str | None, limit: int) -> str | None:
    """Return what the provider said as the ledger can keep it, whatever it said."""
    return None if said is None else said.replace("\0", "")[:limit]


def _class_of(outcome: Failed | InDoubt) -> str:
    return "in_doubt" if isinstance(outcome, InDoubt) else outcome.failure_class.value


def outcome_name(outcome: Outcome) -> str:
    """Return the outcome's name in the ledger and in metrics."""
    return "sent" if isinstance(outcome, Sent) else _class_of(outcome)


def _attempt(settlement: Settlement, now: datetime, provider: str) -> AttemptRow:
    outcome = settlement.outcome
    assert outcome is not None
    return AttemptRow(
        claim_token=settlement.claim.token,
        message_id=settlement.claim.message.id,
        round=settlement.claim.message.round,
        number=settlement.claim.message.attempts + 1,
        counted=settlement.route is None or settlement.route.counted,
        started_at=settlement.started_at,
        finished_at=now,
        outcome=outcome_name(outcome),
        code=None if isinstance(outcome, Sent) else _clean(outcome.code, 100),
        text=None if isinstance(outcome, Sent) else _clean(outcome.text, 1000),
        provider=provider,
        provider_message_id=(
            _clean(outcome.provider_message_id, 200) if isinstance(outcome, Sent) else None
        ),
    )
