"""How long to wait before the n-th repetition: state with the randomness passed in."""

import random


def delay_s(attempt: int, *, first_s: float, limit_s: float, random_source: random.Random) -> float:
    """Return the pause after the given attempt: doubling, capped, with jitter.

    Args:
        attempt: the attempt that failed, counted from 1.
        first_s: the pause after the first one.
        limit_s: no pause is longer.
        random_source: where the jitter comes from.

    Returns:
        Seconds, between half and the whole of the exponential delay: the half keeps members
        from hammering at once, the floor keeps a pause from vanishing.
    """
    whole = min(limit_s, first_s * 2.0 ** min(max(attempt, 1) - 1, 32))
    return whole * (0.5 + 0.5 * random_source.random())


class Backoff:
    """The pauses of one thing that is tried again and again until it works.

    Thread: one owner.
    """

    def __init__(self, *, first_s: float, limit_s: float, random_source: random.Random) -> None:
        self._first_s = first_s
        self._limit_s = limit_s
        self._random = random_source
        self._failures = 0

    def next_s(self) -> float:
        """Count one more failure and return the pause that follows it, in seconds."""
        self._failures += 1
        return delay_s(
            self._failures,
            first_s=self._first_s,
            limit_s=self._limit_s,
            random_source=self._random,
        )

    def reset(self) -> None:
        """Forget the failures: it worked."""
        self._failures = 0
