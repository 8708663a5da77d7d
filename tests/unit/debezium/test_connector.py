"""The connector's template is filled in from the configuration of cdc-sms."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from support.servers.machine import REPOSITORY

CONFIGURATION = """
[source]
dsn = "postgresql://bridge@db.example:6432/shop?sslmode=verify-full"
[table]
name = "erp.sms"
[table.columns]
key = "id"
recipient = "recipient"
text = "body"
{status}
[kafka]
bootstrap_servers = "kafka:9092"
prefix = "acme.sms"
[capture]
slot = "sms_slot"
publication = "sms_publication"
[providers.justsend]
sender = "Acme"
"""


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = spec_from_file_location("connector", REPOSITORY / "debezium" / "connector.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def connector(program: ModuleType, folder: Path, *options: str, status: str) -> dict[str, Any]:
    """Return what ``register --print`` prints."""
    file = folder / "cdc-sms.toml"
    file.write_text(CONFIGURATION.format(status=status))
    arguments = ["register", "--print", f"--config={file}", *options]
    result = CliRunner().invoke(program.cli, arguments)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_every_name_of_the_template_is_filled_in(program: ModuleType, tmp_path: Path) -> None:
    printed = connector(program, tmp_path, status='status = "status"')

    assert "<" not in json.dumps(printed)
    assert printed["name"] == "acme.sms"
    expected = {
        "database.hostname": "db.example",
        "database.port": "6432",
        "database.dbname": "shop",
        "database.user": "bridge",
        "database.sslmode": "verify-full",
        "slot.name": "sms_slot",
        "publication.name": "sms_publication",
        "table.include.list": "erp[.]sms",
        "transforms.outbox.replacement": "acme.sms.outbox",
    }
    assert {name: printed["config"][name] for name in expected} == expected


def test_snapshot_takes_pending_rows_only(program: ModuleType, tmp_path: Path) -> None:
    status = """status = "sta\\"te"\n[table.status]\npending = "it's new" """
    config = connector(program, tmp_path, status=status)["config"]

    assert config["snapshot.mode"] == "initial"
    assert config["snapshot.select.statement.overrides.erp.sms"] == (
        """SELECT * FROM "erp"."sms" WHERE "sta""te"::text = 'it''s new'"""
    )


def test_table_without_a_status_is_not_snapshotted(program: ModuleType, tmp_path: Path) -> None:
    config = connector(program, tmp_path, status="")["config"]

    assert config["snapshot.mode"] == "no_data"


def test_property_can_be_set_and_left_out(program: ModuleType, tmp_path: Path) -> None:
    options = ("--set", "database.hostname=postgres", "--set", "heartbeat.interval.ms=")
    config = connector(program, tmp_path, *options, status="")["config"]

    assert config["database.hostname"] == "postgres"
    assert "heartbeat.interval.ms" not in config


def test_password_is_named_and_never_held() -> None:
    template = json.loads((REPOSITORY / "debezium" / "postgres.json").read_text())

    assert template["config"]["database.password"] == "${env:DEBEZIUM_PASSWORD}"


def test_worker_allows_what_the_connector_overrides() -> None:
    worker = (REPOSITORY / "debezium" / "worker.properties").read_text()
    template = json.loads((REPOSITORY / "debezium" / "postgres.json").read_text())

    [allowed] = [line for line in worker.splitlines() if ".override.allowlist=" in line]
    overridden = {
        name.removeprefix("producer.override.")
        for name in template["config"]
        if name.startswith("producer.override.")
    }
    assert set(allowed.partition("=")[2].split(",")) == overridden


def test_wrong_configuration_is_a_sentence_and_exit_2(program: ModuleType, tmp_path: Path) -> None:
    result = CliRunner().invoke(program.cli, ["status", f"--config={tmp_path / 'none.toml'}"])

    assert result.exit_code == 2
    assert "none.toml doesn't exist" in result.output
