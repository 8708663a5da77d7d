"""``migrate`` and ``config`` as a person runs them."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from psycopg import sql
from support.commands import Commands
from support.fixtures.databases import PostgresDatabase
from support.servers.machine import free_port


def _source(database: PostgresDatabase) -> dict[str, object]:
    parts = urlsplit(database.dsn)
    return {"dsn": f"postgresql://{parts.username}@{parts.hostname}:{parts.port}{parts.path}"}


def _password(database: PostgresDatabase) -> dict[str, str]:
    return {"CDC_SMS_SOURCE__PASSWORD": database.server.password}


def test_migrate_makes_the_ledger_and_once_more_changes_nothing(
    cdc_sms: Commands, configured: Callable[..., Path], postgres_database: PostgresDatabase
) -> None:
    config = str(
        configured(source=_source(postgres_database), ledger={"schema_name": "sms_ledger"})
    )
    environment = _password(postgres_database)

    first = cdc_sms.run("migrate", "--config", config, "--json", environment=environment)
    second = cdc_sms.run("migrate", "--config", config, environment=environment)

    assert json.loads(first.output)["before"] is None
    assert "already; nothing was changed" in second.output
    rows = postgres_database.execute("SELECT count(*) FROM sms_ledger.cdc_sms_delivery")
    assert rows == [(0,)]


def test_migrate_names_the_right_that_it_lacks(
    cdc_sms: Commands, configured: Callable[..., Path], postgres_database: PostgresDatabase
) -> None:
    user = f"reader_{postgres_database.name}"
    postgres_database.execute(
        sql.SQL("CREATE USER {} PASSWORD 'reader'").format(sql.Identifier(user))
    )
    dsn = str(_source(postgres_database)["dsn"]).replace(
        f"{postgres_database.server.user}@", f"{user}@"
    )
    config = str(configured(source={"dsn": dsn}, ledger={"schema_name": "sms_ledger"}))

    try:
        command = cdc_sms.run(
            "migrate",
            "--config",
            config,
            environment={"CDC_SMS_SOURCE__PASSWORD": "reader"},
            expect=3,
        )
    finally:
        postgres_database.execute(sql.SQL("DROP USER {}").format(sql.Identifier(user)))

    assert "right" in command.errors
    assert "Traceback" not in command.errors


def test_migrate_gives_up_with_6_when_the_database_does_not_answer_in_time(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    source = {"dsn": f"postgresql://sms@127.0.0.1:{free_port()}/shop"}
    config = str(configured(source=source))

    command = cdc_sms.run("migrate", "--config", config, "--wait", "1", expect=6)

    assert "database" in command.errors
    assert "Traceback" not in command.errors


def test_config_check_says_that_it_is_complete(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    config = str(configured())
    environment = {"CDC_SMS_PROVIDERS__JUSTSEND__KEY": "hunter2"}

    command = cdc_sms.run("config", "check", "--config", config, environment=environment)

    assert command.output.startswith("The configuration is complete: table sms")


def test_config_check_misses_the_providers_key(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    command = cdc_sms.run("config", "check", "--config", str(configured()), expect=2)

    assert "providers.justsend.key is missing" in command.errors


def test_config_show_tells_where_values_come_from_and_hides_secrets(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    config = str(configured(kafka={"librdkafka": {"sasl.oauthbearer.client.secret": "hunter2"}}))
    environment = {"CDC_SMS_PROVIDERS__JUSTSEND__KEY": "hunter2", "CDC_SMS_DELIVER__SENDERS": "3"}

    command = cdc_sms.run("config", "show", "--config", config, "--json", environment=environment)
    table = cdc_sms.run("config", "show", "--config", config, environment=environment)

    keys = json.loads(command.output)
    assert keys["table.name"] == {"value": "sms", "from": config}
    assert keys["deliver.senders"] == {"value": 3, "from": "CDC_SMS_DELIVER__SENDERS"}
    assert keys["kafka.prefix"] == {"value": "cdc-sms", "from": "default"}
    assert keys["providers.justsend.key"]["value"] == "***"
    assert "hunter2" not in command.output + table.output
    assert "deliver.senders" in table.output
