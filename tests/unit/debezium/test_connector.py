"""The connector's template is filled in from the configuration of cdc-sms."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from support.servers.machine import REPOSITORY

from cdc_sms.errors import SetupError

CONFIGURATION = """
[source]
dsn = "{dsn}"
[table]
name = "{table}"
[table.columns]
key = "id"
recipient = "recipient"
text = "body"
{status}
[kafka]
bootstrap_servers = "kafka:9092"
prefix = "acme.sms"
{kafka}
[capture]
{capture}
slot = "sms_slot"
publication = "sms_publication"
[providers.justsend]
sender = "Acme"
"""
DSNS = {
    "postgres": "postgresql://bridge@db.example:6432/shop?sslmode=verify-full",
    "mysql": "mysql://bridge@db.example:6432/shop?ssl_mode=required",
    "mariadb": "mariadb://bridge@db.example:6432/shop?ssl_mode=required",
}
STATUS = 'status = "status"'
TEMPLATES = [f"{kind}.json" for kind in DSNS]


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = spec_from_file_location("connector", REPOSITORY / "debezium" / "connector.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def connector(
    program: ModuleType,
    folder: Path,
    *options: str,
    status: str,
    dsn: str = DSNS["postgres"],
    table: str = "erp.sms",
    **others: str,
) -> dict[str, Any]:
    """Return what ``register --print`` prints."""
    file = folder / "cdc-sms.toml"
    sections = {"kafka": "", "capture": "", **others}
    file.write_text(CONFIGURATION.format(status=status, dsn=dsn, table=table, **sections))
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


@pytest.mark.parametrize("kind", ["mysql", "mariadb"])
def test_every_name_of_a_binlog_template_is_filled_in(
    program: ModuleType, tmp_path: Path, kind: str
) -> None:
    printed = connector(program, tmp_path, status=STATUS, dsn=DSNS[kind], table="sms")

    assert "<" not in json.dumps(printed)
    assert printed["name"] == "acme.sms"
    expected = {
        "database.hostname": "db.example",
        "database.port": "6432",
        "database.user": "bridge",
        "database.include.list": "shop",
        "table.include.list": "shop[.]sms",
        "transforms.outbox.replacement": "acme.sms.outbox",
        "schema.history.internal.kafka.topic": "acme.sms.schema-history",
        "schema.history.internal.kafka.bootstrap.servers": "kafka:9092",
        "signal.kafka.topic": "acme.sms.signals",
    }
    assert {name: printed["config"][name] for name in expected} == expected


@pytest.mark.parametrize("kind", DSNS)
def test_inserts_alone_are_forwarded_unless_updates_are_asked_for(
    program: ModuleType, tmp_path: Path, kind: str
) -> None:
    def skipped(capture: str) -> str:
        printed = connector(program, tmp_path, status=STATUS, dsn=DSNS[kind], capture=capture)
        return str(printed["config"]["skipped.operations"])

    assert skipped("") == "u,d,t"
    assert skipped("becomes_pending = true") == "d,t"


@pytest.mark.parametrize(
    ("word", "literal"),
    [("it's new", "'it''s new'"), ("a\\b", "_utf8mb4 0x615c62")],
    ids=["a quote", "a backslash"],
)
def test_binlog_snapshot_takes_pending_rows_only(
    program: ModuleType, tmp_path: Path, word: str, literal: str
) -> None:
    status = f"""status = "sta`te"\n[table.status]\npending = {json.dumps(word)}"""
    config = connector(program, tmp_path, status=status, dsn=DSNS["mysql"], table="sms")["config"]

    assert config["snapshot.select.statement.overrides.shop.sms"] == (
        f"SELECT * FROM `shop`.`sms` WHERE CAST(`sta``te` AS CHAR) = {literal}"
    )


@pytest.mark.parametrize(
    ("mode", "mysql", "mariadb"),
    [
        ("disabled", "disabled", "disable"),
        ("preferred", "preferred", "trust"),
        ("verify_ca&ssl_ca=/ca.pem", "verify_ca", "verify-ca"),
        ("verify_identity&ssl_ca=/ca.pem", "verify_identity", "verify-full"),
    ],
    ids=["disabled", "preferred", "the CA", "the host"],
)
def test_protection_of_the_connection_is_said_in_the_drivers_words(
    program: ModuleType, tmp_path: Path, mode: str, mysql: str, mariadb: str
) -> None:
    def told(kind: str) -> str:
        dsn = f"{kind}://bridge@db.example/shop?ssl_mode={mode}"
        return str(connector(program, tmp_path, status="", dsn=dsn)["config"]["database.ssl.mode"])

    assert (told("mysql"), told("mariadb")) == (mysql, mariadb)


def test_servers_key_is_asked_for_where_tls_is_off_alone(
    program: ModuleType, tmp_path: Path
) -> None:
    def asks(mode: str) -> bool:
        dsn = f"mysql://bridge@db.example/shop?ssl_mode={mode}"
        config = connector(program, tmp_path, status="", dsn=dsn)["config"]
        return "driver.allowPublicKeyRetrieval" in config

    assert [asks(mode) for mode in ("disabled", "preferred", "required")] == [True, False, False]


def test_replication_id_is_the_configurations_or_one_that_stays(
    program: ModuleType, tmp_path: Path
) -> None:
    def server_id(capture: str) -> str:
        printed = connector(program, tmp_path, status="", dsn=DSNS["mysql"], capture=capture)
        return str(printed["config"]["database.server.id"])

    assert server_id("server_id = 7") == "7"
    assert server_id("") == server_id("")
    assert 2**31 <= int(server_id("")) < 2**32


def test_debeziums_own_clients_prove_who_they_are_by_reference(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDC_SMS_KAFKA__SASL_PASSWORD", "hush")
    kafka = """security_protocol = "sasl_ssl"\nsasl_mechanism = "SCRAM-SHA-512"
sasl_username = "bridge"\n"""
    printed = connector(program, tmp_path, status="", dsn=DSNS["mysql"], kafka=kafka)

    assert "hush" not in json.dumps(printed)
    for client in (
        "schema.history.internal.producer",
        "schema.history.internal.consumer",
        "signal.consumer",
    ):
        assert printed["config"][f"{client}.security.protocol"] == "SASL_SSL"
        assert printed["config"][f"{client}.sasl.jaas.config"] == "${env:DEBEZIUM_KAFKA_JAAS}"


def test_property_can_be_set_and_left_out(program: ModuleType, tmp_path: Path) -> None:
    options = ("--set", "database.hostname=postgres", "--set", "heartbeat.interval.ms=")
    config = connector(program, tmp_path, *options, status="")["config"]

    assert config["database.hostname"] == "postgres"
    assert "heartbeat.interval.ms" not in config


@pytest.mark.parametrize("name", TEMPLATES)
def test_password_is_named_and_never_held(name: str) -> None:
    template = json.loads((REPOSITORY / "debezium" / name).read_text())

    assert template["config"]["database.password"] == "${env:DEBEZIUM_PASSWORD}"


@pytest.mark.parametrize("name", TEMPLATES)
def test_worker_allows_what_the_connector_overrides(name: str) -> None:
    worker = (REPOSITORY / "debezium" / "worker.properties").read_text()
    template = json.loads((REPOSITORY / "debezium" / name).read_text())

    [allowed] = [line for line in worker.splitlines() if ".override.allowlist=" in line]
    overridden = {
        name.removeprefix("producer.override.")
        for name in template["config"]
        if name.startswith("producer.override.")
    }
    assert set(allowed.partition("=")[2].split(",")) == overridden


def test_every_property_is_told_of_in_the_readme() -> None:
    readme = (REPOSITORY / "debezium" / "README.md").read_text()
    explained = ("converter", "database.", "transforms.", "topic.creation.")

    properties = {
        name
        for template in TEMPLATES
        for name in json.loads((REPOSITORY / "debezium" / template).read_text())["config"]
        if not any(part in name for part in explained)
    }
    stems = {name.split(".<")[0].split(".security.")[0].split(".sasl.")[0] for name in properties}
    assert sorted(stem for stem in stems if stem.split(".ssl.")[0] not in readme) == []


def test_table_without_a_status_has_no_snapshot_to_ask_for(
    program: ModuleType, tmp_path: Path
) -> None:
    config = connector(program, tmp_path, status="")["config"]

    with pytest.raises(SetupError, match=r"snapshot\.mode is no_data"):
        program.snapshot_signal(config)


def test_wrong_configuration_is_a_sentence_and_exit_2(program: ModuleType, tmp_path: Path) -> None:
    result = CliRunner().invoke(program.cli, ["status", f"--config={tmp_path / 'none.toml'}"])

    assert result.exit_code == 2
    assert "none.toml doesn't exist" in result.output
