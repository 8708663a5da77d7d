"""An application that inserts rows at a steady rate, whatever becomes of its server."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
from support.flow import Flow

PAUSE_S = 0.05

INSERT = (
    "INSERT INTO sms (phone, body) SELECT '+48600' || lpad((g %% 1000000)::text, 6, '0'),"
    " %s || g FROM generate_series(%s::bigint, %s::bigint) g"
)


class Shop:
    """Inserts rows in a thread of its own; the table says which of them were committed.

    Args:
        flow: whose table.
        rows_per_s: how many rows a second.
        tag: what their texts begin with; a number of their own follows.
    """

    def __init__(self, flow: Flow, *, rows_per_s: float, tag: str) -> None:
        self._flow = flow
        self._batch = max(1, int(rows_per_s * PAUSE_S))
        self._each_s = self._batch / rows_per_s
        self._tag = tag
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"shop {tag}", daemon=True)

    def _run(self) -> None:
        numbers = count(1, self._batch)
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._flow.database.dsn, autocommit=True) as connection:
                    self._sell(connection, numbers)
            except psycopg.OperationalError:  # the server is away: later
                self._stop.wait(PAUSE_S)

    def _sell(
        self, connection: psycopg.Connection[tuple[object, ...]], numbers: Iterator[int]
    ) -> None:
        due_s = time.monotonic()
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            due_s += self._each_s
            first = next(numbers)
            connection.execute(INSERT, (f"{self._tag} ", first, first + self._batch - 1))

    @classmethod
    @contextmanager
    def open(cls, flow: Flow, *, rows_per_s: float, tag: str = "sale") -> Iterator[None]:
        """Sell for a while."""
        shop = cls(flow, rows_per_s=rows_per_s, tag=tag)
        shop._thread.start()
        try:
            yield
        finally:
            shop._stop.set()
            shop._thread.join(30)
