"""The commands ``hold`` and ``resume``."""

from pathlib import Path

import click

from cdc_sms.cli.acting import ask, opened, yes_option
from cdc_sms.cli.shared import (
    config_option,
    environment,
    json_option,
    patiently,
    print_json,
    shown,
    wait_option,
)
from cdc_sms.config.load import load
from cdc_sms.model.hold import Hold, HoldKind
from cdc_sms.operate.holds import Preview, chosen_hold, hold_all, preview
from cdc_sms.operate.holds import resume as resume_flow


@click.command()
@click.option("--reason", metavar="TEXT", help="Why, for those who wonder: 'status' shows it.")
@config_option
@wait_option
@json_option
def hold(config: Path | None, *, reason: str | None, wait_s: float, as_json: bool) -> None:
    """Hold all messages: nothing more is sent until 'resume'.

    Every member obeys with its next claim. What is being sent now is not stopped; rows are
    captured and reports are read as before. Nothing is lost and nothing is dead-lettered while
    a hold is in force, however long.

    Example: cdc-sms hold --reason "wrong price in the campaign's text"

    Next: 'cdc-sms resume' lets them go.
    """
    sections = load(config, environment())
    with opened(sections, acts_within_s=wait_s) as engine:
        held = patiently(lambda: hold_all(engine, reason=reason), wait_s=wait_s)
    deadline_s = sections.deliver.request_deadline_s
    if as_json:
        print_json(
            {
                "hold": held.hold.name,
                "kind": held.hold.kind,
                "reason": held.hold.reason,
                "since": held.hold.since,
                "stood_already": held.stood_already,
                "in_flight": held.in_flight,
                "effective_within_s": deadline_s if held.in_flight else 0.0,
                "way_out": held.hold.way_out,
            }
        )
        return
    if held.stood_already:
        click.echo(f"It stands already, since {shown(held.hold.since)}: {held.hold.reason}.")
    else:
        click.echo("All messages are held: nothing more is claimed from now on.")
    if held.in_flight:
        click.echo(f"{held.in_flight} are being sent now; each ends within {deadline_s:g} s.")
    click.echo(f"To let them go: {held.hold.way_out}")


@click.command()
@click.argument("name", required=False)
@click.option(
    "--let", "let", type=click.IntRange(min=1), metavar="N", help="Let N messages pass only."
)
@click.option(
    "--dead-letter",
    "dead_letter",
    is_flag=True,
    help="Dead-letter what is held now, instead of sending it.",
)
@yes_option
@config_option
@wait_option
@json_option
def resume(
    config: Path | None,
    *,
    name: str | None,
    let: int | None,
    dead_letter: bool,
    yes: bool,
    wait_s: float,
    as_json: bool,
) -> None:
    """Lift a hold; one of old messages shows first what it holds back.

    NAME is the hold, as 'status' lists it; it may be left out where only one is in force. With
    --let N the hold stays in force, and N messages pass: look what becomes of them, then go on.
    With --dead-letter it stays in force too, and what lies on the outbox by now is given up:
    a dead letter each, to be looked at and replayed later. Manual and account holds hold good
    messages: these are never given up.

    Example: cdc-sms resume flood --let 5

    Next: 'cdc-sms status' shows what goes on.
    """
    if let is not None and dead_letter:
        raise click.UsageError("Give --let or --dead-letter, not both.")
    sections = load(config, environment())
    with opened(sections, acts_within_s=wait_s) as engine:
        found = patiently(lambda: chosen_hold(engine, name), wait_s=wait_s)
        look = patiently(
            lambda: preview(sections, engine, found, dead_letter=dead_letter, wait_s=wait_s),
            wait_s=wait_s,
        )
        if look.asks:
            if not as_json:
                _print_preview(look)
            ask(_question(found, let, dead_letter=dead_letter), yes=yes)
        left = resume_flow(engine, found.name, let=let, give_up_before=look.give_up_before)
    if as_json:
        done = "lifted" if left is None else "let" if let is not None else "dead_letter"
        print_json({"done": done, "let": let, **look.as_value()})
        return
    click.echo(_said(found, left, let))


def _print_preview(look: Preview) -> None:
    click.echo(f"Hold {look.hold.name} since {shown(look.hold.since)}: {look.hold.reason}.")
    if look.pending is not None:
        pending = look.pending
        click.echo(
            f"Pending rows in the table  {pending.count}, the oldest {shown(pending.oldest)}"
        )
        click.echo(f"Older than the ledger      {shown(pending.older)}")
        click.echo(f"The newest                 {', '.join(pending.newest) or '-'}")
    elif look.why_not is not None:
        click.echo(f"Pending rows in the table  not counted: {look.why_not}")
    if look.memory_since is not None:
        click.echo(f"The ledger knows all since {shown(look.memory_since)}")
    if look.open_records is not None:
        click.echo(f"Records on the outbox      {look.open_records} not finished")


def _question(hold: Hold, let: int | None, *, dead_letter: bool) -> str:
    if dead_letter:
        return f"Dead-letter what {hold.name} holds now?"
    if let is not None:
        return f"Let {let} of them be sent?"
    return "They may have been sent before. Let all of them be sent?"


def _said(hold: Hold, left: Hold | None, let: int | None) -> str:
    if left is not None:
        if let is not None:
            return f"{let} messages may pass; then {hold.name} holds again."
        return (
            f"What {hold.name} held by now is dead-lettered; what comes later is held: "
            "'cdc-sms resume' lets it go."
        )
    if hold.kind is HoldKind.ACCOUNT:
        return (
            f"Lifted: {hold.name}. It ends by itself when the account is right, and comes back "
            "with the next message if it isn't."
        )
    return f"Lifted: {hold.name}. Members go on within seconds."
