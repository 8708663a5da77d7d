"""An application that inserts rows at a steady rate, whatever becomes of its server."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from support.business.base import AWAY, Position, Session
from support.flow import Flow

PAUSE_S = 0.05


@dataclass(frozen=True)
class Sold:
    """Where the log ended before and after a row's transaction."""

    begin: Position
    end: Position


class Shop:
    """Inserts rows in a thread of its own; the table says which of them were committed.

    Args:
        flow: whose table.
        rows_per_s: how many rows a second.
        tag: what their texts begin with; a number of their own follows.
        notes: whether to note for each text where its transaction is in the log.
    """

    def __init__(self, flow: Flow, *, rows_per_s: float, tag: str, notes: bool) -> None:
        self._flow = flow
        self._batch = max(1, int(rows_per_s * PAUSE_S))
        self._each_s = self._batch / rows_per_s
        self._tag = tag
        self._notes = notes
        self._sold: dict[str, Sold] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"shop {tag}", daemon=True)

    def _run(self) -> None:
        numbers = count(1, self._batch)
        while not self._stop.is_set():
            try:
                with self._flow.business.session() as session:
                    self._sell(session, numbers)
            except AWAY:  # later
                self._stop.wait(PAUSE_S)

    def _sell(self, session: Session, numbers: Iterator[int]) -> None:
        due_s = time.monotonic()
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            due_s += self._each_s
            first = next(numbers)
            batch = range(first, first + self._batch)
            begin = self._log_end(session)
            session.insert((f"+48600{n % 1_000_000:06}", f"{self._tag} {n}") for n in batch)
            session.commit()
            place = Sold(begin, self._log_end(session))
            self._sold.update((f"{self._tag} {n}", place) for n in batch)

    def _log_end(self, session: Session) -> Position:
        return self._flow.business.log_end_by(session) if self._notes else ()

    @classmethod
    @contextmanager
    def open(
        cls, flow: Flow, *, rows_per_s: float, tag: str = "sale", notes: bool = False
    ) -> Iterator[Mapping[str, Sold]]:
        """Sell for a while; what was sold, by its texts, is known while and after it does."""
        shop = cls(flow, rows_per_s=rows_per_s, tag=tag, notes=notes)
        shop._thread.start()
        try:
            yield shop._sold
        finally:
            shop._stop.set()
            shop._thread.join(30)
