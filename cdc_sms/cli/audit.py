"""``audit``: table, ledger and topics compared."""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from cdc_sms.cli.acting import opened
from cdc_sms.cli.shared import (
    Duration,
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
from cdc_sms.errors import ActRefused
from cdc_sms.operate.audit import TO_DO, Audit, Report

FOUND = 10

_TERMINAL_S = 1.0
_LOG_S = 10.0


@click.command()
@click.option(
    "--since", "since", type=Moment(), help="Only what was created or first seen since: 2h."
)
@click.option(
    "--grace",
    "grace_s",
    type=Duration(),
    default="60s",
    show_default=True,
    help="What is younger is on its way and no finding.",
)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Name N findings at most; all are counted.",
)
@config_option
@wait_option
@json_option
@click.pass_context
def audit(
    context: click.Context,
    config: Path | None,
    *,
    since: datetime | None,
    grace_s: float,
    limit: int,
    wait_s: float,
    as_json: bool,
) -> None:
    """Compare table, ledger and topics; name what isn't accounted for.

    It only reads, by pages, and may be interrupted at any time. Each finding is named by its
    message id with what to do. It reads the whole table by its primary key, and the outbox once
    if the ledger lacks a pending row. Exit code 10: something was found.

    Example: cdc-sms audit --since 2d

    Next: what stands under 'to do'; 'cdc-sms explain ID' for one message.
    """
    if since is not None and since > datetime.now(UTC):
        raise ActRefused(
            f"{since.isoformat()} is in the future: nothing would be compared.",
            hint="Give a time in the past, or how long ago: 2h.",
        )
    sections = load(config, environment())
    with opened(sections) as engine:
        one = Audit(
            engine,
            sections,
            grace=timedelta(seconds=grace_s),
            since=since,
            wait_s=wait_s,
            tell=_telling(),
        )
        report = patiently(lambda: one.run(limit=limit), wait_s=wait_s)
    if as_json:
        print_json(_as_value(report))
    else:
        _print(report)
    if report.totals:
        context.exit(FOUND)


def _telling() -> Callable[[str, int], None]:
    """Return what tells on standard error, now and then, how far it is."""
    pause_s = _TERMINAL_S if sys.stderr.isatty() else _LOG_S
    last_s = time.monotonic()

    def tell(what: str, count: int) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= pause_s:
            last_s = time.monotonic()
            click.echo(f"Looked at {count} {what} …", err=True)

    return tell


def _as_value(report: Report) -> dict[str, Any]:
    return {
        "at": report.at,
        "totals": {kind.value: count for kind, count in report.totals.items()},
        "findings": [
            {"kind": f.kind.value, "target": f.target, "where": f.where, "to_do": f.to_do}
            for f in report.named
        ],
        "messages": report.messages,
        "rows": report.rows,
        "gone": report.gone,
        "not_compared": report.not_compared,
    }


def _print(report: Report) -> None:
    for line in report.not_compared:
        click.echo(line)
    click.echo(
        f"Looked at {report.messages} messages and {report.rows} rows; "
        f"of {report.gone} messages the row is gone, which is fine."
    )
    if not report.totals:
        click.echo("Everything is accounted for.")
        return
    click.echo()
    totals = sorted(report.totals.items())
    print_table(("found", "count", "to do"), [(k.value, n, TO_DO[k]) for k, n in totals])
    if report.named:
        click.echo()
        print_table(
            ("found", "which", "record"), [(f.kind.value, f.target, f.where) for f in report.named]
        )
    left = report.totals.total() - len(report.named)
    if left:
        click.echo(f"{left} more are not named: give a higher --limit.")
