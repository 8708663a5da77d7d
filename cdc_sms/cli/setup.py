"""Commands that set an installation up: ``migrate``, ``config check|show``."""

from pathlib import Path
from typing import Any

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
from cdc_sms.config.keys import ANY_NAME, Key, all_keys
from cdc_sms.config.load import check_keys_of_providers, load, load_with_origins
from cdc_sms.config.settings import Sections

HIDDEN = "***"


@click.command()
@config_option
@wait_option
@json_option
def migrate(config: Path | None, *, wait_s: float, as_json: bool) -> None:
    """Make the ledger's tables, or bring them to this version.

    The ledger stands in the business database, in the schema that ledger.schema_name names;
    your own tables are not touched. Run it before the first start and after each upgrade,
    with a user that may create tables: roles never do it by themselves. Once more is harmless.

    Example: cdc-sms migrate

    Next: 'cdc-sms topics' makes the topics, 'cdc-sms run' starts.
    """
    from cdc_sms.databases.engine import open_engine  # noqa: PLC0415 - config needs none
    from cdc_sms.databases.migrations import upgrade  # noqa: PLC0415 - the same

    sections = load(config, environment())
    engine = open_engine(sections.source, sections.ledger)
    try:
        before, after = patiently(lambda: upgrade(engine, sections.ledger), wait_s=wait_s)
    finally:
        engine.dispose()
    if as_json:
        print_json({"before": before, "after": after})
    elif before == after:
        click.echo(f"The ledger is of revision {after} already; nothing was changed.")
    else:
        click.echo(f"The ledger is of revision {after} now (before: {before or 'none'}).")


@click.group()
def config() -> None:
    """Check or show the configuration.

    It is one TOML file and the environment: CDC_SMS_<SECTION>__<KEY> sets any key and wins over
    the file; a secret stands in a variable, or in a file that the variable <KEY>_FILE names.

    Example: cdc-sms config check

    Next: docs/configuration.md explains every key.
    """


@config.command()
@config_option
@json_option
def check(config: Path | None, *, as_json: bool) -> None:
    """Check file and environment; tell all mistakes at once, each with its remedy.

    No server is asked. Exit code 2 means that there are mistakes.

    Example: cdc-sms config check --config /etc/cdc-sms.toml

    Next: 'cdc-sms migrate'.
    """
    from cdc_sms.kafka.connection import client_settings  # noqa: PLC0415 - only this needs it

    sections = load(config, environment())
    check_keys_of_providers(sections)
    client_settings(sections.kafka)
    if as_json:
        print_json({"mistakes": 0})
    else:
        click.echo(
            f"The configuration is complete: table {sections.table.name}, topics "
            f"{sections.kafka.prefix}.*, provider {', '.join(sections.deliver.providers)}."
        )


@config.command()
@config_option
@json_option
def show(config: Path | None, *, as_json: bool) -> None:
    """Show every key, its value and where the value comes from; secrets are hidden.

    Example: cdc-sms config show | grep deliver

    Next: 'cdc-sms config check'.
    """
    sections, origins = load_with_origins(config, environment())
    rows = [
        (key.dotted, _as_shown(key, value), origins.get(key.dotted, "default"))
        for key, value in _values(sections)
    ]
    if as_json:
        print_json({key: {"value": value, "from": origin} for key, value, origin in rows})
    else:
        print_table(("key", "value", "from"), rows)


def _values(sections: Sections) -> list[tuple[Key, Any]]:
    """Return every key that there is, with its value; a provider's under the provider's name."""
    found = []
    for key in all_keys():
        names = list(sections.providers) if ANY_NAME in key.path else [""]
        for name in names:
            path = tuple(name if part == ANY_NAME else part for part in key.path)
            found.append((Key(path, key.field), _at(sections, path)))
    return found


def _at(sections: Sections, path: tuple[str, ...]) -> Any:
    value: Any = sections
    for part in path:
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def _as_shown(key: Key, value: Any) -> Any:
    if key.is_secret:
        return None if value is None else HIDDEN
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        # any setting of librdkafka may stand here, secrets too
        return {k: HIDDEN if _sounds_secret(k) else v for k, v in value.items()}
    return value


def _sounds_secret(name: str) -> bool:
    return any(word in name.lower() for word in ("password", "secret", "token", "key", "oauth"))
