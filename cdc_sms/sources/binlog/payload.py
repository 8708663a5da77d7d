"""A transaction that MySQL compressed as a whole, read bit by bit. Pure.

It may be larger than memory should be, compressed or not: so it is decompressed in small steps, and
what is behind a step is let go.

Source: MySQL source documentation, ``Transaction_payload_event``; the events in it have headers,
but neither packets around them nor checksums.
"""

import struct
from collections.abc import Callable, Iterator

import zstandard

from cdc_sms.errors import LogDecodeError
from cdc_sms.sources.binlog.events import HEADER_BYTES, header, payload

_U32 = struct.Struct("<I")
_PACKET_BYTES = 4
_LARGEST = 0xFFFFFF

SMALLEST_STEP_BYTES, LARGEST_STEP_BYTES = 64, 1024
"""So much is decompressed at once: a block of zstd is 128 KiB, and 20 bytes may hold one."""

_USUAL_BYTES = 1 << 16
"""The step grows as long as no more comes out of it."""


class Payload:
    """One such event, from its packet's begin to its end.

    Args:
        data: holds the event's header and fields.
        at: where its packet begins.
        checksum_bytes: how many stand behind its content.

    Attributes:
        begin: where in ``data`` its content begins.
        position: where in the file it begins.
        end: where in the file it ends.

    Thread: one owner.
    """

    def __init__(self, data: bytes, at: int, *, checksum_bytes: int) -> None:
        length = _U32.unpack_from(data, at)[0] & _LARGEST
        event_at = at + _PACKET_BYTES + 1
        found = header(data, event_at)
        self.begin, is_compressed = payload(data, event_at)
        self.position, self.end = found.end - found.size, found.end
        self._content_left = found.size - (self.begin - event_at) - checksum_bytes
        self._packet_left = at + _PACKET_BYTES + length - self.begin
        self._continues: bool = length == _LARGEST
        self._step = SMALLEST_STEP_BYTES
        decompressor = zstandard.ZstdDecompressor()
        self._decompress: Callable[[bytes], bytes] = (
            decompressor.decompressobj(read_across_frames=True).decompress
            if is_compressed
            else bytes
        )
        self._inner = bytearray()
        self._skip = 0

    @property
    def has_ended(self) -> bool:
        """Say whether all of it was read."""
        return not (self._packet_left or self._continues)

    def feed(self, data: bytes, at: int) -> int:
        """Decompress some of what follows; return where that ends.

        Raises:
            LogDecodeError: it can't be decompressed.
        """
        if not self._packet_left and self._continues:
            if len(data) - at < _PACKET_BYTES:
                return at
            length = _U32.unpack_from(data, at)[0] & _LARGEST
            self._packet_left, self._continues = length, length == _LARGEST
            at += _PACKET_BYTES
        size: int = min(self._packet_left, len(data) - at)
        if self._content_left:
            size = min(size, self._content_left, self._step)
            self._inflate(data[at : at + size])
            self._content_left -= size
        self._packet_left -= size
        return at + size

    def _inflate(self, part: bytes) -> None:
        try:
            inflated = self._decompress(part)
        except zstandard.ZstdError as error:
            raise LogDecodeError(
                "A compressed transaction of the log can't be decompressed.",
                hint="Report it with the server's version.",
            ) from error
        self._inner += inflated
        is_usual = len(inflated) <= _USUAL_BYTES
        self._step = min(2 * self._step, LARGEST_STEP_BYTES) if is_usual else SMALLEST_STEP_BYTES

    def is_starved(self, data: bytes, at: int) -> bool:
        """Say whether more has to be received before it can go on."""
        rest = len(data) - at
        return rest == 0 or (not self._packet_left and self._continues and rest < _PACKET_BYTES)

    def events(self, is_skipped: Callable[[int], bool]) -> Iterator[tuple[int, bytes]]:
        """Return type and bytes of each whole event that is there now.

        Args:
            is_skipped: asked for a type: such events are left out, and needn't be there whole.
        """
        inner = self._inner
        at = 0
        while True:
            dropped = min(self._skip, len(inner) - at)
            at += dropped
            self._skip -= dropped
            if self._skip or len(inner) - at < HEADER_BYTES:
                break
            size = _U32.unpack_from(inner, at + 9)[0]
            kind = inner[at + 4]
            if is_skipped(kind):
                self._skip = size
                continue
            if len(inner) - at < size:
                break
            yield kind, bytes(inner[at : at + size])
            at += size
        del inner[:at]
