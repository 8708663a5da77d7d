"""Debezium in the place of the built-in reader: registered for the demo's table, then removed."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cdc_sms.playground.configuration import Servers
from cdc_sms.playground.database import publish
from cdc_sms.playground.processes import run_to_end
from cdc_sms.playground.shop import TABLE


@dataclass(frozen=True, slots=True)
class Connect:
    """Kafka Connect, and how a connector is registered there.

    Attributes:
        url: where it answers.
        tool: ``debezium/connector.py`` of a checkout.
    """

    url: str
    tool: Path


@contextmanager
def debezium_captures(
    connect: Connect, servers: Servers, *, configuration: Path, environment: Mapping[str, str]
) -> Iterator[None]:
    """Have a connector capture for a while.

    Args:
        connect: where.
        servers: the database that it reads.
        configuration: the demo's; the connector's own is made from it.
        environment: as the roles have it.

    Raises:
        SetupError: the connector isn't accepted, or doesn't run.
    """
    publish(servers.dsn, servers.password, publication=servers.name, table=TABLE)
    # by reference: a password on a command line is everybody's
    secrets = configuration.with_name("debezium.properties")
    secrets.touch(mode=0o600)
    secrets.write_text(f"password={servers.password}\n", encoding="utf-8")
    password = f"database.password=${{file:{secrets}:password}}"

    def tool(*words: str) -> None:
        place = ("--config", str(configuration), "--connect-url", connect.url)
        command: Sequence[str | Path] = (sys.executable, connect.tool, *words, *place)
        run_to_end(command, called=f"debezium {words[0]}", environment=environment)

    tool("register", "--set", password)
    try:
        yield
    finally:
        tool("unregister", "--forget")
