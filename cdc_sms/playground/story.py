"""The demo's story: what is done to the flow, act by act, and what one waits to see each time."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from cdc_sms.model.state import State
from cdc_sms.playground.configuration import SENDERS
from cdc_sms.playground.faults import Rule
from cdc_sms.playground.stage import Glance, Stage
from cdc_sms.playground.tally import Acceptance, Evidence, Troubles

SMALLEST = 20
"""The fewest messages that the acts can be told with."""

_UNAVAILABLE_S = 10.5
_REFUSED_S = 10.5
_SLOW_S = 0.8
_SOON_S = 60.0
_TAKEN_OVER_WITHIN_S = 150.0
_LOOKS_EVERY_S = 0.2
_STEP_S = 0.02
_SOLD_OUT = object()


@dataclass(frozen=True, slots=True)
class Plan:
    """How many messages each act inserts, and how fast.

    Attributes:
        calm: rows of the first act.
        mistyped: rows of the second; ``wrong`` of them have a wrong number.
        outage: rows inserted while the provider is down.
        kill: rows inserted at once before deliver is killed.
        rate: rows a second in the first two acts.
    """

    calm: int
    mistyped: int
    wrong: int
    outage: int
    kill: int
    rate: float

    @classmethod
    def of(cls, messages: int, rate: float | None) -> "Plan":
        """Share out the messages.

        Args:
            messages: all of them, :data:`SMALLEST` at least.
            rate: rows a second; None: so that the first act takes about ten seconds.
        """
        mistyped, outage, kill = messages // 10, messages // 5, messages // 5
        return cls(
            calm=messages - mistyped - outage - kill,
            mistyped=mistyped,
            wrong=max(1, messages // 100),
            outage=outage,
            kill=kill,
            rate=rate or max(5.0, messages / 20),
        )


class Narrator(Protocol):
    """Who tells the story: a live screen, or lines."""

    def act(self, title: str, sentence: str) -> None:
        """Begin an act."""
        ...

    def say(self, sentence: str) -> None:
        """Say what has just been seen."""
        ...

    def show(self, glance: Glance) -> None:
        """Show the flow as it is now; called several times a second."""
        ...


class StoryStuck(Exception):  # noqa: N818 - a finding that is shown, not a failure of the demo
    """What the story waits for doesn't come; the message says what."""


class Story:
    """The acts, one after the other, and what they did to the flow.

    Thread: the demo's main thread.
    """

    def __init__(self, stage: Stage, narrator: Narrator, plan: Plan) -> None:
        """Take the stage; nothing happens yet."""
        self._stage = stage
        self._narrator = narrator
        self._plan = plan
        self._outages_s: list[float] = []
        self._kills = 0
        self._in_flight_at_kills = 0
        self._glance = stage.glance()
        self._looked_at_s = time.monotonic()

    def play(self) -> None:
        """Tell it from the beginning until the flow is at rest.

        Raises:
            StoryStuck: something didn't come; what was seen so far can still be counted.
            SetupError: a role ended by itself.
        """
        self._rows_become_sms()
        self._a_wrong_number()
        self._the_provider_is_down()
        self._deliver_is_killed()

    def evidence(self) -> Evidence:
        """Return everything that is to be counted."""
        stage = self._stage
        return Evidence(
            sales=stage.shop.sales,
            entries=stage.books.entries(),
            acceptances=[
                Acceptance(number=message.number, at_s=message.at.timestamp())
                for message in stage.provider.accepted()
            ],
            dead_letters=frozenset(stage.watcher.dead_letters),
            seen_at_s=stage.watcher.seen_at_s,
            troubles=Troubles(
                outages_s=self._outages_s,
                kills=self._kills,
                in_flight_at_kills=self._in_flight_at_kills,
                breaker_opened=stage.times_opened(),
            ),
        )

    def _rows_become_sms(self) -> None:
        self._narrator.act(
            "Rows become SMS",
            "A shop inserts rows. capture reads them in the database's log, deliver sends them, "
            "and `sent` stands in the row.",
        )
        selling = self._selling(self._plan.calm, rate=self._plan.rate)
        self._wait("the rows to be sent", self._is_at_rest, selling=selling)
        self._narrator.say(
            f"{self._glance.states[State.SENT]} rows are sent; from COMMIT to the topic "
            f"{self._glance.to_topic.p50} ms in the median."
        )

    def _a_wrong_number(self) -> None:
        self._narrator.act(
            "A wrong number", "The shop mistypes a number. The other rows must not notice."
        )
        selling = self._selling(self._plan.mistyped, rate=self._plan.rate, wrong=self._plan.wrong)
        self._wait("the wrong number to be dead-lettered", self._is_at_rest, selling=selling)
        letter = self._glance.dead_letters[0]
        self._narrator.say(
            f"`failed` stands in its row; a dead letter keeps it with its reason: {letter.text}."
        )

    def _the_provider_is_down(self) -> None:
        self._narrator.act(
            "The provider is down",
            "It answers 503, then refuses connections, and the shop goes on. The breaker opens and "
            "deliver pauses.",
        )
        letters = len(self._glance.dead_letters)
        planned_s = _UNAVAILABLE_S + _REFUSED_S
        # all is inserted a little before the end, so that the end is seen when it comes
        selling = self._selling(self._plan.outage, rate=self._plan.outage / (0.9 * planned_s))
        began_s = time.monotonic()
        self._stage.provider.outage(unavailable_s=_UNAVAILABLE_S, refuse_s=_REFUSED_S)
        self._wait("the breaker to open", lambda: self._glance.is_breaker_open, beside=selling)
        self._narrator.say("The breaker is open: nothing is claimed, now and then it probes.")
        self._wait("connections to be refused", lambda: not self._is_reached(), beside=selling)
        self._wait("the provider to be back", self._is_reached, selling=selling)
        self._outages_s.append(time.monotonic() - began_s)
        self._narrator.say(
            f"After {self._outages_s[-1]:.0f} s the provider is back. {self._glance.waiting} rows "
            f"waited, {len(self._glance.dead_letters) - letters} were given up."
        )
        self._wait("deliver to catch up", self._is_at_rest)
        self._narrator.say("A probe closed the breaker, and the others followed.")

    def _deliver_is_killed(self) -> None:
        self._narrator.act(
            "kill -9",
            "The provider is slow, requests are on the wire, and the deliver process is killed. "
            "Whether the provider accepted them, nobody knows: they will be named in doubt.",
        )
        provider, roles = self._stage.provider, self._stage.roles
        provider.set_rules(Rule(name="slow", delay_s=_SLOW_S))
        selling = self._selling(self._plan.kill, rate=None)
        many = min(SENDERS, self._plan.kill) // 2
        self._wait("requests in flight", lambda: provider.in_flight >= many, selling=selling)
        self._in_flight_at_kills += provider.in_flight
        self._kills += 1
        roles.kill("deliver")
        provider.set_rules()
        roles.start("deliver")
        self._narrator.say(
            f"Killed with {self._in_flight_at_kills} requests in flight, and started again. First "
            "their claims have to run out; after a pause each is sent again, once."
        )
        self._wait("everything to come to rest", self._is_at_rest, within_s=_TAKEN_OVER_WITHIN_S)
        self._narrator.say(
            f"{self._glance.doubted} were in doubt and are resolved; nothing was lost. Those that "
            "the provider had accepted after all are doubles now: it has nothing to tell them by."
        )

    def _selling(self, count: int, *, rate: float | None, wrong: int = 0) -> Iterator[None]:
        """Insert rows at a pace: each step inserts what is due by now."""
        began_s = time.monotonic()
        sold = 0
        for batch in self._stage.shop.sell(count, wrong=wrong):
            sold += len(batch)
            while rate is not None and time.monotonic() - began_s < sold / rate:
                yield

    def _wait(
        self,
        what: str,
        is_so: Callable[[], bool],
        *,
        within_s: float = _SOON_S,
        selling: Iterator[None] | None = None,
        beside: Iterator[None] | None = None,
    ) -> None:
        """Wait until something is so.

        Args:
            what: what is waited for, in words.
            is_so: asked again and again.
            within_s: how long it may take, once all is sold; seconds.
            selling: from :meth:`_selling`; goes on meanwhile, and has to end first.
            beside: the same, but need not end.

        Raises:
            StoryStuck: it didn't become so in time.
        """
        deadline_s: float | None = None
        while True:
            next(beside or iter(()), None)
            is_sold = next(selling or iter(()), _SOLD_OUT) is _SOLD_OUT
            self._look()
            if is_sold and is_so():
                return
            deadline_s = (deadline_s or time.monotonic() + within_s) if is_sold else None
            if deadline_s is not None and time.monotonic() > deadline_s:
                raise StoryStuck(f"Waited {within_s:g} s for {what}.")
            time.sleep(_STEP_S)

    def _is_reached(self) -> bool:
        """Try whether the provider takes connections: the outage is measured, not believed."""
        place = urlsplit(self._stage.provider.url)
        try:
            socket.create_connection((place.hostname or "", place.port or 0), timeout=1).close()
        except OSError:
            return False
        return True

    def _is_at_rest(self) -> bool:
        # a glance from before the last row was sold says nothing of that row
        return self._glance.is_at_rest and self._glance.inserted == len(self._stage.shop.sales)

    def _look(self) -> None:
        """Look at the flow and show it, a few times a second."""
        if time.monotonic() - self._looked_at_s < _LOOKS_EVERY_S:
            return
        self._stage.roles.check()
        self._glance = self._stage.glance()
        self._looked_at_s = time.monotonic()
        self._narrator.show(self._glance)
