"""``audit``: table, ledger and topics compared; what isn't accounted for is named, with a remedy.

It only reads: a page a statement, each ledger page in one snapshot with its rows. What changed
lately is left out: it is on its way. What one message's findings are is pure (:func:`judge`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from sqlalchemy import Connection, Engine

from cdc_sms.config.settings import Sections
from cdc_sms.databases.auditing import (
    TablePages,
    TableRow,
    acts_without_outcome,
    flags_before,
    ids_after,
    known_ids,
)
from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.control import GAP_PREFIX, Control
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.reading import read_only
from cdc_sms.envelope.row_key import NoMessage, RowKeys
from cdc_sms.errors import EnvelopeError
from cdc_sms.kafka.reading import bounds_of, offsets_at, records_between
from cdc_sms.kafka.standing import Standing, standing_of
from cdc_sms.model.business_row import BusinessRow, Key
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.state import State

PAGE = 500
LOOKED_FOR = 10_000
"""Rows that the ledger doesn't know, whose record is looked for on the outbox; of more only the
number is told."""


class Kind(StrEnum):
    """What is wrong with a message, a row, or the flow."""

    NO_RECORD = "unknown, no record"
    RECORD_WAITS = "unknown, record waits"
    RECORD_PASSED = "unknown, record passed"
    NOT_LOOKED_FOR = "unknown, not looked for"
    LEASE_OVER = "claim ran out"
    NOT_CARRIED = "not carried"
    WAITS_LONG = "waits long"
    IN_DOUBT = "in doubt"
    OWED = "write owed"
    LETTER_OWED = "dead letter owed"
    LETTER_GONE = "dead letter gone"
    UNCLEAR = "unclear"
    READS_PENDING = "done, reads pending"
    OTHER_WORD = "other word"
    HOLD = "hold"
    GAP = "gap"
    INTERRUPTED = "act interrupted"


TO_DO: Mapping[Kind, str] = {
    Kind.NO_RECORD: "let capture catch up ('cdc-sms status': the slot); if it has, insert the row "
    "anew, or have your connector take a snapshot",
    Kind.RECORD_WAITS: "deliver comes to it: 'cdc-sms status' says whether it runs, or what holds",
    Kind.RECORD_PASSED: "cdc-sms replay --from-offset P:O, as named",
    Kind.NOT_LOOKED_FOR: "put the others right, then look again",
    Kind.LEASE_OVER: "deliver takes it over by itself: 'cdc-sms status' says whether it runs",
    Kind.NOT_CARRIED: "deliver's keeper emits it again by itself: see that deliver runs",
    Kind.WAITS_LONG: "cdc-sms explain ID",
    Kind.IN_DOUBT: "cdc-sms in-doubt resolve ID --sent, --resend or --drop",
    Kind.OWED: "deliver writes it by itself: see what locks or refuses the row, 'cdc-sms explain'",
    Kind.LETTER_OWED: "deliver writes it by itself: see that it runs and reaches Kafka",
    Kind.LETTER_GONE: "nothing lets it be replayed: insert the row anew if it is still to be sent",
    Kind.UNCLEAR: "put the row's status right, then cdc-sms dlq discard; or dlq replay --second",
    Kind.READS_PENDING: "put the row's status right: the ledger says that it is done",
    Kind.OTHER_WORD: "the application changed it: nothing, if that was meant",
    Kind.HOLD: "cdc-sms resume NAME, when its reason is gone",
    Kind.GAP: "capture makes it good with a snapshot: see that it runs",
    Kind.INTERRUPTED: "give the act again: nothing is done twice; none is lost if it still runs",
}
"""By kind what a person does about it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that isn't accounted for.

    Attributes:
        kind: what it is.
        target: a message id, or the name of a hold, flag or act.
        where: the record, ``P:O``; None where there is none to name.
    """

    kind: Kind
    target: str
    where: str | None = None

    @property
    def to_do(self) -> str:
        """Return what to do about it."""
        return TO_DO[self.kind]


@dataclass(slots=True)
class Report:
    """What an audit found.

    Attributes:
        at: the database's clock when it began.
        limit: findings that are named at most.
        totals: findings by kind.
        named: the first of them.
        messages: ledger rows that were looked at.
        rows: table rows that were looked at.
        gone: messages whose row is gone, which is fine.
        not_compared: what couldn't be, in a sentence each.
    """

    at: datetime
    limit: int
    totals: Counter[Kind] = field(default_factory=Counter[Kind])
    named: list[Finding] = field(default_factory=list[Finding])
    messages: int = 0
    rows: int = 0
    gone: int = 0
    not_compared: list[str] = field(default_factory=list[str])

    def add(self, finding: Finding) -> None:
        """Count a finding, and name it if there is room."""
        self.totals[finding.kind] += 1
        if len(self.named) < self.limit:
            self.named.append(finding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a message is judged by, beside itself and its row.

    Attributes:
        before: what changed later is on its way.
        long_before: what was due earlier waits for long.
        lease_over_before: a claim that ran out earlier should have been taken over.
        outbox: how far the group has come, by partition.
        letters: of each partition of the dead letters the first offset and the next one.
        pending: the word of a row that is to be sent; None: the table has no status column.
    """

    before: datetime
    long_before: datetime
    lease_over_before: datetime
    outbox: Mapping[int, Standing]
    letters: Mapping[int, tuple[int, int]]
    pending: str | None


def judge(message: Delivery, row: BusinessRow | None, facts: Facts) -> list[Finding]:
    """Say what isn't accounted for about a message; pure.

    Args:
        message: as the ledger has it.
        row: its own row, from the same snapshot; None: it is gone, or is another message's.
        facts: see there.
    """
    if message.changed_at >= facts.before:
        return []
    record = _place(message.record_partition, message.record_offset)
    found = [
        Finding(kind, message.id, record)
        for kind in (_of_way(message, facts), _of_row(message, row, facts))
        if kind is not None
    ]
    if message.awaits_person:
        found.append(Finding(Kind.IN_DOUBT, message.id, record))
    if message.owes_write:
        found.append(Finding(Kind.OWED, message.id, record))
    if _has_lost_letter(message, facts):
        letter = _place(message.dlq_partition, message.dlq_offset)
        found.append(Finding(Kind.LETTER_GONE, message.id, letter))
    return found


def _of_way(message: Delivery, facts: Facts) -> Kind | None:
    """Say why a message that isn't done doesn't move."""
    if message.is_done:
        return None
    if message.owes_dead_letter:
        return Kind.LETTER_OWED
    if message.state is State.SENDING:
        lease = message.lease_until
        return Kind.LEASE_OVER if lease is None or lease < facts.lease_over_before else None
    if message.due_at >= facts.before:
        return None
    emitted = message.emitted_at
    if emitted is not None and emitted >= max(facts.long_before, message.due_at):
        return None  # its new record is on its way
    if not _is_carried(message, facts.outbox):
        return Kind.NOT_CARRIED
    return Kind.WAITS_LONG if message.due_at < facts.long_before else None


def _is_carried(message: Delivery, outbox: Mapping[int, Standing]) -> bool:
    """Say whether the group has yet to finish the record that a message was last seen by."""
    if message.record_partition is None or message.record_offset is None:
        return False
    standing = outbox.get(message.record_partition)
    return standing is not None and standing.next_offset <= message.record_offset < standing.end


def _of_row(message: Delivery, row: BusinessRow | None, facts: Facts) -> Kind | None:
    """Say how a done message's row differs from what the ledger says of it."""
    if row is None or not message.is_done or message.owes_write or facts.pending is None:
        return None
    if row.word == facts.pending:
        return Kind.READS_PENDING if message.unclear_at is None else Kind.UNCLEAR
    written = message.row_word
    return Kind.OTHER_WORD if written is not None and row.word != written else None


def _has_lost_letter(message: Delivery, facts: Facts) -> bool:
    """Say whether a message stands as given up while its letter isn't on the topic any more."""
    if message.state is not State.FAILED or message.dead_letter_class is None:
        return False
    if message.dlq_partition is None or message.dlq_offset is None:
        return False
    first, end = facts.letters.get(message.dlq_partition, (0, 0))
    return not first <= message.dlq_offset < end


def _place(partition: int | None, offset: int | None) -> str | None:
    return None if partition is None or offset is None else f"{partition}:{offset}"


class Audit:
    """Compares table, ledger and topics once.

    Thread: one. It holds no transaction longer than a page.

    Args:
        engine: where ledger and table are.
        sections: the configuration.
        grace: what is younger is no finding.
        since: only what was created or first seen at this time or later; None: all.
        wait_s: how long a broker may take to answer; seconds.
        tell: is told now and then what was looked at, and how many.
    """

    def __init__(
        self,
        engine: Engine,
        sections: Sections,
        *,
        grace: timedelta,
        since: datetime | None,
        wait_s: float,
        tell: Callable[[str, int], None],
    ) -> None:
        self._engine = engine
        self._sections = sections
        self._grace = grace
        self._since = since
        self._wait_s = wait_s
        self._tell = tell
        self._has_status = sections.table.columns.status is not None
        self._has_created_at = sections.table.columns.created_at is not None

    def run(self, *, limit: int) -> Report:
        """Compare everything; nothing is changed.

        Args:
            limit: findings that are named at most; all are counted.

        Raises:
            MappingError: the table or the ledger isn't what is configured.
            DatabaseUnavailable: the database can't be reached now.
            BrokerUnavailable: no broker answers.
            SetupError: a topic isn't there.
        """
        report = Report(read_only(self._engine, Ledger().now), limit)
        table = read_only(self._engine, lambda c: BusinessTable.reflect(c, self._sections.table))
        report.not_compared += self._not_compared()
        self._look_at_flow(report)
        self._look_at_messages(report, table)
        self._look_at_rows(report, table)
        return report

    def _not_compared(self) -> Iterator[str]:
        if not self._has_status:
            yield (
                "The table has no status column: words aren't compared, and every row that the "
                "ledger doesn't know counts as one to be sent."
            )
        if not self._has_created_at:
            yield (
                "The table has no created-at column: a row that was just inserted may be named, "
                "and --since doesn't bound the rows."
            )

    # ---- holds, gaps, acts ---------------------------------------------------------------------

    def _look_at_flow(self, report: Report) -> None:
        before = report.at - self._grace
        for hold in read_only(self._engine, Control().holds):
            if hold.since < before:
                report.add(Finding(Kind.HOLD, hold.name))
        for name in read_only(self._engine, lambda c: flags_before(c, GAP_PREFIX, before)):
            report.add(Finding(Kind.GAP, name))
        for one, command in self._interrupted(before):
            report.add(Finding(Kind.INTERRUPTED, f"{command} {one}"))

    def _interrupted(self, before: datetime) -> Iterator[tuple[str, str]]:
        after = ""
        while True:

            def page(connection: Connection, after: str = after) -> list[tuple[str, str]]:
                return acts_without_outcome(
                    connection, since=self._since, before=before, after=after, limit=PAGE
                )

            found = read_only(self._engine, page)
            yield from found
            if len(found) < PAGE:
                return
            after = found[-1][0]

    # ---- from the ledger to the table and the topics -------------------------------------------

    def _look_at_messages(self, report: Report, table: BusinessTable) -> None:
        facts = self._facts(report.at)
        after = ""
        while True:
            judged = self._message_page(after, table)
            for message, row in judged:
                report.gone += row is None
                for finding in judge(message, row, facts):
                    report.add(finding)
            report.messages += len(judged)
            self._tell("messages", report.messages)
            if len(judged) < PAGE:
                return
            after = judged[-1][0].id

    def _facts(self, now: datetime) -> Facts:
        kafka, deliver = self._sections.kafka, self._sections.deliver
        status = self._sections.table.status
        return Facts(
            before=now - self._grace,
            long_before=now - max(self._grace, timedelta(seconds=deliver.overdue_s)),
            lease_over_before=now - max(self._grace, timedelta(seconds=deliver.lease_grace_s)),
            outbox=standing_of(kafka, kafka.outbox, wait_s=self._wait_s),
            letters=bounds_of(kafka, kafka.dlq, wait_s=self._wait_s),
            pending=status.pending if self._has_status else None,
        )

    def _message_page(
        self, after: str, table: BusinessTable
    ) -> list[tuple[Delivery, BusinessRow | None]]:
        def work(connection: Connection) -> list[tuple[Delivery, BusinessRow | None]]:
            page = ids_after(connection, after, since=self._since, limit=PAGE)
            by_key = Ledger().by_key(connection, sorted({key for _, key in page}))
            known = {m.id: m for messages in by_key.values() for m in messages}
            messages = [known[one] for one, _ in page]
            rows = _rows_of(connection, table, messages)
            return [(message, rows.get(message.id)) for message in messages]

        return read_only(self._engine, work)

    # ---- from the table to the ledger and the outbox -------------------------------------------

    def _look_at_rows(self, report: Report, table: BusinessTable) -> None:
        unknown: dict[str, TableRow] = {}
        for row in self._unknown_rows(report):
            if len(unknown) < LOOKED_FOR:
                unknown[row.key_text] = row
            else:
                report.add(Finding(Kind.NOT_LOOKED_FOR, row.message_id))
        if not unknown:
            return
        kafka = self._sections.kafka
        records = self._records_of(unknown, table)
        standing = standing_of(kafka, kafka.outbox, wait_s=self._wait_s)
        for row in self._still_unknown(list(unknown.values()), table):
            report.add(_of_unknown(row.message_id, records.get(row.key_text), standing))

    def _unknown_rows(self, report: Report) -> Iterator[TableRow]:
        """Yield the rows that are to be sent, are old enough, and that the ledger lacks."""
        pages = read_only(self._engine, lambda c: TablePages(c, self._sections.table))
        before = report.at - self._grace
        last: Key | None = None
        while True:

            def page(
                connection: Connection, last: Key | None = last
            ) -> tuple[list[TableRow], set[str]]:
                rows = pages.after(connection, last, limit=PAGE)
                return rows, known_ids(connection, [r.message_id for r in rows if r.is_pending])

            rows, known = read_only(self._engine, page)
            report.rows += len(rows)
            self._tell("rows", report.rows)
            for row in rows:
                if row.is_pending and row.message_id not in known and self._is_meant(row, before):
                    yield row
            if len(rows) < PAGE:
                return
            last = rows[-1].key

    def _is_meant(self, row: TableRow, before: datetime) -> bool:
        created_at = row.created_at
        if created_at is None:
            return True
        return created_at < before and (self._since is None or created_at >= self._since)

    def _records_of(
        self, unknown: Mapping[str, TableRow], table: BusinessTable
    ) -> Mapping[str, tuple[int, int]]:
        """Return the newest record of each key that is looked for, where the outbox has one."""
        status = self._sections.table.status
        keys = RowKeys(
            table=self._sections.table.name,
            key_columns=table.key_columns,
            status_column=self._sections.table.columns.status,
            pending=status.pending,
            names_transactions=self._sections.source.kind == "postgres",
        )
        found: dict[str, tuple[int, int]] = {}
        kafka = self._sections.kafka
        for count, record in enumerate(records_between(kafka, kafka.outbox, self._spans()), 1):
            self._tell("records", count)
            try:
                meant = keys.read(record.key, record.value, record.headers)
            except EnvelopeError:
                continue  # deliver makes a dead letter of it
            if not isinstance(meant, NoMessage) and meant.key_text in unknown:
                found[meant.key_text] = (record.partition, record.offset)
        return found

    def _spans(self) -> Mapping[int, tuple[int, int]]:
        kafka = self._sections.kafka
        spans = bounds_of(kafka, kafka.outbox, wait_s=self._wait_s)
        if self._since is None or not self._has_created_at:
            return spans
        since = self._since - self._grace  # the clocks of the two servers may differ
        starts = offsets_at(kafka, kafka.outbox, since, wait_s=self._wait_s)
        return {p: (max(first, starts.get(p, first)), end) for p, (first, end) in spans.items()}

    def _still_unknown(
        self, unknown: Sequence[TableRow], table: BusinessTable
    ) -> Iterator[TableRow]:
        """Yield the rows that still stand, unknown and to be sent: the flow may have gone on."""
        pending = self._sections.table.status.pending if self._has_status else None

        def still(connection: Connection, some: Sequence[TableRow]) -> list[TableRow]:
            known = known_ids(connection, [row.message_id for row in some])
            rows = table.read(connection, [row.key for row in some]).rows
            standing = {r.message_id for r in rows.values() if pending in {None, r.word}}
            return [row for row in some if row.message_id in standing - known]

        for start in range(0, len(unknown), PAGE):
            yield from read_only(self._engine, partial(still, some=unknown[start : start + PAGE]))


def _rows_of(
    connection: Connection, table: BusinessTable, messages: Sequence[Delivery]
) -> Mapping[str, BusinessRow]:
    """Return the rows of messages by message id; those that are gone are not in it."""
    keys = table.keys_of(sorted({message.key_values for message in messages}))
    if not keys:
        return {}
    return {row.message_id: row for row in table.read(connection, keys).rows.values()}


def _of_unknown(
    one: str, record: tuple[int, int] | None, outbox: Mapping[int, Standing]
) -> Finding:
    """Say what is with a row that the ledger doesn't know, by where its record lies; pure."""
    if record is None:
        return Finding(Kind.NO_RECORD, one)
    partition, offset = record
    standing = outbox.get(partition)
    passed = standing is not None and offset < standing.next_offset
    return Finding(
        Kind.RECORD_PASSED if passed else Kind.RECORD_WAITS, one, _place(partition, offset)
    )
