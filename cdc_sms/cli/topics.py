"""The command ``topics``: make them, or check them."""

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

FOUND_WRONG = 3


@click.command()
@config_option
@click.option("--check", is_flag=True, help="Only look; make and change nothing.")
@click.option("--alter", is_flag=True, help="Also change settings that have to be different.")
@wait_option
@json_option
def topics(config: Path | None, *, check: bool, alter: bool, wait_s: float, as_json: bool) -> int:
    """Make the topics, or check them.

    Topics that are missing are made; one that exists is compared with what it has to be like:
    retention, the size of its largest record, replicas. Whatever differs is listed with its
    remedy, and the exit code is 3. Partitions and replicas of a topic that exists are never
    changed, nor is any setting without --alter.

    Example: cdc-sms topics --check

    Next: 'cdc-sms run' starts.
    """
    from cdc_sms.kafka.topics import (  # noqa: PLC0415 - --help needs no broker's client
        TopicsReport,
        check_topics,
        ensure_topics,
    )

    if check and alter:
        raise click.UsageError("--check and --alter exclude each other.")
    kafka = load(config, environment()).kafka

    def act() -> TopicsReport:
        if check:
            return TopicsReport((), tuple(check_topics(kafka)))
        return ensure_topics(kafka, alter=alter)

    report = patiently(act, wait_s=wait_s)
    if as_json:
        print_json(
            {
                "changes": list(report.changes),
                "findings": [
                    {"topic": f.topic, "what": f.what, "remedy": f.remedy} for f in report.findings
                ],
            }
        )
        return FOUND_WRONG if report.findings else 0
    for change in report.changes:
        click.echo(change)
    if report.findings:
        rows = [(f.topic, f.what, f.remedy) for f in report.findings]
        print_table(("topic", "what is wrong", "remedy"), rows)
        return FOUND_WRONG
    names = f"{kafka.outbox}, {kafka.dlq}, {kafka.heartbeat} and {kafka.positions}"
    click.echo(f"{names} are as they have to be.")
    return 0
