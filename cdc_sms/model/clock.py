"""Time as an argument: wall clock, and a monotonic clock that counts while the machine sleeps."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the present comes from."""

    def now(self) -> datetime:
        """Return the present wall-clock time, aware, in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that only grow and that also count while the machine was suspended."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """Return the present wall-clock time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return CLOCK_BOOTTIME where there is one, else the monotonic clock; seconds.

        A lease must also run out while the machine sleeps, which CLOCK_MONOTONIC doesn't count.
        """
        boottime = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if boottime is None else time.clock_gettime(boottime)
