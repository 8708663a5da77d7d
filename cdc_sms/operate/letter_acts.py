"""``dlq replay`` and ``dlq discard``: what a person does about dead letters.

A replay opens the message in the ledger, then emits it to the outbox, where it goes the way of
every other; if the process ends between the two, the keeper emits it. A record that could not be
decoded has no message: its bytes are produced again as they were, once for each letter.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from cdc_sms.config.settings import Sections
from cdc_sms.databases.act_lock import ActLock
from cdc_sms.databases.acts import Acts
from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.reading import read_only
from cdc_sms.errors import ActRefused, BrokerUnavailable
from cdc_sms.kafka.headers import REDRIVES, Header, parse, without_ours
from cdc_sms.kafka.reading import FoundRecord, newest_records
from cdc_sms.model.acts import discarded, replayed
from cdc_sms.model.business_row import BusinessRow
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.state import State
from cdc_sms.operate.acting import BATCH, Acting, Note, Refusal, Step, long_act
from cdc_sms.operate.dead_letters import PAGE, Filters, in_pages, letter_record, passes
from cdc_sms.operate.emitting import Emitter
from cdc_sms.operate.letter_rules import Left, need_present, why_in_vain, why_left
from cdc_sms.operate.letter_standing import (
    DISCARD,
    REPLAY,
    Known,
    Letter,
    look_up,
)

ALL_RECORDS = 2**53
"""Of each partition: a filtered replay or discard looks through the whole topic."""

RECORDS = 20
"""Records that are produced again at once: each may be as large as its topic allows."""

FLUSH_S = 10.0


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which letters an act is about: those named, or those that filters let pass.

    Attributes:
        named: partition and offset of each; none: the filters choose.
        filters: which, where none are named.
    """

    named: Sequence[tuple[int, int]] = ()
    filters: Filters = field(default_factory=Filters)

    def as_details(self) -> dict[str, Any]:
        """Return what the audit record says; a number is not told."""
        if self.named:
            return {"letters": [f"{p}:{o}" for p, o in self.named]}
        given = {
            "class": self.filters.dead_letter_class,
            "code": self.filters.code,
            "since": self.filters.since,
            "until": self.filters.until,
            "recipient": None if self.filters.recipient is None else "given",
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(slots=True)
class Plan:
    """What an act would do, before it does it.

    Attributes:
        command: ``dlq replay`` or ``dlq discard``.
        messages: letters of messages.
        records: names of letters whose bytes are produced again, or settled by the audit record
            alone: nothing could be read in them.
        seconds: how many of the messages were sent already: each would be a second SMS.
        left: how many are left as they are, by reason.
        refused: the same by name; only of letters that a person named.
    """

    command: str
    messages: list[Letter] = field(default_factory=list[Letter])
    records: set[str] = field(default_factory=set[str])
    seconds: int = 0
    left: Counter[str] = field(default_factory=Counter[str])
    refused: list[Refusal] = field(default_factory=list[Refusal])

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing to do."""
        return not self.messages and not self.records

    def as_value(self) -> dict[str, Any]:
        """Return the counts as JSON holds them."""
        return {
            "messages": len(self.messages),
            "seconds": self.seconds,
            "records": len(self.records),
            "left": dict(self.left),
        }


@dataclass(slots=True)
class LettersDone:
    """What came of an act on letters.

    Attributes:
        messages: how many messages were replayed or discarded.
        records: how many records were produced again or settled.
        refused: what changed under it since the preview.
        left_to_keeper: of the replayed, how many the broker didn't take in time: the keeper
            brings them back.
    """

    messages: int = 0
    records: int = 0
    refused: list[Refusal] = field(default_factory=list[Refusal])
    left_to_keeper: int = 0


def plan(
    engine: Engine,
    sections: Sections,
    chosen: Chosen,
    *,
    command: str,
    second: bool = False,
    wait_s: float,
) -> Plan:
    """Say what a replay or discard would do; changes nothing.

    Args:
        engine: where the ledger is.
        sections: the configuration.
        chosen: which letters.
        command: ``dlq replay`` or ``dlq discard``.
        second: a second SMS of what was sent is wanted.
        wait_s: how long a broker may take to answer; seconds.

    Raises:
        DatabaseUnavailable: the database can't be reached now.
        BrokerUnavailable: no broker answers.
    """
    made = Plan(command)
    letters = (Letter.of(record) for record in _records(sections, chosen, made.refused, wait_s))
    for page in in_pages(letters, PAGE):
        for letter, known, left in _judged(engine, sections, page, command, second=second):
            _note(made, letter, known, left, named=bool(chosen.named))
    return made


def carry_out(
    engine: Engine,
    sections: Sections,
    lock: ActLock,
    chosen: Chosen,
    planned: Plan,
    *,
    wait_s: float,
    tell: Callable[[int], None],
) -> LettersDone:
    """Do what was planned; may be interrupted at any point, and given again.

    Args:
        engine: where the ledger is.
        sections: the configuration.
        lock: held since before the plan was made.
        chosen: the same letters.
        planned: what was shown.
        wait_s: how long a broker may take; seconds.
        tell: is told how many are done.

    Raises:
        DatabaseUnavailable: the rest is not done: give it again.
        BrokerUnavailable: the same, of records that nothing could be read in.
    """
    done = LettersDone()
    with (
        long_act(engine, planned.command, details=chosen.as_details()) as outcome,
        Emitter(sections.kafka) as emitter,
    ):
        for page in in_pages(planned.messages, BATCH):
            lock.check()
            acted = Acting(engine).some(planned.command, [_step(planned, one) for one in page])
            done.messages += len(acted.done)
            done.refused += acted.refused
            pending = [m for m in acted.done if m.state is State.PENDING]
            if pending:
                done.left_to_keeper += emitter.bring_back(pending, "replay", wait_s=wait_s)
            tell(done.messages)
        if planned.records and planned.command == REPLAY:
            _produce_again(engine, sections, chosen, planned.records, done, emitter, wait_s)
        elif planned.records:
            _note_records(engine, DISCARD, sorted(planned.records), done)
        outcome.update(messages=done.messages, records=done.records, refused=len(done.refused))
    return done


def _step(planned: Plan, letter: Letter) -> Step:
    """Return what is done to a letter's message, once it is locked and still as it was shown."""
    assert letter.message_id is not None

    def change(message: Delivery, now: datetime) -> Delivery:
        need_present(letter, message)
        if planned.command == DISCARD:
            return discarded(message, now=now)
        return replayed(message, now=now, as_second=letter.is_unclear)

    return Step(message_id=letter.message_id, change=change, details={"letter": letter.name})


# ---- which letters, and how they stand -----------------------------------------------------------


def _records(
    sections: Sections, chosen: Chosen, missing: list[Refusal], wait_s: float
) -> Iterator[FoundRecord]:
    """Read the chosen letters; a named one that isn't there is noted."""
    for place in dict.fromkeys(chosen.named):
        try:
            yield letter_record(sections, place, wait_s=wait_s)
        except ActRefused as refused:
            name = f"dlq {place[0]}:{place[1]}"
            missing.append(Refusal(name, refused.message, refused.hint))
    if chosen.named:
        return
    records = newest_records(
        sections.kafka,
        sections.kafka.dlq,
        each=ALL_RECORDS,
        since=chosen.filters.since,
        wait_s=wait_s,
    )
    yield from (record for record in records if passes(record, chosen.filters, sections))


def _judged(
    engine: Engine, sections: Sections, page: Sequence[Letter], command: str, *, second: bool
) -> list[tuple[Letter, Known, Left | None]]:
    """Say of each letter what is known, and why it is left as it is if it is."""
    found = read_only(engine, lambda connection: look_up(connection, page))
    judged = [
        (letter, known, why_left(letter, known, command=command, second=second))
        for letter, known in zip(page, found, strict=True)
    ]
    if command != REPLAY:
        return judged
    wanted = {k.message.id: k.message for _, k, left in judged if left is None and k.message}
    rows, now = _rows(engine, sections, list(wanted.values()))
    pending = sections.table.status.pending if sections.table.columns.status else None

    def in_vain(letter: Letter, message: Delivery | None) -> Left | None:
        if message is None:
            return None
        return why_in_vain(letter, message, rows.get(message.id), now=now, pending=pending)

    return [
        (letter, known, left or in_vain(letter, known.message)) for letter, known, left in judged
    ]


def _rows(
    engine: Engine, sections: Sections, messages: Sequence[Delivery]
) -> tuple[Mapping[str, BusinessRow], datetime]:
    """Return the rows of messages as they stand, by message id, and the database's clock."""

    def work(connection: Connection) -> tuple[Mapping[str, BusinessRow], datetime]:
        now = Ledger().now(connection)
        if not messages:
            return {}, now
        table = BusinessTable.reflect(connection, sections.table)
        keys = table.keys_of([message.key_values for message in messages])
        read = table.read(connection, list(dict.fromkeys(keys)))
        of = zip(messages, keys, strict=True)
        return {m.id: read.rows[key] for m, key in of if key in read.rows}, now

    return read_only(engine, work)


def _note(made: Plan, letter: Letter, known: Known, left: Left | None, *, named: bool) -> None:
    if left is not None:
        made.left[left.reason] += 1
        if named:
            made.refused.append(Refusal(letter.target, left.why, left.hint))
    elif letter.message_id is None:
        made.records.add(letter.name)
    else:
        made.messages.append(letter)
        was_sent = known.message is not None and known.message.state is State.SENT
        made.seconds += was_sent and made.command == REPLAY


# ---- records that nothing could be read in -------------------------------------------------------


def _produce_again(
    engine: Engine,
    sections: Sections,
    chosen: Chosen,
    names: Collection[str],
    done: LettersDone,
    emitter: Emitter,
    wait_s: float,
) -> None:
    """Produce the original bytes again, and note it: first acknowledged, then noted.

    A crash between the two can have a record produced twice, which is one more look at a key or
    one more dead letter; the other way round it would never be produced.
    """
    found = (r for r in _records(sections, chosen, [], wait_s) if Letter.of(r).name in names)
    for page in in_pages(found, RECORDS):
        for record in page:
            emitter.produce(key=record.key, value=record.value, headers=_redriven(record.headers))
        if emitter.flush(max(wait_s, FLUSH_S)):
            raise BrokerUnavailable(
                "The broker didn't take the records in time.",
                hint="Give the command again when it answers: what is done is not done twice.",
            )
        _note_records(engine, REPLAY, [Letter.of(record).name for record in page], done)


def _redriven(headers: Sequence[Header]) -> list[Header]:
    """Return a record's own headers, and how often a person had it produced again."""
    said = parse(headers)
    redrives = (said.redrives if said else 0) + 1
    return [*without_ours(headers), (REDRIVES, str(redrives).encode())]


def _note_records(engine: Engine, command: str, names: Sequence[str], done: LettersDone) -> None:
    entries: list[Note] = [(f"dlq {name}", {"letter": name}, {"done": True}) for name in names]
    in_transaction(engine, lambda connection: Acts().record_all(connection, command, entries))
    done.records += len(names)
