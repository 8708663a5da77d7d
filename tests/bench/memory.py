"""What each role keeps resident: idle after its start, and the most it ever took after a burst."""

import requests
from support.flow import Flow
from support.waiting import until

from bench.figures import Values
from bench.site import Site, insert, stop
from bench.watching import peak_mb, resident_mb

ROLES = ("capture", "deliver", "serve")
QUESTIONS = 100
WITHIN_S = 120.0


class Memory:
    """The benchmark.

    Args:
        site: to work on.
        rows: of the burst: all are captured, and deliver looks at each of them.
        messages: that are sent beside them.
    """

    def __init__(self, site: Site, *, rows: int, messages: int) -> None:
        self._rows = rows
        self._messages = messages
        self._flow = site.flow()
        self._outbox = site.outbox(self._flow)

    def round(self) -> Values:
        """Measure; megabytes."""
        processes = {role: self._flow.start(role) for role in ROLES}
        idle = {role: resident_mb(process.pid) for role, process in processes.items()}
        self._burst()
        _ask(self._flow)
        told = {
            f"{role}_{when}_mb": value
            for role, process in processes.items()
            for when, value in (("idle", idle[role]), ("peak", peak_mb(process.pid)))
        }
        for process in processes.values():
            stop(process)
        return told

    def _burst(self) -> None:
        """Insert messages, and rows that show another status word, which nobody sends."""
        before = self._outbox.size()
        accepted = self._flow.provider.requests().accepted
        total = before + insert(self._flow, 1, rows=self._rows, status="archived")
        total += insert(self._flow, self._messages, rows=1)

        def is_over() -> bool:
            sent = self._flow.provider.requests().accepted - accepted
            return self._outbox.size() >= total and sent >= self._messages

        until(is_over, within_s=WITHIN_S, what="the burst to be over", every_s=0.1)
        self._flow.await_rest(within_s=WITHIN_S)


def _ask(flow: Flow) -> None:
    """Ask serve what people and monitors ask it."""
    for _ in range(QUESTIONS):
        for page in ("status", "metrics"):
            requests.get(f"{flow.url('serve')}/{page}", timeout=10).raise_for_status()
