"""Sets of global transaction ids, as MySQL and as MariaDB write them. Pure.

MySQL's set names every transaction: ``uuid:1-5:7, uuid:tag:1-3``. MariaDB's is the last transaction
of each domain, ``0-1-42``: what came before in the domain is meant with it.

mysql-replication's own set is not used: it knows no tags, and refuses an id that it has already.

Source: MySQL manual, "GTID Format and Storage"; MySQL source, ``rpl_gtid_set.cc``
(``Gtid_set::encode``); MariaDB, "Global Transaction ID".
"""

import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import Self
from uuid import UUID

Member = tuple[UUID, str]
"""Who numbered a transaction: a server, and the tag, which is empty for most."""


class GtidSet:
    """MySQL's set: intervals of numbers for each server and tag."""

    def __init__(self) -> None:
        self._intervals: dict[Member, list[tuple[int, int]]] = {}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the server's form.

        Raises:
            ValueError: the text has another form.
        """
        found = cls()
        for part in filter(None, (part.strip() for part in text.split(","))):
            uuid_text, *rest = part.split(":")
            uuid, tag = UUID(uuid_text), ""
            for piece in rest:
                piece = piece.strip()  # noqa: PLW2901 - newlines stand between the parts
                if not piece[0].isdigit():
                    tag = piece.lower()
                    continue
                first, _dash, last = piece.partition("-")
                found.add_interval((uuid, tag), int(first), int(last or first) + 1)
        return found

    def add(self, member: Member, number: int) -> None:
        """Add one transaction; one that is there already changes nothing."""
        intervals = self._intervals.setdefault(member, [])
        if intervals and intervals[-1][1] == number:  # the one after the last: nearly always
            intervals[-1] = (intervals[-1][0], number + 1)
        else:
            self.add_interval(member, number, number + 1)

    def add_interval(self, member: Member, start: int, end: int) -> None:
        """Add the transactions from ``start`` up to, but not with, ``end``."""
        merged: list[tuple[int, int]] = []
        for former_start, former_end in self._intervals.get(member, ()):
            if former_end < start or former_start > end:
                merged.append((former_start, former_end))
            else:
                start, end = min(start, former_start), max(end, former_end)
        merged.insert(bisect_right(merged, (start, end)), (start, end))
        self._intervals[member] = merged

    def update(self, other: "Gtids") -> None:
        """Add every transaction of another set of this kind."""
        assert isinstance(other, GtidSet)
        for member, intervals in other._intervals.items():  # noqa: SLF001 - of its own class
            for start, end in intervals:
                self.add_interval(member, start, end)

    def __contains__(self, other: "GtidSet") -> bool:
        """Say whether every transaction of another set is in this one."""
        return all(
            any(start <= first and last <= end for start, end in self._intervals.get(member, ()))
            for member, intervals in other._intervals.items()  # noqa: SLF001 - of its own class
            for first, last in intervals
        )

    def __bool__(self) -> bool:
        """Say whether there is any transaction in it."""
        return bool(self._intervals)

    def __str__(self) -> str:
        """Print the server's form, without spaces or line feeds."""
        by_uuid: dict[UUID, list[str]] = {}
        for (uuid, tag), intervals in self._sorted():
            pieces = by_uuid.setdefault(uuid, [])
            pieces.extend([tag] if tag else [])
            pieces.extend(
                str(start) if end == start + 1 else f"{start}-{end - 1}" for start, end in intervals
            )
        return ",".join(f"{uuid}:{':'.join(pieces)}" for uuid, pieces in by_uuid.items())

    def encode(self) -> bytes:
        """Return the form in which a replica tells a server what it has.

        Sets with tags have a form of their own, which only servers that know tags read.
        """
        tagged = any(tag for _uuid, tag in self._intervals)
        members = list(self._sorted())
        head = len(members) << 8 | _TAGGED | _TAGGED << 56 if tagged else len(members)
        encoded = [struct.pack("<Q", head)]
        for (uuid, tag), intervals in members:
            encoded.append(uuid.bytes)
            if tagged:
                encoded.append(bytes([len(tag) << 1]) + tag.encode())
            encoded.append(struct.pack("<Q", len(intervals)))
            encoded.extend(struct.pack("<QQ", start, end) for start, end in intervals)
        return b"".join(encoded)

    def _sorted(self) -> Iterator[tuple[Member, list[tuple[int, int]]]]:
        return iter(sorted(self._intervals.items()))


_TAGGED = 1


class DomainPosition:
    """MariaDB's set: the last transaction of each domain."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[int, int]] = {}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the server's form.

        Raises:
            ValueError: the text has another form.
        """
        found = cls()
        for part in filter(None, (part.strip() for part in text.split(","))):
            domain, server, number = part.split("-")
            found.add(int(domain), int(server), int(number))
        return found

    def add(self, domain: int, server: int, number: int) -> None:
        """Say that this is the last transaction of its domain."""
        self._last[domain] = (server, number)

    def update(self, other: "Gtids") -> None:
        """Go on to where a later one of this kind is in each of its domains."""
        assert isinstance(other, DomainPosition)
        self._last.update(other._last)  # noqa: SLF001 - of its own class

    def __contains__(self, other: "DomainPosition") -> bool:
        """Say whether this one is as far as another in each of that one's domains."""
        return all(
            self._last.get(domain, (0, -1))[1] >= number
            for domain, (_server, number) in other._last.items()  # noqa: SLF001 - the same
        )

    def __bool__(self) -> bool:
        """Say whether there is any transaction in it."""
        return bool(self._last)

    def __str__(self) -> str:
        """Print the server's form."""
        return ",".join(
            f"{domain}-{server}-{number}" for domain, (server, number) in sorted(self._last.items())
        )


Gtids = GtidSet | DomainPosition
"""What was read of a log, by transaction ids."""
