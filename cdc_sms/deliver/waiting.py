"""Records between two looks, in memory, until they are due; their offsets stay where they are."""

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cdc_sms.deliver.intake import Look

_PAUSES_S = {
    "not_visible": (0.005, 1.0),
    "lost_history": (60.0, 60.0),
    "row_locked": (0.25, 5.0),
    "ledger_locked": (0.05, 1.0),
    "held": (30.0, 600.0),  # a hold that changes lets them go at once
    "refused": (5.0, 300.0),
}
_USUAL_S = (0.25, 5.0)
"""By reason, the first pause and the longest; seconds."""


def pause_s(reason: str, looks: int) -> float:
    """Return how long a look that can't know better waits: doubling, capped; seconds."""
    first_s, longest_s = _PAUSES_S.get(reason, _USUAL_S)
    return min(longest_s, first_s * 2.0 ** min(looks, 16))


@dataclass(frozen=True, slots=True)
class Waiter:
    """A look, what it waits for, and until when (monotonic seconds)."""

    look: Look
    reason: str
    due_s: float


class Waiting:
    """The waiting looks, the next due first.

    Thread: the ledger's; nothing here reads a clock.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Waiter]] = []
        self._count = itertools.count()
        self._reasons: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._heap)

    def __iter__(self) -> Iterator[Waiter]:
        """Iterate in no order."""
        return (waiter for _due, _n, waiter in self._heap)

    def add(self, look: Look, reason: str, due_s: float) -> None:
        """Let a look wait until a moment on the monotonic clock."""
        heapq.heappush(self._heap, (due_s, next(self._count), Waiter(look, reason, due_s)))
        self._reasons[reason] += 1

    def due(self, now_s: float) -> list[Look]:
        """Take out what is due, in order of the due times."""
        looks: list[Look] = []
        while self._heap and self._heap[0][0] <= now_s:
            waiter = heapq.heappop(self._heap)[2]
            self._reasons[waiter.reason] -= 1
            looks.append(waiter.look)
        return looks

    def next_due_s(self) -> float | None:
        """Return the moment of the next one; None where nothing waits."""
        return self._heap[0][0] if self._heap else None

    def has(self, reason: str) -> bool:
        """Say whether one waits for this reason; any thread."""
        return self._reasons[reason] > 0

    def released(self, reason: str) -> list[Look]:
        """Take out those that wait for this reason, in order of the due times."""
        found = [w for _due, _n, w in sorted(self._heap) if w.reason == reason]
        self._keep(lambda waiter: waiter.reason != reason)
        return [waiter.look for waiter in found]

    def drop(self, unwanted: Callable[[Look], bool]) -> None:
        """Forget looks: their partition was revoked."""
        self._keep(lambda waiter: not unwanted(waiter.look))

    def _keep(self, wanted: Callable[[Waiter], bool]) -> None:
        self._heap = [entry for entry in self._heap if wanted(entry[2])]
        heapq.heapify(self._heap)
        self._reasons = Counter(waiter.reason for waiter in self)
