"""A connection after a command whose answer has no end, or a long one: read without ever blocking.

Not for short queries: those go through the driver's own connection object.
"""

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLWantReadError

import pymysql

from cdc_sms.errors import CdcSmsError, SourceUnavailable
from cdc_sms.sources.binlog.connection import Connection, errors_mapped, mapped, socket_of

BUFFER_BYTES = 1 << 18

_U32 = struct.Struct("<I")
_U16 = struct.Struct("<H")
_HEADER_BYTES = 4
_LARGEST = 0xFFFFFF
_ERROR, _EOF = 0xFF, 0xFE
_EOF_BYTES = 9
"""A packet that begins like EOF and is no shorter is a value of 16 MiB or more."""


class Wire:
    """What the server sends after one command.

    Args:
        connection: with nothing under way; it stays the caller's to close.
        doing: what errors say that failed, as the beginning of a sentence.

    Attributes:
        data: what was received and not read yet, from ``at`` on.
        received_bytes: how much ever came.
        at: where in ``data`` the next packet begins; set by whoever reads ``data`` itself.

    Thread: one owner.
    """

    def __init__(self, connection: Connection, *, doing: str) -> None:
        self._connection = connection
        self._socket = socket_of(connection)
        self._doing = doing
        self._view = memoryview(bytearray(BUFFER_BYTES))
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._skip = 0
        self.received_bytes = 0
        self.data = b""
        self.at = 0

    def begin(self, command: int, content: bytes) -> None:
        """Send a command; returns before the server answers.

        Raises:
            SourceUnavailable: the connection was lost.
        """
        with errors_mapped(self._doing):
            self._connection._execute_command(command, content)  # type: ignore[attr-defined]  # noqa: SLF001

    def skip(self, size: int) -> None:
        """Drop the next bytes that come; everything that has come is read."""
        self._skip += size

    def receive(self, wait_s: float, *, missing: int = 1) -> bool:
        """Receive what follows; say whether as much has come as is missing.

        Args:
            wait_s: how long to wait for it, in seconds.
            missing: how many bytes are needed at least before it is worth to read again.

        Raises:
            SourceUnavailable: the connection was lost.
        """
        deadline_s = time.monotonic() + wait_s
        while True:
            with self._lost_is_unavailable():
                self._socket.settimeout(max(wait_s, 0.0))
                try:
                    size = self._socket.recv_into(self._view)
                except (TimeoutError, BlockingIOError, SSLWantReadError):
                    return False
            if not size:
                raise self._lost("the server closed the connection")
            self.received_bytes += size
            dropped = min(self._skip, size)
            self._skip -= dropped
            if size > dropped:
                self._parts.append(bytes(self._view[dropped:size]))
                self._parts_bytes += size - dropped
            if self._parts_bytes >= missing:
                self.data = b"".join([self.data[self.at :], *self._parts])
                self._parts, self._parts_bytes, self.at = [], 0, 0
                return True
            wait_s = deadline_s - time.monotonic()

    def packet(self, wait_s: float) -> bytes | None:
        """Return the content of the next packet, or None if it doesn't come in time.

        Raises:
            SourceUnavailable: the connection was lost.
        """
        while (missing := self._missing()) > 0:
            if not self.receive(wait_s, missing=missing):
                return None
        parts: list[bytes] = []
        length = _LARGEST
        while length == _LARGEST:
            length = _U32.unpack_from(self.data, self.at)[0] & _LARGEST
            begin = self.at + _HEADER_BYTES
            self.at = begin + length
            parts.append(self.data[begin : self.at])
        return b"".join(parts)

    def refused(self, packet: bytes) -> CdcSmsError | None:
        """Return what the server ends its answer with: an error of ours; None for data."""
        if packet[:1] == bytes([_ERROR]):
            code = _U16.unpack_from(packet, 1)[0]
            message = packet[3:].decode(errors="replace")
            return mapped(code, message[6:] if message[:1] == "#" else message, doing=self._doing)
        return None

    @staticmethod
    def is_end(packet: bytes) -> bool:
        """Say whether a packet tells that the answer, or a part of it, ends."""
        return packet[:1] == bytes([_EOF]) and len(packet) < _EOF_BYTES

    def _missing(self) -> int:
        at = self.at
        while True:
            rest = len(self.data) - at
            if rest < _HEADER_BYTES:
                return _HEADER_BYTES - rest
            length: int = _U32.unpack_from(self.data, at)[0] & _LARGEST
            if rest < _HEADER_BYTES + length:
                return _HEADER_BYTES + length - rest
            at += _HEADER_BYTES + length
            if length < _LARGEST:
                return 0

    @contextmanager
    def _lost_is_unavailable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pymysql.Error) as error:
            raise self._lost(str(error)) from error

    def _lost(self, reason: str) -> SourceUnavailable:
        return SourceUnavailable(
            f"{self._doing} failed: {reason}.",
            hint="Check source.dsn and that the server runs; capture waits for it.",
        )
