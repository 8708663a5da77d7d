"""A second pair of eyes on the server: how much log it holds for us, and whether it is at work.

It asks on a connection of its own and never blocks. It tells a server that is silent because it
works (it reads a large transaction, say) from one that can't be heard any more. Now and then it
writes a heartbeat into the log, which comes back by the stream.
"""

from contextlib import suppress

import psycopg
from psycopg import pq, sql

from cdc_sms.errors import SourceUnavailable
from cdc_sms.sources.postgres.connection import Connection, connection_error, result_error
from cdc_sms.sources.postgres.pgoutput import HEARTBEAT

EVERY_S = 5.0
_FRESH_S = 3 * EVERY_S

_QUERY = sql.SQL("""
SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
        ELSE pg_current_wal_flush_lsn() END - s.confirmed_flush_lsn)::bigint,
    a.wait_event
FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid
WHERE s.slot_name = {}
""")

_BEAT = sql.SQL("""
SELECT pg_logical_emit_message(false, {prefix}, concat_ws(' ', {slot}, s.system_identifier,
    CASE WHEN pg_is_in_recovery() THEN 0
    ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END))
FROM pg_control_system() s WHERE NOT pg_is_in_recovery()
""")
"""Not transactional: it needs no commit, and so waits for no standby. A standby writes no log.

Source: PostgreSQL manual, 9.28.6 Replication Management Functions; 9.28.3 WAL file names, which
begin with the timeline.
"""

_IDLE_EVENTS = frozenset(
    # waits for new log, in the words of 14 to 16 and of 17 and newer; waits for us to read
    {"WalSenderMain", "WalSenderWaitForWAL", "WalSenderWaitForWal", "WalSenderWriteData"}
)
"""What the server's sender waits for when all its work is done or its connection is full.

Source: PostgreSQL manual, 27.2 "The Cumulative Statistics System", wait events.
"""


class Watch:
    """Asks about one slot every few seconds.

    Args:
        connection: belongs to the watch from now on, which closes it.
        slot: the slot's name.
        beat_every_s: how often a heartbeat is written; seconds.

    Thread: one owner.
    """

    def __init__(self, connection: Connection, *, slot: str, beat_every_s: float) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._query = _QUERY.format(slot).as_bytes(connection)
        self._beat = _BEAT.format(prefix=HEARTBEAT, slot=slot).as_bytes(connection)
        self._beat_every_s = beat_every_s
        self._beat_s: float | None = None
        self._is_beating = False
        self._asked_s: float | None = None
        self._is_waiting = False
        self._answered_s: float | None = None
        self._is_working = False
        self.lag_bytes: int | None = None
        self._pgconn.nonblocking = 1

    def tick(self, now_s: float) -> None:
        """Read an answer that has come, ask again when it is time to.

        Raises:
            SourceUnavailable: the connection was lost.
        """
        try:
            if self._is_waiting:
                self._read(now_s)
            elif self._asked_s is None or now_s - self._asked_s >= EVERY_S:
                self._asked_s = now_s
                self._send(self._query, beats=False)
            elif self._beat_s is None or now_s - self._beat_s >= self._beat_every_s:
                self._beat_s = now_s
                self._send(self._beat, beats=True)
        except psycopg.Error as error:
            raise connection_error(self._pgconn, doing="Watching the slot") from error

    def sees_work(self, now_s: float) -> bool:
        """Say whether the server was lately seen at work for us: then its silence is no death."""
        fresh = self._answered_s is not None and now_s - self._answered_s <= _FRESH_S
        return fresh and self._is_working

    def close(self) -> None:
        """Close the connection."""
        with suppress(psycopg.Error):
            self._connection.close()

    def _send(self, query: bytes, *, beats: bool) -> None:
        self._pgconn.send_query(query)
        self._pgconn.flush()
        self._is_waiting, self._is_beating = True, beats

    def _read(self, now_s: float) -> None:
        self._pgconn.flush()
        self._pgconn.consume_input()
        if self._pgconn.is_busy():
            return
        while (result := self._pgconn.get_result()) is not None:
            if result.status != pq.ExecStatus.TUPLES_OK:
                raise result_error(result, doing="Watching the slot")
            if not self._is_beating:
                self._take(result)
                self._answered_s = now_s
        self._is_waiting = False

    def _take(self, result: pq.abc.PGresult) -> None:
        if result.ntuples == 0:
            raise SourceUnavailable(
                "Watching the slot failed: it is gone.",
                hint="Capture looks at the server anew by itself.",
            )
        lag = result.get_value(0, 0)
        event = result.get_value(0, 1)
        self.lag_bytes = None if lag is None else max(0, int(lag))
        self._is_working = event is None or event.decode() not in _IDLE_EVENTS
