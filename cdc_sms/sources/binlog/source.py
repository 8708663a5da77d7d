"""MySQL and MariaDB as a source: their binlog, read as a replica reads it, by one owner.

The server keeps no position of ours: it is kept where :class:`~cdc_sms.sources.base.Positions` has
it, and written when everything before it is safe. One reader at a time holds a lock on the server.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial

from cdc_sms.config.settings import CaptureSettings, SourceSettings, TableSettings
from cdc_sms.errors import LogDecodeError, PositionLost, SourceError, SourceUnavailable
from cdc_sms.model.clock import Clock
from cdc_sms.sources.base import Batch, Found, LogState, Positions, Start
from cdc_sms.sources.binlog import server as servers
from cdc_sms.sources.binlog.connection import Connection, close, connect, thread_of
from cdc_sms.sources.binlog.dictionary import Dictionary
from cdc_sms.sources.binlog.facts import read_facts
from cdc_sms.sources.binlog.gtid import Gtids
from cdc_sms.sources.binlog.inspection import HEARTBEATS, raise_findings
from cdc_sms.sources.binlog.position import BinlogPosition
from cdc_sms.sources.binlog.reach import reach
from cdc_sms.sources.binlog.replica import HEARTBEAT_S, chosen_id, dump, register
from cdc_sms.sources.binlog.scan import changes_table
from cdc_sms.sources.binlog.server import Server
from cdc_sms.sources.binlog.snapshot import Snapshot
from cdc_sms.sources.binlog.statements import Reader
from cdc_sms.sources.binlog.stream import CHANGED_TABLE_HINT, Stream, Watched
from cdc_sms.sources.binlog.watch import Watch, held_by_another, is_held, lock_name
from cdc_sms.sources.binlog.wire import Wire
from cdc_sms.sources.pace import Pace

logger = logging.getLogger(__name__)

SILENCE_S = 4.0 * HEARTBEAT_S
"""How long a server that owes us a heartbeat may be silent; seconds."""

ECHO_S = 10.0
"""How long after its commit a heartbeat must have come by an idle stream; seconds."""

HEARTBEAT_BYTES = 300
"""A heartbeat of the server's is no longer; what is longer is a part of the log."""

SAVE_S = 0.25
"""How soon a position behind rows of ours is saved after the one before; seconds."""

FOREIGN_S = 1.0
"""The same where only other tables were written; seconds."""

LITTLE_BYTES = 1 << 13
"""Less at a time is left to collect; TLS gives no more than 16 KiB."""


class BinlogSource:
    """The log of one table.

    Args:
        source: where the server is.
        table: the table whose rows are captured.
        capture: the reader's name, and how it reads.
        ledger_schema: the database of the table of heartbeats.
        positions: where the reader's position is kept.
        clock: times what is sent to the server.

    Thread: one owner.
    """

    def __init__(
        self,
        *,
        source: SourceSettings,
        table: TableSettings,
        capture: CaptureSettings,
        ledger_schema: str,
        positions: Positions,
        clock: Clock,
    ) -> None:
        self._source = source
        self._table = table
        self._capture = capture
        self._ledger_schema = ledger_schema
        self._positions = positions
        self._clock = clock

    def inspect(self) -> Found:
        """Look at what is there, change nothing; see :class:`~cdc_sms.sources.base.Source`."""
        with ExitStack() as opened:
            connection = self._connect(opened)
            facts = read_facts(
                connection,
                source=self._source,
                table=self._table,
                ledger_schema=self._ledger_schema,
            )
            raise_findings(facts, self._table, self._capture)
            if is_held(connection, lock_name(self._ledger_schema, self._capture.slot)):
                raise held_by_another(self._capture.slot)
            saved = self._saved()
            if saved is None or facts.end is None:
                return Found(LogState.ABSENT)
            return reach(facts.server, facts.end, servers.files(connection), saved)

    def acquire(self, start: Start) -> "BinlogLog":
        """Take the log and begin to read it; see :class:`~cdc_sms.sources.base.Source`."""
        with ExitStack() as opened:
            queries = self._connect(opened)
            server = servers.describe(queries)
            named = servers.table_as_named(queries, self._table)
            if named is None:
                raise SourceUnavailable(
                    f"The table {self._table.name} is gone.",
                    hint="Capture looks at the server anew by itself.",
                )
            watch = self._watch(queries)
            position, snapshot = self._begin(start, opened, queries, server, named, watch)
            reading = _Reading(
                source=self._source,
                server=server,
                server_id=chosen_id(
                    queries, server, wanted=self._capture.server_id, name=self._capture.slot
                ),
                watched=Watched(
                    schema=named[0],
                    table=named[1],
                    ledger_schema=self._ledger_schema,
                    heartbeats=HEARTBEATS,
                    slot=self._capture.slot,
                    reads_updates=self._capture.becomes_pending,
                ),
                charsets=servers.charsets(queries, server),
            )
            if start in (Start.NEW_SNAPSHOT, Start.NEW_STREAM):
                with suppress(LogDecodeError):  # it is being changed: looked up when rows come
                    place = (position.file, position.offset)
                    alive = partial(self._keep_alive, watch, place)
                    table = reading.look_up(*place, certainly=True, keep_alive=alive)
                    position = position.moved(table=table)
                self._positions.save(position.to_text())
                facts = {"file": position.file, "offset": position.offset}
                logger.info("position.created", extra=facts)
            return BinlogLog(
                position,
                reading=reading,
                snapshot=snapshot,
                watch=watch,
                positions=self._positions,
                clock=self._clock,
                connections=opened.pop_all(),
            )

    def _keep_alive(self, watch: Watch, place: tuple[str, int]) -> None:
        file, offset = place
        watch.tick(self._clock.monotonic_s(), file=file, offset=offset, is_silent=False)

    def _begin(
        self,
        start: Start,
        opened: ExitStack,
        queries: Connection,
        server: Server,
        named: tuple[str, ...],
        watch: Watch,
    ) -> tuple[BinlogPosition, Snapshot | None]:
        """Fix where the stream begins, then the snapshot, so that no row is in neither."""
        now_s = self._clock.monotonic_s()
        position = None
        if start is Start.NEW_SNAPSHOT:
            position = self._end(queries, server)
        # What is logged before this commit is visible behind it: commits become visible in the
        # order of the log. So a row that a snapshot from here on doesn't show is logged later than
        # the position, and a row may be in both.
        watch.beat(now_s)
        if position is not None and not server.is_mariadb:
            # what was logged and not yet done when the place was read is done now; the snapshot
            # shows what came between
            end = self._end(queries, server)
            position = position.moved(gtids=end.gtids)
        if start is Start.NEW_STREAM:
            position = self._end(queries, server)
        elif start in (Start.STREAM, Start.SNAPSHOT):
            position = self._saved()
        if position is None:
            raise PositionLost(
                f"There is no position of {self._capture.slot}.",
                hint="A new one is made, and pending rows are captured.",
            )
        if start in (Start.STREAM, Start.NEW_STREAM):
            return position, None
        snapshot = self._snapshot(opened, server, (named[0], named[1]))
        if start is Start.NEW_SNAPSHOT and server.is_mariadb and snapshot.file:
            position = self._at(queries, server, snapshot)
        found = servers.dictionary(queries, named[0], named[1])
        assert found is not None, "the inspection has shown that it is there"
        snapshot.begin(found)
        return position, snapshot

    def _snapshot(self, opened: ExitStack, server: Server, names: tuple[str, str]) -> Snapshot:
        connection = self._connect(opened)
        return Snapshot(connection, server=server, table=self._table, names=names)

    def _end(self, queries: Connection, server: Server) -> BinlogPosition:
        end = servers.end_of_log(queries, server)
        if end is None:
            raise SourceUnavailable(
                "The server writes no binlog now.",
                hint="Capture looks at the server anew by itself.",
            )
        return BinlogPosition(server.identity, end.file, end.offset, gtids=end.gtids)

    def _at(self, queries: Connection, server: Server, snapshot: Snapshot) -> BinlogPosition:
        """Return the snapshot's own place in the log, which MariaDB tells."""
        gtids = servers.gtids_at(queries, snapshot.file, snapshot.offset)
        return BinlogPosition(server.identity, snapshot.file, snapshot.offset, gtids=gtids)

    def _watch(self, queries: Connection) -> Watch:
        watch = Watch(
            queries,
            ledger_schema=self._ledger_schema,
            slot=self._capture.slot,
            beat_every_s=self._capture.heartbeat_s,
        )
        watch.take_lock(self._clock.monotonic_s())
        return watch

    def _saved(self) -> BinlogPosition | None:
        text = self._positions.load()
        if text is None:
            return None
        try:
            return BinlogPosition.from_text(text)
        except ValueError as error:
            raise LogDecodeError(
                f"The position that was saved for {self._capture.slot} is not understood.",
                hint="Start once with the version that wrote it.",
            ) from error

    def _connect(self, opened: ExitStack) -> Connection:
        connection = connect(self._source)
        opened.callback(close, connection)
        return connection


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is needed to open the stream and to look things up on the way."""

    source: SourceSettings
    server: Server
    server_id: int
    watched: Watched
    charsets: dict[int, str]

    def open(
        self, position: BinlogPosition, opened: ExitStack, keep_alive: Callable[[], None]
    ) -> tuple[Wire, Stream, int]:
        """Begin the stream; return also the number of the server's thread that sends it."""
        connection = connect(self.source)
        opened.callback(close, connection)
        register(connection, self.server_id)
        wire = dump(connection, self.server, position, server_id=self.server_id)
        stream = Stream(
            position,
            watched=self.watched,
            charsets=self.charsets,
            lookup=partial(self.look_up, keep_alive=keep_alive),
            server=self.server.identity,
            mariadb=self.server.is_mariadb,
            has_checksums=self.server.has_checksums,
        )
        return wire, stream, thread_of(connection)

    def look_up(
        self, file: str, offset: int, *, certainly: bool, keep_alive: Callable[[], None]
    ) -> Dictionary | None:
        """Read the table's present columns; see :data:`~cdc_sms.sources.binlog.stream.Lookup`.

        To be certain may take as long as reading the log up to its end: ``keep_alive`` is called
        all the while.
        """
        watched = self.watched
        with ExitStack() as opened:
            connection = connect(self.source)
            opened.callback(close, connection)
            found = servers.dictionary(connection, watched.schema, watched.table)
            end = servers.end_of_log(connection, self.server)
            if not certainly or end is None:
                return found
            server_id = chosen_id(connection, self.server, wanted=None, name="scan")
            register(connection, server_id)
            place = BinlogPosition(self.server.identity, file, offset)
            wire = dump(connection, self.server, place, server_id=server_id, waits=False)
            reader = Reader(watched.schema, watched.table, reads_updates=False)
            if changes_table(
                wire,
                reader,
                until=end,
                has_checksums=self.server.has_checksums,
                keep_alive=keep_alive,
            ):
                raise LogDecodeError(
                    f"{watched.table} was changed again behind {file}:{offset}, and the log "
                    "doesn't describe the rows between.",
                    hint=CHANGED_TABLE_HINT,
                )
        return found


@dataclass(slots=True)
class _Mark:
    """A position that may be confirmed."""

    position: BinlogPosition
    gtids: Gtids
    is_ours: bool


class BinlogLog:
    """The log while we hold the lock: the snapshot's rows first, then the stream.

    Args:
        position: where the stream begins.
        reading: opens it.
        snapshot: begun; None where none is wanted.
        watch: holds the lock.
        positions: where the position is kept.
        clock: times what is sent.
        connections: closed with the log.

    Thread: one owner.
    """

    def __init__(
        self,
        position: BinlogPosition,
        *,
        reading: _Reading,
        snapshot: Snapshot | None,
        watch: Watch,
        positions: Positions,
        clock: Clock,
        connections: ExitStack,
    ) -> None:
        self._begin_at = position
        self._reading = reading
        self._snapshot = snapshot
        self._watch = watch
        self._positions = positions
        self._clock = clock
        self._connections = connections
        self._gtids: Gtids = reading.server.gtids(position.gtids)
        self._wire: Wire | None = None
        self._stream: Stream | None = None
        self._marks: deque[_Mark] = deque()
        self._owes_mark = False
        self._unsaved: _Mark | None = None
        self._marked_s = self._saved_s = self._heard_s = clock.monotonic_s()
        self._pace = Pace()
        self._place = self._confirmed_place = (position.file, position.offset)
        self._moved_s = self._heard_s
        self._missed_s: float | None = None
        self._heard_bytes = 0

    @property
    def lag_bytes(self) -> int | None:
        """Return how much of the log is behind what was read; None until it is known."""
        return self._watch.lag_bytes

    @property
    def place(self) -> str:
        """Return file and offset up to which the log is confirmed."""
        file, offset = self._confirmed_place
        return f"{file}:{offset}"

    def read(self, *, wait_s: float) -> Batch:
        """Return what is there; see :class:`~cdc_sms.sources.base.Log`."""
        if self._snapshot is not None:
            batch = self._snapshot.read(wait_s=wait_s)
            if batch.ends_snapshot:
                self._snapshot.close()
                self._snapshot = None
            self.keep_alive()
            return batch
        batch = self._read_stream(wait_s)
        self._speak()
        self._judge_silence()
        return batch

    def confirm(self, position: int) -> None:
        """Say that everything before the position is safe; saved soon."""
        while self._marks and self._marks[0].position.coordinate <= position:
            mark = self._marks.popleft()
            self._gtids.update(mark.gtids)
            if self._unsaved is not None:
                mark.is_ours |= self._unsaved.is_ours
            self._unsaved = mark
        self._save_if_due()

    def keep_alive(self) -> None:
        """Tell the server that we live, though nothing is read from the stream now."""
        # it can't be heard: that is no silence
        self._heard_s = self._moved_s = self._clock.monotonic_s()
        self._speak()

    def close(self) -> None:
        """Save what is safe and let the lock go."""
        with suppress(SourceError):
            self._save(self._clock.monotonic_s())
        self._connections.close()

    # the stream

    def _read_stream(self, wait_s: float) -> Batch:
        wire, stream = self._opened()
        batch = Batch()
        until_s = self._clock.monotonic_s() + wait_s
        is_first = True
        while True:
            wire.at = stream.take(wire.data, wire.at, batch)
            if stream.is_refused:
                self._refuse(wire)
            wire.skip(stream.skip)
            if (
                batch.rows
                or batch.heartbeat
                or batch.doubt
                or (self._owes_mark and stream.has_moved())
            ):
                break
            now_s = self._clock.monotonic_s()
            if now_s >= until_s and not is_first:
                break
            is_first = False
            has_more = wire.receive(max(until_s - now_s, 0.0), missing=max(stream.missing, 1))
            self._hear(wire)
            if not has_more:
                break
            is_little = len(wire.data) - wire.at < LITTLE_BYTES
            if nap_s := self._pace.nap_s(self._clock.monotonic_s(), is_little=is_little):
                time.sleep(nap_s)
        self._finish(batch, stream)
        return batch

    def _opened(self) -> tuple[Wire, Stream]:
        """Return the stream; it begins with the first read behind the snapshot."""
        if self._wire is None or self._stream is None:
            opened = self._reading.open(self._begin_at, self._connections, self.keep_alive)
            self._wire, self._stream, sender = opened
            self._watch.follow(sender)
            self._heard_s = self._clock.monotonic_s()
        return self._wire, self._stream

    def _hear(self, wire: Wire) -> None:
        """Take note of what came, be it a part of something large that nobody wants."""
        came = wire.received_bytes - self._heard_bytes
        if not came:
            return
        self._heard_bytes = wire.received_bytes
        self._heard_s = self._clock.monotonic_s()
        if came > HEARTBEAT_BYTES:
            self._moved_s = self._heard_s

    def _finish(self, batch: Batch, stream: Stream) -> None:
        """Say how far the log may be confirmed when the batch is safe."""
        now_s = self._clock.monotonic_s()
        if self._place != (stream.file, stream.offset):
            self._place, self._moved_s = (stream.file, stream.offset), now_s
        has_ours = bool(batch.rows) or batch.heartbeat is not None or self._owes_mark
        if stream.has_moved() and (has_ours or now_s - self._marked_s >= FOREIGN_S):
            position, gtids = stream.mark()
            self._note(_Mark(position, gtids, is_ours=has_ours))
            batch.position = position.coordinate
            self._marked_s = now_s
            self._owes_mark = False
        elif batch.rows:
            self._owes_mark = True
        if batch.rows:
            committed_s = stream.committed_us / 1_000_000
            batch.age_s = max(0.0, self._clock.now().timestamp() - committed_s)

    def _note(self, mark: _Mark) -> None:
        """Keep a mark until it is confirmed; while the broker is away foreign ones are one."""
        last = self._marks[-1] if self._marks else None
        if last is None or last.is_ours or mark.is_ours:
            self._marks.append(mark)
            return
        last.position = mark.position
        last.gtids.update(mark.gtids)

    def _refuse(self, wire: Wire) -> None:
        """Raise what the server ended the stream with."""
        packet = wire.packet(1.0)
        raise (packet and wire.refused(packet)) or SourceUnavailable(
            "Reading the log failed: the server ended the stream.",
            hint="Nothing needs to be done: capture begins again by itself.",
        )

    # what is said to the server and to the store of positions

    def _speak(self) -> None:
        now_s = self._clock.monotonic_s()
        file, offset = self._place
        is_silent = now_s - self._heard_s > SILENCE_S / 2
        self._watch.tick(now_s, file=file, offset=offset, is_silent=is_silent)
        self._save_if_due()

    def _save_if_due(self) -> None:
        mark = self._unsaved
        if mark is None:
            return
        now_s = self._clock.monotonic_s()
        if now_s - self._saved_s >= (SAVE_S if mark.is_ours else FOREIGN_S):
            self._save(now_s)

    def _save(self, now_s: float) -> None:
        """Save what was confirmed, as long as nobody else can be reading."""
        mark = self._unsaved
        if mark is None or not self._watch.holds_lock(now_s):
            return
        self._positions.save(mark.position.moved(gtids=str(self._gtids)).to_text())
        self._confirmed_place = (mark.position.file, mark.position.offset)
        self._unsaved = None
        self._saved_s = now_s

    def _judge_silence(self) -> None:
        now_s = self._clock.monotonic_s()
        silent_s = now_s - self._heard_s
        if silent_s > SILENCE_S and not self._watch.sees_work(now_s):
            raise SourceUnavailable(
                f"Reading the log failed: the server was silent for {silent_s:.0f} s.",
                hint="Check the network between capture and the server.",
            )
        self._judge_echo(now_s)

    def _judge_echo(self, now_s: float) -> None:
        """Miss a heartbeat: a server whose log was reset sends the former one's end for ever."""
        if self._watch.committed_s <= self._moved_s:
            self._missed_s = None
        elif self._missed_s is None:
            self._missed_s = self._watch.committed_s
        elif self._missed_s < now_s - ECHO_S and not self._watch.sees_work(now_s):
            raise SourceUnavailable(
                f"A heartbeat that was committed {now_s - self._missed_s:.0f} s ago is not in the "
                "log that the server sends.",
                hint="Nothing needs to be done: capture looks at the server anew by itself.",
            )
