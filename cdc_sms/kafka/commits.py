"""Which commits are wanted, which one is under way, and when a failed one is tried again.

Pure. One commit is under way at a time, so that an older one can't overtake a newer; what is
wanted meanwhile goes along with the next.
"""

from collections.abc import Iterable, Mapping

from cdc_sms.kafka.offsets import NextOffset

PAUSE_S = 1.0
"""Between a failed commit and its repetition; seconds."""

LATE_S = 60.0
"""A commit without an answer for so long counts as failed; seconds."""


class PendingCommits:
    """The commits of the partitions that are assigned now.

    Thread: loop thread only.
    """

    def __init__(self) -> None:
        """Start with nothing wanted and nothing known."""
        self._wanted: dict[int, NextOffset] = {}
        self._known: dict[int, int] = {}
        self._not_before_s = 0.0
        self._sent_at_s: float | None = None

    def want(self, offsets: Mapping[int, NextOffset]) -> None:
        """Have these committed; a newer wish for a partition replaces the older."""
        self._wanted.update(offsets)

    def wanted(self) -> dict[int, NextOffset]:
        """Return what is not known to be committed."""
        return dict(self._wanted)

    def to_send(self, now_s: float) -> dict[int, NextOffset]:
        """Return what to send now, and count it as under way; empty: nothing.

        Args:
            now_s: of a clock that only grows; seconds.
        """
        is_under_way = self._sent_at_s is not None and now_s < self._sent_at_s + LATE_S
        if not self._wanted or is_under_way or now_s < self._not_before_s:
            return {}
        self._sent_at_s = now_s
        return dict(self._wanted)

    def succeeded(self, offsets: Mapping[int, int]) -> None:
        """Note what the broker took: the next offset by partition."""
        self._sent_at_s = None
        for partition, offset in offsets.items():
            self.learned(partition, offset)
            if partition in self._wanted and self._wanted[partition].offset == offset:
                del self._wanted[partition]

    def failed(self, now_s: float) -> None:
        """Note that the broker did not take what is under way: it stays wanted."""
        self._sent_at_s = None
        self._not_before_s = now_s + PAUSE_S

    def learned(self, partition: int, offset: int) -> None:
        """Note what is committed of a partition, whoever did it."""
        self._known[partition] = offset

    def last(self, partition: int) -> int | None:
        """Return the next offset that is committed; None: none is, or it isn't known."""
        return self._known.get(partition)

    def forget(self, partitions: Iterable[int]) -> None:
        """Drop what concerns partitions that go: their next owner commits."""
        for partition in partitions:
            self._wanted.pop(partition, None)
            self._known.pop(partition, None)
