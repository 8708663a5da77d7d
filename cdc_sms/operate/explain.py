"""``explain``: one message's story in order of time, what it waits for and what would move it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from cdc_sms.config.settings import Sections
from cdc_sms.databases.acts import Act, Acts
from cdc_sms.databases.auditing import attempts_of
from cdc_sms.databases.control import Control
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.reading import read_only
from cdc_sms.model.acts import is_in_doubt
from cdc_sms.model.delivery import AttemptRow, Delivery
from cdc_sms.model.hold import Hold
from cdc_sms.model.state import State
from cdc_sms.operate.acting import find_message, unknown


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a message.

    Attributes:
        at: when.
        what: in a word or two.
        facts: what is known of it; no number, no text of the message.
    """

    at: datetime
    what: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """One message's story.

    Attributes:
        message_id: which.
        state: as it stands.
        events: the oldest first.
        waits_for: what it waits for now, in one sentence.
        moved_by: what would move it.
    """

    message_id: str
    state: State
    events: list[Event]
    waits_for: str
    moved_by: str


def explain(engine: Engine, sections: Sections, what: str) -> list[Story]:
    """Return the stories of the messages that a person may mean, the oldest first.

    Args:
        engine: where the ledger is.
        sections: the configuration.
        what: a message id, or a key with its table or without.

    Raises:
        ActRefused: the ledger knows none.
        DatabaseUnavailable: the database can't be reached now.
    """

    def work(connection: Connection) -> list[Story]:
        ledger = Ledger()
        found = find_message(connection, ledger, what, table=sections.table.name)
        if not found:
            raise unknown(what)
        acts = Acts().of_targets(connection, [message.id for message in found])
        holds = Control().holds(connection)
        now = ledger.now(connection)
        return [
            _story(m, attempts_of(connection, m.id), acts.get(m.id, []), holds, now) for m in found
        ]

    return read_only(engine, work)


def _story(
    message: Delivery,
    attempts: Sequence[AttemptRow],
    acts: Sequence[Act],
    holds: Sequence[Hold],
    now: datetime,
) -> Story:
    record = f"{message.record_partition}:{message.record_offset}"
    events = [Event(message.seen_at, "seen", {"record": record})]
    events += [_attempt(one) for one in attempts]
    events += [Event(one.started_at, one.act, {"who": one.who, **one.details}) for one in acts]
    if message.dlq_offset is not None and message.last_failed_at is not None:
        letter = f"{message.dlq_partition}:{message.dlq_offset}"
        facts = {"letter": letter, "class": message.dead_letter_class}
        events.append(Event(message.last_failed_at, "dead letter", facts))
    if message.emitted_at is not None:
        events.append(Event(message.emitted_at, "emitted again", {}))
    events.sort(key=lambda event: event.at)
    waits_for, moved_by = what_it_waits_for(message, holds, now=now)
    return Story(message.id, message.state, events, waits_for, moved_by)


def _attempt(one: AttemptRow) -> Event:
    began = one.started_at
    facts = {
        "round": one.round,
        "number": one.number,
        "counted": one.counted,
        "outcome": one.outcome,
        "code": one.code,
        "provider": one.provider,
        "seconds": None if began is None else (one.finished_at - began).total_seconds(),
    }
    return Event(one.finished_at, "attempt", {k: v for k, v in facts.items() if v is not None})


def what_it_waits_for(
    message: Delivery, holds: Sequence[Hold], *, now: datetime
) -> tuple[str, str]:
    """Say what a message waits for, and what would move it; pure."""
    if is_in_doubt(message) and message.state is State.FAILED:
        return (
            "A person: it may have been sent.",
            "cdc-sms in-doubt resolve --sent, --resend or --drop",
        )
    if message.owes_dead_letter:
        return "Its dead letter to be acknowledged.", "deliver writes it by itself"
    if message.owes_write:
        times = f" It failed {message.write_failures} times." if message.write_failures else ""
        return f"Its row's status to be written.{times}", "deliver tries again by itself"
    if message.state is State.FAILED and message.dead_letter_class is not None:
        letter = f"{message.dlq_partition}:{message.dlq_offset}"
        return "A person: its dead letter stands.", f"cdc-sms dlq edit|replay|discard {letter}"
    if message.state.is_final:
        return "Nothing: it is done.", "-"
    if message.state is State.SENDING:
        return f"Its answer, or the end of its claim: {message.lease_until}.", "by itself"
    everything = [hold for hold in holds if not hold.is_of_old_messages]
    if everything:
        return f"A hold: {everything[0].reason}.", everything[0].way_out
    if message.due_at > now:
        return f"Its time: {message.due_at}.", "by itself"
    old = f"; if it is held as an old message: {holds[0].way_out}" if holds else ""
    return "Its turn.", f"deliver, which must run and reach the provider: cdc-sms status{old}"
