"""``in-doubt list``."""

from pathlib import Path

import click

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
from cdc_sms.databases.engine import open_engine
from cdc_sms.operate.in_doubt import list_in_doubt


@click.group()
def in_doubt() -> None:
    """Look at messages that may or may not have been sent.

    A request was written and no answer came: a time-out, a broken connection, a crash. What
    is done about it, deliver.doubt says: resend (once, after a pause) or hold.

    Example: cdc-sms in-doubt list

    Next: ask the provider, by number and time, whether it has the message.
    """


@in_doubt.command(name="list")
@config_option
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most."
)
@wait_option
@json_option
def list_command(config: Path | None, *, limit: int, wait_s: float, as_json: bool) -> None:
    """List messages in doubt, the longest first: what will become of each, and when.

    Example: cdc-sms in-doubt list --json

    Next: 'cdc-sms dlq show P:O' for those that are left for a person.
    """
    sections = load(config, environment())
    engine = open_engine(sections.source, sections.ledger)
    try:
        found = patiently(
            lambda: list_in_doubt(engine, sections.deliver, limit=limit), wait_s=wait_s
        )
    finally:
        engine.dispose()
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("No message is in doubt.")
        return
    columns = ("message_id", "since", "attempts", "doubts", "provider", "code", "next", "next_at")
    print_table(columns, [[line[name] for name in columns] for line in found])
