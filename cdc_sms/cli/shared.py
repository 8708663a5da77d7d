"""What all commands share: options, tables, JSON, waiting for a server."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
import orjson

from cdc_sms.errors import CdcSmsError

P = ParamSpec("P")
Result = TypeVar("Result")

PIPE_WIDTH = 240
"""Columns of a table that goes to no terminal: wide enough for whole message ids."""

UNREACHABLE = 6
_PAUSE_S = 0.5


def config_option(command: Callable[P, Result]) -> Callable[P, Result]:
    """Add ``--config FILE``."""
    return click.option(
        "--config",
        "config",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The configuration file; else $CDC_SMS_CONFIG, else ./cdc-sms.toml.",
    )(command)


def json_option(command: Callable[P, Result]) -> Callable[P, Result]:
    """Add ``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one line of JSON instead of a table."
    )(command)


def wait_option(command: Callable[P, Result]) -> Callable[P, Result]:
    """Add ``--wait S``."""
    return click.option(
        "--wait",
        "wait_s",
        metavar="S",
        type=click.FloatRange(min=0),
        default=10.0,
        show_default=True,
        help="How long to wait for a server that can't be reached; seconds.",
    )(command)


def patiently(action: Callable[[], Result], *, wait_s: float) -> Result:
    """Repeat an action until the server that it needs answers.

    Args:
        action: may be repeated after any error that says a server can't be reached.
        wait_s: how long; it is tried once at least.

    Raises:
        CdcSmsError: the last error of this kind, or the first of any other.
    """
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            return action()
        except CdcSmsError as error:
            if error.exit_code != UNREACHABLE or time.monotonic() + _PAUSE_S > deadline_s:
                raise
        time.sleep(_PAUSE_S)


def environment() -> dict[str, str]:
    """Return the environment that the configuration is read from."""
    return dict(os.environ)


def print_json(content: object) -> None:
    """Print one line of JSON; times as ISO 8601 in UTC."""
    option = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    click.echo(orjson.dumps(content, default=str, option=option))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table for people; long values wrap on a terminal and stay whole in a pipe."""
    from rich.table import Table  # noqa: PLC0415 - only when something is to be shown

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, overflow="fold", header_style="bold")
    for row in rows:
        table.add_row(*(shown(value) for value in row))
    print_rich(table)


def print_rich(content: Any) -> None:
    """Print something of rich's; its mark-up is never read out of values."""
    from rich.console import Console  # noqa: PLC0415 - only when something is to be shown

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(width=width, markup=False, highlight=False, emoji=False).print(content)


def shown(value: object) -> str:
    """Return a value as a person reads it: times in UTC to the second, nothing as a dash."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        case _:
            return str(value)


def time_text(text: str | None) -> str:
    """Return an instant from JSON as :func:`shown` writes it."""
    try:
        return shown(datetime.fromisoformat(text) if text else None)
    except ValueError:
        return str(text)


def duration_text(seconds: float) -> str:
    """Return a duration in the two units that matter: ``2 d 3 h``, ``4 min 10 s``, ``0.5 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    rest = int(seconds)
    parts: list[str] = []
    for name, size in units:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def bytes_text(count: int | None) -> str:
    """Return a number of bytes in a unit that people read: ``16.0 MiB``."""
    if count is None:
        return "-"
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


class Duration(click.ParamType[float]):
    """A duration: ``90s 30m 24h 3d``."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return it in seconds."""
        text = str(value).strip()
        seconds = _seconds(text)
        if seconds is None:
            self.fail(f"{text!r} is no duration: give 90s, 24h or 3d", param, ctx)
        return float(seconds)


def _seconds(text: str) -> int | None:
    """Return how many seconds a duration has; None where the text is none."""
    amount, unit = text[:-1], _SECONDS.get(text[-1:])
    return int(amount) * unit if unit and amount.isdecimal() else None


_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Moment(click.ParamType[datetime]):
    """A time: ISO 8601 (UTC, where it names no zone), or how long ago: ``90s 30m 2h 3d``."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the instant, aware."""
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        ago_s = _seconds(text)
        if ago_s is not None:
            return datetime.now(UTC) - timedelta(seconds=ago_s)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is no time: give 2026-11-24T05:47, or 2h", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
