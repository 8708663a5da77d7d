"""A transaction that was compressed as a whole is read in small steps, wherever it is cut."""

import struct
from itertools import pairwise

import pytest
import zstandard

from cdc_sms.errors import LogDecodeError
from cdc_sms.sources.binlog.events import TRANSACTION_PAYLOAD
from cdc_sms.sources.binlog.payload import Payload

WANTED, OTHER = 19, 30


def event(kind: int, content: bytes) -> bytes:
    return struct.pack("<IBIIIH", 0, kind, 1, 19 + len(content), 0, 0) + content


def packet(inner: bytes, compression: int = 0) -> bytes:
    """Return the event in its packet, with a checksum."""
    body = zstandard.compress(inner) if compression == 0 else inner
    fields = (
        bytes([2, 1, compression]) if compression < 251 else bytes([2, 3, 0xFC, compression, 0])
    )
    content = fields + bytes([3, 9, 0xFE]) + struct.pack("<Q", len(inner)) + bytes([0]) + body
    whole = struct.pack(
        "<IBIIIH", 0, TRANSACTION_PAYLOAD, 1, 19 + len(content) + 4, 1000 + len(content), 0
    )
    whole += content + bytes(4)
    return struct.pack("<I", len(whole) + 1) + b"\0" + whole


def read(data: bytes, cut: int) -> list[bytes]:
    """Read the wanted events, given so many bytes at a time."""
    payload = Payload(data, 0, checksum_bytes=4)
    found: list[bytes] = []
    ends = [*range(payload.begin, len(data), cut), len(data)]
    for begin, end in pairwise(ends):
        at, part = 0, data[begin:end]
        while at < len(part):
            at = payload.feed(part, at)
            found += [one for _kind, one in payload.events(lambda kind: kind == OTHER)]
    assert payload.has_ended
    return found


WHOLE = b"".join(
    [event(WANTED, b"one"), event(OTHER, b"x" * 300_000), event(WANTED, b"two" * 50_000)]
)


@pytest.mark.parametrize("cut", [1, 7, 100, 1 << 20])
@pytest.mark.parametrize("compression", [0, 255])
def test_wanted_events_come_whole(cut: int, compression: int) -> None:
    data = packet(WHOLE, compression)
    cut = max(cut, len(data) // 5000)

    assert read(data, cut) == [event(WANTED, b"one"), event(WANTED, b"two" * 50_000)]


def test_what_is_not_wanted_is_let_go() -> None:
    data = packet(b"".join(event(OTHER, b"y" * 1_000_000) for _ in range(50)))
    payload = Payload(data, 0, checksum_bytes=4)

    at, largest = payload.begin, 0
    while not payload.has_ended:
        at = payload.feed(data, at)
        largest = max(largest, len(payload._inner))
        assert not list(payload.events(lambda kind: kind == OTHER))

    assert largest < 20_000_000


def test_other_compressions_are_named() -> None:
    with pytest.raises(LogDecodeError, match=r"unknown way \(7\)"):
        Payload(packet(WHOLE, 7), 0, checksum_bytes=4)


def test_bytes_that_are_no_zstd_are_not_understood() -> None:
    data = packet(WHOLE)
    begin = Payload(data, 0, checksum_bytes=4).begin
    broken = data[:begin] + bytes(len(data) - begin)
    payload = Payload(broken, 0, checksum_bytes=4)

    with pytest.raises(LogDecodeError, match="can't be decompressed"):
        payload.feed(broken, begin)
