"""One act of a person on messages: locked, changed, saved and noted in one transaction.

What an act makes of a message is pure and stands in :mod:`cdc_sms.model.acts`; here it is done to
the message as the ledger has it at that moment, together with its audit record. An act that was
interrupted can be given again: what is done already is refused by name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine

from cdc_sms.config.settings import Sections
from cdc_sms.databases.acts import Acts
from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.identity import known_identity
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.lookup import messages_by_id
from cdc_sms.databases.reading import read_only
from cdc_sms.errors import ActRefused, NeedsPerson
from cdc_sms.model.delivery import Delivery

BATCH = 100
"""Messages of one transaction of a long act."""

Change = Callable[[Delivery, datetime], Delivery]
"""From a message, locked, and the database's clock to what becomes of it; may refuse."""

Note = tuple[str, dict[str, Any], dict[str, Any]]
"""Target, details and outcome of an audit record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One message of an act.

    Attributes:
        message_id: whose ledger row is changed.
        change: what becomes of it.
        details: for the audit record; no message texts, numbers or secrets.
    """

    message_id: str
    change: Change
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that an act left as it is, and why.

    Attributes:
        target: a message id, or ``dlq P:O``.
        why: in one sentence.
        hint: what to do instead.
    """

    target: str
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class Acted:
    """What came of some steps.

    Attributes:
        done: the messages as they stand now, in the order of their steps.
        refused: the others.
    """

    done: list[Delivery] = field(default_factory=list[Delivery])
    refused: list[Refusal] = field(default_factory=list[Refusal])


class Acting:
    """Does acts in the ledger, each with its audit record.

    Thread: any; one at a time.

    Args:
        engine: where the ledger is.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ledger = Ledger()
        self._acts = Acts()

    def one(self, command: str, step: Step) -> Delivery:
        """Do one step.

        Args:
            command: such as ``dlq edit``.
            step: on which message.

        Returns:
            The message as it stands now.

        Raises:
            ActRefused: it can't be done as things stand; nothing was changed.
            DatabaseUnavailable: whether it was done is not known: give it again.
        """
        acted = self.some(command, [step])
        for refusal in acted.refused:
            raise ActRefused(refusal.why, hint=refusal.hint)
        return acted.done[0]

    def some(self, command: str, steps: Sequence[Step]) -> Acted:
        """Do some steps in one transaction; one that is refused leaves the others alone.

        Args:
            command: such as ``dlq replay``.
            steps: 1 to some hundred; two of one message are done one after the other.

        Raises:
            DatabaseUnavailable: whether they were done is not known: give the act again.
        """

        def work(connection: Connection) -> Acted:
            ids = sorted({step.message_id for step in steps})
            messages = self._ledger.lock(connection, ids, skip_locked=False)
            now = self._ledger.now(connection)
            acted, notes = Acted(), list[Note]()
            for step in steps:
                before = messages.get(step.message_id)
                try:
                    after = _changed(step, before, now)
                except ActRefused as refused:
                    acted.refused.append(Refusal(step.message_id, refused.message, refused.hint))
                    continue
                notes.append((step.message_id, dict(step.details), _outcome(before, after)))
                messages[after.id] = after
                acted.done.append(after)
            changed = {m.id for m in acted.done}
            self._ledger.save(connection, [messages[i] for i in sorted(changed)])
            self._acts.record_all(connection, command, notes)
            return acted

        return in_transaction(self._engine, work)


def check_environment(engine: Engine, sections: Sections) -> None:
    """Check that a person acts in the environment that the ledger belongs to.

    Raises:
        NeedsPerson: it belongs to another one: the act was meant for a copy, or for another.
        DatabaseUnavailable: the database can't be reached now.
    """
    known, here = read_only(engine, known_identity), sections.ledger.environment
    if known is not None and known.environment != here:
        raise NeedsPerson(
            f"This ledger belongs to the environment {known.environment}, and you act in {here}.",
            hint="Give the configuration of that environment, or adopt the ledger first.",
        )


def _changed(step: Step, before: Delivery | None, now: datetime) -> Delivery:
    if before is None:
        raise unknown(step.message_id)
    return step.change(before, now)


def _outcome(before: Delivery | None, after: Delivery) -> dict[str, Any]:
    return {"from": before and before.state, "to": after.state, "round": after.round}


@contextmanager
def long_act(
    engine: Engine, command: str, *, details: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Note that an act on many messages begins, and with what it ended.

    Yields:
        What came of it, to be filled; an act that ends with an error keeps no outcome: it was
        interrupted.

    Raises:
        DatabaseUnavailable: the database can't be reached now.
    """
    acts = Acts()
    one = in_transaction(
        engine,
        lambda connection: acts.begin(connection, command, target=None, details=dict(details)),
    )
    outcome: dict[str, Any] = {}
    yield outcome
    in_transaction(engine, lambda connection: acts.finish(connection, one, outcome=outcome))


def find_message(
    connection: Connection, ledger: Ledger, what: str, *, table: str
) -> list[Delivery]:
    """Return the messages that a person may mean, the oldest first.

    Args:
        connection: the caller's transaction.
        ledger: its statements.
        what: a message id (``sms/4711@2026-11-24T05:47:11.123456Z``), a key with its table
            (``sms/4711``), or a key alone (``4711``, ``PL/4711``).
        table: the table's name as configured.

    Returns:
        Several where a key was used again; none where the ledger knows none.
    """
    found = messages_by_id(connection, ledger, [what])
    if found:
        return list(found.values())
    keys = {what, f"{table}/{what}", f"{table}/{quote(what, safe=' :+')}"}
    by_key = ledger.by_key(connection, sorted(keys))
    return sorted((m for each in by_key.values() for m in each), key=lambda m: (m.seen_at, m.id))


def unknown(what: str) -> ActRefused:
    """Return the refusal of a message that the ledger doesn't know."""
    return ActRefused(
        f"The ledger knows no message {what}.",
        hint="'cdc-sms in-doubt list' and 'cdc-sms dlq list' show ids; a row that was just "
        "inserted is known when deliver has looked at it.",
    )
