"""Kafka Connect in distributed mode, with Debezium's three connectors."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

import requests

from support.servers.java import (
    install_java,
    java_command,
    kafka_jars,
    read_properties,
    write_properties,
)
from support.servers.kafka import KAFKA, KafkaServer
from support.servers.machine import (
    LOOPBACK,
    REPOSITORY,
    Process,
    install_jars,
    launch,
)
from support.servers.server import Server

# The newest of each that Maven has. Each has a folder of its own: their drivers don't mix.
ARTIFACTS = {
    "debezium-postgres": "io.debezium:debezium-connector-postgres:3.6.1.Final",
    "debezium-mysql": "io.debezium:debezium-connector-mysql:3.6.1.Final",
    "debezium-mariadb": "io.debezium:debezium-connector-mariadb:3.5.0.Final",
}
CONNECTORS = {
    "io.debezium.connector.postgresql.PostgresConnector",
    "io.debezium.connector.mysql.MySqlConnector",
    "io.debezium.connector.mariadb.MariaDbConnector",
}
CLIENTS = ("producer.", "consumer.", "admin.")
# What differs from debezium/worker.properties: one broker without TLS, and haste.
SETTINGS = {
    "config.storage.topic": "connect-configs",
    "offset.storage.topic": "connect-offsets",
    "status.storage.topic": "connect-status",
    "offset.flush.interval.ms": "1000",
    **{f"{client}security.protocol": "PLAINTEXT" for client in ("", *CLIENTS)},
}


@dataclass(frozen=True)
class ConnectAddress:
    """Where Kafka Connect answers over HTTP, and the broker that it writes to."""

    url: str
    bootstrap: str


class ConnectServer(Server[ConnectAddress]):
    """One worker. Its connectors and their offsets live in Kafka's topics: they outlive it."""

    name = "connect"

    def __init__(self, kafka: KafkaServer, name: str | None = None) -> None:
        """Name the broker that it belongs to, and itself, where it isn't the machine's first."""
        super().__init__(needs=[kafka])
        self.name = name or self.name
        self._kafka = kafka

    def install(self) -> None:
        """Install Java; fetch the jars of Kafka Connect and, in folders apart, Debezium's."""
        install_java(self.name)
        kafka_jars(self.name)
        self._plugins()

    def address(self) -> ConnectAddress:
        """Return where it is, or will be once it runs again."""
        bootstrap = self._kafka.address().bootstrap
        return ConnectAddress(url=f"http://{LOOPBACK}:{self.port()}", bootstrap=bootstrap)

    def launch(self) -> Process:
        """Start the worker."""
        settings = {
            **read_properties(REPOSITORY / "debezium" / "worker.properties"),
            **SETTINGS,
            "bootstrap.servers": self.address().bootstrap,
            "listeners": self.address().url,
            "config.providers.file.param.allowed.paths": (
                f"{REPOSITORY},{self.folder},{gettempdir()}"
            ),
            "plugin.path": ",".join(str(folder.parent) for folder in self._plugins()),
        }
        path = write_properties(self.folder / "worker.properties", settings)
        main = "org.apache.kafka.connect.cli.ConnectDistributed"
        return launch([*java_command(self.name, self.folder), main, str(path)], folder=self.folder)

    def _plugins(self) -> list[Path]:
        return [install_jars(self.name, name, artifact) for name, artifact in ARTIFACTS.items()]

    def answers(self) -> bool:
        """Ask for its plug-ins, and for its connectors: those it knows once it has joined."""
        url = self.address().url
        plugins = requests.get(f"{url}/connector-plugins", timeout=5)
        connectors = requests.get(f"{url}/connectors", timeout=5)
        return connectors.ok and {plugin["class"] for plugin in plugins.json()} >= CONNECTORS


CONNECT = ConnectServer(KAFKA)
