"""What a check-up of a database's log promises: every finding at once, each with its remedy.

Not for the start of capture: that refuses what it can't work with. A check-up also says what works
today and won't when something goes wrong, and it tries the log instead of believing the settings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """Messages can't flow, or not all of them."""
    WARNING = "warning"
    """They flow, until something goes wrong."""
    NOTE = "note"
    """Good to know; nothing needs to be done."""


@dataclass(frozen=True, slots=True)
class Ailment:
    """What can be found: the catalogue's side of a finding.

    Attributes:
        severity: how bad it is.
        means: what happens with it, for the documentation.
        remedy: the SQL or setting that mends it, names in braces: ``{table}``.
        managed: what differs on managed services, in the same form; empty: nothing does.
    """

    severity: Severity
    means: str
    remedy: str
    managed: str = ""


Catalogue = Mapping[str, Ailment]
"""Ailments by their names, which stay: scripts may rely on them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        name: of the ailment.
        severity: how bad it is.
        said: what was found, in one sentence; never a number, a text or a secret of a message.
        remedy: what mends it.
        managed: what differs on managed services; empty: nothing does.
    """

    name: str
    severity: Severity
    said: str
    remedy: str
    managed: str = ""


def finder(catalogue: Catalogue, **always: object) -> Callable[..., Finding]:
    """Return what makes findings of a catalogue's ailments.

    Args:
        catalogue: the ailments.
        always: what stands for names in remedies, whatever the finding.

    Returns:
        Called with the ailment's name, the sentence, and further names of its remedy; a
        ``remedy`` of its own wins over the catalogue's.
    """

    def found(name: str, said: str, *, remedy: str | None = None, **names: object) -> Finding:
        ailment = catalogue[name]
        values = {**always, **names}
        return Finding(
            name,
            ailment.severity,
            said,
            ailment.remedy.format(**values) if remedy is None else remedy,
            ailment.managed.format(**values),
        )

    return found


@dataclass(slots=True)
class Examined:
    """What an examination brought.

    Attributes:
        findings: in the order in which they were made.
        facts: what was read, by name; for JSON.
        measured: durations in milliseconds, by name.
        left_out: what could not be examined and why, a sentence each.
    """

    findings: list[Finding] = field(default_factory=list[Finding])
    facts: dict[str, object] = field(default_factory=dict[str, object])
    measured: dict[str, float] = field(default_factory=dict[str, float])
    left_out: list[str] = field(default_factory=list[str])


class Checkup(Protocol):
    """A check-up of one database's log, on connections of its own; it leaves nothing behind.

    Thread: one owner.
    """

    def look(self, *, outage_s: float) -> Examined:
        """Read the server's settings, rights and state, and judge them.

        Args:
            outage_s: how long the log must be kept while nobody reads it; seconds.

        Raises:
            SourceUnavailable: the server can't be reached.
            SetupError: it refuses us.
        """
        ...

    def try_log(self) -> Examined:
        """Open a real stream of the log, commit a mark of our own, and see it come back.

        A capture that runs is not disturbed, and takes no notice of the mark.

        Raises:
            SourceUnavailable: the server can't be reached.
            SetupError: it refuses us.
        """
        ...
