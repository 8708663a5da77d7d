"""Take the right to send, by sets: look at keys, finish what is done, claim what may be sent.

:mod:`cdc_sms.deliver.decide` is the protocol; this reads, locks, and writes what it decided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from cdc_sms.config.settings import DeliverSettings
from cdc_sms.databases.business_table import BusinessTable, Read
from cdc_sms.databases.control import ADOPTED, FLOOD, HOLD_PREFIX, MEMORY, Control, holds_in
from cdc_sms.databases.engine import dialect_of, in_transaction
from cdc_sms.databases.history import History
from cdc_sms.databases.ledger import Ledger
from cdc_sms.deliver.decide import (
    GIVEN_UP,
    Decision,
    Finished,
    Result,
    Rules,
    Wait,
    decide,
    finished_without_locks,
)
from cdc_sms.deliver.flood import FloodGuard
from cdc_sms.deliver.gate import Gate
from cdc_sms.deliver.intake import Look
from cdc_sms.deliver.write_back import Owing, WriteBack
from cdc_sms.model.business_row import BusinessRow, Key
from cdc_sms.model.delivery import AttemptRow, Delivery
from cdc_sms.model.hold import Hold
from cdc_sms.model.memory import Memory
from cdc_sms.model.state import State

LOOKS_BEFORE_DOUBT = 30
"""Looks at a transaction that is not visible, about half a minute, before its id is questioned."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one claim transaction led to.

    Attributes:
        results: one for each look, in any order.
        holds: in force, as the ledger has them.
        blocked_by: the hold that lets nothing through; None: something may be sent.
    """

    results: list[Result]
    holds: Sequence[Hold]
    blocked_by: Hold | None


class Claims:
    """Runs claim transactions.

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
        account: str,
        history: History,
        settings: DeliverSettings,
    ) -> None:
        self._engine = engine
        self._table = table
        self._ledger = ledger
        self._control = Control()
        self._write_back = write_back
        self._flood = flood
        self._account = account
        self._history = history
        self._settings = settings
        self._last: Gate
        self._adopted_ms = 0.0

    def take(
        self,
        looks: Sequence[Look],
        *,
        token: str,
        lease_until_s: float,
        probing: bool,
        may_take_over: bool = True,
    ) -> Taken:
        """Look at keys and claim what may be sent.

        Args:
            looks: of distinct keys; no more than there are free senders.
            token: fresh; the same again when a transaction is repeated after a lost COMMIT.
            lease_until_s: on the monotonic clock, counted from before this call.
            probing: one message is to be sent although the provider is held.
            may_take_over: see :class:`Rules`.

        Raises:
            DatabaseUnavailable: repeat the call with the same token: it finds its own claims.
        """

        def work(connection: Connection) -> Taken:
            gate = self._gate(connection, probing=probing)
            rules = Rules(
                status=self._table.status,
                settings=self._settings,
                token=token,
                lease_until_s=lease_until_s,
                gate=gate,
                may_take_over=may_take_over,
            )
            results = self._look(connection, looks, rules)
            self._note(connection, gate)
            return Taken(results, gate.standing(), gate.blocks())

        return in_transaction(self._engine, work)

    def nothing(self, results: list[Result]) -> Taken:
        """Return results that no transaction led to; the holds are those that were read last."""
        return Taken(results, self._last.standing(), self._last.blocks())

    def standing(self) -> Taken:
        """Read the holds alone: whether something may be sent now, and that the ledger answers.

        Raises:
            DatabaseUnavailable: it doesn't.
        """

        def work(connection: Connection) -> Taken:
            gate = self._gate(connection, probing=False)
            return Taken([], gate.standing(), gate.blocks())

        return in_transaction(self._engine, work)

    def _gate(self, connection: Connection, *, probing: bool) -> Gate:
        now, log_end, known = self._control.of_flow(connection)
        self._history.saw(log_end)
        counted = [name for name, value in known.items() if value.get("let", 0) and _holds(name)]
        if counted:  # in everybody's order: the run of dead letters, then the holds
            self._control.get(connection, FLOOD, lock=True)
        for name in sorted(counted):
            # what may pass is counted: one member after the other
            standing = self._control.get(connection, name, lock=True)
            known.pop(name) if standing is None else known.update({name: standing})
        self._flood.seen(known.get(FLOOD))
        memory, adopted = known.get(MEMORY), known.get(ADOPTED)
        if adopted is not None:
            self._adopted_ms = datetime.fromisoformat(adopted["at"]).timestamp() * 1000
        self._last = Gate(
            holds=holds_in(known),
            memory=None if memory is None else Memory.from_value(memory),
            account=self._account,
            probing=probing,
            now=now,
            oldest=timedelta(seconds=self._settings.backlog_age_s),
        )
        return self._last

    def _note(self, connection: Connection, gate: Gate) -> None:
        """Write what a gate let through: the last of all that the transaction locks."""
        for hold in gate.changed.values():
            self._control.change_hold(connection, hold)
        if gate.made is not None:
            self._control.hold(connection, gate.made)
        if gate.made is None and not gate.let_by_memory:
            return
        value = self._control.get(connection, MEMORY, lock=True)
        assert value is not None
        memory = Memory.from_value(value)  # a person may have accepted the rest meanwhile
        if gate.made is not None and memory.accepted:
            self._control.lift(connection, gate.made.name)
        if gate.let_by_memory:
            left = replace(memory, let=max(0, memory.let - gate.let_by_memory))
            self._control.put(connection, MEMORY, left.as_value())

    def _look(self, connection: Connection, looks: Sequence[Look], rules: Rules) -> list[Result]:
        known = self._ledger.by_key(connection, [look.key_text for look in looks])
        read = self._table.read(connection, [look.key for look in looks])
        results: list[Result] = []
        left: list[Look] = []
        seen: list[Look] = []
        for look in looks:
            why = self._unseen(connection, look, read)
            if why is None:
                seen.append(look)
            else:
                results.append(Wait(look, why))
        held, read = self._proved(connection, seen, known, read, rules)
        for look in seen:
            row = read.rows.get(look.key)
            finished = finished_without_locks(look, known[look.key_text], row, rules.status)
            if look.key in held:
                results.append(Wait(look, "not_visible"))
            elif finished is not None:
                results.append(finished)
            else:
                left.append(look)
        decisions = self._claim(connection, left, known, read, rules) if left else []
        self._guard(connection, results, known, decisions)
        return results + [decision.result for decision in decisions]

    def _unseen(self, connection: Connection, look: Look, read: Read) -> str | None:
        """Say why a read can't speak for a record: it did not see the record's transaction.

        One that the database never began is of a lost history (a restored backup, another
        server): it waits for a person, and after ``adopt`` the row as it stands is what counts.
        """
        xid, snapshot = look.transaction_id, read.snapshot
        if xid is None or snapshot is None or snapshot.sees(xid):
            return None
        was_adopted = self._adopted_ms > look.record.timestamp_ms
        if look.looks < LOOKS_BEFORE_DOUBT and not was_adopted:
            return "not_visible"
        if not dialect_of(connection).was_never_begun(connection, snapshot, xid):
            return "not_visible"
        return None if was_adopted else "lost_history"

    def _proved(
        self,
        connection: Connection,
        looks: Sequence[Look],
        known: Mapping[str, Sequence[Delivery]],
        read: Read,
        rules: Rules,
    ) -> tuple[frozenset[Key], Read]:
        """Look under a lock where a read can't know whether it saw a record's transaction.

        What a claim would lock is left to the claim. What would be finished as the read shows it,
        or has no row to be locked, is proved: the row that is absent may be about to appear, and
        the one that is shown about to go.

        Returns:
            The keys that nothing is known of yet, and the read with what was proved.
        """
        if read.snapshot is not None:
            return frozenset(), read
        doubtful = [
            look.key
            for look in looks
            if not look.was_visible
            and (
                (row := read.rows.get(look.key)) is None
                or finished_without_locks(look, known[look.key_text], row, rules.status)
            )
        ]
        if not doubtful:
            return frozenset(), read
        proof = self._table.prove(connection, doubtful)
        rest = {key: row for key, row in read.rows.items() if key not in set(doubtful)}
        return proof.held, replace(read, rows={**rest, **proof.rows})

    def _guard(
        self,
        connection: Connection,
        finished: Sequence[Result],
        known: Mapping[str, Sequence[Delivery]],
        decisions: Sequence[Decision],
    ) -> None:
        """Count what looks like a wrong mapping: rows that are not there, and what is given up."""
        strangers = [
            result
            for result in finished
            if isinstance(result, Finished)
            and result.how == "gone"
            and not known[result.look.key_text]
        ]
        given_up = [
            message
            for decision in decisions
            for message in decision.changed
            if message.owes_dead_letter and message.failure_code != GIVEN_UP
        ]
        code = next((m.failure_code for m in given_up), "gone")
        self._flood.note(connection, [True] * (len(strangers) + len(given_up)), code=code)

    def _claim(
        self,
        connection: Connection,
        looks: Sequence[Look],
        known: Mapping[str, Sequence[Delivery]],
        read: Read,
        rules: Rules,
    ) -> list[Decision]:
        ids = {m.id for look in looks for m in known[look.key_text]}
        shown = {look.key: row for look in looks if (row := read.rows.get(look.key)) is not None}
        new = [
            _new(look, shown[look.key], self._table, read.at)
            for look in looks
            if look.key in shown and shown[look.key].message_id not in ids
        ]
        self._ledger.insert(connection, sorted(new, key=lambda message: message.id))
        wanted = sorted(ids | {message.id for message in new})
        messages = self._ledger.lock(connection, wanted, skip_locked=True)
        rows = self._table.lock(connection, sorted(shown))
        decisions = [self._decision(look, known, messages, rows, read, rules) for look in looks]
        self._save(connection, decisions, rows, read.at)
        return decisions

    def _decision(
        self,
        look: Look,
        known: Mapping[str, Sequence[Delivery]],
        messages: Mapping[str, Delivery],
        rows: Mapping[Key, BusinessRow],
        read: Read,
        rules: Rules,
    ) -> Decision:
        shown = read.rows.get(look.key)
        ids = {m.id for m in known[look.key_text]}
        if shown is not None:
            ids.add(shown.message_id)
        if not ids <= messages.keys():
            return Decision(Wait(look, "ledger_locked"))
        row = rows.get(look.key)
        if row is not None and shown is not None and row.message_id != shown.message_id:
            return Decision(Wait(look, "row_changed", 0.0))
        if row is None and shown is not None and not look.was_visible and read.snapshot is None:
            return Decision(Wait(look, "row_locked"))  # the present row may be another one
        return decide(
            look,
            [messages[i] for i in sorted(ids)],
            row or shown,
            row_is_locked=row is None,
            now=read.at,
            rules=rules,
        )

    def _save(
        self,
        connection: Connection,
        decisions: Sequence[Decision],
        rows: Mapping[Key, BusinessRow],
        now: datetime,
    ) -> None:
        owing = [
            Owing(decision.result.look.key, message)
            for decision in decisions
            for message in decision.changed
        ]
        if not owing:
            return
        after = self._write_back.apply(connection, owing, now=now, locked=rows)
        looks = {m.id: d.result.look for d in decisions for m in d.changed}
        self._ledger.save(connection, [_seen_by(m, looks[m.id]) for m in after])
        taken_over = [m for m in after if m.failure_code == "lease_expired" and m.changed_at == now]
        self._ledger.record_attempts(
            connection, [_lost_attempt(m, now) for m in taken_over if m.state is State.IN_DOUBT]
        )


def _holds(name: str) -> bool:
    return name.startswith(HOLD_PREFIX)


def _new(look: Look, row: BusinessRow, table: BusinessTable, now: datetime) -> Delivery:
    return Delivery(
        id=row.message_id,
        message_key=row.key_text,
        key_values=table.key_values(row.key),
        row_created_at=row.created_at,
        state=State.PENDING,
        due_at=now,
        seen_at=now,
        changed_at=now,
        record_key=look.record.key,
    )


def _seen_by(message: Delivery, look: Look) -> Delivery:
    return replace(
        message, record_partition=look.record.partition, record_offset=look.record.offset
    )


def _lost_attempt(message: Delivery, now: datetime) -> AttemptRow:
    """Return the attempt of a member that ended: whether it sent is what nobody knows."""
    return AttemptRow(
        claim_token=f"lost-{message.doubts}",
        message_id=message.id,
        round=message.round,
        number=message.attempts,
        counted=True,
        started_at=None,
        finished_at=now,
        outcome="in_doubt",
        code="lease_expired",
        text=message.failure_text,
        provider=message.provider or "",
        provider_message_id=None,
    )
