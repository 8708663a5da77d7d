"""What the traffic of other tables costs our reader: on a backlog, live, and in one huge piece.

Two rows of ours, one before the traffic and one behind it, say when the reader is where: what it
took lies between the two. Debezium, where it is measured, reads the very same log.
"""

import threading
import time
from contextlib import suppress

import requests
from support.commands import Command
from support.fixtures.debezium import Connectors
from support.flow import Flow
from support.waiting import until

from bench.figures import Values
from bench.filling import fill, fill_huge, fill_other
from bench.site import Outbox, Site, stop
from bench.watching import cpu_ns, peak_mb, watch_pid

WITHIN_S = 300.0
LIVE_S = 10.0
BURST_S = 0.005


class Unrelated:
    """The benchmark: transactions of another table that lie there before capture begins.

    Args:
        site: to work on.
        transactions: a round.
    """

    def __init__(self, site: Site, *, transactions: int) -> None:
        self._transactions = transactions
        self._flow = site.flow()
        self._outbox = site.outbox(self._flow)
        self._debezium = _Debezium(site) if site.servers.connect else None
        stop(self._flow.start("capture"))

    def round(self) -> Values:
        """Measure; microseconds of processor time a transaction, of capture and of Debezium."""
        if self._debezium is not None:
            self._debezium.pause()
        before = self._outbox.size()
        self._mark()
        fill_other(self._flow.business, self._transactions)
        self._mark()
        capture = self._flow.start("capture", ready=False)
        ours = _between(capture.pid, self._outbox, before)
        stop(capture)
        told = {"unrelated_cpu_us_per_transaction": ours / 1000 / self._transactions}
        if self._debezium is not None:
            theirs = self._debezium.read()
            told["unrelated_debezium_cpu_us_per_transaction"] = theirs / 1000 / self._transactions
        return told

    def _mark(self) -> None:
        """Insert a row for each reader."""
        flows = [self._flow] if self._debezium is None else [self._flow, self._debezium.flow]
        for flow in flows:
            fill(flow.business, 1, rows=1, status="archived")


def _between(pid: int, outbox: Outbox, before: int) -> int:
    """Return what a process took between the first new record and the second; nanoseconds."""
    return watch_pid(pid, lambda: outbox.size() - before, first=1, last=2, within_s=WITHIN_S)


class _Debezium:
    """A connector on a table of its own, beside the traffic that both read past."""

    def __init__(self, site: Site) -> None:
        connect = site.servers.connect
        assert connect is not None
        self.flow = site.flow()
        self._pid = site.servers.connect_pid
        self._outbox = site.outbox(self.flow)
        self.flow.business.publish(self.flow.slot)
        connectors = Connectors(site.commands, connect, self.flow.business.password)
        site.on_leaving(connectors.remove_all)
        connectors(self.flow.config)
        self._await_stream()
        [name] = requests.get(f"{connect.url}/connectors", timeout=10).json()
        self._url = f"{connect.url}/connectors/{name}"

    def pause(self) -> None:
        """Have it stop reading; its position stays."""
        requests.put(f"{self._url}/stop", timeout=30).raise_for_status()
        self._await("STOPPED")

    def read(self) -> int:
        """Have it read on; return what it took between the two rows; nanoseconds."""
        before = self._outbox.size()
        requests.put(f"{self._url}/resume", timeout=30).raise_for_status()
        return _between(self._pid, self._outbox, before)

    def _await_stream(self) -> None:
        """Wait until a row comes through: its snapshot is behind it."""
        before = self._outbox.size()

        def came() -> bool:
            fill(self.flow.business, 1, rows=1, status="archived")
            return self._outbox.size() > before

        until(came, within_s=120, what="Debezium to stream", every_s=1.0)

    def _await(self, state: str) -> None:
        def reached() -> bool:
            found = requests.get(f"{self._url}/status", timeout=10).json()
            return bool(found["connector"]["state"] == state) and not found["tasks"]

        until(reached, within_s=60, what=f"Debezium to be {state}", every_s=0.2)


class Live:
    """The benchmark: transactions of another table while capture runs.

    Args:
        site: to work on.
        per_s: transactions a second.
    """

    def __init__(self, site: Site, *, per_s: int) -> None:
        self._per_s = per_s
        self._flow = site.flow()
        fill_other(self._flow.business, 1)
        self._capture: Command = self._flow.start("capture")

    def round(self) -> Values:
        """Measure; percent of one processor that capture took, transactions a second."""
        traffic = _Traffic(self._flow, self._per_s)
        traffic.start()
        try:
            begun_s, begun_ns, count = time.monotonic(), cpu_ns(self._capture.pid), traffic.count
            until(
                lambda: time.monotonic() - begun_s >= LIVE_S, within_s=2 * LIVE_S, what="the time"
            )
            took_ns, took_s = cpu_ns(self._capture.pid) - begun_ns, time.monotonic() - begun_s
            written = traffic.count - count
        finally:
            traffic.end()
        return {
            "unrelated_live_cpu_percent": took_ns / 1e7 / took_s,
            "unrelated_live_transactions_per_s": written / took_s,
        }


class _Traffic(threading.Thread):
    """Commits so many transactions a second."""

    def __init__(self, flow: Flow, per_s: int) -> None:
        super().__init__(name="traffic", daemon=True)
        self._flow = flow
        self._per_s = per_s
        self._ended = threading.Event()
        self.count = 0

    def run(self) -> None:
        """Insert until the end."""
        begun_s = time.monotonic()
        with self._flow.business.session(commits=True) as session:
            while not self._ended.wait(BURST_S):
                due = int((time.monotonic() - begun_s) * self._per_s)
                while self.count < due:
                    session.execute("INSERT INTO other (customer, note) VALUES (1, 'x')")
                    self.count += 1

    def end(self) -> None:
        """Stop, and wait for it."""
        self._ended.set()
        self.join(30)


class Huge:
    """The benchmark: one transaction of another table, of many megabytes, passes.

    Args:
        site: to work on.
        megabytes: of it.
    """

    def __init__(self, site: Site, *, megabytes: int) -> None:
        self._megabytes = megabytes
        self._flow = site.flow()
        self._outbox = site.outbox(self._flow)

    def round(self) -> Values:
        """Measure; megabytes of capture's memory at its peak."""
        before = self._outbox.size()
        capture = self._flow.start("capture")
        fill_huge(self._flow.business, megabytes=self._megabytes)
        fill(self._flow.business, 1, rows=1, status="archived")
        until(
            lambda: self._outbox.size() > before,
            within_s=WITHIN_S,
            what="the row behind the transaction",
        )
        peak = peak_mb(capture.pid)
        stop(capture)
        with suppress(Exception):
            self._flow.database.execute("TRUNCATE TABLE huge")
        return {"huge_transaction_capture_peak_mb": peak}
