"""The topics and the living Debezium of one run."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

import requests
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from support.servers.machine import REPOSITORY
from support.waiting import until

from cdc_sms.config.settings import Sections
from conformance.compare import Record, parsed

PARTITIONS = 12
MAX_RECORD_BYTES = 4 * 1024 * 1024
MARKER = "cdc_sms_conformance_marker"
"""A table of our own: its rows say how far a reader has come."""

CAUGHT_UP_S = 120.0
TIMEOUT_S = 30


class DebeziumStoppedError(Exception):
    """The connector's task failed; says why in its own words."""


@contextmanager
def topics(bootstrap: str, prefix: str, names: Sequence[str]) -> Iterator[None]:
    """Make topics; delete at the end every one whose name begins with the prefix."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    config = {"max.message.bytes": str(MAX_RECORD_BYTES)}
    made = admin.create_topics([NewTopic(name, PARTITIONS, 1, config=config) for name in names])
    try:
        for future in made.values():
            future.result()
        yield
    finally:
        present = [
            name for name in admin.list_topics(timeout=TIMEOUT_S).topics if name.startswith(prefix)
        ]
        for future in admin.delete_topics(present).values():
            future.result()


class Topic:
    """A topic, read from its beginning by a consumer of our own."""

    def __init__(self, bootstrap: str, name: str) -> None:
        """Connect to it; it exists."""
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": name,
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
                "fetch.message.max.bytes": MAX_RECORD_BYTES,
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(name, part, 0) for part in range(PARTITIONS)])
        self.records: list[Record] = []
        self.marks: set[int] = set()

    def take(self, wait_s: float) -> bool:
        """Read one record, if one comes; say whether it did."""
        message = self._consumer.poll(wait_s)
        if message is None or message.error() is not None:
            return False
        value = message.value()
        if value is None:  # a tombstone says nothing
            return True
        record = Record(
            partition=message.partition() or 0,
            offset=message.offset() or 0,
            key=message.key(),
            value=parsed(value),
        )
        if "source" in record.value and record.value["source"].get("table") == MARKER:
            self.marks.add(record.value["after"]["id"])
        else:
            self.records.append(record)
        return True

    def read_up_to(self, mark: int) -> bool:
        """Read what is there; say whether the mark was met."""
        while mark not in self.marks and self.take(0.2):
            pass
        return mark in self.marks

    def read(self, count: int, *, within_s: float) -> None:
        """Read until so many records are there, or the time is over."""
        deadline = time.monotonic() + within_s
        while len(self.records) < count and time.monotonic() < deadline:
            self.take(0.1)

    def close(self) -> None:
        """Let the broker go."""
        self._consumer.close()


class Connector:
    """One connector in Kafka Connect, as ``scripts/debezium`` registers it.

    Args:
        connect: the worker's address.
        sections: the configuration of cdc-sms that it is filled in from.
        changes: properties that differ from the production's.
    """

    def __init__(self, connect: str, sections: Sections, changes: Mapping[str, str]) -> None:
        tool = _connector_tool()
        made = tool.connector_of(sections, changes)
        self._url = f"{connect}/connectors/{made['name']}"
        self._config: Mapping[str, Any] = made["config"]

    def start(self) -> None:
        """Register it and wait until it runs."""
        _ask("PUT", f"{self._url}/config", self._config)
        until(self._runs, within_s=CAUGHT_UP_S, what="Debezium to run", every_s=0.2)

    def check(self) -> None:
        """Raise if its task failed.

        Raises:
            DebeziumStoppedError: with the innermost cause.
        """
        status = requests.get(f"{self._url}/status", timeout=TIMEOUT_S).json()
        for part in (status.get("connector", {}), *status.get("tasks", [])):
            if part.get("state") == "FAILED":
                raise DebeziumStoppedError(_cause(part.get("trace", "")))

    def await_mark(self, topic: Topic, mark: int) -> None:
        """Wait until everything up to a mark is on its topic.

        Raises:
            DebeziumStoppedError: it never comes.
        """
        deadline = time.monotonic() + CAUGHT_UP_S
        while not topic.read_up_to(mark):
            self.check()
            if time.monotonic() > deadline:
                raise DebeziumStoppedError(f"it said nothing for {CAUGHT_UP_S:.0f} s")

    def remove(self) -> None:
        """Remove it with its position."""
        requests.put(f"{self._url}/stop", timeout=TIMEOUT_S)
        until(
            lambda: requests.delete(f"{self._url}/offsets", timeout=TIMEOUT_S).ok,
            within_s=CAUGHT_UP_S,
            what="the connector to stop",
            every_s=0.2,
        )
        _ask("DELETE", self._url)

    def _runs(self) -> bool:
        self.check()
        status = requests.get(f"{self._url}/status", timeout=TIMEOUT_S).json()
        return any(task["state"] == "RUNNING" for task in status.get("tasks", []))


def _ask(method: str, url: str, body: Mapping[str, Any] | None = None) -> None:
    answer = requests.request(method, url, json=body, timeout=TIMEOUT_S)
    if not answer.ok:
        raise DebeziumStoppedError(f"Kafka Connect refuses it: {answer.text[:2000]}")


def _cause(trace: str) -> str:
    lines = [line for line in trace.splitlines() if line and not line[0].isspace()]
    return lines[-1].removeprefix("Caused by: ") if lines else "it gives no reason"


def _connector_tool() -> ModuleType:
    """Load the tool beside the connectors' configurations: it is no package."""
    path = REPOSITORY / "debezium" / "connector.py"
    spec = spec_from_file_location("debezium_connector", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
