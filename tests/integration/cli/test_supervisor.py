"""``cdc-sms run``'s supervisor, with real children."""

import json
import os
import signal
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from support.commands import Command, Commands
from support.servers.machine import Process
from support.waiting import until

SUPERVISE = """
import logging, sys
from cdc_sms.config.settings import LoggingSettings
from cdc_sms.model.clock import SystemClock
from cdc_sms.runtime.lifecycle import stopped_by_signals
from cdc_sms.runtime.supervisor import Supervisor
from cdc_sms.telemetry.logs import set_up

set_up(LoggingSettings(format="json"), "run", sys.stderr)
supervisor = Supervisor(
    ["serve"], options=["--config", sys.argv[1]], grace_s=float(sys.argv[2]), clock=SystemClock()
)
with stopped_by_signals() as stop:
    sys.exit(supervisor.run(stop))
"""


def _supervised(cdc_sms: Commands, config: Path, *, grace_s: float = 20) -> Command:
    return cdc_sms.program(sys.executable, "-c", SUPERVISE, str(config), str(grace_s))


def _url(config: Path) -> str:
    sections: dict[str, Any] = tomllib.loads(config.read_text())
    return f"http://{sections['serve']['address']}/health/ready"


def _child(command: Command) -> Process:
    """Return the child that was launched last."""
    command.await_line("role.launched")
    lines = [json.loads(line) for line in command.errors.splitlines()]
    pid = [line["child_pid"] for line in lines if line["event"] == "role.launched"][-1]
    found = Process.find(pid)
    assert found is not None
    return found


def test_role_that_is_killed_is_started_again(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    config = configured()
    command = _supervised(cdc_sms, config)
    command.await_url(_url(config))
    first = _child(command)

    first.send(signal.SIGKILL)

    command.await_line('"role.ended".*"restart_in_s"')
    until(lambda: _answers_anew(command, config, first), within_s=20, ignoring=(AssertionError,))


def test_role_that_needs_a_person_ends_all_with_its_exit_code(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    config = configured(serve={"adress": "x"})

    command = _supervised(cdc_sms, config)

    assert command.wait(within_s=20) == 2
    assert "role.needs_person" in command.errors


def test_stop_ends_the_roles_once_and_leaves_none(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    config = configured()
    command = _supervised(cdc_sms, config)
    command.await_url(_url(config))
    child = _child(command)

    os.killpg(command.pid, signal.SIGINT)  # what Ctrl-C on a terminal does

    assert command.wait(within_s=20) == 0
    assert not child.is_alive
    assert command.errors.count('"role.stopped"') == 1
    assert '"stop.forced"' not in command.errors


def test_role_that_does_not_end_within_the_grace_is_killed(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    config = configured()
    command = _supervised(cdc_sms, config, grace_s=0.5)
    command.await_url(_url(config))
    child = _child(command)
    child.send(signal.SIGSTOP)

    command.terminate()

    assert command.wait(within_s=20) == 0
    assert not child.is_alive
    assert '"role.killed"' in command.errors


def test_roles_end_in_order_when_run_itself_is_killed(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    config = configured()
    command = _supervised(cdc_sms, config)
    command.await_url(_url(config))
    child = _child(command)

    command.kill()

    child.await_end(within_s=20)
    assert '"parent.lost"' in command.errors
    assert '"role.stopped"' in command.errors


def _answers_anew(command: Command, config: Path, first: Process) -> bool:
    is_new = _child(command) != first
    try:
        return is_new and requests.get(_url(config), timeout=5).ok
    except requests.ConnectionError:
        return False
