"""Our reader on a backlog: rows that were committed while no capture ran."""

from bench.figures import Values
from bench.site import Site, insert, stop
from bench.watching import watch

ROWS_A_TRANSACTION = 10
WITHIN_S = 120.0


class Backlog:
    """The benchmark: in transactions of some rows, of one row each, and in a single huge one.

    Args:
        site: to work on.
        rows: of each kind, a round.
    """

    def __init__(self, site: Site, *, rows: int) -> None:
        self._rows = rows
        self._flow = site.flow()
        self._outbox = site.outbox(self._flow)
        stop(self._flow.start("capture"))  # the slot is there from now on, and nothing pending was

    def round(self) -> Values:
        """Measure; rows a second, microseconds of capture's processor time a row."""
        many = self._read("backlog", self._rows // ROWS_A_TRANSACTION, ROWS_A_TRANSACTION)
        single = self._read("backlog_single", self._rows // ROWS_A_TRANSACTION, 1)
        return {**many, **single, **self._read("backlog_one_transaction", 1, self._rows)}

    def _read(self, name: str, transactions: int, rows: int) -> Values:
        before = self._outbox.size()
        total = insert(self._flow, transactions, rows=rows)
        capture = self._flow.start("capture", ready=False)
        speed = watch(capture, lambda: self._outbox.size() - before, total=total, within_s=WITHIN_S)
        stop(capture)
        return {
            f"{name}_rows_per_s": speed.per_s,
            f"{name}_cpu_us_per_row": speed.cpu_s_each * 1e6,
        }
