"""What every source promises; a test class for each inherits these and says how to reach it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import pytest
from support.waiting import until

from cdc_sms.model.captured_row import CapturedRow
from cdc_sms.model.change_event import Operation
from cdc_sms.sources.base import Batch, HeldByAnother, Log, LogState, Source, Start


class Business(Protocol):
    """A business table ``sms`` with ``id``, ``body`` and ``status``, and its readers."""

    def source(self) -> Source:
        """Return another reader of the same log."""
        ...

    def execute(self, statement: str) -> None:
        """Run statements in one transaction, which they may end."""
        ...

    def insert(self, ids: Iterable[int], body: str = "hello") -> None:
        """Insert pending rows with these ids in one transaction."""
        ...

    def write_elsewhere(self) -> None:
        """Write to the log, but not to the business table."""
        ...

    def drop_position(self) -> None:
        """Drop what the server keeps of our position."""
        ...


def read_until(log: Log, enough: Callable[[Batch], bool], within_s: float = 20) -> Batch:
    """Read until everything that was read together is enough; return it as one batch."""
    whole = Batch()

    def read_more() -> bool:
        batch = log.read(wait_s=0.1)
        whole.rows.extend(batch.rows)
        whole.position = batch.position if batch.position is not None else whole.position
        whole.ends_snapshot |= batch.ends_snapshot
        return enough(whole)

    until(read_more, within_s=within_s, what="enough from the log", every_s=0)
    return whole


def ids(rows: Sequence[CapturedRow]) -> list[object]:
    """Return the rows' ids, in their order."""
    return [row.values[row.table.columns.index("id")] for row in rows]


class SourcePromises:
    """Promises of :mod:`cdc_sms.sources.base`, tested on a real server."""

    @pytest.fixture
    def business(self) -> Business:
        """Give the business table that the tests write to."""
        raise NotImplementedError

    def test_source_finds_nothing_before_the_first_start(self, business: Business) -> None:
        assert business.source().inspect().state is LogState.ABSENT

    def test_source_is_usable_once_it_was_acquired(self, business: Business) -> None:
        business.source().acquire(Start.NEW_STREAM).close()

        assert until(business.source().inspect, within_s=5, ignoring=(HeldByAnother,)).state is (
            LogState.USABLE
        )

    def test_rows_come_in_the_order_of_the_commits(self, business: Business) -> None:
        log = business.source().acquire(Start.NEW_STREAM)

        business.execute("INSERT INTO sms (id) VALUES (3), (1)")
        business.execute("INSERT INTO sms (id) VALUES (2)")
        batch = read_until(log, lambda batch: len(batch.rows) >= 3)

        assert ids(batch.rows) == [3, 1, 2]
        assert {row.operation for row in batch.rows} == {Operation.CREATE}
        log.close()

    def test_what_was_rolled_back_never_comes(self, business: Business) -> None:
        log = business.source().acquire(Start.NEW_STREAM)

        business.execute("INSERT INTO sms (id) VALUES (1); ROLLBACK")
        business.execute(
            "INSERT INTO sms (id) VALUES (2); SAVEPOINT s; INSERT INTO sms (id) VALUES (3);"
            "ROLLBACK TO SAVEPOINT s; INSERT INTO sms (id) VALUES (4)"
        )
        batch = read_until(log, lambda batch: 4 in ids(batch.rows) and bool(batch.position))

        assert ids(batch.rows) == [2, 4]
        log.close()

    def test_updates_and_deletes_never_come(self, business: Business) -> None:
        log = business.source().acquire(Start.NEW_STREAM)

        business.execute("INSERT INTO sms (id) VALUES (1)")
        business.execute("UPDATE sms SET status = 'sent'; DELETE FROM sms")
        business.execute("INSERT INTO sms (id) VALUES (2)")
        batch = read_until(log, lambda batch: 2 in ids(batch.rows))

        assert ids(batch.rows) == [1, 2]
        log.close()

    def test_what_was_not_confirmed_comes_again(self, business: Business) -> None:
        log = business.source().acquire(Start.NEW_STREAM)
        business.execute("INSERT INTO sms (id) VALUES (1)")
        first = read_until(log, lambda batch: bool(batch.rows) and batch.position is not None)
        business.execute("INSERT INTO sms (id) VALUES (2), (3)")
        read_until(log, lambda batch: len(batch.rows) == 2)

        assert first.position is not None
        log.confirm(first.position)
        log.close()
        again = acquired(business, Start.STREAM)

        batch = read_until(again, lambda batch: len(batch.rows) >= 2)
        assert ids(batch.rows) == [2, 3]
        again.close()

    def test_a_transaction_has_no_position_before_its_last_row(self, business: Business) -> None:
        log = business.source().acquire(Start.NEW_STREAM)
        business.insert(range(1, 5001), "x" * 200)

        batches: list[Batch] = []

        def all_read() -> bool:
            batches.append(log.read(wait_s=0.1))
            return sum(len(batch.rows) for batch in batches) == 5000

        until(all_read, within_s=20, every_s=0)

        *before, _last = [batch for batch in batches if batch.rows]
        in_between = batches[batches.index(before[0]) : batches.index(before[-1]) + 1]
        assert len(before) > 5
        assert [batch.position for batch in in_between[:-1]] == [None] * (len(in_between) - 1)
        log.close()

    def test_the_position_moves_on_while_only_others_write(self, business: Business) -> None:
        log = business.source().acquire(Start.NEW_STREAM)
        business.write_elsewhere()
        first = read_until(log, lambda batch: batch.position is not None)

        business.write_elsewhere()
        second = read_until(log, lambda batch: (batch.position or 0) > (first.position or 0))

        assert not first.rows
        assert not second.rows
        log.close()

    def test_a_snapshot_gives_the_pending_rows_and_the_stream_what_comes_then(
        self, business: Business
    ) -> None:
        business.execute("INSERT INTO sms (id, status) VALUES (1, 'pending'), (2, 'sent')")
        log = business.source().acquire(Start.NEW_SNAPSHOT)

        business.execute("INSERT INTO sms (id) VALUES (3)")
        batch = read_until(log, lambda batch: 3 in ids(batch.rows))

        assert ids(batch.rows) == [1, 3]
        assert [row.operation for row in batch.rows] == [Operation.READ, Operation.CREATE]
        assert batch.ends_snapshot
        log.close()

    def test_a_snapshot_of_nothing_ends(self, business: Business) -> None:
        log = business.source().acquire(Start.NEW_SNAPSHOT)

        assert not read_until(log, lambda batch: batch.ends_snapshot).rows
        log.close()

    def test_a_snapshot_that_was_cut_short_can_be_repeated(self, business: Business) -> None:
        business.insert(range(1, 3001))
        log = business.source().acquire(Start.NEW_SNAPSHOT)
        read_until(log, lambda batch: bool(batch.rows))
        log.close()

        again = acquired(business, Start.SNAPSHOT)
        batch = read_until(again, lambda batch: batch.ends_snapshot)

        assert sorted(ids(batch.rows), key=str) == sorted(range(1, 3001), key=str)
        again.close()

    def test_snapshot_and_stream_write_a_row_alike(self, business: Business) -> None:
        odd = "tab\t feed\n back\\slash \b\f\r\v \\N 'quote' zażółć 😀"
        business.insert([1], odd)
        business.insert([2], "")
        log = business.source().acquire(Start.NEW_SNAPSHOT)

        business.insert([3], odd)
        business.insert([4], "")
        batch = read_until(log, lambda batch: len(batch.rows) >= 4)

        one, two, three, four = (list(row.values)[1:] for row in batch.rows)
        assert (one, two) == (three, four)
        log.close()

    def test_a_second_reader_stands_by_until_the_first_one_ends(self, business: Business) -> None:
        log = business.source().acquire(Start.NEW_STREAM)
        second = business.source()

        with pytest.raises(HeldByAnother):
            second.inspect()
        with pytest.raises(HeldByAnother):
            second.acquire(Start.STREAM)
        log.close()

        acquired(business, Start.STREAM).close()

    def test_a_position_that_was_dropped_is_absent(self, business: Business) -> None:
        business.source().acquire(Start.NEW_STREAM).close()
        until(business.source().inspect, within_s=5, ignoring=(HeldByAnother,))

        business.drop_position()

        assert business.source().inspect().state is LogState.ABSENT


def acquired(business: Business, start: Start) -> Log:
    """Acquire the log as soon as the server has noticed that the former reader is gone."""
    return until(lambda: business.source().acquire(start), within_s=5, ignoring=(HeldByAnother,))
