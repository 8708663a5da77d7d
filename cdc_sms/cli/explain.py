"""``explain``: one message's story."""

from dataclasses import asdict
from pathlib import Path

import click
import orjson

from cdc_sms.cli.acting import opened
from cdc_sms.cli.shared import (
    config_option,
    environment,
    json_option,
    patiently,
    print_json,
    print_table,
    wait_option,
)
from cdc_sms.config.load import load
from cdc_sms.operate.explain import Event, Story
from cdc_sms.operate.explain import explain as explained


@click.command()
@click.argument("what", metavar="ID|KEY")
@config_option
@wait_option
@json_option
def explain(what: str, config: Path | None, *, wait_s: float, as_json: bool) -> None:
    """Tell one message's story, and what would move it.

    When it was seen, tried and given up, what people did, what it waits for. ID is a message
    id; KEY its row's primary key, with its table or without: several messages where a key was
    used again. It reads the ledger alone.

    Example: cdc-sms explain 4711

    Next: what stands after 'moved by'.
    """
    sections = load(config, environment())
    with opened(sections) as engine:
        stories = patiently(lambda: explained(engine, sections, what), wait_s=wait_s)
    if as_json:
        print_json([asdict(story) for story in stories])
        return
    for story in stories:
        _print(story)


def _print(story: Story) -> None:
    click.echo(f"{story.message_id} is {story.state}\n")
    print_table(("at", "what", "facts"), [(e.at, e.what, _facts(e)) for e in story.events])
    click.echo(f"\nWaits for  {story.waits_for}\nMoved by   {story.moved_by}\n")


def _facts(event: Event) -> str:
    return orjson.dumps(event.facts, default=str).decode() if event.facts else ""
