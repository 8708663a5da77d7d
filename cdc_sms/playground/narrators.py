"""Who tells the demo's story: a live screen for people, lines for everything else."""

import sys
import time
from collections.abc import Iterable
from dataclasses import fields
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cdc_sms.playground.stage import Glance
from cdc_sms.playground.tally import Figures, Percentiles

_STYLES = {
    "pending": "dim",
    "scheduled": "cyan",
    "sending": "yellow",
    "retrying": "yellow",
    "in_doubt": "magenta",
    "sent": "green",
    "failed": "red",
}
_COUNTERS_WIDTH = 22
_WIDTHS = {"id": 4, "recipient": 16, "status": 9, "tries": 5}
_STATES = ("sending", "retrying", "scheduled", "in_doubt", "sent", "failed")


class Lines:
    """Tells the story on standard error, a line a sentence.

    Thread: the demo's main thread.
    """

    def __init__(self) -> None:
        """Start the clock that the lines show."""
        self._began_s = time.monotonic()

    def act(self, title: str, sentence: str) -> None:
        """Begin an act."""
        self.say(f"{title}. {sentence}")

    def say(self, sentence: str) -> None:
        """Say what has just been seen."""
        elapsed_s = time.monotonic() - self._began_s
        sys.stderr.write(f"[{elapsed_s:6.1f} s] {sentence}\n")
        sys.stderr.flush()

    def show(self, glance: Glance) -> None:
        """Show nothing: lines don't change."""


class Screen:
    """Tells the story on a terminal: rows and counters live, the sentences above them.

    Thread: the demo's main thread; rich redraws in one of its own.
    """

    def __init__(self, console: Console) -> None:
        """Take the terminal; it is drawn on inside ``with``."""
        self._live = Live(console=console, refresh_per_second=8)
        self._title = "Getting ready"

    def act(self, title: str, sentence: str) -> None:
        """Begin an act."""
        self._title = title
        self._live.console.print(f"\n[bold]{title}[/]", highlight=False)
        self.say(sentence)

    def say(self, sentence: str) -> None:
        """Say what has just been seen."""
        self._live.console.print(Padding(Text(sentence), (0, 2)), highlight=False)

    def show(self, glance: Glance) -> None:
        """Show the flow as it is now."""
        self._live.update(_picture(self._title, glance))

    def close(self) -> None:
        """Stop drawing, and leave the last picture on the terminal."""
        self._live.stop()

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop drawing."""
        self.close()


def _picture(title: str, glance: Glance) -> RenderableType:
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(ratio=1)
    grid.add_column(min_width=_COUNTERS_WIDTH)
    grid.add_row(_rows(glance), _counters(glance))
    return Panel(grid, title=title, border_style="cyan")


def _rows(glance: Glance) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, expand=True)
    for name, width in _WIDTHS.items():
        table.add_column(name, width=width, no_wrap=True)
    table.add_column("error", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in glance.rows:
        status = Text(row.status, style=_STYLES.get(row.status, ""))
        table.add_row(str(row.key), row.recipient, status, str(row.attempts or ""), row.error)
    return table


def _counters(glance: Glance) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_row("inserted", str(glance.inserted), style="bold")
    for state in _STATES:
        table.add_row(state, str(glance.states.get(state, 0)), style=_STYLES[state])
    table.add_row("dead letters", str(len(glance.dead_letters)))
    table.add_row("to topic, p50", _one_ms(glance.to_topic.p50))
    table.add_row("to topic, p99", _one_ms(glance.to_topic.p99))
    breaker = Text("open", style="bold red") if glance.is_breaker_open else Text("closed")
    table.add_row("breaker", breaker)
    return table


def _ms(latency: Percentiles) -> str:
    return f"p50 {_one_ms(latency.p50)}, p99 {_one_ms(latency.p99)}"


def _one_ms(latency_ms: float | None) -> str:
    return "-" if latency_ms is None else f"{latency_ms} ms"


def summary(figures: Figures) -> Table:
    """Return the figures as a table: what was counted, and what each count means."""
    table = Table(title="Counted", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column(justify="right")
    table.add_column("")
    for name, value, meaning in _counted(figures):
        table.add_row(name, value, meaning)
    return table


def _counted(figures: Figures) -> Iterable[tuple[str, str, str]]:
    for field in fields(figures):
        value = getattr(figures, field.name)
        shown = _ms(value) if isinstance(value, Percentiles) else str(value)
        yield field.name, shown, _MEANINGS[field.name]


_MEANINGS = {
    "inserted": "rows that the shop committed",
    "sent": "messages that the provider accepted",
    "failed": "given up for a reason of their own",
    "dead_lettered": "messages with a record on the dead-letter topic",
    "held": "left in doubt for a person",
    "in_doubt": "messages that were ever in doubt",
    "lost": "neither accepted nor in a final state",
    "doubled": "acceptances beyond the first",
    "doubled_beyond_doubt": "those of messages that were never in doubt",
    "wrong_numbers": "rows with a number that is none",
    "outages": "times that the provider was down",
    "outage_s": "the longest outage, seconds",
    "kills": "times that deliver was killed",
    "in_flight_at_kills": "requests that the provider was answering then",
    "breaker_opened": "times that a breaker opened",
    "commit_to_topic_ms": "from COMMIT until the record was seen on the topic",
    "commit_to_accepted_ms": "from COMMIT (or its due time) to the acceptance, outage included",
}
