"""The list of servers, in an order in which each stands after those that it needs."""

from support.servers.connect import CONNECT
from support.servers.kafka import KAFKA
from support.servers.postgres import POSTGRES, POSTGRES18
from support.servers.server import Server

SERVERS: dict[str, Server[object]] = {
    server.name: server for server in (POSTGRES, POSTGRES18, KAFKA, CONNECT)
}


def start(name: str) -> object:
    """Start a server by its name and return its address: dsn, bootstrap or url."""
    return SERVERS[name].start()
