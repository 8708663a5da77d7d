"""``replay``: records of the outbox produced again at its end; the ledger decides what is sent.

Nothing is sent by this: a message that the ledger knows as sent, in doubt or under way is left
alone here, and would be by the claim too. Group offsets stay as they are.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from cdc_sms.config.settings import Sections
from cdc_sms.databases.act_lock import ActLock
from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.control import MEMORY, Control
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.reading import read_only
from cdc_sms.envelope.row_key import NoMessage, RowKey, RowKeys
from cdc_sms.errors import ActRefused, BrokerUnavailable, EnvelopeError
from cdc_sms.kafka.headers import REPLAYED, without_ours
from cdc_sms.kafka.reading import FoundRecord, bounds_of, offsets_at, records_between
from cdc_sms.model.acts import DROPPED, is_in_doubt, replayed
from cdc_sms.model.business_row import BusinessRow
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.memory import Memory
from cdc_sms.model.state import State
from cdc_sms.operate.acting import BATCH, Acting, Step, long_act
from cdc_sms.operate.dead_letters import PAGE, in_pages
from cdc_sms.operate.emitting import Emitter

COMMAND = "replay"
INCLUDABLE = (State.FAILED, State.CANCELLED, State.EXPIRED)
"""States whose messages a replay opens again, where a person names them."""

FLUSH_S = 10.0

PAGE_BYTES = 16 * 1024 * 1024
"""Of records that are looked at together: each may be as large as its topic allows."""

REPEATED = "the same row again"
SEND = "would be sent"
HELD = "would be held"
OPEN = "opened again"
_PRODUCED = frozenset({SEND, HELD, OPEN})

Spans = Mapping[int, tuple[int, int]]
"""By partition the offsets: from the first, up to and without the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which records, as a person names them: from an offset of one partition, or from a time.

    Attributes:
        offset: partition and offset of the first.
        to_offset: the same of the one after the last; None: the end.
        since: produced at this time or later, in all partitions; aware.
        until: produced before this time; None: to the end.
        include: states whose messages are opened again.
    """

    offset: tuple[int, int] | None = None
    to_offset: tuple[int, int] | None = None
    since: datetime | None = None
    until: datetime | None = None
    include: frozenset[State] = frozenset()

    def as_details(self) -> dict[str, Any]:
        """Return what the audit record says."""
        given = {
            "from_offset": self.offset and f"{self.offset[0]}:{self.offset[1]}",
            "to_offset": self.to_offset and f"{self.to_offset[0]}:{self.to_offset[1]}",
            "from_time": self.since,
            "to_time": self.until,
            "include": sorted(self.include),
        }
        return {name: value for name, value in given.items() if value}


@dataclass(slots=True)
class Tally:
    """What a replay would do, or did.

    Attributes:
        produced: records by what comes of them.
        left: records that are left alone, by reason.
        refused: messages that changed between the look and the act.
    """

    produced: Counter[str] = field(default_factory=Counter[str])
    left: Counter[str] = field(default_factory=Counter[str])
    refused: int = 0

    @property
    def records(self) -> int:
        """Return how many records were looked at, but for those that changed meanwhile."""
        return self.produced.total() + self.left.total()

    def as_value(self) -> dict[str, Any]:
        """Return it for JSON and the audit record."""
        return {
            "produced": dict(self.produced),
            "left": dict(self.left),
            "refused": self.refused,
        }


# ---- which records -------------------------------------------------------------------------------


def find_spans(sections: Sections, wanted: Wanted, *, wait_s: float) -> Spans:
    """Return the offsets that are meant, as far as the outbox's end is now.

    Raises:
        ActRefused: a time in the future, an offset that isn't there, no such partition.
        BrokerUnavailable: no broker answers.
    """
    now = datetime.now(UTC)
    for name, moment in (("--from-time", wanted.since), ("--to", wanted.until)):
        if moment is not None and moment > now:
            raise ActRefused(f"{name} is in the future.", hint="Times without a zone are in UTC.")
    bounds = bounds_of(sections.kafka, sections.kafka.outbox, wait_s=wait_s)
    if wanted.offset is not None:
        return _offset_span(bounds, wanted.offset, wanted.to_offset)
    if wanted.since is None:
        raise ActRefused("Nothing says where to begin.", hint="Give --from-offset or --from-time.")
    if wanted.until is not None and wanted.until <= wanted.since:
        raise ActRefused("--to is not after --from-time.", hint="Give a later time, or leave it.")
    starts = offsets_at(sections.kafka, sections.kafka.outbox, wanted.since, wait_s=wait_s)
    ends = {p: end for p, (_, end) in bounds.items()}
    if wanted.until is not None:
        until = offsets_at(sections.kafka, sections.kafka.outbox, wanted.until, wait_s=wait_s)
        ends = {p: min(end, until.get(p, end)) for p, end in ends.items()}
    return {p: (starts.get(p, end), end) for p, end in ends.items()}


def _offset_span(bounds: Spans, start: tuple[int, int], to: tuple[int, int] | None) -> Spans:
    partition, offset = start
    if partition not in bounds:
        raise ActRefused(
            f"The outbox has no partition {partition}.",
            hint=f"Its partitions are 0 to {max(bounds)}.",
        )
    first, end = bounds[partition]
    if offset < first:
        raise ActRefused(
            f"Offset {partition}:{offset} is gone from the outbox: its retention removed it.",
            hint=f"The first that there is: {partition}:{first}."
            if first < end
            else "The partition is empty.",
        )
    if offset >= end:
        raise ActRefused(
            f"Offset {partition}:{offset} is beyond the end of the outbox.",
            hint=f"The last that there is: {partition}:{end - 1}."
            if first < end
            else "The partition is empty.",
        )
    if to is None:
        return {partition: (offset, end)}
    if to[0] != partition or not offset < to[1] <= end:
        raise ActRefused(
            f"--to {to[0]}:{to[1]} doesn't end a range that begins at {partition}:{offset}.",
            hint=f"Give {partition}:{offset + 1} to {partition}:{end}, the first one left out.",
        )
    return {partition: (offset, to[1])}


# ---- what comes of them --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Judged:
    record: FoundRecord
    verdict: str
    key_text: str = ""
    message: Delivery | None = None


class Replay:
    """Looks at ranges of the outbox, and produces what would come to something again.

    Thread: one.

    Args:
        engine: where the ledger is.
        sections: the configuration.
        table: the mapped table.
    """

    def __init__(self, engine: Engine, sections: Sections, *, table: BusinessTable) -> None:
        self._engine = engine
        self._sections = sections
        self._row_keys = row_keys(sections, table)
        self._table = table

    def preview(self, wanted: Wanted, spans: Spans, *, tell: Callable[[int], None]) -> Tally:
        """Count what would come of the records; nothing is changed.

        Args:
            wanted: which, and what is opened again.
            spans: from :func:`find_spans`.
            tell: is told how many were looked at.

        Raises:
            BrokerUnavailable: no broker answers.
            DatabaseUnavailable: the database can't be reached now.
        """
        tally = Tally()
        for page in self._pages(wanted, spans):
            _count(tally, page)
            tell(tally.records)
        return tally

    def carry_out(
        self,
        lock: ActLock,
        wanted: Wanted,
        spans: Spans,
        *,
        wait_s: float,
        tell: Callable[[int], None],
    ) -> Tally:
        """Open what is included, and produce the records again; may be interrupted, and repeated.

        Args:
            lock: held since before the preview.
            wanted: as it was shown.
            spans: the same; what was produced since is not looked at.
            wait_s: how long a broker may take; seconds.
            tell: is told how many records were produced.

        Raises:
            BrokerUnavailable: the rest is not produced: give it again.
            DatabaseUnavailable: the same.
        """
        tally = Tally()
        kafka = self._sections.kafka
        with (
            long_act(self._engine, COMMAND, details=wanted.as_details()) as outcome,
            Emitter(kafka) as emitter,
        ):
            for page in self._pages(wanted, spans):
                lock.check()
                ready = self._opened(page, tally)
                for one in ready:
                    place = f"{one.record.partition}:{one.record.offset}".encode()
                    headers = [*without_ours(one.record.headers), (REPLAYED, place)]
                    emitter.produce(key=one.record.key, value=one.record.value, headers=headers)
                if emitter.flush(max(wait_s, FLUSH_S)):
                    raise BrokerUnavailable(
                        "The broker didn't take the records in time.",
                        hint="Give the command again when it answers: nothing is sent twice.",
                    )
                _count(tally, ready)
                tell(tally.produced.total())
            outcome.update(tally.as_value())
        return tally

    def _opened(self, page: Sequence[_Judged], tally: Tally) -> list[_Judged]:
        """Open the included messages; return the page without those that changed meanwhile."""
        wanted = [one for one in page if one.verdict == OPEN]
        for some in in_pages(wanted, BATCH):
            acted = Acting(self._engine).some(COMMAND, [_step(one) for one in some])
            tally.refused += len(acted.refused)
            refused = {one.target for one in acted.refused}
            page = [one for one in page if one.message is None or one.message.id not in refused]
        for one in page:
            if one.verdict not in _PRODUCED:
                tally.left[one.verdict] += 1
        return [one for one in page if one.verdict in _PRODUCED]

    def _pages(self, wanted: Wanted, spans: Spans) -> Iterator[list[_Judged]]:
        """Judge the records by pages; of those of one key that come to something, the first."""
        # whole keys would be a memory that grows with them
        done: set[bytes] = set()
        outbox = self._sections.kafka.outbox
        for page in _pages_of(records_between(self._sections.kafka, outbox, spans)):
            judged = list[_Judged]()
            for one in self._judged(page, wanted.include):
                if one.verdict in _PRODUCED:
                    digest = hashlib.blake2b(one.key_text.encode(), digest_size=16).digest()
                    if digest in done:
                        judged.append(_Judged(one.record, REPEATED))
                        continue
                    done.add(digest)
                judged.append(one)
            yield judged

    def _judged(self, page: Sequence[FoundRecord], include: frozenset[State]) -> list[_Judged]:
        """Say what comes of each record, by one look at the ledger and the table."""
        asked = [(record, self._asked(record)) for record in page]
        keys = {one.key_text: one.key for _, one in asked if isinstance(one, RowKey)}

        def work(connection: Connection) -> list[_Judged]:
            known = Ledger().by_key(connection, list(keys))
            rows = self._table.read(connection, list(dict.fromkeys(keys.values())))
            value = Control().get(connection, MEMORY)
            judge = _Judge(
                sections=self._sections,
                memory=None if value is None else Memory.from_value(value),
                all_held=any(not h.is_of_old_messages for h in Control().holds(connection)),
                now=rows.at,
                include=include,
            )
            return [
                judge.of(record, one, known[one.key_text], rows.rows.get(one.key))
                if isinstance(one, RowKey)
                else _Judged(record, one)
                for record, one in asked
            ]

        if not keys:
            return [_Judged(record, one) for record, one in asked if isinstance(one, str)]
        return read_only(self._engine, work)

    def _asked(self, record: FoundRecord) -> RowKey | str:
        """Return which row a record asks for; where it asks for none, why."""
        try:
            found = self._row_keys.read(record.key, record.value, record.headers)
        except EnvelopeError:
            return "undecodable"
        return f"no message: {found.why}" if isinstance(found, NoMessage) else found


def _pages_of(records: Iterable[FoundRecord]) -> Iterator[list[FoundRecord]]:
    """Yield records by pages that are bounded in number and in bytes."""
    page, size = list[FoundRecord](), 0
    for record in records:
        page.append(record)
        size += len(record.value or b"")
        if len(page) >= PAGE or size >= PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page


def row_keys(sections: Sections, table: BusinessTable) -> RowKeys:
    """Build what reads the mapped table's keys out of records."""
    return RowKeys(
        table=sections.table.name,
        key_columns=table.key_columns,
        status_column=sections.table.columns.status,
        pending=sections.table.status.pending,
        names_transactions=sections.source.kind == "postgres",
    )


def _step(one: _Judged) -> Step:
    """Return what opens a record's message, if it still is what was looked at."""
    message = one.message
    assert message is not None

    def change(locked: Delivery, now: datetime) -> Delivery:
        if (locked.state, locked.round) != (message.state, message.round) or _is_kept(locked):
            raise ActRefused(f"Message {locked.id} changed meanwhile.", hint="Look again.")
        return replayed(locked, now=now)

    place = f"{one.record.partition}:{one.record.offset}"
    return Step(message_id=message.id, change=change, details={"record": place})


def _is_kept(message: Delivery) -> bool:
    """Say whether a message that failed is not to be opened whatever a person includes."""
    return message.owes_dead_letter or message.failure_code == DROPPED


def _count(tally: Tally, page: Sequence[_Judged]) -> None:
    for one in page:
        counts = tally.produced if one.verdict in _PRODUCED else tally.left
        counts[one.verdict] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """Says what comes of a record, as things stand in one snapshot; pure."""

    sections: Sections
    memory: Memory | None
    all_held: bool
    now: datetime
    include: frozenset[State]

    def of(
        self, record: FoundRecord, asked: RowKey, known: Sequence[Delivery], row: BusinessRow | None
    ) -> _Judged:
        if row is None:
            return _Judged(record, "row gone")
        message = next((one for one in known if one.id == row.message_id), None)
        if message is None:
            return _Judged(record, self._of_unknown(asked, row), asked.key_text)
        return _Judged(record, self._of_known(message, row), asked.key_text, message)

    def _of_unknown(self, asked: RowKey, row: BusinessRow) -> str:
        if self._has_other_word(row, ()):
            return "row not pending"
        if self._is_expired(row):
            return "row expired"
        return HELD if self.all_held or self._is_old(asked, row) else SEND

    def _of_known(self, message: Delivery, row: BusinessRow) -> str:
        if is_in_doubt(message):
            return "in doubt"
        if not message.state.is_final or message.owes_dead_letter:
            return "under way"
        if message.state is State.SENT:
            return "already sent"
        if message.failure_code == DROPPED:
            return "dropped: it may have been sent"
        if message.state not in self.include:
            return message.state.value
        if self._has_other_word(row, (message.row_word, message.intended_word)):
            return "row changed"
        return "row expired" if self._is_expired(row) else OPEN

    def _has_other_word(self, row: BusinessRow, ours: Sequence[str | None]) -> bool:
        if self.sections.table.columns.status is None:
            return False
        return row.word not in {self.sections.table.status.pending, *ours}

    def _is_expired(self, row: BusinessRow) -> bool:
        return row.expires_at is not None and row.expires_at <= self.now

    def _is_old(self, asked: RowKey, row: BusinessRow) -> bool:
        """Say whether it may have been sent before the ledger's time.

        Of these, some may still pass without a word: which they are, the claim decides.
        """
        return self.memory is not None and self.memory.may_have_forgotten(
            row.created_instant,
            # what the keeper had emitted is produced without the header that says so
            is_snapshot=asked.was_visible,
            now=self.now,
            oldest=timedelta(seconds=self.sections.deliver.backlog_age_s),
        )
