"""The command ``adopt``."""

from pathlib import Path
from typing import get_args

import click

from cdc_sms.cli.acting import ask, opened, yes_option
from cdc_sms.cli.shared import (
    config_option,
    environment,
    json_option,
    patiently,
    print_json,
    wait_option,
)
from cdc_sms.config.load import load
from cdc_sms.operate.adopt import Fate, Place, look_at_place
from cdc_sms.operate.adopt import adopt as adopt_place


@click.command()
@config_option
@click.option(
    "--before",
    type=click.Choice(get_args(Fate)),
    default="hold",
    show_default=True,
    help="Messages created before now and not known as sent: hold, send, or skip (dead-letter).",
)
@yes_option
@wait_option
@json_option
def adopt(config: Path | None, *, before: Fate, yes: bool, wait_s: float, as_json: bool) -> None:
    """Say that this is the place to send from, after a move or a restore.

    The ledger remembers its environment, database server, Kafka cluster and mapping; roles end
    with exit code 5 where one of them is another, because a copy must not send. Stop the roles,
    then adopt. What was created before now may have been sent already: it is held by default,
    and 'cdc-sms resume' shows it before it lets it go.

    Example: cdc-sms adopt --before hold

    Next: start the roles again; 'cdc-sms status' lists the hold.
    """
    sections = load(config, environment())
    with opened(sections) as engine:
        place = patiently(lambda: look_at_place(engine, sections), wait_s=wait_s)
        if not as_json:
            _print(place)
        ask("Send from here from now on?", yes=yes)
        patiently(lambda: adopt_place(engine, place, before=before), wait_s=wait_s)
    if as_json:
        print_json({"adopted": True, "before": before, **place.as_value()})
    else:
        click.echo(f"Adopted. What was created before now: {before}.")


def _print(place: Place) -> None:
    if place.known is None:
        click.echo("The ledger belongs nowhere yet: the first start would have decided.")
    for difference in place.differences:
        click.echo(f"Different: {difference}.")
    if place.known is not None and not place.differences:
        click.echo("Environment, server, Kafka cluster and mapping are those of the ledger.")
