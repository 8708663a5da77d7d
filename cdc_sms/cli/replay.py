"""``replay``: records of the outbox again."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cdc_sms.cli.acting import ask, opened, telling, yes_option
from cdc_sms.cli.shared import (
    Moment,
    config_option,
    environment,
    json_option,
    patiently,
    print_json,
    print_table,
    wait_option,
)
from cdc_sms.config.load import load
from cdc_sms.databases.act_lock import only_act
from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.reading import read_only
from cdc_sms.model.state import State
from cdc_sms.operate.replay import INCLUDABLE, Replay, Tally, Wanted, find_spans


@click.command()
@click.option(
    "--from-offset", "from_offset", metavar="P:N", help="From this offset of partition P."
)
@click.option("--from-time", "from_time", type=Moment(), help="From this time: ISO 8601, or 2h.")
@click.option("--to", "to", metavar="P:N|TIME", help="Up to and without this; else to the end.")
@click.option("--include", metavar="STATES", help="Open these again too: failed,cancelled,expired.")
@click.option("--dry-run", "dry_run", is_flag=True, help="Show what would be done, do nothing.")
@yes_option
@config_option
@wait_option
@json_option
def replay(
    config: Path | None,
    *,
    from_offset: str | None,
    from_time: datetime | None,
    to: str | None,
    include: str | None,
    dry_run: bool,
    yes: bool,
    wait_s: float,
    as_json: bool,
) -> None:
    """Produce records of the outbox again; the ledger decides what is sent.

    They are written at its end, for messages that deliver never looked at. It shows first what
    would come of it. What was sent, may have been sent or is under way is left alone; what
    failed, was cancelled or expired is opened again only with --include. Offsets of the group
    stay, members go on. Interrupted, it can be given again.

    Example: cdc-sms replay --from-time 2h --dry-run

    Next: 'cdc-sms status' shows what comes of it.
    """
    wanted = _wanted(from_offset, from_time, to, include)
    sections = load(config, environment())
    with opened(sections, acts_within_s=wait_s) as engine:
        table = patiently(
            lambda: read_only(engine, lambda c: BusinessTable.reflect(c, sections.table)),
            wait_s=wait_s,
        )
        act = Replay(engine, sections, table=table)
        spans = find_spans(sections, wanted, wait_s=wait_s)
        looking = telling("Looked at", sum(end - start for start, end in spans.values()))
        if dry_run:
            would = act.preview(wanted, spans, tell=looking)
            _tell(would, None, as_json=as_json)
            return
        with only_act(engine) as lock:
            would = act.preview(wanted, spans, tell=looking)
            if not as_json:
                _print("would", would)
            done = Tally(left=would.left)
            if would.produced:
                ask("Produce them again?", yes=yes)
                tell = telling("Produced", would.produced.total())
                done = act.carry_out(lock, wanted, spans, wait_s=wait_s, tell=tell)
    _tell(would, done, as_json=as_json)


def _wanted(
    from_offset: str | None, from_time: datetime | None, to: str | None, include: str | None
) -> Wanted:
    if (from_offset is None) == (from_time is None):
        raise click.UsageError("Give --from-offset or --from-time, and only one of them.")
    states = _states(include)
    if from_offset is not None:
        end = None if to is None else _offset(to, "--to")
        return Wanted(offset=_offset(from_offset, "--from-offset"), to_offset=end, include=states)
    until = None if to is None else Moment().convert(to, None, None)
    return Wanted(since=from_time, until=until, include=states)


def _offset(text: str, option: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if found is None:
        raise click.UsageError(f"{option} has the form partition:offset, such as 3:41.")
    return int(found[1]), int(found[2])


def _states(include: str | None) -> frozenset[State]:
    names = [name.strip() for name in (include or "").split(",") if name.strip()]
    wrong = sorted(set(names) - set(INCLUDABLE))
    if wrong:
        raise click.UsageError(f"--include takes {', '.join(INCLUDABLE)}; not {', '.join(wrong)}.")
    return frozenset(State(name) for name in names)


def _tell(would: Tally, done: Tally | None, *, as_json: bool) -> None:
    if as_json:
        said: dict[str, Any] = {"dry_run": done is None, "would": would.as_value()}
        print_json({**said, "done": None if done is None else done.as_value()})
    elif done is None:
        _print("would", would)
    else:
        _print("done", done)
        click.echo(f"Produced again: {done.produced.total()}.")


def _print(title: str, tally: Tally) -> None:
    rows = [
        *sorted(tally.produced.items()),
        *((f"left alone: {why}", count) for why, count in sorted(tally.left.items())),
        *([("changed meanwhile", tally.refused)] if tally.refused else []),
    ]
    if rows:
        print_table((title, "records"), rows)
    else:
        click.echo("There is no record in this range.")
