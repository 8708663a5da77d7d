"""An outbox of a test's own on a real broker, and members of its group, turned by hand."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.kafka.consumer import Consumer, Gap
from cdc_sms.kafka.offsets import Offsets, Place
from cdc_sms.kafka.record import Record
from support.servers.kafka import KafkaAddress
from support.waiting import until

PARTITIONS = 4

Join = Callable[..., "Member"]
"""What the fixture ``join`` is."""


@dataclass(frozen=True)
class Outbox:
    """A topic of one test's own, on a real broker."""

    settings: KafkaSettings
    admin: AdminClient
    producer: Producer

    def put(self, count: int, *, partitions: int = PARTITIONS, value: bytes = b"{}") -> None:
        """Append records, one after the other to each partition in turn."""
        turns = itertools.cycle(range(partitions))
        for number in range(count):
            self.producer.produce(
                self.settings.outbox, value=value, key=b"%d" % number, partition=next(turns)
            )
        assert self.producer.flush(10) == 0


def make_outbox(server: KafkaAddress, prefix: str, *, partitions: int = PARTITIONS) -> Outbox:
    """Make an outbox on a broker."""
    quiet: dict[str, Any] = {"bootstrap.servers": server.bootstrap, "log_level": 0}
    settings = KafkaSettings(bootstrap_servers=server.bootstrap, prefix=prefix)
    admin = AdminClient(quiet)
    for made in admin.create_topics([NewTopic(settings.outbox, partitions, 1)]).values():
        made.result(10)
    return Outbox(settings, admin, Producer({**quiet, "linger.ms": 5}))


class Member:
    """One member of the group, turned by hand; it remembers all that happened to it."""

    def __init__(self, settings: KafkaSettings, *, finishes: bool, paused: bool) -> None:
        self.offsets = Offsets()
        self.seen: list[Record] = []
        self.places: list[Place] = []
        self.gaps: list[Gap] = []
        self.revocations: list[tuple[frozenset[int], bool]] = []
        self.finishes = finishes
        self.paused = paused
        self.consumer = Consumer(
            settings=settings,
            on_assigned=self._assigned,
            on_revoked=self._revoked,
            on_gap=self.gaps.append,
        )

    def _assigned(self, partitions: frozenset[int]) -> None:
        self.offsets.assigned(partitions)
        self.obey()

    def _revoked(self, partitions: frozenset[int], *, lost: bool) -> None:
        self.revocations.append((partitions, lost))
        if not lost:
            self.consumer.commit_and_wait(self.offsets.committable())
        self.offsets.revoked(partitions)

    def obey(self) -> None:
        """Pause everything that is assigned, or nothing."""
        self.consumer.set_paused(self.consumer.assigned if self.paused else frozenset())

    def turn(self) -> "Member":
        """Poll once, as the deliver loop does, without committing; return itself."""
        for record in self.consumer.poll(0.02):
            self.seen.append(record)
            place = self.offsets.received(record.partition, record.offset, record.leader_epoch)
            self.places.append(place)
            if self.finishes:
                self.offsets.finished(place)
        return self

    @property
    def positions(self) -> list[tuple[int, int]]:
        """Partition and offset of all records it was handed, in order."""
        return [(record.partition, record.offset) for record in self.seen]

    def saw(self, count: int) -> Callable[[], bool]:
        """Return a condition for ``until``: so many records were handed to it."""
        return lambda: len(self.turn().seen) >= count


def share(*members: Member, partitions: int = PARTITIONS) -> None:
    """Turn members until they share all partitions, each having some."""

    def shared() -> bool:
        owned = [member.turn().consumer.assigned for member in members]
        return all(owned) and sorted(p for some in owned for p in some) == list(range(partitions))

    until(shared, within_s=30, what="the members to share the partitions")
