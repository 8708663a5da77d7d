"""The ledger thread: claim → send → route → settle, for the looks that the loop hands in.

It owns the database connection and every decision; it waits for nothing but its own inbox.
Outcomes, acknowledgements and looks all arrive there, and each turn works off what has come, by
sets: while one transaction runs, the next set gathers.
"""

import logging
import queue
import random
import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from cdc_sms.config.settings import DeliverSettings
from cdc_sms.databases.refusals import LockTimeout, RowRefused
from cdc_sms.deliver.breaker import Breaker
from cdc_sms.deliver.claim import Claims, Taken
from cdc_sms.deliver.dead_letters import DeadLetters, LetterRefused, Spoilt, SpoiltAcknowledged
from cdc_sms.deliver.decide import Claim, Finished, OwesDeadLetter, Result, Wait
from cdc_sms.deliver.gaps import Gaps
from cdc_sms.deliver.intake import Look
from cdc_sms.deliver.keeper import Keeper
from cdc_sms.deliver.permit import Permit
from cdc_sms.deliver.route import route
from cdc_sms.deliver.send import BalanceAnswer, Returned, Senders
from cdc_sms.deliver.settle import Acknowledged, Settlement, Settles
from cdc_sms.deliver.tell import WAITING_REASONS, Tell
from cdc_sms.deliver.waiting import Waiting, pause_s
from cdc_sms.errors import DatabaseUnavailable
from cdc_sms.kafka.consumer import Gap
from cdc_sms.kafka.offsets import Place
from cdc_sms.model.backoff import Backoff
from cdc_sms.model.clock import Clock
from cdc_sms.model.hold import Hold
from cdc_sms.model.segments import count_segments
from cdc_sms.providers.base import Provider
from cdc_sms.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)

LONGEST_PATIENCE_S = 1.0
LETTER_PAUSE_S = 5.0
KEEP_SOON_S = 0.5
SLOW_DATABASE_S = 15.0
"""A turn that the database holds up for longer is told: it may also be a commit that hangs."""
MOST_EVENTS = 1000
MOST_TRIES = 5
"""Looks at a key that the database refuses by itself before its record is given up."""


@dataclass(frozen=True, slots=True)
class _Owned:
    """Partitions that are ours from now on."""

    partitions: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Share:
    """How many of the outbox's partitions are ours."""

    owned: int
    of: int


@dataclass(frozen=True, slots=True)
class _Dropped:
    """Partitions that go; ``settled`` is set when nothing of theirs is in flight."""

    partitions: frozenset[int]
    settled: threading.Event


class _Stop:
    """Claim nothing more; end when what is in flight is settled."""


_Event = (
    Look
    | Spoilt
    | Returned
    | BalanceAnswer
    | Acknowledged
    | SpoiltAcknowledged
    | LetterRefused
    | Gap
    | _Owned
    | _Share
    | _Dropped
    | _Stop
    | BaseException
)


class Desk:
    """One member's ledger thread.

    Thread: :meth:`put`, :meth:`note_gap`, :meth:`flagged`, :meth:`own`, :meth:`share`,
    :meth:`drop`, :meth:`stop`, :meth:`describe` and the plain properties may be called from any
    thread; everything else is the desk's own.

    Args:
        finished: takes the place of each record whose offset may go; any thread.
    """

    def __init__(
        self,
        *,
        claims: Claims,
        settles: Settles,
        keeper: Keeper,
        gaps: Gaps,
        permit: Permit,
        breaker: Breaker,
        provider: Provider,
        tell: Tell,
        settings: DeliverSettings,
        clock: Clock,
        metrics: Metrics,
        random_source: random.Random,
        finished: Callable[[Place], None],
    ) -> None:
        self._claims = claims
        self._settles = settles
        self._keeper = keeper
        self._gaps = gaps
        self._permit = permit
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._tell = tell
        self._random = random_source
        self._finished = finished
        self._inbox: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._flagged: queue.SimpleQueue[Gap] = queue.SimpleQueue()
        self._senders = Senders(
            provider=provider,
            count=settings.senders,
            deadline_s=settings.request_deadline_s,
            region=settings.region,
            breaker=breaker,
            clock=clock,
            metrics=metrics,
            returned=self._inbox.put,
        )
        self._letters: DeadLetters | None = None
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self.failure: BaseException | None = None

        self._line: deque[Look] = deque()
        self._waiting = Waiting()
        self._spoilt: list[tuple[float, Spoilt]] = []
        self._parked: dict[str, list[Look]] = {}
        self._in_flight: dict[str, Claim] = {}
        self._to_settle: list[Settlement] = []
        self._acknowledged: list[Acknowledged] = []
        self._letters_out: Counter[int] = Counter()
        self._owned: frozenset[int] = frozenset()
        self._leaving: list[_Dropped] = []
        self._stopping = False

        self._undecodable = 0
        self._to_flag: list[Gap] = []
        self._claiming: tuple[str, float, list[Look]] | None = None
        self._probe_id: str | None = None
        self._backoff = Backoff(first_s=0.2, limit_s=5.0, random_source=random_source)
        self._database_rests_until_s = 0.0
        self._asked_database_at_s: float | None = None
        self._healthy_since_s = clock.monotonic_s()
        self._keep_at_s = 0.0

    # ---- for the loop's thread -----------------------------------------------------------------

    @property
    def answered(self) -> Callable[[Acknowledged | SpoiltAcknowledged | LetterRefused], None]:
        """Return what takes the broker's answers to dead letters."""
        return self._inbox.put

    def start(self, letters: DeadLetters) -> None:
        """Start the ledger thread and the senders."""
        self._letters = letters
        self._senders.start()
        self._thread.start()

    def put(self, item: Look | Spoilt) -> None:
        """Hand in a record that is not finished."""
        self._inbox.put(item)

    def note_gap(self, gap: Gap) -> None:
        """Hand in that records are gone from the outbox."""
        self._inbox.put(gap)

    def flagged(self) -> Iterator[Gap]:
        """Return the gaps that the ledger knows by now: what is behind them may be committed."""
        while not self._flagged.empty():
            yield self._flagged.get()

    def own(self, partitions: frozenset[int]) -> None:
        """Say which partitions are ours from now on."""
        self._inbox.put(_Owned(partitions))

    def share(self, owned: int, *, of: int) -> None:
        """Say how many of the outbox's partitions are ours: what the group's rate is shared by."""
        self._inbox.put(_Share(owned, of))

    def drop(self, partitions: frozenset[int]) -> threading.Event:
        """Forget the partitions' records that are not in flight.

        Returns:
            An event that is set when what is in flight of theirs is settled.
        """
        settled = threading.Event()
        self._inbox.put(_Dropped(partitions, settled))
        if not self._thread.is_alive():  # stopped: there is nothing in flight, or it is left
            settled.set()
        return settled

    def stop(self) -> None:
        """Ask for the end: nothing more is claimed; :meth:`join` waits."""
        self._inbox.put(_Stop())

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False: something is still in flight."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        """End the senders; what is still in flight is left to its lease."""
        self._senders.close()

    @property
    def is_blocked(self) -> bool:
        """Say whether nothing may be sent and no message is wanted as a probe."""
        return self._permit.is_blocked

    @property
    def held_by(self) -> Hold | None:
        """Return the hold that lets nothing through; None: none does."""
        return self._permit.held_by

    @property
    def waits_for(self) -> list[str]:
        """Return what all that is in hand waits for; nothing: some of it may be sent now."""
        if self._line or self._in_flight:
            return []
        return [reason for reason in WAITING_REASONS if self._waiting.has(reason)]

    @property
    def stopped_by(self) -> str | None:
        """Return why messages are not sent, in words; None: they are."""
        if self._waiting.has("lost_history"):
            return "records are of a history that this database doesn't have: see cdc-sms adopt"
        return self._permit.reason

    @property
    def database_is_away(self) -> bool:
        """Say whether the database couldn't be used at the last try, or is silent for long."""
        asked_at_s = self._asked_database_at_s
        waits_s = 0.0 if asked_at_s is None else self._clock.monotonic_s() - asked_at_s
        return self._database_rests_until_s > 0 or waits_s > SLOW_DATABASE_S

    def describe(self) -> dict[str, object]:
        """Return what a person wants to know of it; counts may be a turn old."""
        return {
            **self._permit.describe(),
            "in_flight": len(self._in_flight),
            "in_line": len(self._line),
            "waiting": len(self._waiting),
            "database": "away" if self.database_is_away else "connected",
        }

    # ---- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._is_over():
                self._turn()
        except Exception as error:  # noqa: BLE001 - the top of a thread: the role ends with it
            self.failure = error

    def _is_over(self) -> bool:
        busy = self._in_flight or self._to_settle or self._acknowledged or self._claiming
        return self._stopping and not busy and not self._letters_out.total()

    def _turn(self) -> None:
        self._receive()
        self._line.extend(self._waiting.due(self._clock.monotonic_s()))
        self._produce_spoilt_again()
        if self._clock.monotonic_s() >= self._database_rests_until_s:
            with self._database():
                self._settle()
                if self._permit.look(something_held=self._waiting.has("held")):
                    self._line.extend(self._waiting.released("held"))
                self._claim()
                self._keep()
        if not self._stopping:
            self._permit.probe(self._senders.probe, is_idle=not self._in_flight)
        self._let_go()
        self._tell.waiting(self._open_looks)

    @contextmanager
    def _database(self) -> Iterator[None]:
        """Run a turn's transactions; when the database is away, rest and repeat them."""
        self._asked_database_at_s = self._clock.monotonic_s()
        try:
            yield
        except DatabaseUnavailable as error:  # or a lock that was held for too long
            if not self._database_rests_until_s:
                _log.warning("database.lost", extra={"why": error.message})
            self._database_rests_until_s = self._clock.monotonic_s() + self._backoff.next_s()
        else:
            if self._database_rests_until_s:
                _log.info("database.regained")
                self._healthy_since_s = self._clock.monotonic_s()
            self._backoff.reset()
            self._database_rests_until_s = 0.0
        finally:
            self._asked_database_at_s = None

    # ---- in ------------------------------------------------------------------------------------

    def _receive(self) -> None:
        """Wait for the first event as long as nothing else is due; then take all that is there."""
        try:
            event = self._inbox.get(timeout=self._patience_s())
            for _ in range(MOST_EVENTS):
                self._take(event)
                event = self._inbox.get_nowait()
            self._take(event)
        except queue.Empty:
            return

    def _patience_s(self) -> float:
        now = self._clock.monotonic_s()
        if now < self._database_rests_until_s:
            return min(LONGEST_PATIENCE_S, self._database_rests_until_s - now)
        if self._to_settle or self._acknowledged or (self._line and self._allowance() > 0):
            return 0.0
        due = self._waiting.next_due_s()
        pauses = [self._permit.next_in_s(longest_s=LONGEST_PATIENCE_S)]
        if due is not None:
            pauses.append(due - now)
        return max(0.0, min(pauses))

    def _take(self, event: _Event) -> None:  # noqa: C901 - one case an event
        match event:
            case Look():
                self._line.append(event)
            case Spoilt():
                self._produce(event)
            case Returned():
                self._returned(event)
            case BalanceAnswer():
                self._permit.balance_answered(event.answer)
            case Acknowledged() | SpoiltAcknowledged() | LetterRefused():
                self._letter_answered(event)
            case Gap():
                self._to_flag.append(event)
            case _Owned():
                self._owned |= event.partitions
            case _Share():
                self._permit.shared(event.owned, of=event.of)
            case _Dropped():
                self._drop(event)
            case _Stop():
                self._stopping = True
            case BaseException():
                raise event

    def _returned(self, returned: Returned) -> None:
        """Route what a sender came back with; it is settled in this turn."""
        claim, outcome = returned.claim, returned.outcome
        is_probe = claim.message.id == self._probe_id
        self._probe_id = None if is_probe else self._probe_id
        if outcome is None:
            self._to_settle.append(Settlement(claim, None, None))
            return
        counted = self._permit.answered(outcome, asked=returned.asked, probe=is_probe)
        way = route(
            outcome,
            attempts=claim.message.attempts,
            counted=counted,
            settings=self._settings,
            random_source=self._random,
        )
        segments = count_segments(claim.row.text).count
        self._to_settle.append(Settlement(claim, outcome, way, returned.started_at, segments))
        self._tell.attempted(returned)

    def _letter_answered(self, answer: Acknowledged | SpoiltAcknowledged | LetterRefused) -> None:
        """Take what the broker said to a dead letter: it has it, or it is still owed."""
        match answer:
            case Acknowledged():
                self._letters_out[answer.look.place.partition] -= 1
                self._acknowledged.append(answer)
            case SpoiltAcknowledged():
                self._letters_out[answer.spoilt.place.partition] -= 1
                self._undecodable += 1
                self._finish(answer.spoilt.place, "dead_lettered")
            case LetterRefused(owed=owed, why=why):
                place = owed.place if isinstance(owed, Spoilt) else owed.look.place
                self._letters_out[place.partition] -= 1
                _log.error("dead_letter.refused", extra={"why": why, "offset": place.offset})
                if isinstance(owed, Spoilt):
                    self._spoilt.append((self._clock.monotonic_s() + LETTER_PAUSE_S, owed))
                else:
                    self._wait(Wait(owed.look, "dead_letter", LETTER_PAUSE_S))

    def _produce_spoilt_again(self) -> None:
        now = self._clock.monotonic_s()
        due = [spoilt for due_s, spoilt in self._spoilt if due_s <= now]
        self._spoilt = [(due_s, spoilt) for due_s, spoilt in self._spoilt if due_s > now]
        for spoilt in due:
            self._produce(spoilt)

    # ---- claim, settle -------------------------------------------------------------------------

    def _claim(self) -> None:
        """Claim no more than there are free senders; a lost COMMIT is asked with its own token."""
        if self._claiming is None:
            looks = self._next_looks(self._allowance())
            if not looks:
                return
            lease_until_s = self._clock.monotonic_s() + self._settings.lease_s
            self._claiming = (str(uuid.uuid4()), lease_until_s, looks)
        token, lease_until_s, looks = self._claiming
        probing = self._permit.is_probing
        healthy_s = self._clock.monotonic_s() - self._healthy_since_s
        taken = self._take_claims(
            looks,
            token=token,
            lease_until_s=lease_until_s,
            probing=probing,
            may_take_over=healthy_s >= self._settings.lease_grace_s,
        )
        self._claiming = None
        if self._permit.obey(taken, probing=probing):
            self._line.extend(self._waiting.released("held"))
        self._permit.sent(sum(isinstance(result, Claim) for result in taken.results))
        for result in taken.results:
            self._route(result)

    def _take_claims(self, looks: list[Look], **how: Any) -> Taken:
        """Claim the set; where the database refuses it, one by one, so that one harms none."""
        try:
            return self._claims.take(looks, **how)
        except LockTimeout:
            if len(looks) == 1:
                return self._claims.nothing([Wait(looks[0], "ledger_locked")])
        except RowRefused as error:
            if len(looks) == 1:
                return self._claims.nothing(self._refused(looks[0], error))
        taken = [self._take_claims([look], **how) for look in looks]
        last = taken[-1]
        return replace(last, results=[result for one in taken for result in one.results])

    def _refused(self, look: Look, error: RowRefused) -> list[Result]:
        """Look again at a key that the database refuses; in the end, give its record up."""
        facts = {"offset": look.place.offset, "why": error.message}
        _log.error("look.refused", extra={"partition": look.place.partition, **facts})
        if look.looks < MOST_TRIES:
            return [Wait(look, "refused")]
        self._release(look)
        self._produce(Spoilt(look.record, look.place, "the database refuses the record's key"))
        return []

    def _allowance(self) -> int:
        """Return how many looks may be taken now."""
        return 0 if self._stopping else self._permit.allowance(len(self._in_flight))

    def _next_looks(self, wanted: int) -> list[Look]:
        """Take looks of distinct keys; one whose key is in hand waits beside it."""
        looks: list[Look] = []
        if wanted and self._permit.is_probing:
            self._bring_forward_the_least_looked_at()
        while self._line and len(looks) < wanted:
            look = self._line.popleft()
            if look.place.partition not in self._owned:
                continue
            if look.key_text in self._parked:
                self._parked[look.key_text].append(look)
                continue
            self._parked[look.key_text] = []
            look.looks += 1
            looks.append(look)
        return looks

    def _bring_forward_the_least_looked_at(self) -> None:
        """Let the probe be a message that was tried least: a sick one keeps the breaker open."""
        if self._line:
            place = min(range(len(self._line)), key=lambda n: self._line[n].looks)
            self._line.rotate(-place)

    def _settle(self) -> None:
        self._permit.publish()
        while self._to_flag:
            self._gaps.flag(self._to_flag[0])
            self._flagged.put(self._to_flag.pop(0))
        if self._undecodable:
            self._settles.count_undecodable(self._undecodable)
            self._undecodable = 0
        if self._to_settle:
            self._settle_outcomes()
        if self._acknowledged:
            results = self._settles.acknowledge(self._acknowledged)
            self._acknowledged = []
            for result in results:
                self._route(result)

    def _settle_outcomes(self) -> None:
        """Settle the set; where someone holds a message of it, settle the others one by one."""
        sets = [self._to_settle]
        while sets:
            settling = sets.pop()
            try:
                results = self._settles.settle(settling)
            except LockTimeout:
                if len(settling) == 1:
                    continue
                sets += [[settlement] for settlement in settling]
                continue
            done = {id(settlement) for settlement in settling}
            self._to_settle = [s for s in self._to_settle if id(s) not in done]
            for settlement in settling:
                self._in_flight.pop(settlement.claim.message.id, None)
            for result in results:
                self._route(result)

    def _route(self, result: Result) -> None:
        match result:
            case Finished():
                self._release(result.look)
                self._finish(result.look.place, result.how)
            case Wait():
                self._wait(result)
            case Claim():
                self._send(result)
            case OwesDeadLetter():
                self._produce(result)

    def _send(self, claim: Claim) -> None:
        """Hand a claim to a sender; one whose COMMIT came through after the stop is given back."""
        is_probe = self._permit.is_probing
        if self._stopping or (is_probe and self._in_flight):
            self._to_settle.append(Settlement(claim, None, None))
            return
        self._in_flight[claim.message.id] = claim
        self._probe_id = claim.message.id if is_probe else self._probe_id
        self._senders.send(claim, is_probe=is_probe)

    def _wait(self, wait: Wait) -> None:
        look = wait.look
        if wait.reason == "lost_history" and not self._waiting.has(wait.reason):
            _log.error("history.lost", extra={"partition": look.place.partition})
        self._release(look)
        if look.place.partition not in self._owned:
            return
        delay_s = pause_s(wait.reason, look.looks) if wait.delay_s is None else wait.delay_s
        if delay_s <= 0:
            self._line.append(look)
        else:
            self._waiting.add(look, wait.reason, self._clock.monotonic_s() + delay_s)

    def _release(self, look: Look) -> None:
        """Let the next record of the same key have its turn."""
        self._line.extendleft(reversed(self._parked.pop(look.key_text, [])))

    def _finish(self, place: Place, how: str) -> None:
        self._metrics.finished.labels(how).inc()
        self._finished(place)

    def _produce(self, owed: OwesDeadLetter | Spoilt) -> None:
        assert self._letters is not None
        place = owed.place if isinstance(owed, Spoilt) else owed.look.place
        self._letters_out[place.partition] += 1
        self._letters.produce(owed)

    # ---- partitions, keeper ------------------------------------------------------------

    def _drop(self, dropped: _Dropped) -> None:
        self._owned -= dropped.partitions
        self._line = deque(x for x in self._line if x.place.partition in self._owned)
        self._waiting.drop(lambda look: look.place.partition not in self._owned)
        self._leaving.append(dropped)

    def _let_go(self) -> None:
        """Tell the loop which leaving partitions have nothing in flight any more."""
        if not self._leaving:
            return
        busy = {claim.look.place.partition for claim in self._in_flight.values()}
        busy |= {partition for partition, n in self._letters_out.items() if n > 0}
        busy |= {letter.look.place.partition for letter in self._acknowledged}
        for dropped in [d for d in self._leaving if not d.partitions & busy]:
            dropped.settled.set()
            self._leaving.remove(dropped)

    def _keep(self) -> None:
        now = self._clock.monotonic_s()
        if now < self._keep_at_s or self._stopping:
            return
        self._keep_at_s = now + self._settings.keeper_s
        if 0 in self._owned:
            more = self._keeper.turn(flow_is_free=self._permit.is_free)
            self._keep_at_s = now + (KEEP_SOON_S if more else self._settings.keeper_s)

    def _open_looks(self) -> Iterator[tuple[str, Look]]:
        held = "held" if self.held_by is not None else "in_line"
        reason = "breaker" if self.is_blocked else held
        yield from ((reason, look) for look in self._line)
        yield from ((waiter.reason, waiter.look) for waiter in self._waiting)
        yield from (("sending", claim.look) for claim in self._in_flight.values())
