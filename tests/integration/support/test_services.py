"""``scripts/services`` starts what is needed and leaves everything as it found it."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.commands import Command, Commands
from support.servers.machine import REPOSITORY

SERVICES = str(REPOSITORY / "scripts" / "services")


@pytest.fixture
def services_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for servers of this test's own, which their users can get to."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        monkeypatch.setenv("CDC_SMS_SERVICES_DIR", folder)
        yield path


@pytest.fixture
def services(cdc_sms: Commands, services_folder: Path) -> Iterator[Commands]:
    """Commands that run on that folder; its servers are down at the end."""
    yield cdc_sms
    assert cdc_sms.program(SERVICES, "down", "postgres18").wait() == 0


def done(command: Command) -> Any:
    assert command.wait(within_s=60) == 0, command.told()
    return json.loads(command.output)["postgres18"]


def status(services: Commands) -> Any:
    return done(services.program(SERVICES, "status", "postgres18", "--json"))


def test_server_that_was_down_is_stopped_by_its_last_borrower(services: Commands) -> None:
    borrow = (SERVICES, "with", "postgres18", "--command")
    ask = (SERVICES, "status", "postgres18", "--json")

    between = done(
        services.program(*borrow, "sh", "-c", f"{' '.join(borrow)} true; {' '.join(ask)}")
    )

    assert between["state"] == "up"
    assert status(services)["state"] == "down"


def test_server_that_was_up_stays_up_when_it_is_borrowed(services: Commands) -> None:
    up = done(services.program(SERVICES, "up", "postgres18", "--json"))

    services.program(SERVICES, "with", "postgres18", "--command", "true").wait()

    assert status(services) == up


def test_command_gets_addresses_and_hands_on_its_exit_code(services: Commands) -> None:
    command = services.program(
        *(SERVICES, "with", "postgres18", "--command"),
        *("sh", "-c", 'echo "$1"; exit 7', "sh", "{postgres18.dsn}"),
    )

    assert command.wait(within_s=60) == 7
    assert command.output.startswith("postgresql://postgres:")


def test_unknown_server_is_a_mistake_in_usage(services: Commands) -> None:
    command = services.program(SERVICES, "up", "nosuch")

    assert command.wait() == 2
    names = "postgres postgres18 mysql mariadb mariadb118 kafka connect"
    assert f"there are {names}" in command.errors
