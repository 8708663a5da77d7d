"""``dlq list`` and ``dlq show``."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import orjson

from cdc_sms.cli.shared import (
    Moment,
    config_option,
    environment,
    json_option,
    patiently,
    print_json,
    print_table,
    shown,
    wait_option,
)
from cdc_sms.config.load import load
from cdc_sms.errors import SetupError
from cdc_sms.model.state import DeadLetterClass
from cdc_sms.operate.dead_letters import (
    MOST_LOOKED_AT,
    Filters,
    list_dead_letters,
    show_dead_letter,
)


class Letter(click.ParamType[tuple[int, int]]):
    """Where a dead letter is on its topic: ``P:O``, partition and offset."""

    name = "p:o"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return partition and offset."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d+):(\d+)", str(value))
        if found is None:
            self.fail("it has the form partition:offset, as 'dlq list' shows it", param, ctx)
        return int(found[1]), int(found[2])


reveal_option = click.option(
    "--reveal", is_flag=True, help="Show numbers and texts whole; they are masked otherwise."
)


@click.group()
def dlq() -> None:
    """Look at dead letters: what was given up, and why.

    Classes: permanent (refused for good), exhausted (all attempts failed), in_doubt (may have
    been sent), unclear (done, but its row is pending again), undecodable (no record of ours).

    Example: cdc-sms dlq list --since 2h

    Next: 'cdc-sms dlq show P:O' for one of them.
    """


@dlq.command(name="list")
@config_option
@click.option(
    "--class",
    "dead_letter_class",
    type=click.Choice([str(name) for name in DeadLetterClass]),
    help="Only this class.",
)
@click.option("--code", help="Only this failure code, such as INVALID_MSISDN.")
@click.option("--since", type=Moment(), help="Given up at this time or later: ISO 8601, or 2h.")
@click.option("--until", type=Moment(), help="Given up before this time: ISO 8601, or 2h.")
@click.option("--recipient", help="Only to this number, in any usual form.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most."
)
@reveal_option
@wait_option
@json_option
def list_command(
    config: Path | None,
    *,
    dead_letter_class: str | None,
    code: str | None,
    since: datetime | None,
    until: datetime | None,
    recipient: str | None,
    limit: int,
    reveal: bool,
    wait_s: float,
    as_json: bool,
) -> None:
    """List dead letters, the newest first.

    They are read from their topic; nothing is changed or committed. Filtered by anything but
    --since, it looks through the newest 10,000 records of each partition.

    Example: cdc-sms dlq list --class permanent --since 2026-11-24

    Next: 'cdc-sms dlq show P:O', with what stands in the first column.
    """
    sections = load(config, environment())
    filters = Filters(
        dead_letter_class=dead_letter_class,
        code=code,
        since=since,
        until=until,
        recipient=recipient,
    )
    found = patiently(
        lambda: list_dead_letters(sections, filters, limit=limit, reveal=reveal, wait_s=wait_s),
        wait_s=wait_s,
    )
    if as_json:
        print_json(found)
        return
    if not found:
        where = f" among the newest {MOST_LOOKED_AT} of each partition"
        click.echo(f"No dead letter{where if filters.look_at_content else ''}.")
        return
    columns = ("letter", "at", "class", "code", "why", "recipient", "message_id")
    print_table(columns, [[line[name] for name in columns] for line in found])


@dlq.command(name="show")
@click.argument("letter", type=Letter(), metavar="P:O")
@config_option
@reveal_option
@wait_option
@json_option
def show_command(
    letter: tuple[int, int], config: Path | None, *, reveal: bool, wait_s: float, as_json: bool
) -> None:
    """Show one dead letter whole: why it was given up, where it came from, its row.

    P:O is its partition and offset, as 'dlq list' shows it.

    Example: cdc-sms dlq show 3:41 --reveal

    Next: correct the row or the set-up that 'why' names.
    """
    sections = load(config, environment())
    partition, offset = letter
    found = patiently(
        lambda: show_dead_letter(
            sections, partition=partition, offset=offset, reveal=reveal, wait_s=wait_s
        ),
        wait_s=wait_s,
    )
    if found is None:
        raise SetupError(
            f"{sections.kafka.dlq} has no record {partition}:{offset}.",
            hint="'cdc-sms dlq list' shows the records that there are.",
        )
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        _print_field(name, value)


def _print_field(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        click.echo(f"{name:<17} {shown(value)}")
        return
    click.echo(name)
    for inner, content in value.items():
        text = content if isinstance(content, str) else orjson.dumps(content, default=str).decode()
        click.echo(f"  {inner:<28} {text}")
