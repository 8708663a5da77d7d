"""The list of benchmarks, and how much each of them does a round."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bench.backlog import Backlog
from bench.commit_to_topic import CommitToTopic
from bench.deliver import Deliver
from bench.figures import Values
from bench.memory import Memory
from bench.site import Site
from bench.unrelated import Huge, Live, Unrelated


class Benchmark(Protocol):
    """One benchmark, set up: it measures as often as it is asked."""

    def round(self) -> Values:
        """Measure once."""
        ...


@dataclass(frozen=True)
class Sizes:
    """How much is done a round.

    Attributes:
        samples: rows of commit-to-topic.
        backlog_rows: of each of backlog's two kinds.
        messages: of deliver, to the quick provider.
        slow_messages: to the slow one.
        burst_rows: of memory.
        burst_messages: the same; those that are sent.
        unrelated: transactions of other tables.
        live_per_s: the same, a second.
        huge_mb: of one transaction.
    """

    samples: int = 250
    backlog_rows: int = 200_000
    messages: int = 5_000
    slow_messages: int = 2_000
    burst_rows: int = 100_000
    burst_messages: int = 2_000
    unrelated: int = 300_000
    live_per_s: int = 2_000
    huge_mb: int = 1_000


@dataclass(frozen=True)
class Entry:
    """What the list says of a benchmark."""

    about: str
    build: Callable[[Site, Sizes], Benchmark]


BENCHMARKS: Mapping[str, Entry] = {
    "commit-to-topic": Entry(
        "from COMMIT to the topic, beside producing alone; ms",
        lambda site, sizes: CommitToTopic(site, samples=sizes.samples),
    ),
    "backlog": Entry(
        "capture on rows that were committed before it began; rows/s, µs of CPU a row",
        lambda site, sizes: Backlog(site, rows=sizes.backlog_rows),
    ),
    "deliver": Entry(
        "one deliver process, 16 senders, against the simulator; messages/s, ms of CPU",
        lambda site, sizes: Deliver(
            site, messages=sizes.messages, slow_messages=sizes.slow_messages
        ),
    ),
    "memory": Entry(
        "each role's resident memory, idle and at its peak; MB",
        lambda site, sizes: Memory(site, rows=sizes.burst_rows, messages=sizes.burst_messages),
    ),
    "unrelated": Entry(
        "transactions of other tables on a backlog, Debezium beside; µs of CPU a transaction",
        lambda site, sizes: Unrelated(site, transactions=sizes.unrelated),
    ),
    "unrelated-live": Entry(
        "the same while capture runs, 2,000 a second; percent of a processor",
        lambda site, sizes: Live(site, per_s=sizes.live_per_s),
    ),
    "huge-transaction": Entry(
        "one transaction of 1 GB of another table; MB of capture's memory",
        lambda site, sizes: Huge(site, megabytes=sizes.huge_mb),
    ),
}
