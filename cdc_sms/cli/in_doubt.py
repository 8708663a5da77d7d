"""``in-doubt list`` and ``in-doubt resolve``."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from sqlalchemy import Engine

from cdc_sms.cli.acting import REFUSED, ask, opened, print_refused, telling, yes_option
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
from cdc_sms.config.settings import Sections
from cdc_sms.errors import ActRefused
from cdc_sms.operate.in_doubt import (
    EverythingInDoubt,
    Resolved,
    Verdict,
    everything_in_doubt,
    list_in_doubt,
    resolve_all,
    resolve_named,
)


@click.group()
def in_doubt() -> None:
    """Look at messages that may or may not have been sent, and settle them.

    A request was written and no answer came: a time-out, a broken connection, a crash. What
    is done about it, deliver.doubt says: resend (once, after a pause) or hold.

    Example: cdc-sms in-doubt list

    Next: ask the provider, by number and time, whether it has the message; then
    'cdc-sms in-doubt resolve'.
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

    Next: 'cdc-sms dlq show P:O' for those that are left for a person, 'cdc-sms in-doubt
    resolve' when you know what became of one.
    """
    sections = load(config, environment())
    with opened(sections) as engine:
        found = patiently(
            lambda: list_in_doubt(engine, sections.deliver, limit=limit), wait_s=wait_s
        )
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("No message is in doubt.")
        return
    columns = ("message_id", "since", "attempts", "doubts", "provider", "code", "next", "next_at")
    print_table(columns, [[line[name] for name in columns] for line in found])


@in_doubt.command()
@click.argument("which", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="Everything that is in doubt now.")
@click.option("--provider", metavar="NAME", help="With --all: only what this one may have.")
@click.option("--sent", "verdicts", flag_value=Verdict.SENT.value, multiple=True, help="It was.")
@click.option(
    "--resend",
    "verdicts",
    flag_value=Verdict.RESEND.value,
    multiple=True,
    help="Send it again: whoever got it already gets it twice.",
)
@click.option(
    "--drop", "verdicts", flag_value=Verdict.DROP.value, multiple=True, help="Give it up for good."
)
@yes_option
@config_option
@wait_option
@json_option
@click.pass_context
def resolve(
    context: click.Context,
    config: Path | None,
    *,
    which: Sequence[str],
    everything: bool,
    provider: str | None,
    verdicts: Sequence[str],
    yes: bool,
    wait_s: float,
    as_json: bool,
) -> None:
    """Say what became of messages in doubt: --sent, --resend or --drop.

    ID is a message's id, as 'in-doubt list' shows it, or its row's key where that is enough.
    With --all it shows first how many there are, and asks. What came in doubt since then is
    left alone. Interrupted, it can be given again: what is resolved is not resolved twice.
    Only this command opens a message in doubt; no replay does.

    Example: cdc-sms in-doubt resolve sms/4711@2026-11-24T05:47:11.123456Z --sent

    Next: 'cdc-sms in-doubt list' shows what is left.
    """
    verdict = _verdict(verdicts)
    if everything == bool(which):
        raise click.UsageError("Give ids, or --all.")
    if provider is not None and not everything:
        raise click.UsageError("--provider goes with --all.")
    sections = load(config, environment())
    with opened(sections, acts_within_s=wait_s) as engine:
        if everything:
            resolved = _all(
                engine, sections, verdict, provider, yes=yes, wait_s=wait_s, as_json=as_json
            )
        else:
            patiently(lambda: list_in_doubt(engine, sections.deliver, limit=1), wait_s=wait_s)
            resolved = resolve_named(engine, sections, which, verdict, wait_s=wait_s)
    if len(which) == 1 and resolved.refused:
        raise ActRefused(resolved.refused[0].why, hint=resolved.refused[0].hint)
    _print_resolved(resolved, verdict, as_json=as_json)
    if which and resolved.refused:
        context.exit(REFUSED)


def _verdict(given: Sequence[str]) -> Verdict:
    if len(set(given)) != 1:
        raise click.UsageError("Give one of --sent, --resend and --drop.")
    return Verdict(given[0])


def _all(
    engine: Engine,
    sections: Sections,
    verdict: Verdict,
    provider: str | None,
    *,
    yes: bool,
    wait_s: float,
    as_json: bool,
) -> Resolved:
    found = patiently(lambda: everything_in_doubt(engine, provider=provider), wait_s=wait_s)
    if not found.messages:
        return Resolved()
    if not as_json:
        _print_everything(found)
    ask(_question(verdict, found.messages), yes=yes)
    return resolve_all(
        engine,
        sections,
        found,
        verdict,
        provider=provider,
        wait_s=wait_s,
        tell=telling("Resolved", found.messages),
    )


def _print_everything(found: EverythingInDoubt) -> None:
    print_table(
        ("provider", "in doubt", "left for a person", "the oldest since"),
        [(one.provider, one.messages, one.left_for_person, one.oldest) for one in found.counts],
    )


def _question(verdict: Verdict, messages: int) -> str:
    match verdict:
        case Verdict.SENT:
            return f"Take all {messages} for sent?"
        case Verdict.RESEND:
            return f"Send {messages} again? Those that the provider has arrive twice."
        case Verdict.DROP:
            return f"Give {messages} up for good? Those that the provider has not never arrive."


def _print_resolved(resolved: Resolved, verdict: Verdict, *, as_json: bool) -> None:
    if as_json:
        print_json({"verdict": verdict, **asdict(resolved)})
        return
    click.echo(f"Resolved as {verdict}: {resolved.done}.")
    if resolved.left_to_keeper:
        click.echo(
            f"The broker didn't take {resolved.left_to_keeper} of them in time: deliver brings "
            "them back when they are overdue."
        )
    print_refused(resolved.refused)
