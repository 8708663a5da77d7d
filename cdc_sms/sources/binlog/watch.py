"""A second session on the server: it holds the reader's lock, and looks at the log's other end.

One reader at a time has the lock. It is the session's: the server frees it when the session ends,
which it does by itself when nothing is heard of it for a while. So a reader that is frozen loses
it, and must notice before it confirms anything.

It asks without blocking. It tells a server that is silent because it works from one that can't be
heard any more. Now and then it writes a heartbeat into the log, which comes back by the stream.
"""

import hashlib
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pymysql.constants import COMMAND

from cdc_sms.errors import CdcSmsError, SourceUnavailable
from cdc_sms.sources.base import HeldByAnother
from cdc_sms.sources.binlog.connection import (
    Connection,
    Rows,
    close,
    errors_mapped,
    execute,
    socket_of,
    texts,
)
from cdc_sms.sources.binlog.inspection import HEARTBEATS, quoted
from cdc_sms.sources.binlog.server import behind, sizes

EVERY_S = 5.0
_FRESH_S = 3 * EVERY_S

SESSION_S = 20
"""After so long without a word from us the server ends the session, and frees the lock; seconds."""

_MARGIN_S = 2.0

ANSWER_S = 60.0
"""How long an answer is waited for: a heartbeat's commit may wait for a replica; seconds."""

_LONGEST_NAME = 64
"""Of a lock. Source: MySQL manual, "Locking Functions"."""

_IDLE = ("has sent all binlog", "waiting to finalize termination")
"""What the server's sender says when all its work is done.

Source: MySQL manual, "Replication Source Thread States".
"""


def lock_name(ledger_schema: str, slot: str) -> str:
    """Return the name of a reader's lock: locks are the server's, not a database's."""
    name = f"cdc_sms:{ledger_schema}.{slot}"
    if len(name) <= _LONGEST_NAME:
        return name
    return f"cdc_sms:{hashlib.sha256(name.encode()).hexdigest()[:40]}"


def is_held(connection: Connection, name: str) -> bool:
    """Say whether a reader has the lock.

    Raises:
        SourceUnavailable: the connection was lost.
    """
    with errors_mapped("Asking for the reader's lock"):
        return texts(execute(connection, "SELECT IS_USED_LOCK(%s)", name))[0][0] is not None


def held_by_another(slot: str) -> HeldByAnother:
    """Return the error of a reader that finds another one at work."""
    return HeldByAnother(
        f"Another capture reads the log as {slot}.",
        hint="Nothing needs to be done: it takes over when that one ends.",
    )


class Watch:
    """Holds the lock and asks every few seconds.

    Args:
        connection: belongs to the watch from now on, which closes it.
        ledger_schema: the database of the table of heartbeats.
        slot: the reader's name.
        beat_every_s: how often a heartbeat is written; seconds.

    Attributes:
        committed_s: when the last heartbeat that is known to be committed was written; it must
            come by the stream.
        lag_bytes: how much of the log is behind the place that :meth:`tick` was told; None until
            it is known.

    Thread: one owner.
    """

    def __init__(
        self, connection: Connection, *, ledger_schema: str, slot: str, beat_every_s: float
    ) -> None:
        self._connection = connection
        self._slot = slot
        self._lock = lock_name(ledger_schema, slot)
        self._beat = (
            f"INSERT INTO {quoted(ledger_schema, HEARTBEATS)} (name, beat, written_at) "  # noqa: S608 - quoted
            f"VALUES ('{slot}', 1, UTC_TIMESTAMP(6)) "
            "ON DUPLICATE KEY UPDATE beat = beat + 1, written_at = UTC_TIMESTAMP(6)"
        )
        self._beat_every_s = beat_every_s
        self._beat_s: float | None = None
        self._asked_s: float | None = None
        self._looked_s = 0.0
        self._saw_work_s = -_FRESH_S
        self._sent_s = 0.0
        self._waits_for: Callable[[Rows], None] | None = None
        self._held_until_s = 0.0
        self._sender: int | None = None
        self._place: tuple[str, int] = ("", 0)
        self.committed_s = 0.0
        self.lag_bytes: int | None = None

    def take_lock(self, now_s: float) -> None:
        """Take the reader's lock.

        Raises:
            HeldByAnother: another reader has it.
            SourceUnavailable: the connection was lost.
        """
        with errors_mapped("Taking the reader's lock"):
            execute(self._connection, f"SET wait_timeout = {SESSION_S}")
            taken = texts(execute(self._connection, "SELECT GET_LOCK(%s, 0)", self._lock))[0][0]
        if taken != "1":
            raise held_by_another(self._slot)
        self._held_until_s = now_s + SESSION_S - _MARGIN_S

    def beat(self, now_s: float) -> None:
        """Write a heartbeat and wait until it is committed: so is all that was logged before.

        Raises:
            SetupError: the table of heartbeats is missing, or a right.
            SourceUnavailable: the connection was lost.
        """
        with errors_mapped("Writing a heartbeat"):
            execute(self._connection, self._beat)
        self._beat_s = now_s
        self._held_until_s = now_s + SESSION_S - _MARGIN_S

    def follow(self, sender: int) -> None:
        """Watch the server's thread that sends us the log, by its number."""
        self._sender = sender

    def holds_lock(self, now_s: float) -> bool:
        """Say whether the lock is ours for certain."""
        return now_s < self._held_until_s

    def tick(self, now_s: float, *, file: str, offset: int, is_silent: bool) -> None:
        """Read an answer that has come, ask again when it is time to.

        Args:
            now_s: the present.
            file: that is being read.
            offset: in it.
            is_silent: nothing was heard for a while of the thread that sends us the log.

        Raises:
            SourceUnavailable: the connection was lost, and with it the lock.
            SetupError: a right was taken from us.
        """
        self._place = (file, offset)
        if self._waits_for is not None:
            self._read(now_s)
        elif self._asked_s is None or now_s - self._asked_s >= EVERY_S:
            self._asked_s = now_s
            self._send(now_s, "SHOW BINARY LOGS", self._take_sizes)
        elif is_silent and now_s - self._looked_s >= EVERY_S:
            self._looked_s = now_s
            self._send(now_s, "SHOW PROCESSLIST", self._take_sessions)
        elif self._beat_s is None or now_s - self._beat_s >= self._beat_every_s:
            self._beat_s = now_s
            self._send(now_s, self._beat, self._take_nothing)

    def sees_work(self, now_s: float) -> bool:
        """Say whether the server was lately seen at work for us: then its silence is no death."""
        return now_s - self._saw_work_s <= _FRESH_S

    def close(self) -> None:
        """Close the connection, and free the lock with it."""
        close(self._connection)

    def _send(self, now_s: float, query: str, answer: Callable[[Rows], None]) -> None:
        with self._lock_goes_with_errors():
            self._connection._execute_command(COMMAND.COM_QUERY, query)  # type: ignore[attr-defined]  # noqa: SLF001
        self._sent_s, self._waits_for = now_s, answer

    def _read(self, now_s: float) -> None:
        poller = select.poll()
        poller.register(socket_of(self._connection), select.POLLIN)
        if not poller.poll(0):
            if now_s - self._sent_s > ANSWER_S:
                raise SourceUnavailable(
                    f"Watching the log failed: no answer came for {ANSWER_S:.0f} s.",
                    hint="Check the network between capture and the server.",
                )
            return
        driver: Any = self._connection
        with self._lock_goes_with_errors():
            driver._read_query_result()  # noqa: SLF001 - the answer is there: it doesn't block
            rows: Rows = driver._result.rows or ()  # noqa: SLF001
        answer, self._waits_for = self._waits_for, None
        if answer == self._take_nothing:
            self.committed_s = self._sent_s  # it may well have come before its answer
        # the session lived when it was asked, and lives so long from then on
        self._held_until_s = self._sent_s + SESSION_S - _MARGIN_S
        assert answer is not None
        answer(rows)

    @contextmanager
    def _lock_goes_with_errors(self) -> Iterator[None]:
        try:
            with errors_mapped("Watching the log"):
                yield
        except CdcSmsError:
            self._held_until_s = 0.0
            raise

    def _take_sizes(self, rows: Rows) -> None:
        self.lag_bytes = behind(sizes(texts(rows)), *self._place) if rows else None

    def _take_sessions(self, rows: Rows) -> None:
        states = {row[0]: row[6] or "" for row in texts(rows)}
        state = states.get(str(self._sender), "")
        if state and not any(words in state for words in _IDLE):
            self._saw_work_s = self._sent_s

    @staticmethod
    def _take_nothing(rows: Rows) -> None:
        """Take the answer of a heartbeat: there is none."""
