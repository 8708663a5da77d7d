"""What one case works on: its database, topics, simulator and processes, and what it finds."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString, Protocol, Self, TypeVar

from confluent_kafka import KafkaException
from support.business.base import AWAY, Database
from support.commands import Command, Commands
from support.fixtures.binlog_databases import fresh_binlog_database
from support.fixtures.databases import fresh_database
from support.fixtures.debezium import Connectors
from support.flow import KEY, Flow
from support.servers.connect import ConnectServer
from support.servers.machine import LOOPBACK
from support.servers.postgres import PostgresAddress
from support.tcp_proxy import TcpProxy
from support.waiting import until

from cdc_sms.playground.provider import Simulator
from faults.counting import Counts, Installation
from faults.servers import DatabaseServer, Servers

T = TypeVar("T")

NOT_YET = (*AWAY, KafkaException)
"""What a question to a server may meet while the server is away."""


@dataclass(frozen=True)
class Plan:
    """How a case is to run.

    Attributes:
        source: ``postgres``, ``mysql`` or ``mariadb``.
        reader: ``builtin`` or ``debezium``.
        doubt: ``deliver.doubt``.
        seed: of everything that the case chooses.
        outage_s: how long ``long-outage`` lasts; seconds.
        kills: how often ``connection-kills`` ends the reader's connections.
        environment: variables of the processes under test.
    """

    source: str = "postgres"
    reader: str = "builtin"
    doubt: str = "resend"
    seed: int = 1
    outage_s: float = 90.0
    kills: int = 60
    environment: Mapping[str, str] | None = None


class Owned(Protocol):
    """A server of a case's own."""

    def start(self) -> object:
        """Start it."""

    def discard(self) -> None:
        """Remove it, data and all."""


class Reader(Protocol):
    """Who captures: our role, or Debezium's connector.

    Attributes:
        process: of our role; None: it is no process of ours.
    """

    process: Command | None

    def kill(self) -> None:
        """End it at once."""

    def start(self) -> None:
        """Start it (again)."""


class BuiltinReader:
    """Our own capture role."""

    def __init__(self, flow: Flow, environment: Mapping[str, str]) -> None:
        self._flow = flow
        self._environment = environment
        self.process: Command | None = None

    def start(self) -> None:
        """Start the role, and wait until it is ready."""
        self.process = self._flow.start("capture", ready=True, **self._environment)

    def kill(self) -> None:
        """Kill the process."""
        if self.process is not None:
            self.process.kill()


class DebeziumReader:
    """A connector on Kafka Connect; to kill it is to kill the worker."""

    def __init__(self, flow: Flow, connectors: Connectors, worker: ConnectServer) -> None:
        self._flow = flow
        self._connectors = connectors
        self._worker = worker
        self._is_registered = False
        self.process: Command | None = None

    def start(self) -> None:
        """Register the connector, or start the worker again, which remembers it."""
        if self._is_registered:
            self._worker.start()
            return
        self._flow.publish()
        self._connectors(self._flow.config)
        self._is_registered = True

    def kill(self) -> None:
        """Kill the worker."""
        self._worker.kill()


class Site:
    """One run of one case; leaves no process, topic, slot or database behind.

    Args:
        servers: to run on; it may break them, and leaves them running.
        plan: how.
        within_s: the case's stated time limit; every wait ends there.
        folder: for configurations and logs.
        run_id: tells its names from other runs'.
    """

    def __init__(
        self, *, servers: Servers, plan: Plan, within_s: float, folder: Path, run_id: str
    ) -> None:
        self.servers = servers
        self.plan = plan
        self.random = random.Random(plan.seed)
        self.folder = folder
        self.run_id = run_id
        self.did: list[str] = []
        self.broken: list[str] = []
        self.installations: list[Installation] = []
        self.recovered_s: float | None = None
        self._ends_at = time.monotonic() + within_s
        self._healed_at: float | None = None
        self._numbers = count(1)
        self._stack = ExitStack()
        self._commands = Commands(folder, tells=False)

    # ---- what it works on ----------------------------------------------------------------------

    def own(self, server: "Owned") -> None:
        """Start a server of this case's own, and remove it at the end."""
        self._stack.callback(server.discard)
        server.start()

    def flow(
        self,
        *,
        server: DatabaseServer | None = None,
        message_id: LiteralString | None = None,
        rows: LiteralString = "SELECT * FROM sms",
        deliver: Mapping[str, object] | None = None,
        **changes: Any,
    ) -> Flow:
        """Make an installation; it is counted at the end.

        Args:
            server: another database server than the run's, of the case's own.
            message_id: SQL for the message id of a row ``s``; left out: with created-at.
            rows: SQL for the rows that are the flow's to send.
            deliver: settings of [deliver] that differ.
            changes: other arguments of :class:`Flow`.
        """
        number = next(self._numbers)
        flow = Flow(
            database=self._database(server or self.servers.database),
            kafka=self.servers.kafka.address().bootstrap,
            prefix=f"faults-{self.run_id}-{number}",
            provider=self._stack.enter_context(Simulator(key=KEY, seed=self.plan.seed)),
            cdc_sms=self._commands,
            folder=self.folder,
            deliver={"doubt": self.plan.doubt, **(deliver or {})},
            environment=self.plan.environment,
            **changes,
        )
        self._stack.callback(flow.remove)
        message_id = message_id or flow.business.id_of_created_at
        self.installations.append(Installation(flow, message_id, rows=rows))
        return flow

    def _database(self, server: DatabaseServer) -> Database:
        address = server.address()
        if isinstance(address, PostgresAddress):
            return self._stack.enter_context(fresh_database(address, self.run_id))
        return self._stack.enter_context(fresh_binlog_database(address, self.run_id))

    def capture(self, flow: Flow, **environment: str) -> Reader:
        """Start the reader of this run; ``environment`` is for our own."""
        reader: Reader = BuiltinReader(flow, environment)
        if self.is_debezium:
            worker = self.servers.connect
            assert worker is not None
            password = flow.database.server.password
            connectors = Connectors(self._commands, worker.address(), password)
            self._stack.callback(connectors.remove_all)
            reader = DebeziumReader(flow, connectors, worker)
        reader.start()
        return reader

    @property
    def is_debezium(self) -> bool:
        """Say whether Debezium captures."""
        return self.plan.reader == "debezium"

    @staticmethod
    def member(flow: Flow, **environment: str) -> Command:
        """Start one more member of the group, whose address nobody needs."""
        member = flow.start(
            "deliver", ready=False, CDC_SMS_DELIVER__ADDRESS=f"{LOOPBACK}:0", **environment
        )
        member.await_line("partitions.assigned", within_s=60)
        return member

    @contextmanager
    def database_proxy(self, flow: Flow) -> Iterator[tuple[TcpProxy, dict[str, str]]]:
        """Put a proxy before the database; the variables make a process use it."""
        server = flow.database.server
        with TcpProxy(server.host, server.port) as proxy:
            dsn = flow.business.readable_by(proxy.host, proxy.port)
            yield proxy, {"CDC_SMS_SOURCE__DSN": dsn}

    @contextmanager
    def kafka_proxy(self) -> Iterator[tuple[TcpProxy, dict[str, str]]]:
        """Put a proxy before the broker; the variables make a process use it."""
        address = self.servers.kafka.address()
        with TcpProxy(LOOPBACK, address.proxied_port, listen_port=address.proxy_port) as proxy:
            yield proxy, {"CDC_SMS_KAFKA__BOOTSTRAP_SERVERS": proxy.address}

    # ---- what it says --------------------------------------------------------------------------

    def say(self, sentence: str) -> None:
        """Note what was done."""
        self.did.append(sentence)

    def promise(self, words: str, kept: object, *, seen: object = "") -> None:
        """Note a promise of this case's own, and whether it was kept."""
        if not kept:
            self.broken.append(f"{words}; seen: {seen}" if seen != "" else words)

    # ---- waits ---------------------------------------------------------------------------------

    @property
    def left_s(self) -> float:
        """Return what is left of the case's time; seconds."""
        return max(0.0, self._ends_at - time.monotonic())

    def until(self, condition: Callable[[], T], *, what: str, within_s: float = 60.0) -> T:
        """Wait for a condition, no longer than the case has time.

        Raises:
            GaveUpError: the case is not at rest within its stated time.
        """
        within_s = min(within_s, self.left_s)
        return until(condition, within_s=within_s, what=what, ignoring=NOT_YET, every_s=0.05)

    def healed(self) -> None:
        """Say that the fault is over: the time to recover counts from here."""
        self._healed_at = time.monotonic()

    def rest(self, *, within_s: float = 90.0) -> None:
        """Wait until nothing is under way in any installation; seen twice.

        Raises:
            GaveUpError: it never was.
        """
        seen: list[str | None] = []

        def at_rest() -> bool:
            reasons = (place.why_not_at_rest() for place in self.installations)
            seen.append(next((why for why in reasons if why), None))
            return seen[-2:] == [None, None]

        until(
            at_rest,
            within_s=min(within_s, self.left_s),
            what="the flow to be at rest",
            seen=lambda: seen[-1],
            ignoring=NOT_YET,
            every_s=0.2,
        )
        if self._healed_at is not None and self.recovered_s is None:
            self.recovered_s = time.monotonic() - self._healed_at

    # ---- the end -------------------------------------------------------------------------------

    def count(self) -> Counts:
        """Count all installations, and look for dead letters that never reached their topic."""
        counts = Counts()
        for place in self.installations:
            counts += place.count()
            missing = place.letters_missing()
            self.promise("every message that was given up is on the dlq", not missing, seen=missing)
        return counts

    def logs(self) -> str:
        """Return the last warnings and errors that its processes told, dead letters apart."""
        marks = ('"warning"', '"error"', '"critical"')
        lines = [
            f"{path.parent.name}: {line}"
            for path in sorted(self.folder.glob("command-*/err"))
            for line in path.read_text(errors="replace").splitlines()
            if any(mark in line for mark in marks) and "dead_lettered" not in line
        ]
        return "\n".join(lines[-15:])

    def __enter__(self) -> Self:
        """Begin; whatever it starts from here on is ended by leaving."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Start what was left broken, end the processes, remove the rest."""
        for server in (self.servers.database, self.servers.kafka, self.servers.connect):
            if server is not None:
                server.thaw()
                server.start()
        self._commands.__exit__(None, None, None)
        self._stack.close()
