"""What the benchmarks work on: two servers, an installation a benchmark, and its outbox."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

from confluent_kafka import Consumer, Message, TopicPartition
from faults.servers import database_server
from support.business.base import Database
from support.commands import Command, Commands
from support.fixtures.binlog_databases import fresh_binlog_database
from support.fixtures.databases import fresh_database
from support.flow import KEY, Flow
from support.servers.connect import ConnectAddress, ConnectServer
from support.servers.kafka import KafkaServer
from support.servers.mysql import MysqlAddress
from support.servers.postgres import PostgresAddress
from support.waiting import until

from bench.filling import fill
from cdc_sms.playground.provider import Simulator

DELIVER = {
    # As configured by default, where the tests hurry.
    "request_deadline_s": 30.0,
    "lease_s": 90.0,
    "lease_grace_s": 30.0,
    "shutdown_grace_s": 40.0,
    "keeper_s": 15.0,
    # What lies there before the first start is what is measured: it is not to be held.
    "backlog_messages": 10_000_000,
}


class _Closed(Protocol):
    def close(self) -> None: ...


Thing = TypeVar("Thing", bound=_Closed)

POINTS = 1_000_000_000


@dataclass(frozen=True)
class Servers:
    """Where the benchmarks' servers are.

    Attributes:
        database: the business database's.
        bootstrap: the broker's.
        connect: Kafka Connect, where Debezium is measured; None: it isn't.
        connect_pid: its process.
    """

    database: PostgresAddress | MysqlAddress
    bootstrap: str
    connect: ConnectAddress | None = None
    connect_pid: int = 0


@contextmanager
def own_servers(source: str, *, debezium: bool = False) -> Iterator[Servers]:
    """Start servers of this run's own, and remove them at its end, data and all.

    Shared ones would not do: a log reader reads past what others write to the same server.
    """
    run_id = secrets.token_hex(3)
    database = database_server(source, f"{source}-bench-{run_id}")
    kafka = KafkaServer(f"kafka-bench-{run_id}")
    connect = ConnectServer(kafka, f"connect-bench-{run_id}")
    with ExitStack() as stack:
        stack.callback(database.discard)
        address = database.start()
        stack.callback(kafka.discard)
        bootstrap = kafka.start().bootstrap
        if not debezium:
            yield Servers(address, bootstrap)
            return
        stack.callback(connect.discard)
        place = connect.start()
        yield Servers(address, bootstrap, place, connect.recall("pid"))


class Site:
    """Installations on two servers; whatever it starts is ended by leaving.

    Args:
        servers: to run on.
        folder: for configurations and logs.
    """

    def __init__(self, servers: Servers, folder: Path) -> None:
        self.servers = servers
        self._run_id = secrets.token_hex(3)
        self._numbers = count(1)
        self._stack = ExitStack()
        self._commands = Commands(folder, tells=False)
        self._folder = folder

    def flow(self, *, answer_s: float = 0.0) -> Flow:
        """Make an installation.

        Args:
            answer_s: how long the provider takes to answer; seconds.
        """
        simulator = Simulator(key=KEY, balance=POINTS, delay_s=answer_s)
        flow = Flow(
            database=self._stack.enter_context(self._database()),
            kafka=self.servers.bootstrap,
            prefix=f"bench-{self._run_id}-{next(self._numbers)}",
            provider=self._stack.enter_context(simulator),
            cdc_sms=self._commands,
            folder=self._folder,
            deliver=DELIVER,
        )
        self._stack.callback(flow.remove)
        return flow

    def _database(self) -> AbstractContextManager[Database]:
        server = self.servers.database
        if isinstance(server, PostgresAddress):
            return fresh_database(server, self._run_id)
        return fresh_binlog_database(server, self._run_id)

    @property
    def commands(self) -> Commands:
        """Starts other programs, which end with the site."""
        return self._commands

    def on_leaving(self, act: Callable[[], object]) -> None:
        """Do something when the site is left."""
        self._stack.callback(act)

    def outbox(self, flow: Flow) -> "Outbox":
        """Look at an installation's outbox."""
        return self.closed_at_end(Outbox(flow))

    def closed_at_end(self, thing: Thing) -> Thing:
        """Close something when the site is left."""
        self._stack.callback(thing.close)
        return thing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._commands.__exit__(kind, error, trace)
        self._stack.close()


class Outbox:
    """The outbox, seen by a consumer of our own that is there all the time."""

    def __init__(self, flow: Flow) -> None:
        """Connect to it."""
        self.topic = f"{flow.prefix}.outbox"
        quiet = {"bootstrap.servers": flow.kafka, "log_level": 0}
        self._consumer = Consumer({**quiet, "group.id": "bench", "enable.auto.commit": False})
        self._partitions = list(
            self._consumer.list_topics(self.topic, timeout=10).topics[self.topic].partitions
        )

    def size(self) -> int:
        """Count the records that it was ever given."""
        return sum(self._end(partition) for partition in self._partitions)

    def follow(self) -> None:
        """Read on from its end."""
        places = [
            TopicPartition(self.topic, partition, self._end(partition))
            for partition in self._partitions
        ]
        self._consumer.assign(places)

    def next(self) -> Message:
        """Wait for the next record.

        Raises:
            AssertionError: none came in 30 seconds.
        """
        record = self._consumer.poll(30)
        assert record is not None, f"no record came on {self.topic}"
        assert record.error() is None, record.error()
        return record

    def close(self) -> None:
        """Let the broker go."""
        self._consumer.close()

    def _end(self, partition: int) -> int:
        place = TopicPartition(self.topic, partition)
        return int(self._consumer.get_watermark_offsets(place, timeout=10)[1])


def insert(flow: Flow, transactions: int, *, rows: int, status: str = "pending") -> int:
    """Insert rows, so many a transaction, as fast as the server can; return how many."""
    fill(flow.business, transactions, rows=rows, status=status)
    return transactions * rows


def stop(process: Command) -> None:
    """Ask a role to end in order, and wait for that."""
    process.terminate()
    process.wait(within_s=60)


def capture_all(flow: Flow, outbox: Outbox, *, total: int) -> None:
    """Capture all that was inserted, so many records in all, and end capture."""
    capture = flow.start("capture")
    until(lambda: outbox.size() >= total, within_s=120, what=f"{total} records on the outbox")
    stop(capture)
