"""What the benchmarks find: a value a round, the median and spread of all, and the target. Pure."""

import operator
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Values = Mapping[str, float]
"""Of one round: figures by name, the unit at the name's end."""


@dataclass(frozen=True)
class Target:
    """What a figure is to reach.

    Attributes:
        sign: ``≤``, ``≥`` or ``<``.
        value: in the figure's unit.
    """

    sign: str
    value: float

    def is_met_by(self, value: float) -> bool:
        """Say whether a value reaches it."""
        return _SIGNS[self.sign](value, self.value)

    def __str__(self) -> str:
        return f"{self.sign} {self.value:,g}"


_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "≤": operator.le,
    "≥": operator.ge,
    "<": operator.lt,
}

TARGETS: Mapping[str, Target] = {
    "commit_over_produce_p50_ms": Target("≤", 1.0),
    "backlog_rows_per_s": Target("≥", 40_000),
    "backlog_cpu_us_per_row": Target("≤", 22),
    "backlog_one_transaction_rows_per_s": Target("≥", 40_000),
    "backlog_one_transaction_cpu_us_per_row": Target("≤", 22),
    "deliver_messages_per_s": Target("≥", 500),
    "unrelated_cpu_us_per_transaction": Target("≤", 3),
    "unrelated_live_cpu_percent": Target("≤", 4),
    "huge_transaction_capture_peak_mb": Target("<", 80),
    "capture_idle_mb": Target("<", 80),
    "capture_peak_mb": Target("<", 80),
    "deliver_idle_mb": Target("<", 120),
    "deliver_peak_mb": Target("<", 120),
}
"""By figure; the others say something for comparison."""


@dataclass(frozen=True)
class Figure:
    """One figure over all rounds."""

    name: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        """The value to quote."""
        return statistics.median(self.values)

    @property
    def target(self) -> Target | None:
        """What it is to reach, where it has to reach something."""
        return TARGETS.get(self.name)

    @property
    def verdict(self) -> str:
        """Whether the median reaches the target, in words; empty where there is none."""
        if self.target is None:
            return ""
        return "met" if self.target.is_met_by(self.median) else "not met"

    def as_json(self) -> dict[str, object]:
        """Return median and spread, and the target where there is one."""
        found: dict[str, object] = {
            "median": _rounded(self.median),
            "min": _rounded(min(self.values)),
            "max": _rounded(max(self.values)),
        }
        if self.target is not None:
            met = self.target.is_met_by(self.median)
            found |= {"target": str(self.target), "met": met}
        return found


def figures_of(rounds: Sequence[Values]) -> list[Figure]:
    """Gather each figure's values over the rounds, in the order of the first."""
    return [Figure(name, [values[name] for values in rounds]) for name in rounds[0]]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent of the values don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def table(figures: Sequence[Figure]) -> str:
    """Lay the figures out for people."""
    rows = [("figure", "median", "min .. max", "target", "")]
    rows += [
        (
            figure.name,
            _told(figure.median),
            f"{_told(min(figure.values))} .. {_told(max(figure.values))}",
            str(figure.target or ""),
            figure.verdict,
        )
        for figure in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name, *others = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "  ".join([name, *others]).rstrip()


def _rounded(value: float) -> float:
    return float(f"{value:.4g}") if abs(value) < 10_000 else round(value)


def _told(value: float) -> str:
    return f"{_rounded(value):,g}" if abs(value) < 10_000 else f"{value:,.0f}"
