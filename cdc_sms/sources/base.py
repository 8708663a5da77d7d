"""What a source promises: a database's log as rows that can be read on from where they were left.

A source is inspected, then acquired: the :class:`Log` that comes of it is held by one reader at a
time. It gives the pending rows of a snapshot first, where one was asked for, then what is
committed, transaction by transaction, and is told how far everything is safe.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from cdc_sms.errors import SourceUnavailable
from cdc_sms.model.captured_row import CapturedRow


class HeldByAnother(SourceUnavailable):
    """Another reader holds the log: stand by and ask again."""


class LogState(Enum):
    """What the server still holds for us."""

    ABSENT = "absent"
    """There is no position of ours."""
    USABLE = "usable"
    """The log reaches back to our position."""
    LOST = "lost"
    """There is a position of ours, and the log no longer reaches back to it."""


class Start(Enum):
    """How to begin reading."""

    STREAM = "stream"
    """From our position."""
    SNAPSHOT = "snapshot"
    """The pending rows first, then from our position."""
    NEW_SNAPSHOT = "new_snapshot"
    """Make a new position; the pending rows as they are there first, then from it."""
    NEW_STREAM = "new_stream"
    """Make a new position and read from it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What an inspection found.

    Attributes:
        state: of our position.
        reason: why it is lost, in the server's words; empty otherwise.
    """

    state: LogState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Our own mark in the log, read back from it.

    Attributes:
        position: where it stands in the log.
        server: what the database server calls itself.
        history: which history of it the log belongs to: PostgreSQL's timeline; 0: it has none.
    """

    position: int
    server: str
    history: int


@dataclass(slots=True)
class Batch:
    """What was there to read at one moment.

    Attributes:
        rows: in the log's order; a large transaction is spread over many batches.
        position: when all rows up to the end of this batch are safe, so is the log up to here;
            None where nothing ended in this batch.
        ends_snapshot: the snapshot's rows are complete with this batch.
        age_s: how long ago its last transaction was committed when the server sent it.
        heartbeat: the newest of ours in it; None: there is none.
        doubt: why rows may be missing in the log up to here, though it can be read on; a look at
            the table tells. None: it is whole.
    """

    rows: list[CapturedRow] = field(default_factory=list[CapturedRow])
    position: int | None = None
    ends_snapshot: bool = False
    age_s: float = 0.0
    heartbeat: Heartbeat | None = None
    doubt: str | None = None


class Positions(Protocol):
    """Where a reader's position is kept by a source whose server keeps none.

    Thread: capture's loop.
    """

    def load(self) -> str | None:
        """Return what was saved last; None: nothing ever was.

        Raises:
            BrokerUnavailable: it can't be read now: wait and repeat.
        """
        ...

    def save(self, position: str) -> None:
        """Save it, soon and in order; only what was acknowledged may be said by it.

        Args:
            position: the source's own text; none of its words is personal.

        Raises:
            BrokerError: the producer is broken.
        """
        ...


class Log(Protocol):
    """A log that this reader holds.

    Thread: the loop that acquired it.
    """

    def read(self, *, wait_s: float) -> Batch:
        """Return what is there; wait for something only if there is nothing.

        Args:
            wait_s: how long to wait, in seconds.

        Returns:
            A batch of bounded size; empty if the time ran out.

        Raises:
            SourceUnavailable: the connection was lost: acquire again, which repeats everything
                after the confirmed position.
            PositionLost: the server gave up our position.
            LogDecodeError: bytes that are not understood.
            SetupError: the table or the server changed so that a person is needed.
        """
        ...

    def confirm(self, position: int) -> None:
        """Say that everything before the position is safe.

        Args:
            position: of a batch that was read; a smaller one than before is ignored.

        Raises:
            SourceUnavailable: the connection was lost.
        """
        ...

    def keep_alive(self) -> None:
        """Tell the server that we live, if it is time to; reads nothing.

        To be called at least once a second while nothing is read.

        Raises:
            SourceUnavailable: the connection was lost.
        """
        ...

    @property
    def lag_bytes(self) -> int | None:
        """Return how much of its log the server holds back for us; None where not known."""
        ...

    @property
    def place(self) -> str | None:
        """Return up to where the log is confirmed, as the server's own tools write it.

        None before the first time. This and ``lag_bytes`` may be asked by any thread.
        """
        ...

    def close(self) -> None:
        """Confirm what is safe and let the log go; never raises."""
        ...


class Source(Protocol):
    """A database whose log can be read.

    Thread: one owner.
    """

    def inspect(self) -> Found:
        """Look at what is there, change nothing.

        Raises:
            SourceUnavailable: the server can't be reached.
            HeldByAnother: another reader is at work.
            SetupError: everything that is missing or wrong on the server, in one error.
        """
        ...

    def acquire(self, start: Start) -> Log:
        """Take the log, exclusively, and begin to read it.

        Raises:
            SourceUnavailable: the server can't be reached, or it makes no position now.
            HeldByAnother: another reader was faster.
            PositionLost: the server gave up our position: inspect again.
            SetupError: a right is missing.
        """
        ...
