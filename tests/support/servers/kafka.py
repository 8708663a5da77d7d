"""Apache Kafka: one broker in KRaft mode, from Maven's jars."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient

from support.servers.java import install_java, java_command, kafka_jars, write_properties
from support.servers.machine import LOOPBACK, Process, launch, run
from support.servers.server import Server

SETTINGS = {
    "node.id": "1",
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "DIRECT",
    "auto.create.topics.enable": "false",
    "message.max.bytes": "8388608",
    # One broker holds everything once.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "5",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "5",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A test waits for members that come, and for those that were killed or frozen.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "2000",
    "group.consumer.min.session.timeout.ms": "2000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
    # A broker that was killed comes back only when the controller has given up its last life.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "1000",
    # Retention and compaction act on closed segments only: let them be seen within a test.
    "log.segment.bytes": "16777216",
    "log.index.size.max.bytes": "1048576",
    "log.retention.check.interval.ms": "5000",
    "log.cleaner.backoff.ms": "1000",
    "log.cleaner.dedupe.buffer.size": "16777216",
}


@dataclass(frozen=True)
class KafkaAddress:
    """Where a Kafka listens.

    A broker sends its clients on to the addresses that it advertises, past any proxy. So it
    has a second listener on ``proxied_port``, which advertises ``proxy_port``: there a test
    puts its fault proxy (0 where the broker is not ours).
    """

    bootstrap: str
    proxied_port: int = 0
    proxy_port: int = 0


class KafkaServer(Server[KafkaAddress]):
    """One broker that is its own controller; a topic is made on purpose or not at all."""

    name = "kafka"
    port_names = ("port", "controller", "proxied", "proxy")

    def __init__(self, name: str | None = None) -> None:
        """Name it, where it isn't the machine's first."""
        super().__init__()
        self.name = name or self.name

    def install(self) -> None:
        """Install Java; fetch the jars."""
        install_java(self.name)
        kafka_jars(self.name)

    def address(self) -> KafkaAddress:
        """Return where it is, or will be once it runs again."""
        return KafkaAddress(
            bootstrap=f"{LOOPBACK}:{self.port()}",
            proxied_port=self.port("proxied"),
            proxy_port=self.port("proxy"),
        )

    def launch(self) -> Process:
        """Start the broker, on a freshly formatted folder if it has none."""
        settings = str(write_properties(self.folder / "server.properties", self._settings()))
        java = java_command(self.name, self.folder)
        if not (self.folder / "data" / "meta.properties").exists():
            format_data = ["kafka.tools.StorageTool", "format", "--config", settings]
            # in one word: the id may begin with a dash
            run([*java, *format_data, f"--cluster-id={secrets.token_urlsafe(16)}"])
        return launch([*java, "kafka.Kafka", settings], folder=self.folder)

    def answers(self) -> bool:
        """Ask for its metadata."""
        client = AdminClient({"bootstrap.servers": self.address().bootstrap, "log_level": 0})
        return bool(client.list_topics(timeout=5).brokers)

    def _settings(self) -> Mapping[str, str]:
        controller = self.port("controller")
        return {
            **SETTINGS,
            "listeners": _listeners(
                DIRECT=self.port(), PROXIED=self.port("proxied"), CONTROLLER=controller
            ),
            "advertised.listeners": _listeners(DIRECT=self.port(), PROXIED=self.port("proxy")),
            "listener.security.protocol.map": (
                "DIRECT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT"
            ),
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
            "log.dirs": str(self.folder / "data"),
        }


def _listeners(**ports: int) -> str:
    return ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in ports.items())


KAFKA = KafkaServer()
