"""A process watched from outside: what it has done, and what the kernel charged it for that."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.commands import Command
from support.waiting import until

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_BY_SCHEDULER = 2


@dataclass(frozen=True)
class Sample:
    """One look.

    Attributes:
        at_s: when; seconds of the monotonic clock.
        done: rows or messages so far.
        cpu_s: the process's processor time so far, in user and system mode; seconds.
    """

    at_s: float
    done: int
    cpu_s: float


@dataclass(frozen=True)
class Speed:
    """What lies between two looks."""

    first: Sample
    last: Sample

    @property
    def per_s(self) -> float:
        """Rows or messages a second."""
        return self._done / (self.last.at_s - self.first.at_s)

    @property
    def cpu_s_each(self) -> float:
        """Processor time of one row or message; seconds."""
        return (self.last.cpu_s - self.first.cpu_s) / self._done

    @property
    def _done(self) -> int:
        return self.last.done - self.first.done


def watch(process: Command, done: Callable[[], int], *, total: int, within_s: float) -> Speed:
    """Watch a process until it has done its work.

    Args:
        process: whose processor time counts.
        done: how much it has done so far.
        total: all that there is to do.
        within_s: seconds before giving up.

    Returns:
        Its speed from the first tenth on, so that neither its start nor the first connections
        count.

    Raises:
        GaveUpError: it was not done in time.
    """
    samples: list[Sample] = []

    def finished() -> bool:
        samples.append(Sample(time.monotonic(), done(), cpu_s(process.pid)))
        return samples[-1].done >= total

    until(finished, within_s=within_s, what=f"{process} to do {total}", seen=lambda: samples[-1])
    return Speed(_begun(samples, total), samples[-1])


def watch_pid(pid: int, done: Callable[[], int], *, first: int, last: int, within_s: float) -> int:
    """Return the processor time that a process took between two counts; nanoseconds.

    Args:
        pid: of the process.
        done: how much it has done so far.
        first: where the time begins.
        last: where it ends.
        within_s: seconds before giving up.
    """
    taken: list[int] = []

    def finished() -> bool:
        count, now_ns = done(), cpu_ns(pid)
        if count >= first and not taken:
            taken.append(now_ns)
        if count >= last:
            taken.append(now_ns)
        return count >= last

    until(finished, within_s=within_s, what=f"process {pid} to do {last}", every_s=0.002)
    return taken[-1] - taken[0]


def cpu_ns(pid: int) -> int:
    """Return the processor time that a process took, its ended threads' included; nanoseconds.

    Linux's clock of another process: clock_getcpuclockid(3), whose number the kernel's
    ``include/linux/posix-timers_types.h`` makes of the process's.
    """
    return time.clock_gettime_ns((~pid << 3) | _BY_SCHEDULER)


def _begun(samples: Sequence[Sample], total: int) -> Sample:
    """Return the first look at a tenth of the work; the one before the last, where it is over."""
    begun = next(sample for sample in samples if sample.done >= total / 10)
    return begun if begun is not samples[-1] else samples[-2]


def cpu_s(pid: int) -> float:
    """Return the processor time that a process and its threads took; proc(5), stat."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS_PER_S


def resident_mb(pid: int) -> float:
    """Return a process's resident memory now; megabytes of 10⁶ bytes."""
    return _status_mb(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """Return the most that was ever resident of a process; megabytes of 10⁶ bytes."""
    return _status_mb(pid, "VmHWM")


def _status_mb(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [kibibytes] = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(kibibytes) * 1024 / 1_000_000
