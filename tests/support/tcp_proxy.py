"""A TCP proxy that can fail: between us and any server, real connections that really break."""

import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from support.servers.machine import LOOPBACK, free_port

CHUNK_BYTES = 65_536
HELD_BYTES = 1_048_576  # what one direction may hold before its sender feels it


class Mode(Enum):
    """How the proxy treats what passes."""

    FORWARD = auto()
    """Everything passes."""
    DEAF = auto()
    """Connections are accepted and stay open; nothing passes, either way."""
    MUTE = auto()
    """The server hears everything; its answers do not come back."""


class _Direction:
    """One direction of a connection: what was read from ``source`` and is to go to ``sink``."""

    def __init__(self, source: socket.socket, sink: socket.socket, *, is_answer: bool) -> None:
        self.source = source
        self.sink = sink
        self.is_answer = is_answer
        self.held: deque[tuple[float, bytes]] = deque()
        self.held_bytes = 0
        self.has_ended = False

    def passes_in(self, mode: Mode) -> bool:
        return mode is Mode.FORWARD or (mode is Mode.MUTE and not self.is_answer)

    def wants_to_read(self) -> bool:
        return not self.has_ended and self.held_bytes < HELD_BYTES

    def is_due(self, now: float) -> bool:
        return bool(self.held) and self.held[0][0] <= now

    def read(self, due: float) -> bytes:
        chunk = self.source.recv(CHUNK_BYTES)
        self.held.append((due, chunk))
        self.held_bytes += len(chunk)
        self.has_ended = not chunk
        return chunk

    def write(self) -> None:
        due, chunk = self.held.popleft()
        if not chunk:
            self.sink.shutdown(socket.SHUT_WR)
            return
        sent = self.sink.send(chunk)
        self.held_bytes -= sent
        if sent < len(chunk):
            self.held.appendleft((due, chunk[sent:]))


class TcpProxy:
    """Listens on a port of its own and forwards to a server; can be cut, deaf, mute or slow.

    Thread: one of its own owns every socket. Its methods may be called from any thread, and
    return when that thread has done what they say.
    """

    def __init__(self, target_host: str, target_port: int, *, listen_port: int = 0) -> None:
        """Start to forward.

        Args:
            target_host: the server's host.
            target_port: the server's port.
            listen_port: the port to listen on; 0 takes a free one. It stays the same over cuts.
        """
        self.host = LOOPBACK
        self.port = listen_port or free_port()
        self._target = (target_host, target_port)
        self._mode = Mode.FORWARD
        self._delay_s = 0.0
        self._accepted = 0
        self._connections: list[tuple[_Direction, _Direction]] = []
        self._awaited: deque[Callable[[bytes], bool]] = deque()
        self._then = Mode.FORWARD
        self._struck = threading.Event()
        self._listener: socket.socket | None = None
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._is_closed = False
        self._listen()
        self._thread = threading.Thread(target=self._run, name=f"tcp-proxy-{self.port}")
        self._thread.start()

    @property
    def address(self) -> str:
        """``host:port`` for its clients."""
        return f"{self.host}:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections are open through it."""
        return len(self._connections)

    @property
    def accepted(self) -> int:
        """How many connections it has ever accepted."""
        return self._accepted

    def cut(self) -> None:
        """Reset every connection and refuse new ones, until ``restore``."""
        self._order(self._cut)

    def drop_connections(self) -> None:
        """Reset every connection; new ones are accepted and forwarded."""
        self._order(self._reset_all)

    def deaf(self) -> None:
        """Keep and accept connections but forward nothing, either way, until ``restore``."""
        self._order(lambda: self._set_mode(Mode.DEAF))

    def mute(self) -> None:
        """Forward what clients say but not what the server answers, until ``restore``."""
        self._order(lambda: self._set_mode(Mode.MUTE))

    def delay(self, seconds: float) -> None:
        """Hold everything for so long, each way, until ``restore``."""
        self._order(lambda: self._set_delay(seconds))

    def strike(self, *said: Callable[[bytes], bool], then: Mode) -> None:
        """Become deaf or mute at a moment: when a client has said these things, one by one.

        Args:
            said: each is shown what a client sends, chunk by chunk, after the one before it was
                met; one chunk may meet several.
            then: ``DEAF``: the server does not hear the last of them; ``MUTE``: it hears it, and
                its answer does not come back.
        """
        self._order(lambda: self._arm(said, then))

    @property
    def has_struck(self) -> bool:
        """Tell whether that moment has come."""
        return self._struck.is_set()

    def restore(self) -> None:
        """Forward everything at once again; what was held in the meantime goes on its way."""
        self._order(self._restore)

    def close(self) -> None:
        """End every connection and its thread."""
        if self._thread.is_alive():
            self._order(self._close)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    # From here on: the proxy's own thread.

    def _order(self, act: Callable[[], None]) -> None:
        done = threading.Event()

        def acted() -> None:
            try:
                act()
            finally:
                done.set()

        self._orders.put(acted)
        self._wake_out.send(b"!")
        done.wait()

    def _run(self) -> None:
        while not self._is_closed:
            with selectors.DefaultSelector() as selector:
                self._register(selector)
                ready = selector.select(self._time_to_next_due())
            for key, events in ready:
                act: Callable[[int], None] = key.data
                act(events)
        self._wake_in.close()
        self._wake_out.close()

    def _register(self, selector: selectors.BaseSelector) -> None:
        selector.register(self._wake_in, selectors.EVENT_READ, lambda _: self._obey())
        if self._listener:
            selector.register(self._listener, selectors.EVENT_READ, lambda _: self._accept())
        now = time.monotonic()
        for pair in self._connections:
            for direction, opposite in (pair, pair[::-1]):
                self._register_socket(selector, now, pair, direction, opposite)

    def _register_socket(
        self,
        selector: selectors.BaseSelector,
        now: float,
        pair: tuple[_Direction, _Direction],
        reads: _Direction,
        writes: _Direction,
    ) -> None:
        """Watch one socket: the source of one direction, the sink of the other."""
        events = 0
        if reads.passes_in(self._mode) and reads.wants_to_read():
            events |= selectors.EVENT_READ
        if writes.passes_in(self._mode) and writes.is_due(now):
            events |= selectors.EVENT_WRITE
        if events:
            selector.register(
                reads.source, events, lambda happened: self._move(pair, reads, writes, happened)
            )

    def _time_to_next_due(self) -> float | None:
        now = time.monotonic()
        waits = [
            direction.held[0][0] - now
            for pair in self._connections
            for direction in pair
            if direction.held and direction.passes_in(self._mode)
        ]
        return max(0.0, min(waits)) if waits else None

    def _obey(self) -> None:
        self._wake_in.recv(CHUNK_BYTES)
        while not self._orders.empty():
            self._orders.get()()

    def _accept(self) -> None:
        if self._listener is None:  # cut by an order of this very round
            return
        client, _ = self._listener.accept()
        self._accepted += 1
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            _reset(client)
            return
        for end in (client, server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.append(
            (
                _Direction(client, server, is_answer=False),
                _Direction(server, client, is_answer=True),
            )
        )

    def _move(
        self,
        pair: tuple[_Direction, _Direction],
        reads: _Direction,
        writes: _Direction,
        happened: int,
    ) -> None:
        if pair not in self._connections:  # cut by an order of this very round
            return
        try:
            if happened & selectors.EVENT_READ:
                chunk = reads.read(time.monotonic() + self._delay_s)
                if not reads.is_answer:
                    self._heed(chunk)
            if happened & selectors.EVENT_WRITE and writes.passes_in(self._mode):
                writes.write()
        except BlockingIOError:
            return
        except OSError:
            self._reset_pair(pair)
            return
        if all(direction.has_ended and not direction.held for direction in pair):
            self._connections.remove(pair)
            for direction in pair:
                direction.source.close()

    def _arm(self, said: tuple[Callable[[bytes], bool], ...], then: Mode) -> None:
        self._awaited, self._then = deque(said), then
        self._struck.clear()

    def _heed(self, chunk: bytes) -> None:
        if not self._awaited:
            return
        while self._awaited and self._awaited[0](chunk):
            self._awaited.popleft()
        if not self._awaited:
            self._mode = self._then
            self._struck.set()

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(128)
        self._listener = listener

    def _set_mode(self, mode: Mode) -> None:
        self._mode = mode

    def _set_delay(self, seconds: float) -> None:
        self._delay_s = seconds

    def _restore(self) -> None:
        self._mode = Mode.FORWARD
        self._awaited.clear()
        self._delay_s = 0.0
        for pair in self._connections:
            for direction in pair:
                direction.held = deque((0.0, chunk) for _, chunk in direction.held)
        if self._listener is None:
            self._listen()

    def _cut(self) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None
        self._reset_all()

    def _reset_all(self) -> None:
        for pair in list(self._connections):
            self._reset_pair(pair)

    def _reset_pair(self, pair: tuple[_Direction, _Direction]) -> None:
        self._connections.remove(pair)
        for direction in pair:
            _reset(direction.source)

    def _close(self) -> None:
        self._cut()
        self._is_closed = True


def _reset(connection: socket.socket) -> None:
    """Close a connection so that its other end sees a reset, not an orderly end."""
    linger_for_nothing = struct.pack("ii", 1, 0)  # socket(7), SO_LINGER
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_nothing)
    connection.close()
