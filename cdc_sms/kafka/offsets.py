"""Which offsets may be committed: of each partition the finished records before the first open one.

Pure. Nothing else computes a commit. Records finish in any order; what is committed is the next
offset after the contiguous finished prefix, in the order of delivery. An offset that was never
delivered (compacted away, a transaction's marker) is no hole.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Place(NamedTuple):
    """Where a record was delivered: to which assignment of its partition, and its offset.

    Attributes:
        partition: the record's partition.
        offset: the record's offset.
        generation: the assignment it belongs to; a later one delivers the same offset anew.
    """

    partition: int
    offset: int
    generation: int


class NextOffset(NamedTuple):
    """What is committed of a partition.

    Attributes:
        offset: of the first record that is *not* finished: Kafka's own convention.
        leader_epoch: of the last finished record, by which the broker tells a truncated log.
    """

    offset: int
    leader_epoch: int | None


@dataclass(slots=True)
class _Record:
    offset: int
    leader_epoch: int | None
    is_finished: bool = False


@dataclass(slots=True)
class _Assigned:
    generation: int
    in_order: deque[_Record] = field(default_factory=deque[_Record])
    by_offset: dict[int, _Record] = field(default_factory=dict[int, _Record])
    last_received: int = -1
    reached: NextOffset | None = None
    committed: NextOffset | None = None


class Offsets:
    """The open and finished records of the partitions that are assigned now.

    Thread: loop thread only.
    """

    def __init__(self) -> None:
        """Start with no partition."""
        self._assigned: dict[int, _Assigned] = {}
        self._generations = 0

    def assigned(self, partitions: Iterable[int]) -> None:
        """Begin with these partitions anew; what was open of an earlier assignment is forgotten."""
        for partition in partitions:
            self._generations += 1
            self._assigned[partition] = _Assigned(self._generations)

    def revoked(self, partitions: Iterable[int]) -> None:
        """Forget these partitions: their records belong to the next owner."""
        for partition in partitions:
            self._assigned.pop(partition, None)

    def received(self, partition: int, offset: int, leader_epoch: int | None) -> Place:
        """Take a record in; it is open until :meth:`finished` is told its place.

        Args:
            partition: one that is assigned.
            offset: larger than every one before it in this assignment.
            leader_epoch: as the record came with.

        Raises:
            ValueError: the partition is not assigned, or the offset came before: a bug.
        """
        owned = self._assigned.get(partition)
        if owned is None:
            raise ValueError(f"partition {partition} is not assigned")
        if offset <= owned.last_received:
            raise ValueError(f"partition {partition}: {offset} after {owned.last_received}")
        record = _Record(offset, leader_epoch)
        owned.in_order.append(record)
        owned.by_offset[offset] = record
        owned.last_received = offset
        return Place(partition, offset, owned.generation)

    def finished(self, place: Place) -> None:
        """Let a record's offset go; a place told twice, or of an earlier assignment, is ignored.

        The record may have been delivered again to a later owner, even to us: what the earlier
        delivery came to says nothing about the later one.
        """
        owned = self._assigned.get(place.partition)
        if owned is None or owned.generation != place.generation:
            return
        record = owned.by_offset.pop(place.offset, None)
        if record is None:
            return
        record.is_finished = True
        while owned.in_order and owned.in_order[0].is_finished:
            first = owned.in_order.popleft()
            owned.reached = NextOffset(first.offset + 1, first.leader_epoch)

    def begins(self, partition: int, offset: int) -> None:
        """Have a partition's beginning committed where nothing of it is finished yet.

        Else a partition that gets no record has no committed offset for ever, and looks at each
        start as if its offsets had been lost.

        Args:
            partition: ignored unless it is assigned.
            offset: where it was begun: every record of it lies there or behind.
        """
        owned = self._assigned.get(partition)
        if owned is not None and owned.reached is None:
            owned.reached = NextOffset(offset, None)

    def is_current(self, place: Place) -> bool:
        """Say whether the assignment that delivered the record still holds."""
        owned = self._assigned.get(place.partition)
        return owned is not None and owned.generation == place.generation

    def committable(self) -> dict[int, NextOffset]:
        """Return what may be committed, of those partitions that moved since :meth:`committed`."""
        return {
            partition: owned.reached
            for partition, owned in self._assigned.items()
            if owned.reached is not None and owned.reached != owned.committed
        }

    def committed(self, offsets: Mapping[int, NextOffset]) -> None:
        """Note what was handed to the broker's client, as :meth:`committable` returned it."""
        for partition, offset in offsets.items():
            owned = self._assigned.get(partition)
            if owned is not None:
                owned.committed = offset

    def open_records(self, partition: int) -> int:
        """Return how many records of a partition are not finished; 0 for one not assigned."""
        owned = self._assigned.get(partition)
        return 0 if owned is None else len(owned.by_offset)

    def held_records(self, partition: int) -> int:
        """Return how many records are remembered: from the oldest unfinished one on."""
        assigned = self._assigned.get(partition)
        return len(assigned.in_order) if assigned else 0

    def oldest_open(self, partition: int) -> int | None:
        """Return the offset that holds a partition's commit back; None where nothing is open."""
        owned = self._assigned.get(partition)
        return owned.in_order[0].offset if owned is not None and owned.in_order else None
