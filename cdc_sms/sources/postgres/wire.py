"""A connection in COPY mode, read and written without ever blocking but in one place.

Not for queries: those go through the driver's own connection object.
"""

import select
import time

import psycopg
from psycopg import pq

from cdc_sms.errors import SourceUnavailable
from cdc_sms.sources.postgres.connection import Connection, connection_error, result_error

_COPYING = (pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH)
_START_S = 30.0


class Wire:
    """One COPY, from its command to its end.

    Args:
        connection: in autocommit mode or in a transaction, with nothing under way; it stays the
            caller's to close.
        doing: what errors say that failed, as the beginning of a sentence.

    Thread: one owner.
    """

    def __init__(self, connection: Connection, *, doing: str) -> None:
        self._pgconn = connection.pgconn
        self._doing = doing
        self._is_copying = False
        self._has_ended = False
        self._poller = select.poll()
        self._poller.register(self._pgconn.socket, select.POLLIN)
        self._pgconn.nonblocking = 1

    @property
    def has_ended(self) -> bool:
        """Say whether the server has sent everything."""
        return self._has_ended

    def begin(self, command: bytes) -> None:
        """Send the command that starts the COPY; returns before the server answers.

        Raises:
            SourceUnavailable: the connection was lost.
        """
        try:
            self._pgconn.send_query(command)
            self._pgconn.flush()
        except psycopg.Error as error:
            raise connection_error(self._pgconn, doing=self._doing) from error

    def await_start(self) -> None:
        """Block until the server has begun the COPY, for half a minute at most.

        Raises:
            CdcSmsError: what the server says against it.
            SourceUnavailable: the connection was lost, or the server says nothing.
        """
        if not self._has_started() and not (self.wait(_START_S) and self._has_started()):
            raise SourceUnavailable(
                f"{self._doing} failed: the server did not answer within {_START_S:.0f} s.",
                hint="Look at the server's log; capture tries again by itself.",
            )

    def receive(self) -> bytes | None:
        """Return one message or row, or None if there is none now.

        Raises:
            CdcSmsError: what the server ended the COPY with.
            SourceUnavailable: the connection was lost.
        """
        if not self._is_copying and not self._has_started():
            return None
        try:
            length, data = self._pgconn.get_copy_data(1)
            if length == 0:
                self._pgconn.consume_input()
                length, data = self._pgconn.get_copy_data(1)
        except psycopg.Error as error:
            raise connection_error(self._pgconn, doing=self._doing) from error
        if length > 0:
            return bytes(data)
        if length < 0:
            self._end()
        return None

    def wait(self, wait_s: float) -> bool:
        """Block until there may be something to receive; say whether there may."""
        return bool(self._poller.poll(wait_s * 1000))

    def send(self, message: bytes) -> None:
        """Send a message, as much of it as the connection takes now.

        Raises:
            SourceUnavailable: the connection was lost.
        """
        try:
            self._pgconn.put_copy_data(message)
            self._pgconn.flush()
        except psycopg.Error as error:
            raise connection_error(self._pgconn, doing=self._doing) from error

    def finish(self, *, within_s: float) -> None:
        """Say that nothing more is read, and wait until the server has heard all that was sent.

        What it still sends meanwhile is dropped. A connection that is closed with something unread
        in it may take what was sent last with it. After this it can only be closed.

        Raises:
            SourceUnavailable: the connection was lost, or there is no COPY.
        """
        deadline_s = time.monotonic() + within_s
        try:
            self._pgconn.put_copy_end()
            self._pgconn.flush()
            # the server says that it has ended, too; its result may be long in coming
            while (length := self._pgconn.get_copy_data(1)[0]) >= 0:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return
                if length == 0 and self.wait(left_s):
                    self._pgconn.consume_input()
        except psycopg.Error as error:
            raise connection_error(self._pgconn, doing=self._doing) from error

    def _has_started(self) -> bool:
        try:
            self._pgconn.flush()
            self._pgconn.consume_input()
            if self._pgconn.is_busy():
                return False
            result = self._pgconn.get_result()
        except psycopg.Error as error:
            raise connection_error(self._pgconn, doing=self._doing) from error
        if result is None or result.status not in _COPYING:
            self._refuse(result)
        self._is_copying = True
        return True

    def _end(self) -> None:
        """Read how the server ended the COPY: in order, or with an error."""
        result = self._pgconn.get_result()
        if result is None or result.status not in (
            pq.ExecStatus.COMMAND_OK,
            pq.ExecStatus.COPY_IN,  # of a COPY BOTH only the server's half has ended
        ):
            self._refuse(result)
        self._has_ended = True
        self._is_copying = False

    def _refuse(self, result: pq.abc.PGresult | None) -> None:
        if result is None:
            raise connection_error(self._pgconn, doing=self._doing)
        raise result_error(result, doing=self._doing)
