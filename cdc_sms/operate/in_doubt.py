"""The messages in doubt, and what will become of each: by itself, or by a person."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine

from cdc_sms.config.settings import DeliverSettings, Sections
from cdc_sms.databases.act_lock import ActLock, only_act
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.lookup import InDoubtCount, in_doubt_counts, in_doubt_ids
from cdc_sms.databases.reading import InDoubtRow, in_doubt, read_only
from cdc_sms.errors import ActRefused
from cdc_sms.model.acts import (
    is_in_doubt,
    resolved_as_sent,
    resolved_by_drop,
    resolved_by_resend,
)
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.state import State
from cdc_sms.operate.acting import (
    BATCH,
    Acted,
    Acting,
    Change,
    Refusal,
    Step,
    find_message,
    long_act,
    unknown,
)
from cdc_sms.operate.emitting import Emitter

COMMAND = "in-doubt resolve"


class Verdict(StrEnum):
    """What a person found out, or decides."""

    SENT = "sent"
    """The provider has it."""
    RESEND = "resend"
    """Send it again; it may arrive twice."""
    DROP = "drop"
    """Give it up."""


CHANGES: Mapping[Verdict, Change] = {
    Verdict.SENT: lambda message, now: resolved_as_sent(message, now=now),
    Verdict.RESEND: lambda message, now: resolved_by_resend(message, now=now),
    Verdict.DROP: lambda message, now: resolved_by_drop(message, now=now),
}


@dataclass(frozen=True, slots=True)
class EverythingInDoubt:
    """What a resolve of everything is about.

    Attributes:
        until: what came in doubt later was not shown, and is left alone.
        counts: by provider.
    """

    until: datetime
    counts: Sequence[InDoubtCount]

    @property
    def messages(self) -> int:
        """Return how many messages there are."""
        return sum(one.messages for one in self.counts)


@dataclass(slots=True)
class Resolved:
    """What came of a resolve.

    Attributes:
        done: how many messages were resolved.
        refused: what was left as it is, and why.
        left_to_keeper: of those to be sent again, how many the broker didn't take: the keeper
            brings them back.
    """

    done: int = 0
    refused: list[Refusal] = field(default_factory=list[Refusal])
    left_to_keeper: int = 0


def list_in_doubt(
    engine: Engine, settings: DeliverSettings, *, limit: int
) -> Sequence[dict[str, Any]]:
    """Return the messages in doubt, the longest first.

    Args:
        engine: where the ledger is.
        settings: the rule that decides.
        limit: the most that are returned.

    Returns:
        One table each: the fields of :class:`InDoubtRow`, then ``next`` (what will happen)
        and ``next_at`` (when; None: when a person acts).

    Raises:
        DatabaseUnavailable: the database can't be reached now.
    """
    rows = read_only(engine, lambda connection: in_doubt(connection, limit=limit))
    return [{**asdict(row), **what_comes_next(row, settings)} for row in rows]


def what_comes_next(row: InDoubtRow, settings: DeliverSettings) -> dict[str, Any]:
    """Return what becomes of a message in doubt: ``next`` in words, and ``next_at``."""
    match State(row.state):
        case State.FAILED:
            letter = f"{row.dlq_partition}:{row.dlq_offset}"
            known = row.dlq_offset is not None
            where = f" (letter {letter})" if known else ""
            shown = f"a person decides: cdc-sms in-doubt resolve{where}"
            return {"next": shown, "next_at": None}
        case State.SENDING:
            return {"next": "taken over as in doubt", "next_at": row.due_at}
        case _ if settings.doubt == "resend" and row.doubts <= 1:
            return {"next": "sent again, once", "next_at": row.due_at}
        case _:
            return {"next": "left for a person, as a dead letter", "next_at": row.due_at}


def everything_in_doubt(engine: Engine, *, provider: str | None) -> EverythingInDoubt:
    """Count what a resolve of everything would be about; changes nothing.

    Raises:
        DatabaseUnavailable: the database can't be reached now.
    """

    def work(connection: Connection) -> EverythingInDoubt:
        now = Ledger().now(connection)
        return EverythingInDoubt(now, in_doubt_counts(connection, provider=provider))

    return read_only(engine, work)


def resolve_named(
    engine: Engine, sections: Sections, whats: Sequence[str], verdict: Verdict, *, wait_s: float
) -> Resolved:
    """Resolve messages that a person names.

    Args:
        engine: where the ledger is.
        sections: the configuration.
        whats: message ids, or keys.
        verdict: of all of them.
        wait_s: how long a broker may take; seconds.

    Raises:
        DatabaseUnavailable: whether it was done is not known: give it again.
    """
    resolved, wanted = Resolved(), dict[str, None]()
    for what in whats:
        try:
            wanted[_meant(engine, what, sections).id] = None
        except ActRefused as refused:
            resolved.refused.append(Refusal(what, refused.message, refused.hint))
    if wanted:
        steps = [Step(message_id=i, change=CHANGES[verdict]) for i in wanted]
        with Emitter(sections.kafka) as emitter:
            _add(resolved, Acting(engine).some(f"{COMMAND} --{verdict}", steps), emitter, wait_s)
    return resolved


def resolve_all(
    engine: Engine,
    sections: Sections,
    everything: EverythingInDoubt,
    verdict: Verdict,
    *,
    provider: str | None,
    wait_s: float,
    tell: Callable[[int], None],
) -> Resolved:
    """Resolve everything that was shown; may be interrupted at any point, and given again.

    Args:
        engine: where the ledger is.
        sections: the configuration.
        everything: what was shown.
        verdict: of all of them.
        provider: only what this one may have; None: all.
        wait_s: how long a broker may take; seconds.
        tell: is told how many are done.

    Raises:
        ActRefused: another long act is running.
        DatabaseUnavailable: the rest is not done: give it again.
    """
    command = f"{COMMAND} --{verdict}"
    details = {"all": True, "provider": provider}
    resolved, acting, change = Resolved(), Acting(engine), CHANGES[verdict]
    with (
        only_act(engine) as lock,
        long_act(engine, command, details=details) as outcome,
        Emitter(sections.kafka) as emitter,
    ):
        for ids in _pages(engine, lock, provider, everything.until):
            acted = acting.some(command, [Step(message_id=i, change=change) for i in ids])
            _add(resolved, acted, emitter, wait_s)
            tell(resolved.done)
        outcome.update(resolved=resolved.done, refused=len(resolved.refused))
    return resolved


def _pages(
    engine: Engine, lock: ActLock, provider: str | None, until: datetime
) -> Iterator[list[str]]:
    def page(after: str) -> list[str]:
        return read_only(
            engine,
            lambda c: in_doubt_ids(c, provider=provider, until=until, after=after, limit=BATCH),
        )

    ids = page("")
    while ids:
        lock.check()
        yield ids
        ids = page(ids[-1])


def _add(resolved: Resolved, acted: Acted, emitter: Emitter, wait_s: float) -> None:
    """Count what was done, and bring back what is to be sent again."""
    resolved.done += len(acted.done)
    resolved.refused += acted.refused
    pending = [m for m in acted.done if m.state is State.PENDING]
    if pending:
        resolved.left_to_keeper += emitter.bring_back(pending, "resend", wait_s=wait_s)


def _meant(engine: Engine, what: str, sections: Sections) -> Delivery:
    """Return the message that a person means: of a key that was used again the one in doubt."""
    table = sections.table.name
    found = read_only(engine, lambda c: find_message(c, Ledger(), what, table=table))
    if not found:
        raise unknown(what)
    doubtful = [message for message in found if is_in_doubt(message)]
    if len(doubtful) > 1:
        raise ActRefused(
            f"Several messages of {what} are in doubt: {', '.join(m.id for m in doubtful)}.",
            hint="Name one by its id.",
        )
    return (doubtful or found)[-1]
