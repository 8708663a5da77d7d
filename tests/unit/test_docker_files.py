"""No engine is at hand, so what can be known without one is checked: structure, paths, commands."""

import json
import re
import shlex
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from support.servers.machine import REPOSITORY

from cdc_sms.cli.main import cli
from cdc_sms.config.load import load
from cdc_sms.config.settings import Sections

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "cdc-sms"}
ROLES = ("capture", "deliver", "serve")
INSTRUCTION = re.compile(r"^([A-Z]+) ((?:.*\\\n)*.*)$", re.MULTILINE)
DOCKERFILE = INSTRUCTION.findall((REPOSITORY / "Dockerfile").read_text())


def words_of(instruction: str) -> list[list[str]]:
    """Return the arguments of each such instruction, in either form."""
    return [
        json.loads(arguments) if arguments.startswith("[") else shlex.split(arguments)
        for name, arguments in DOCKERFILE
        if name == instruction
    ]


def exists(path: str) -> bool:
    """Tell whether a path of the repository exists; the package may be an installed one."""
    return (REPOSITORY / path).exists() or (path == "cdc_sms" and find_spec(path) is not None)


def parse(arguments: list[str]) -> None:
    """Let the command line read arguments without doing what they say."""
    command: click.Command = cli
    context = click.Context(cli)
    name, rest = None, arguments
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
    command.make_context(name, list(rest))


def test_compose_brings_up_the_servers_the_one_shots_and_the_roles() -> None:
    assert set(SERVICES) == {
        *("postgres", "kafka", "simulator"),
        *("migrate", "topics"),
        *ROLES,
    }


@pytest.mark.parametrize("name", OURS)
def test_every_command_of_compose_is_one_of_ours(name: str) -> None:
    parse(OURS[name]["command"])


def test_command_that_does_not_exist_would_be_noticed() -> None:
    with pytest.raises(click.ClickException):
        parse(["topics", "--no-such-option"])


def test_dockerfile_runs_a_command_of_ours_as_nobody_special() -> None:
    [entry_point], [command], [user] = (words_of(name) for name in ("ENTRYPOINT", "CMD", "USER"))

    assert entry_point == ["cdc-sms"]
    assert user != ["root"]
    parse(command)


def test_dockerfile_copies_only_what_exists_and_is_sent_to_the_engine() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source
        for arguments in words_of("COPY")
        if not arguments[0].startswith("--from=")
        for source in arguments[:-1]
    }

    assert copied == sent
    assert [path for path in copied if not exists(path)] == []


def test_dockerfile_takes_the_sections_that_the_pins_have() -> None:
    pins = (REPOSITORY / "constraints.txt").read_text()

    for section in re.findall(r"\^# (\w+):", str(DOCKERFILE)):
        assert f"\n# {section}: " in f"\n{pins}"


def test_every_file_that_compose_mounts_exists() -> None:
    mounted = [part["file"] for kind in ("configs", "secrets") for part in COMPOSE[kind].values()]
    mounted += [
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]

    assert mounted
    assert [path for path in mounted if not exists(path)] == []


def test_every_name_that_a_service_refers_to_is_defined() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= set(SERVICES)
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
        assert {part["source"] for part in service.get("configs", ())} <= set(COMPOSE["configs"])
        named = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        assert {name for name in named if not name.startswith(".")} <= set(COMPOSE["volumes"])


def test_nobody_waits_for_the_health_of_a_service_that_tells_none() -> None:
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "test" in SERVICES[name]["healthcheck"]
            if how["condition"] == "service_completed_successfully":
                assert SERVICES[name]["restart"] == "no"


def test_ports_are_published_on_loopback_only() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def sample(role: str, folder: Path) -> Sections:
    """Load the configuration as that role would in its container."""
    environment = {
        name: value
        for name, value in SERVICES[role]["environment"].items()
        if name.startswith("CDC_SMS_")
    }
    secret = folder / "password"
    secret.write_text("made up")
    environment["CDC_SMS_SOURCE__PASSWORD_FILE"] = str(secret)
    [config] = SERVICES[role]["configs"]
    assert config["target"] == environment["CDC_SMS_CONFIG"]
    environment["CDC_SMS_CONFIG"] = str(REPOSITORY / COMPOSE["configs"][config["source"]]["file"])
    return load(None, environment)


@pytest.mark.parametrize("role", ROLES)
def test_configuration_in_the_container_has_no_mistake(role: str, tmp_path: Path) -> None:
    settings = sample(role, tmp_path)

    assert settings.source.dsn == "postgresql://bridge@postgres:5432/shop"
    assert settings.kafka.bootstrap_servers == "kafka:9092"


@pytest.mark.parametrize("role", ROLES)
def test_health_check_asks_the_address_of_its_role(role: str, tmp_path: Path) -> None:
    settings = sample(role, tmp_path)
    by_default = dict(arguments[0].split("=", 1) for arguments in words_of("ENV"))["HEALTH_URL"]
    url = SERVICES[role]["environment"].get("HEALTH_URL", by_default)

    port = getattr(settings, role).address.rpartition(":")[2]
    assert url == f"http://127.0.0.1:{port}/health/live"


def test_secrets_do_not_reach_the_image() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()

    assert ignored[1] == "*"
    assert not any(fnmatch("deploy/sample/bridge-password", line[1:]) for line in ignored[2:])
