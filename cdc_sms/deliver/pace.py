"""How fast messages may go: the group's rate by our share of it, and a ramp after an outage. Pure.

The rate is for the whole group: a member takes the part that its share of the outbox's partitions
is. A provider that just came back gets a few requests first, twice as many each second.
"""

BURST_S = 0.25
"""How much of a pause may be made up for at once: that many seconds of the rate."""


class Pace:
    """A bucket of tokens, and the ramp; it reads no clock.

    Thread: the ledger's.

    Args:
        messages_per_s: the group's; None: no limit.
        senders: the most in flight.
    """

    def __init__(self, *, messages_per_s: float | None, senders: int) -> None:
        self._group_rate = messages_per_s
        self._senders = senders
        self._share = 0.0
        self._tokens = 0.0
        self._at_s: float | None = None
        self._ramp_since_s: float | None = None

    def share(self, owned: int, of: int) -> None:
        """Take note of how many of the outbox's partitions are ours."""
        self._share = owned / of if of else 0.0

    def provider_is_back(self, now_s: float) -> None:
        """Begin the ramp."""
        self._ramp_since_s = now_s

    def allowance(self, in_flight: int, *, now_s: float) -> int:
        """Return how many more may be sent now."""
        free = self._most(now_s) - in_flight
        rate = self._rate
        if rate is None:
            return max(0, free)
        self._fill(rate, now_s)
        return max(0, min(free, int(self._tokens)))

    def sent(self, count: int) -> None:
        """Take note of what was handed to senders."""
        if self._group_rate is not None:
            self._tokens -= count

    def next_in_s(self) -> float | None:
        """Return how long until one may be sent; None: the rate holds nothing back."""
        rate = self._rate
        if rate is None or self._tokens >= 1.0:
            return None
        return (1.0 - self._tokens) / rate if rate > 0 else None

    @property
    def _rate(self) -> float | None:
        return None if self._group_rate is None else self._group_rate * self._share

    def _fill(self, rate: float, now_s: float) -> None:
        before_s = now_s if self._at_s is None else self._at_s
        most = max(1.0, rate * BURST_S)
        self._tokens = min(most, self._tokens + (now_s - before_s) * rate)
        self._at_s = now_s

    def _most(self, now_s: float) -> int:
        if self._ramp_since_s is None:
            return self._senders
        steps = now_s - self._ramp_since_s
        if steps >= self._senders.bit_length():
            self._ramp_since_s = None
            return self._senders
        return min(self._senders, int(2.0**steps))
