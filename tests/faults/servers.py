"""The servers of one run, which its cases may break: nobody else uses them."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from support.servers.connect import ConnectServer
from support.servers.kafka import KafkaServer
from support.servers.mariadb import MariadbServer
from support.servers.mysql import BinlogServer, MysqlServer
from support.servers.postgres import DebianPostgres, PostgresServer
from support.servers.server import Server

DatabaseServer = PostgresServer | BinlogServer


@dataclass(frozen=True)
class Servers:
    """What the cases run on.

    Attributes:
        database: the business database's.
        kafka: the broker.
        connect: Kafka Connect, where Debezium reads.
    """

    database: DatabaseServer
    kafka: KafkaServer
    connect: ConnectServer | None = None


@contextmanager
def own_servers(source: str, *, debezium: bool) -> Iterator[Servers]:
    """Start servers of this run's own, and remove them at its end, data and all."""
    run_id = secrets.token_hex(3)
    database = database_server(source, f"{source}-faults-{run_id}")
    kafka = KafkaServer(f"kafka-faults-{run_id}")
    connect = ConnectServer(kafka, f"connect-faults-{run_id}") if debezium else None
    with ExitStack() as stack:
        servers: list[Server[object]] = [database, kafka, *([connect] if connect else [])]
        for server in servers:
            stack.callback(server.discard)
            server.start()
        yield Servers(database, kafka, connect)


def database_server(source: str, name: str) -> DatabaseServer:
    """Return a server of a run's or a case's own, not started yet.

    Args:
        source: ``postgres``, ``mysql`` or ``mariadb``.
        name: which no other server on this machine has.
    """
    return DebianPostgres(name) if source == "postgres" else binlog_server(source, name)


def binlog_server(
    source: str, name: str, settings: Mapping[str, str] | None = None
) -> BinlogServer:
    """Return a MySQL 9.7, or the MariaDB of Debian 12; ``settings`` differ from the others'."""
    if source == "mysql":
        return MysqlServer(name, settings)
    return MariadbServer(name, "bookworm", settings)
