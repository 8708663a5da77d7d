"""Whether, and how fast, something may be sent now: breaker, holds, rate and probes together.

The ledger says which holds are in force, for every member; the breaker is this member's own view
of the provider; the pace is its share of the group's rate.
"""

from collections.abc import Callable, Sequence

from cdc_sms.deliver.account_hold import AccountHold
from cdc_sms.deliver.breaker import Breaker, BreakerState
from cdc_sms.deliver.claim import Claims, Taken
from cdc_sms.deliver.pace import Pace
from cdc_sms.deliver.tell import Tell
from cdc_sms.model.clock import Clock
from cdc_sms.model.hold import Hold
from cdc_sms.model.outcome import Failed, Outcome
from cdc_sms.providers.base import Balance

HELD_LOOK_S = 1.0
"""How soon a hold that was lifted is noticed; seconds."""
IDLE_LOOK_S = 10.0
"""How often the ledger, and the provider, are asked while there is nothing to do; seconds."""


class Permit:
    """One member's right to send.

    Thread: the ledger's; :attr:`is_blocked`, :attr:`held_by`, :attr:`reason` and
    :meth:`describe` may be asked by any.

    Args:
        claims: reads the holds.
        hold: our provider's, in the ledger.
        breaker: of our provider.
        pace: our share of the rate.
        has_balance: whether the provider can be asked without sending.
        clock: monotonic time.
        tell: says what changed.
    """

    def __init__(
        self,
        *,
        claims: Claims,
        hold: AccountHold,
        breaker: Breaker,
        pace: Pace,
        has_balance: bool,
        clock: Clock,
        tell: Tell,
    ) -> None:
        self._claims = claims
        self._hold = hold
        self._breaker = breaker
        self._pace = pace
        self._has_balance = has_balance
        self._clock = clock
        self._tell = tell
        self._holds: Sequence[Hold] = ()
        self._held_by: Hold | None = None
        self._look_at_s = 0.0
        self._heard_at_s = clock.monotonic_s()
        self._silent_because: str | None = None
        self._lift_hold = False
        self._publish_hold: str | None = None

    # ---- asked ---------------------------------------------------------------------------------

    @property
    def is_probing(self) -> bool:
        """Say whether one message is wanted, to see whether the provider is back."""
        return self._breaker.state is BreakerState.PROBING

    @property
    def is_blocked(self) -> bool:
        """Say whether the provider may not be asked, and no message is wanted as a probe."""
        return self._breaker.state in {BreakerState.OPEN, BreakerState.HELD}

    @property
    def held_by(self) -> Hold | None:
        """Return the hold that lets nothing through; None: none does."""
        return self._held_by

    @property
    def is_free(self) -> bool:
        """Say whether nothing keeps messages from being sent."""
        return not self.is_blocked and self._held_by is None

    @property
    def reason(self) -> str | None:
        """Return why nothing would be sent now, in words; None: it would."""
        if self.is_blocked:
            return f"the provider is paused: {self._breaker.reason}"
        if self._held_by is not None:
            return f"held ({self._held_by.name}): {self._held_by.reason}"
        for hold in self._holds:
            if hold.holds_what_comes:
                return f"held ({hold.name}), after what is dead-lettered: {hold.reason}"
        if self._silent_because is not None:
            return f"the provider doesn't answer: {self._silent_because}"
        return None

    def allowance(self, in_flight: int) -> int:
        """Return how many more may be sent now.

        Args:
            in_flight: those that senders have.
        """
        if self.is_probing:
            return 0 if in_flight else 1
        if not self.is_free:
            return 0
        return self._pace.allowance(in_flight, now_s=self._clock.monotonic_s())

    def next_in_s(self, *, longest_s: float) -> float:
        """Return how long nothing changes by itself; seconds."""
        pauses = (self._breaker.probe_in_s(), self._pace.next_in_s())
        return min(longest_s, *(pause or longest_s for pause in pauses))

    def describe(self) -> dict[str, object]:
        """Return what a person wants to know of it."""
        return {
            "breaker": self._breaker.state.value,
            "breaker_reason": self._breaker.reason,
            "holds": [hold.name for hold in self._holds],
        }

    # ---- told ----------------------------------------------------------------------------------

    def shared(self, owned: int, *, of: int) -> None:
        """Take note of our share of the outbox's partitions."""
        self._pace.share(owned, of)

    def sent(self, count: int) -> None:
        """Take note of what was handed to senders."""
        self._pace.sent(count)

    def answered(self, outcome: Outcome, *, asked: bool, probe: bool) -> bool:
        """Take note of what an attempt led to.

        Args:
            outcome: of a message.
            asked: whether a request was made.
            probe: it was the probe.

        Returns:
            Whether the attempt counts.
        """
        if not asked:
            return True
        self._heard_at_s = self._clock.monotonic_s()
        self._silent_because = None
        counted = self._breaker.note(outcome, probe=probe)
        if self._breaker.state is BreakerState.HELD:
            self._publish_hold = self._breaker.reason
        return counted

    def balance_answered(self, answer: Balance | Failed) -> None:
        """Take note of what the provider said when it was asked without sending."""
        self._heard_at_s = self._clock.monotonic_s()
        if self._breaker.state is BreakerState.CLOSED:
            # asked while idle: worth a red light, but only messages open the breaker
            self._silent_because = answer.code if isinstance(answer, Failed) else None
            return
        if isinstance(answer, Failed):
            self._breaker.probe_failed(answer)
            return
        was_held = self._breaker.state is BreakerState.HELD
        if self._breaker.balance_answered(points=answer.points) and was_held:
            self._lift_hold = True

    def obey(self, taken: Taken, *, probing: bool) -> bool:
        """Take note of the holds in force.

        Returns:
            Whether they changed: what waits for one is to be looked at.
        """
        self._look_at_s = self._clock.monotonic_s() + IDLE_LOOK_S
        changed = list(taken.holds) != list(self._holds)
        self._holds, self._held_by = taken.holds, taken.blocked_by
        self._tell.holds(taken.holds)
        ours = next((hold for hold in taken.holds if hold.name == self._hold.name), None)
        if ours is not None and not probing:
            self._breaker.hold(str(ours.facts.get("code", "")))
        return changed

    # ---- done, once a turn ---------------------------------------------------------------------

    def publish(self) -> None:
        """Put our provider's hold in force for every member, or lift it.

        Raises:
            DatabaseUnavailable: repeat it.
        """
        if self._publish_hold is not None:
            self._hold.publish(self._publish_hold)
            self._publish_hold = None
        if self._lift_hold:
            self._hold.lift()
            self._lift_hold = False

    def look(self, *, something_held: bool) -> bool:
        """Ask the ledger for the holds when no claim has done so lately.

        Args:
            something_held: a record waits for a hold to end.

        Returns:
            Whether the holds changed.

        Raises:
            DatabaseUnavailable: the ledger doesn't answer.
        """
        waits = something_held or self._held_by is not None
        early_s = IDLE_LOOK_S - HELD_LOOK_S if waits else 0.0
        if self._clock.monotonic_s() < self._look_at_s - early_s:
            return False
        return self.obey(self._claims.standing(), probing=False)

    def probe(self, ask: Callable[[], None], *, is_idle: bool) -> None:
        """Ask the provider when a pause is over, or when it was not heard of for long.

        Args:
            ask: has the balance asked for.
            is_idle: no request is under way.
        """
        if self._tell.breaker(self._breaker):
            self._pace.provider_is_back(self._clock.monotonic_s())
        pause_is_over = self._breaker.probe_in_s() == 0.0
        if not self._has_balance:
            if pause_is_over:
                self.balance_answered(Balance(points=1))
            return
        if pause_is_over:
            self._breaker.probe_begun()
            ask()
        elif is_idle and self._is_silent():
            self._heard_at_s = self._clock.monotonic_s()
            ask()

    def _is_silent(self) -> bool:
        silent_s = self._clock.monotonic_s() - self._heard_at_s
        may_be_away = self._breaker.state in {BreakerState.CLOSED, BreakerState.PROBING}
        return may_be_away and silent_s >= IDLE_LOOK_S
