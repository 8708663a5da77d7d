"""The servers of one run, which its cases may break: nobody else uses them."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from support.servers.connect import ConnectServer
from support.servers.kafka import KafkaServer
from support.servers.postgres import DebianPostgres, PostgresServer
from support.servers.server import Server


@dataclass(frozen=True)
class Servers:
    """What the cases run on.

    Attributes:
        postgres: the business database's.
        kafka: the broker.
        connect: Kafka Connect, where Debezium reads.
    """

    postgres: PostgresServer
    kafka: KafkaServer
    connect: ConnectServer | None = None


@contextmanager
def own_servers(*, debezium: bool) -> Iterator[Servers]:
    """Start servers of this run's own, and remove them at its end, data and all."""
    run_id = secrets.token_hex(3)
    postgres = DebianPostgres(f"postgres-faults-{run_id}")
    kafka = KafkaServer(f"kafka-faults-{run_id}")
    connect = ConnectServer(kafka, f"connect-faults-{run_id}") if debezium else None
    with ExitStack() as stack:
        servers: list[Server[object]] = [postgres, kafka, *([connect] if connect else [])]
        for server in servers:
            stack.callback(server.discard)
            server.start()
        yield Servers(postgres, kafka, connect)
