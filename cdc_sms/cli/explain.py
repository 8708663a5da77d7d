"""``explain``: one message's story."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cdc_sms.cli.acting import opened
from cdc_sms.cli.dead_letters import reveal_option
from cdc_sms.cli.shared import (
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
from cdc_sms.operate.explain import Story
from cdc_sms.operate.explain import explain as explained


@click.command()
@click.argument("what", metavar="ID|KEY|NUMBER")
@config_option
@reveal_option
@wait_option
@json_option
def explain(what: str, config: Path | None, *, reveal: bool, wait_s: float, as_json: bool) -> None:
    """Tell one message's story, and what would move it.

    Its row, its place in the log and on the outbox, each attempt, what was written back, what
    people did, and what it waits for now. ID is a message id; KEY its row's primary key, with
    its table or without: several messages where a key was used again. Of a row that deliver
    never looked at, it says how far it came. By a phone number the newest messages to it are
    listed; a table without an index on the number is read whole, for ten seconds at most.

    Example: cdc-sms explain 4711

    Next: what stands after 'Moved by'.
    """
    sections = load(config, environment())
    with opened(sections) as engine:
        found = patiently(
            lambda: explained(engine, sections, what, reveal=reveal, wait_s=wait_s), wait_s=wait_s
        )
    if as_json:
        print_json(asdict(found))
        return
    for story in found.stories:
        _print(story)
    if found.to_number:
        columns = ("message_id", "created_at", "status", "state")
        print_table(columns, [[line[name] for name in columns] for line in found.to_number])
        click.echo("\nOne of them: cdc-sms explain ID")


def _print(story: Story) -> None:
    click.echo(f"{story.message_id} is {story.state or 'unknown to the ledger'}\n")
    click.echo(f"Row         {_facts(story.row) if story.row else 'gone, or another message now'}")
    click.echo(f"Record      {_facts(story.record)}")
    if story.write_back is not None:
        click.echo(f"Write-back  {_facts(story.write_back)}")
    click.echo()
    print_table(("at", "what", "facts"), [(e.at, e.what, _facts(e.facts)) for e in story.events])
    click.echo(f"\nWaits for   {story.waits_for}\nMoved by    {story.moved_by}\n")


def _facts(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in facts.items() if value is not None)
