"""The list of servers, in an order in which each stands after those that it needs."""

from collections.abc import Sequence

from support.servers.connect import CONNECT
from support.servers.kafka import KAFKA
from support.servers.mariadb import MARIADB, MARIADB118
from support.servers.mysql import MYSQL
from support.servers.postgres import POSTGRES, POSTGRES18
from support.servers.server import Server

_ALL: Sequence[Server[object]] = (
    POSTGRES,
    POSTGRES18,
    MYSQL,
    MARIADB,
    MARIADB118,
    KAFKA,
    CONNECT,
)
SERVERS: dict[str, Server[object]] = {server.name: server for server in _ALL}


def start(name: str) -> object:
    """Start a server by its name and return its address: dsn, bootstrap or url."""
    return SERVERS[name].start()
