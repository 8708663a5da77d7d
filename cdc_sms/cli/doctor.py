"""``doctor``: try everything for real, and name what is or will be wrong."""

from pathlib import Path
from typing import Any

import click

from cdc_sms import __version__
from cdc_sms.cli.shared import (
    Duration,
    config_option,
    environment,
    json_option,
    patiently,
    print_json,
    wait_option,
)
from cdc_sms.config.load import load
from cdc_sms.runtime.doctor import Doctor, Report, Scope
from cdc_sms.sources.checkup import Finding, Severity

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


@click.command()
@click.option(
    "--outage",
    "outage_s",
    type=Duration(),
    default="24h",
    show_default=True,
    help="How long capture may be away without losing its place in the log.",
)
@click.option(
    "--role",
    type=click.Choice(["all", "capture", "deliver"]),
    default="all",
    show_default=True,
    help="Whose user the configuration names, where capture and deliver have one each.",
)
@config_option
@wait_option
@json_option
@click.pass_context
def doctor(
    context: click.Context,
    config: Path | None,
    *,
    outage_s: float,
    role: str,
    wait_s: float,
    as_json: bool,
) -> None:
    """Try everything for real; name what is wrong and what mends it.

    It opens a replication connection, commits a mark of its own and sees it in the log, sends a
    record round by the topic of heartbeats, tries every right, and compares settings with what an
    outage needs. A capture that runs is not disturbed, and nothing is changed: it only says what
    to do. Exit code 10: errors or warnings were found; 6: a server can't be reached.

    Example: cdc-sms doctor --outage 3d

    Next: docs/doctor.md explains each finding by its name.
    """
    scope = Scope(captures=role != "deliver", delivers=role != "capture", outage_s=outage_s)
    sections = load(config, environment())
    one = Doctor(sections, scope, patiently=lambda step: patiently(step, wait_s=wait_s))
    report = one.examine()
    if as_json:
        print_json(_as_value(report))
    else:
        _print(report)
    context.exit(report.exit_code)


def _as_value(report: Report) -> dict[str, Any]:
    return {
        "version": __version__,
        "findings": report.findings,
        "measured": report.measured,
        "facts": report.facts,
        "left_out": report.left_out,
    }


def _print(report: Report) -> None:
    for finding in report.findings:
        _print_finding(finding)
    for sentence in report.left_out:
        click.echo(sentence)
    for name, value in report.measured.items():
        words = name.removesuffix("_ms").replace("_to_", " → ").replace("_", " ")
        click.echo(f"{words:<24}{value:8.1f} ms")
    click.echo(_summary(report))


def _print_finding(finding: Finding) -> None:
    click.secho(finding.severity.value, fg=_COLOURS[finding.severity], bold=True, nl=False)
    click.echo(f"  {finding.name}: {finding.said}")
    click.echo(f"  To do: {finding.remedy}")
    if finding.managed:
        click.echo(f"  Managed services: {finding.managed}")
    click.echo()


def _summary(report: Report) -> str:
    counts = {
        severity: sum(finding.severity is severity for finding in report.findings)
        for severity in Severity
    }
    told = [
        f"{count} {severity.value}{'s' if count != 1 else ''}" for severity, count in counts.items()
    ]
    return f"Found: {', '.join(told)}." if report.findings else "Nothing was found."
