"""``cdc-sms serve`` as a process."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from support.commands import Commands


def _address(config: Path, role: str = "serve") -> str:
    sections: dict[str, Any] = tomllib.loads(config.read_text())
    return f"http://{sections[role]['address']}"


def test_serve_answers_and_names_the_roles_that_it_cannot_reach(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    config = configured()
    command = cdc_sms("serve", "--config", str(config))
    command.await_url(f"{_address(config)}/health/ready")

    status = requests.get(f"{_address(config)}/status", timeout=10).json()

    assert (status["role"], status["state"], status["ready"]) == ("serve", "serving", True)
    assert [role["address"] for role in status["roles"]] == [
        _address(config, "capture"),
        _address(config, "deliver"),
    ]
    assert {role["state"] for role in status["roles"]} == {"unreachable"}


def test_serve_ends_in_order_when_it_is_told_to(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    config = configured()
    command = cdc_sms("serve", "--config", str(config))
    command.await_line("role.started")

    command.terminate()

    assert command.wait(within_s=10) == 0
    events = [json.loads(line)["event"] for line in command.errors.splitlines()]
    assert events == ["role.started", "stop.requested", "role.stopped"]


def test_role_whose_address_is_taken_ends_with_2_and_a_line_in_its_log(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    config = configured()
    cdc_sms("serve", "--config", str(config)).await_line("role.started")

    second = cdc_sms.run("serve", "--config", str(config), expect=2)

    line = json.loads(second.errors.splitlines()[-1])
    assert line["event"] == "role.failed"
    assert "can't be listened on" in line["error"]
    assert line["hint"]
    assert "Traceback" not in second.errors


def test_role_tells_all_mistakes_of_its_configuration_and_ends_with_2(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    config = configured(serve={"adress": "x"}, deliver={"senders": 0})

    command = cdc_sms.run("serve", "--config", str(config), expect=2)

    assert "serve.adress is no setting: did you mean address?" in command.errors
    assert "deliver.senders must be 1 or more." in command.errors
    assert "Traceback" not in command.errors
