"""The demo's figures, counted from what the shop, the ledger, the topics and the simulator know.

Pure, and never from metrics.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cdc_sms.model.state import DeadLetterClass, State
from cdc_sms.playground.shop import Sale

_GIVEN_UP = frozenset({DeadLetterClass.PERMANENT.value, DeadLetterClass.EXHAUSTED.value})


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger says of one message.

    Attributes:
        message_id: its id, which its dead letter names too.
        key: the business row's primary key.
        state: where it is on its way.
        done: in a final state, and nothing owed to Kafka.
        doubts: how often it was in doubt.
        dead_letter_class: why it was given up; None if it wasn't.
    """

    message_id: str
    key: int
    state: str
    done: bool
    doubts: int
    dead_letter_class: str | None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One message that the provider accepted: to which number, when by the wall clock."""

    number: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Troubles:
    """What the story did to the flow, and how often the breaker opened because of it."""

    outages_s: Sequence[float]
    kills: int
    in_flight_at_kills: int
    breaker_opened: int


@dataclass(frozen=True, slots=True)
class Percentiles:
    """The median and the 99th percentile of a latency in milliseconds; None without any."""

    p50: float | None
    p99: float | None

    @classmethod
    def of(cls, seconds: Iterable[float]) -> "Percentiles":
        """Take them by nearest rank from latencies in seconds."""
        ordered = sorted(seconds)
        return cls(_rank(ordered, 0.50), _rank(ordered, 0.99))


def _rank(ordered: Sequence[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[max(math.ceil(share * len(ordered)) - 1, 0)] * 1000, 1)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is counted.

    Attributes:
        sales: the rows that the shop committed.
        entries: the ledger's rows.
        acceptances: the simulator's record.
        dead_letters: the ids of the messages that have a record on the dead-letter topic.
        seen_at_s: for each key, when its first record was seen on the outbox; wall clock.
        troubles: what the story did.
    """

    sales: Sequence[Sale]
    entries: Sequence[Entry]
    acceptances: Sequence[Acceptance]
    dead_letters: frozenset[str]
    seen_at_s: Mapping[int, float]
    troubles: Troubles


@dataclass(frozen=True, slots=True)
class Figures:
    """The demo's figures; the fields are the keys of its JSON line, in this order."""

    inserted: int
    sent: int
    failed: int
    dead_lettered: int
    held: int
    in_doubt: int
    lost: int
    doubled: int
    doubled_beyond_doubt: int
    wrong_numbers: int
    outages: int
    outage_s: float
    kills: int
    in_flight_at_kills: int
    breaker_opened: int
    commit_to_topic_ms: Percentiles
    commit_to_accepted_ms: Percentiles

    @property
    def keep_the_promise(self) -> bool:
        """Say whether nothing was lost and nothing doubled beyond doubt."""
        return self.lost == 0 and self.doubled_beyond_doubt == 0


def is_at_rest(
    sales: Sequence[Sale], entries: Sequence[Entry], dead_letters: Collection[str]
) -> bool:
    """Say whether nothing more happens by itself.

    Args:
        sales: the rows that the shop committed.
        entries: the ledger's rows.
        dead_letters: the ids of the messages whose dead letter was seen on its topic.

    Returns:
        Whether every row's message is done, and every dead letter that the ledger speaks of
        was seen.
    """
    done = {entry.key for entry in entries if entry.done}
    given_up = {entry.message_id for entry in entries if entry.dead_letter_class is not None}
    return all(sale.key in done for sale in sales) and given_up.issubset(dead_letters)


def count(evidence: Evidence) -> Figures:
    """Count the figures of a demo that is at rest."""
    entries = evidence.entries
    doubted = {entry.key for entry in entries if entry.doubts}
    doubles = _doubles(evidence)
    classes = Counter(entry.dead_letter_class for entry in entries)
    return Figures(
        inserted=len(evidence.sales),
        sent=sum(entry.state == State.SENT for entry in entries),
        failed=sum(classes[name] for name in _GIVEN_UP),
        dead_lettered=len(evidence.dead_letters),
        held=classes[DeadLetterClass.IN_DOUBT.value],
        in_doubt=len(doubted),
        lost=_lost(evidence),
        doubled=sum(doubles.values()),
        doubled_beyond_doubt=sum(n for key, n in doubles.items() if key not in doubted),
        wrong_numbers=sum(sale.order.reaches is None for sale in evidence.sales),
        outages=len(evidence.troubles.outages_s),
        outage_s=round(max(evidence.troubles.outages_s, default=0.0), 1),
        kills=evidence.troubles.kills,
        in_flight_at_kills=evidence.troubles.in_flight_at_kills,
        breaker_opened=evidence.troubles.breaker_opened,
        commit_to_topic_ms=Percentiles.of(commit_to_topic_s(evidence.sales, evidence.seen_at_s)),
        commit_to_accepted_ms=Percentiles.of(_commit_to_accepted_s(evidence)),
    )


def commit_to_topic_s(sales: Iterable[Sale], seen_at_s: Mapping[int, float]) -> list[float]:
    """Return the seconds from each row's commit until its record was seen on the outbox."""
    # a record can be seen before COMMIT has returned to the shop
    return [
        max(seen_at_s[sale.key] - sale.committed_at_s, 0.0)
        for sale in sales
        if sale.key in seen_at_s
    ]


def _lost(evidence: Evidence) -> int:
    accepted = {acceptance.number for acceptance in evidence.acceptances}
    final = {entry.key for entry in evidence.entries if State(entry.state).is_final}
    return sum(
        sale.order.reaches not in accepted and sale.key not in final for sale in evidence.sales
    )


def _doubles(evidence: Evidence) -> dict[int, int]:
    """Return, by key, the acceptances beyond the first."""
    accepted = Counter(acceptance.number for acceptance in evidence.acceptances)
    return {
        sale.key: accepted[sale.order.reaches] - 1
        for sale in evidence.sales
        if sale.order.reaches is not None and accepted[sale.order.reaches] > 1
    }


def _commit_to_accepted_s(evidence: Evidence) -> Iterable[float]:
    first: dict[str | None, float] = {}
    for acceptance in evidence.acceptances:
        earlier = first.get(acceptance.number, acceptance.at_s)
        first[acceptance.number] = min(earlier, acceptance.at_s)
    return (
        max(first[sale.order.reaches] - sale.due_at_s, 0.0)
        for sale in evidence.sales
        if sale.order.reaches in first
    )
