"""One run: the file, statement by statement, and both readers beside it."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.kafka.producer import Counted, Producer
from conformance.compare import NUMBER, Compared, Difference, Record, compare
from conformance.database import Database
from conformance.rows import look_up
from conformance.site import CAUGHT_UP_S, Connector, DebeziumStoppedError, Topic
from conformance.statements import Statement

ARRIVES_S = 5.0
"""How long a record may be on its way after one that was written later to another partition."""


@dataclass
class Found:
    """What one run found.

    Attributes:
        rows: inserted and committed, as the server counts them in its log.
        ours: our records.
        theirs: Debezium's.
        fields: how many were compared.
        looked_up: rows that their key found.
        refused: keys that deliver would rather not decode.
        differences: everything that is not the same.
    """

    rows: int = 0
    ours: int = 0
    theirs: int = 0
    fields: int = 0
    looked_up: int = 0
    refused: int = 0
    differences: list[Difference] = field(default_factory=list)


class Run:
    """Runs a file and compares what both readers make of it.

    Args:
        database: fresh.
        connector: of Debezium, on every table of it.
        ours: the topic of our records.
        theirs: of Debezium's.
        kafka: where our records go, and by which prefix.
    """

    def __init__(
        self,
        database: Database,
        connector: Connector,
        *,
        ours: Topic,
        theirs: Topic,
        kafka: KafkaSettings,
    ) -> None:
        self._database = database
        self._connector = connector
        self._ours = ours
        self._theirs = theirs
        self._producer = Producer(kafka)
        self._counted = Counted(kafka.outbox)
        self._sent = 0
        self._inserted: Counter[str] = Counter()
        self._reals: set[tuple[str, str]] = set()
        self._looked = 0
        self._may_remove = False
        self.found = Found()

    def await_debezium(self) -> None:
        """Wait until Debezium reads the log: a connector that runs may still be taking stock.

        Raises:
            DebeziumStoppedError: it never does.
        """
        deadline = time.monotonic() + CAUGHT_UP_S
        while not self._theirs.marks:
            self._database.mark()
            self._theirs.take(0.3)
            self._connector.check()
            if time.monotonic() > deadline:
                raise DebeziumStoppedError(f"it did not read the log within {CAUGHT_UP_S:.0f} s")

    def statements(self, statements: Sequence[Statement]) -> None:
        """Run the file: the readers come to a halt before anything that may change a table.

        Both look tables up in the catalogue as it is when a row's description comes: so it must
        be as it was when the row was written.

        Raises:
            StatementError: the server refuses one.
            DebeziumStoppedError: Debezium does.
        """
        self.await_debezium()
        has_news = has_routines = False
        for place, statement in enumerate(statements):
            self._database.prepare(statement)
            may_change = (
                statement.may_change_tables
                or (has_routines and statement.calls)
                or (
                    statement.begins
                    and _is_changed_within(statements[place + 1 :], has_routines=has_routines)
                )
            )
            if has_news and may_change and not self._database.in_transaction:
                self._settle()
                has_news = False
            has_routines |= statement.makes_routine
            self._may_remove |= statement.may_remove
            self._database.run(statement)
            has_news = has_news or statement.may_write
        self._database.end()
        self._settle()

    def close(self) -> None:
        """Let the broker go."""
        self._producer.close()

    def compare(self) -> Found:
        """Compare everything that was captured."""
        self._ours.read(self._sent, within_s=ARRIVES_S)
        compared: Compared = compare(self._ours.records, self._theirs.records, reals=self._reals)
        found = self.found
        found.ours, found.theirs = len(self._ours.records), len(self._theirs.records)
        found.rows = self._inserted.total()
        found.fields = compared.fields
        found.differences += [*self._database.stops, *compared.differences]
        for side, records in (("ours", self._ours.records), ("Debezium's", self._theirs.records)):
            found.differences += self._miscounted(side, records)
        return found

    def _miscounted(self, side: str, records: Sequence[Record]) -> list[Difference]:
        counts = Counter(record.table for record in records)
        return [
            Difference(table, "", NUMBER, self._inserted[table], f"{side}: {counts[table]}")
            for table in sorted(counts.keys() | self._inserted.keys())
            if counts[table] != self._inserted[table]
        ]

    def _settle(self) -> None:
        """Have both readers come to this point of the log, and look their rows up."""
        mark = self._database.mark()
        records = self._database.captured(mark)
        self._producer.produce_counted(self._counted, ((r.key, r.value, ()) for r in records))
        if self._producer.flush(60) or self._counted.error or self._counted.oversized:
            raise RuntimeError(f"our records were not written: {self._counted.error}")
        self._sent += len(records)
        self._connector.await_mark(self._theirs, mark)
        inserted = self._database.inserted(may_remove=self._may_remove)
        total = self._looked + (len(records) if inserted is None else inserted.total())
        self._theirs.read(total, within_s=ARRIVES_S)  # from other partitions than the mark's
        new = self._theirs.records[self._looked :]
        self._inserted += Counter(r.table for r in new) if inserted is None else inserted
        self._looked = len(self._theirs.records)
        for name, table in self._database.tables().items():
            self._reals |= {(name, column) for column in table.reals}
            some = [r for r in new if r.table == name and r.key is not None]
            if not (some and table.key):
                continue
            looked = look_up(
                self._database.engine,
                (table.schema, table.name),
                table.key,
                some,
                may_be_gone=self._may_remove,
            )
            self.found.looked_up += looked.found
            self.found.refused += looked.refused
            self.found.differences += looked.differences
        self._may_remove = False


def _is_changed_within(rest: Sequence[Statement], *, has_routines: bool) -> bool:
    """Say whether a transaction that has just begun may change a table before it ends."""
    within = takewhile(lambda statement: not statement.ends, rest)
    return any(
        statement.may_change_tables or (has_routines and statement.calls) for statement in within
    )
