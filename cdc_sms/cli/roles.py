"""The long-running commands: ``run``, ``capture``, ``deliver``, ``serve``."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from cdc_sms.cli.shared import config_option, environment
from cdc_sms.config.load import check_keys_of_providers, load
from cdc_sms.config.settings import Sections
from cdc_sms.errors import ConfigurationError
from cdc_sms.model.clock import SystemClock
from cdc_sms.runtime.lifecycle import run_role, stopped_by_signals
from cdc_sms.runtime.supervisor import STOP_WITH_PARENT, Supervisor, stop_with_parent
from cdc_sms.serve.role import Serve
from cdc_sms.telemetry.logs import set_up
from cdc_sms.telemetry.metrics import Metrics

P = ParamSpec("P")
Result = TypeVar("Result")

CLOSING_S = 10.0
"""What a role may take beyond its own grace to close its connections; seconds."""


def _role_options(command: Callable[P, Result]) -> Callable[P, Result]:
    hidden = click.option(STOP_WITH_PARENT, "with_parent", is_flag=True, hidden=True)
    return config_option(hidden(command))


@click.command()
@_role_options
@click.option(
    "--accept-gap",
    is_flag=True,
    help="Go on from the present where rows may be missing and no column tells which.",
)
def capture(config: Path | None, *, with_parent: bool, accept_gap: bool) -> None:
    """Follow the database's log and put its rows on the topic.

    One capture reads at a time; any number of others wait and take over when it ends. It
    waits for a server that can't be reached, and goes on by itself.

    Example: cdc-sms capture --config /etc/cdc-sms.toml

    Next: 'cdc-sms deliver' sends what it finds, 'cdc-sms status' shows how far it is.
    """
    sections = _begin("capture", config, with_parent=with_parent)
    if sections.capture.reader == "debezium":
        raise ConfigurationError(
            "capture.reader is debezium: a connector captures, and this role has nothing to do.",
            hint="Register the connector (debezium/README.md), or set capture.reader to builtin.",
        )
    from cdc_sms.runtime.capture import CaptureRole  # noqa: PLC0415 - the others need no driver

    metrics = Metrics()
    run_role(
        CaptureRole(sections, metrics=metrics, accept_gap=accept_gap),
        address=sections.capture.address,
        setting="capture.address",
        metrics=metrics,
    )


@click.command()
@_role_options
def deliver(config: Path | None, *, with_parent: bool) -> None:
    """Send what lies on the topic and settle it.

    Any number of members share the work, each as a process of its own. A stop (SIGTERM,
    Ctrl-C) waits for the requests in flight; a second one doesn't.

    Example: cdc-sms deliver --config /etc/cdc-sms.toml

    Next: 'cdc-sms status' shows what waits and why, 'cdc-sms dlq list' what was given up.
    """
    sections = _begin("deliver", config, with_parent=with_parent)
    check_keys_of_providers(sections)
    from cdc_sms.runtime.deliver import DeliverRole  # noqa: PLC0415 - the others need no driver

    metrics = Metrics()
    role = DeliverRole(sections, metrics=metrics)
    run_role(
        role,
        address=sections.deliver.address,
        setting="deliver.address",
        metrics=metrics,
        reload=role.reload,
    )


@click.command()
@_role_options
def serve(config: Path | None, *, with_parent: bool) -> None:
    """Answer over HTTP for the whole installation.

    It has the addresses that every role has (/health/live, /health/ready, /metrics, /status),
    and its /status also asks the roles that serve.roles names.

    Example: cdc-sms serve, then: curl http://127.0.0.1:8080/status

    Next: 'cdc-sms status' shows the same on a terminal, and the ledger with it.
    """
    sections = _begin("serve", config, with_parent=with_parent)
    run_role(
        Serve(sections.serve),
        address=sections.serve.address,
        setting="serve.address",
        metrics=Metrics(),
    )


@click.command()
@config_option
@click.pass_context
def run(context: click.Context, config: Path | None) -> None:
    """Run all roles, each as a process of its own.

    For a small installation: capture (unless Debezium captures), deliver and serve. A role
    that ends is started again; one that ends because a person must decide ends the others too,
    with its exit code. Ctrl-C stops them all in order.

    Example: cdc-sms run --config /etc/cdc-sms.toml

    Next, in another terminal: 'cdc-sms status'.
    """
    sections = _begin("run", config, with_parent=False)
    check_keys_of_providers(sections)
    roles = _roles_to_run(sections)
    _check_addresses(sections, roles)
    supervisor = Supervisor(
        roles,
        options=[] if config is None else ["--config", str(config)],
        grace_s=sections.deliver.shutdown_grace_s + CLOSING_S,
        clock=SystemClock(),
    )
    with stopped_by_signals() as stop:
        context.exit(supervisor.run(stop))


def _begin(role: str, config: Path | None, *, with_parent: bool) -> Sections:
    sections = load(config, environment())
    set_up(sections.logging, role, sys.stderr)
    if with_parent:
        stop_with_parent(grace_s=sections.deliver.shutdown_grace_s + CLOSING_S)
    return sections


def _roles_to_run(sections: Sections) -> list[str]:
    captures = ["capture"] if sections.capture.reader == "builtin" else []
    return [*captures, "deliver", "serve"]


def _check_addresses(sections: Sections, roles: list[str]) -> None:
    """Refuse one address for two roles on this machine; on several machines it is fine."""
    addresses = {role: getattr(sections, role).address for role in roles}
    taken: dict[str, str] = {}
    for role, address in addresses.items():
        if address in taken and not address.endswith(":0"):
            raise ConfigurationError(
                f"{taken[address]}.address and {role}.address are both {address}.",
                hint="Give each role that 'cdc-sms run' starts an address of its own.",
            )
        taken[address] = role
