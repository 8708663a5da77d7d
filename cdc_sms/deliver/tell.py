"""What deliver says of itself: an event at each start and end, counters, and gauges."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from cdc_sms.deliver.breaker import Breaker, BreakerState
from cdc_sms.deliver.intake import Look
from cdc_sms.deliver.send import Returned
from cdc_sms.deliver.settle import outcome_name
from cdc_sms.model.clock import Clock
from cdc_sms.model.hold import Hold, HoldKind
from cdc_sms.model.outcome import Sent
from cdc_sms.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)

EVERY_S = 1.0

WAITING_REASONS = (
    "in_line", "breaker", "held", "sending", "claimed", "retrying", "in_doubt", "scheduled",
    "not_visible", "lost_history", "row_locked", "row_changed", "ledger_locked", "dead_letter",
    "again", "refused",
)  # fmt: skip
"""What an unfinished record may wait for: the closed set of the gauges' labels."""


class Tell:
    """The desk's voice.

    Thread: the ledger's.
    """

    def __init__(self, *, provider: str, clock: Clock, metrics: Metrics) -> None:
        self._provider = provider
        self._clock = clock
        self._metrics = metrics
        self._shown = BreakerState.CLOSED
        self._next_s = 0.0

    def attempted(self, returned: Returned) -> None:
        """Say what an attempt led to, and count it."""
        outcome, claim = returned.outcome, returned.claim
        assert outcome is not None
        name = outcome_name(outcome)
        if returned.asked:
            self._metrics.attempts.labels(self._provider, name).inc()
            self._metrics.request_latency.labels(self._provider).observe(returned.took_s)
        if isinstance(outcome, Sent):
            age_s = self._clock.now().timestamp() - claim.look.record.timestamp_ms / 1000
            self._metrics.accept_latency.observe(max(0.0, age_s))
        facts: dict[str, object] = {
            "message_id": claim.message.id,
            "outcome": name,
            "attempt": claim.message.attempts + 1,
            "took_s": round(returned.took_s, 4),
        }
        if not isinstance(outcome, Sent):
            facts |= {"code": outcome.code, "why": outcome.text}
        _log.info("message.attempted", extra=facts)

    def breaker(self, breaker: Breaker) -> bool:
        """Say once that it opened, and once that it closed; the gauge says it all the time.

        Returns:
            Whether it closed since the last time.
        """
        state, before = breaker.state, self._shown
        if state is before:
            return False
        self._shown = state
        facts = {"provider": self._provider, "reason": breaker.reason}
        value = {BreakerState.CLOSED: 0.0, BreakerState.PROBING: 0.5}.get(state, 1.0)
        self._metrics.breaker_open.labels(self._provider).set(value)
        if before is BreakerState.CLOSED and state is BreakerState.OPEN:
            self._metrics.breaker_opened.labels(self._provider).inc()
            _log.warning("breaker.opened", extra=facts)
        elif state is BreakerState.HELD:
            _log.error("hold.started", extra={**facts, "kind": "account"})
        elif state is BreakerState.CLOSED:
            _log.info("breaker.closed", extra={"provider": self._provider})
        return state is BreakerState.CLOSED

    def holds(self, holds: Sequence[Hold]) -> None:
        """Show how many holds of each kind are in force."""
        for kind in HoldKind:
            self._metrics.holds.labels(kind.value).set(sum(hold.kind is kind for hold in holds))

    def waiting(self, looks: Callable[[], Iterable[tuple[str, Look]]]) -> None:
        """Show what waits for what, once a second."""
        now = self._clock.monotonic_s()
        if now < self._next_s:
            return
        self._next_s = now + EVERY_S
        ages = dict.fromkeys(WAITING_REASONS, 0.0)
        count: Counter[str] = Counter(dict.fromkeys(ages, 0))
        wall_ms = self._clock.now().timestamp() * 1000
        for reason, look in looks():
            count[reason] += 1
            age_s = (wall_ms - look.record.timestamp_ms) / 1000
            ages[reason] = max(ages.get(reason, 0.0), age_s)
        for reason, age_s in ages.items():
            self._metrics.oldest_unfinished.labels(reason).set(age_s)
            self._metrics.waiting.labels(reason).set(count[reason])
