# ruff: noqa: INP001 - a tool beside its data, no package
"""Register Debezium's connector with Kafka Connect, ask how it is, have it snapshot, remove it.

The connector is ``postgres.json``, ``mysql.json`` or ``mariadb.json`` beside this file, by the
kind of the database, with its ``<names>`` filled in from the configuration of cdc-sms, so that
both speak of the same table and topics. This is a tool for people; cdc-sms itself never talks
to Kafka Connect.
"""

import json
import os
import re
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click
import requests
from confluent_kafka.admin import NewTopic
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from cdc_sms.config import mysql_dsn
from cdc_sms.config.load import load
from cdc_sms.config.mysql_dsn import MysqlDsn, SslMode
from cdc_sms.config.settings import KafkaSettings, Sections, TableSettings
from cdc_sms.errors import BrokerUnavailable, CdcSmsError, ConfigurationError, SetupError
from cdc_sms.kafka.connection import errors_classified, reached_admin_client
from cdc_sms.kafka.producer import Delivery, Producer

FOLDER = Path(__file__).parent
# Where the worker finds what may stand in no configuration, as in worker.properties.
JAAS = "${env:DEBEZIUM_KAFKA_JAAS}"
TRUSTSTORE = "/etc/cdc-sms/kafka.truststore.p12"
# MariaDB's driver has words of its own, and none for "encrypted where the server can".
MARIADB_SSL_MODES = {
    SslMode.DISABLED: "disable",
    SslMode.PREFERRED: "trust",
    SslMode.REQUIRED: "trust",
    SslMode.VERIFY_CA: "verify-ca",
    SslMode.VERIFY_IDENTITY: "verify-full",
}
TIMEOUT_S = 30
PAUSE_S = 0.5
UNREACHABLE = 6

Connector = dict[str, Any]
Command = Callable[..., int]


@dataclass(frozen=True)
class KafkaConnect:
    """The REST interface of a worker, as far as connectors are concerned."""

    url: str

    def ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> None:
        """Have it do something.

        Raises:
            SetupError: it refuses; its own words are told.
        """
        answer = requests.request(method, self._connectors(path), json=body, timeout=TIMEOUT_S)
        if not answer.ok:
            said = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
            raise SetupError(
                f"Kafka Connect refuses {method} {path}: {said.get('message', answer.reason)}",
                hint="Correct what it says, in cdc-sms's configuration or by --set; try again.",
            )

    def state(self, name: str) -> Mapping[str, str]:
        """Return a connector's state; its task's where it has one, for that does the work."""
        answer = requests.get(self._connectors(f"/{name}/status"), timeout=TIMEOUT_S)
        if answer.status_code == requests.codes.not_found:
            return {"name": name, "state": "UNREGISTERED", "why": ""}
        answer.raise_for_status()
        status = answer.json()
        parts = [status["connector"], *status["tasks"]]
        failed = [part for part in parts if part["state"] == "FAILED"]
        worst = (failed or parts)[-1] if status["tasks"] or failed else {"state": "UNASSIGNED"}
        return {"name": name, "state": worst["state"], "why": _cause(worst.get("trace", ""))}

    def forget(self, name: str) -> bool:
        """Remove a connector's stored position; it refuses until the connector has stopped."""
        return requests.delete(self._connectors(f"/{name}/offsets"), timeout=TIMEOUT_S).ok

    def _connectors(self, path: str) -> str:
        return f"{self.url.rstrip('/')}/connectors{path}"


def _cause(trace: str) -> str:
    """Return the innermost cause's line of a Java stack trace."""
    lines = [line for line in trace.splitlines() if line and not line[0].isspace()]
    return lines[-1].removeprefix("Caused by: ") if lines else ""


def connector_of(settings: Sections, changes: Mapping[str, str]) -> Connector:
    """Return the connector: name and configuration, every ``<name>`` of the template filled in.

    Args:
        settings: the configuration of cdc-sms.
        changes: properties to set beside or in place of the template's; an empty one is left out.

    Raises:
        ConfigurationError: the template holds a name that nothing fills, or the table's name
            holds more than letters, digits and underscores.
    """
    if not re.fullmatch(r"\w+[.]\w+", ".".join(settings.table.schema_and_table), re.ASCII):
        raise ConfigurationError(
            f"Debezium's snapshot can't select from a table named {settings.table.name!r}.",
            hint='Leave capture.reader at "builtin": our own reader can.',
        )
    path = FOLDER / f"{settings.source.kind}.json"
    template = path.read_text(encoding="utf-8")
    values = _values(settings)
    unknown = sorted(set(re.findall(r"<(\w+)>", template)) - set(values))
    if unknown:
        raise ConfigurationError(
            f"{path.name} asks for <{'>, <'.join(unknown)}>, which the configuration lacks.",
            hint=f"It may ask for <{'>, <'.join(sorted(values))}>.",
        )
    for name, value in values.items():
        template = template.replace(f"<{name}>", json.dumps(value)[1:-1])
    connector: Connector = json.loads(template)
    snapshot = {} if settings.table.columns.status else {"snapshot.mode": "no_data"}
    config = {**connector["config"], **snapshot, **changes}
    connector["config"] = {name: value for name, value in config.items() if value != ""}
    return connector


def _values(settings: Sections) -> dict[str, str]:
    is_postgres = settings.source.kind == "postgres"
    schema, table = settings.table.schema_and_table
    return {
        "schema": schema,
        "table": table,
        # Updates that don't leave the row pending are ignored by whoever reads the outbox.
        "skipped": "d,t" if settings.capture.becomes_pending else "u,d,t",
        "prefix": settings.kafka.prefix,
        "partitions": str(settings.kafka.partitions),
        **(_of_postgres(settings) if is_postgres else _of_binlog(settings)),
        **_of_kafka(settings.kafka),
    }


def _of_postgres(settings: Sections) -> dict[str, str]:
    parts = conninfo_to_dict(settings.source.dsn)
    return {
        "host": str(parts.get("host") or "localhost"),
        "port": str(parts.get("port") or 5432),
        "database": str(parts.get("dbname", "")),
        "user": str(parts.get("user", "")),
        "sslmode": str(parts.get("sslmode") or "prefer"),
        "pending": _pending_in_postgres(settings.table),
        "slot": settings.capture.slot,
        "publication": settings.capture.publication,
    }


def _of_binlog(settings: Sections) -> dict[str, str]:
    dsn = mysql_dsn.parse(settings.source.dsn)
    modes = MARIADB_SSL_MODES if settings.source.kind == "mariadb" else {}
    return {
        "host": dsn.host,
        "port": str(dsn.port),
        "user": dsn.user,
        "sslmode": modes.get(dsn.ssl_mode, dsn.ssl_mode.value),
        # Without TLS the server's key, by which the password is sent, has to be asked of it.
        "plain": "true" if dsn.ssl_mode is SslMode.DISABLED else "",
        "server_id": str(settings.capture.server_id or _server_id(settings.kafka.prefix, dsn)),
        "pending": _pending_in_binlog(settings.table),
    }


def _server_id(name: str, dsn: MysqlDsn) -> int:
    """Return an id that stays the same, from the upper half, where few servers have theirs."""
    return 2**31 + zlib.crc32(f"debezium/{name}/{dsn.host}:{dsn.port}".encode()) % 2**31


def _of_kafka(kafka: KafkaSettings) -> dict[str, str]:
    """Return how Debezium's own clients connect, which take nothing from the worker's."""
    protocol = kafka.security_protocol
    return {
        "bootstrap": kafka.bootstrap_servers,
        "security": protocol.upper(),
        "mechanism": (kafka.sasl_mechanism or "") if protocol.startswith("sasl") else "",
        "jaas": JAAS if protocol.startswith("sasl") else "",
        "truststore": TRUSTSTORE if protocol.endswith("ssl") else "",
    }


def _pending_in_postgres(table: TableSettings) -> str:
    """Return the condition under which a row that is there at first start is captured.

    A status column of any type is compared as text: its words may be numbers or enum members.
    """
    if table.columns.status is None:
        return "false"
    column = sql.Identifier(table.columns.status)
    word = sql.Literal(table.status.pending)
    return sql.SQL("{}::text = {}").format(column, word).as_string()


def _pending_in_binlog(table: TableSettings) -> str:
    """Return the same for MySQL and MariaDB, whatever ``sql_mode`` takes a backslash for."""
    if table.columns.status is None:
        return "false"
    column, word = table.columns.status.replace("`", "``"), table.status.pending
    quoted = "'{}'".format(word.replace("'", "''"))
    literal = f"_utf8mb4 0x{word.encode().hex()}" if "\\" in word else quoted
    return f"CAST(`{column}` AS CHAR) = {literal}"


@dataclass(frozen=True)
class Signals:
    """The topic by which a running connector is told to do something."""

    kafka: KafkaSettings
    topic: str

    def make_topic(self) -> None:
        """Make it where it is missing: the connector would ask for it for ever."""
        client = reached_admin_client(self.kafka, wait_s=TIMEOUT_S)
        with errors_classified("Asking for the topics"):
            present = client.list_topics(timeout=TIMEOUT_S).topics
        if self.topic not in present:
            new = NewTopic(
                self.topic,
                num_partitions=1,  # Debezium reads the first one only
                replication_factor=self.kafka.replication_factor,
                config={"cleanup.policy": "delete"},
            )
            with errors_classified(f"Making {self.topic}"):
                client.create_topics([new])[self.topic].result(TIMEOUT_S)

    def send(self, connector: str, signal: Mapping[str, object]) -> None:
        """Send one signal.

        Raises:
            BrokerUnavailable: nobody acknowledged it.
        """
        delivered: list[Delivery] = []
        producer = Producer(self.kafka)
        try:
            key, value = connector.encode(), json.dumps(signal).encode()
            producer.produce(self.topic, key=key, value=value, on_delivery=delivered.append)
            producer.flush(TIMEOUT_S)
        finally:
            producer.close()
        if not delivered or delivered[0].error is not None:
            raise BrokerUnavailable(
                f"{self.topic} did not acknowledge the signal within {TIMEOUT_S} s.",
                hint="Check that the broker runs and that the user may write to the topic.",
            )


def snapshot_signal(config: Mapping[str, str]) -> dict[str, object]:
    """Return the signal that has a connector capture once more what its first snapshot would.

    Raises:
        SetupError: the table has no status column: nothing in it says what was sent.
    """
    if config["snapshot.mode"] == "no_data":
        raise SetupError(
            "The connector takes no snapshot: its snapshot.mode is no_data.",
            hint="Without a status column nothing tells which rows were sent: see cdc-sms audit.",
        )
    table = config["snapshot.select.statement.overrides"]
    select = config[f"snapshot.select.statement.overrides.{table}"]
    return {
        "type": "execute-snapshot",
        "data": {
            "type": "BLOCKING",
            "data-collections": [config["table.include.list"]],
            "additional-conditions": [{"data-collection": table, "filter": select}],
        },
    }


@dataclass(frozen=True)
class Subject:
    """What a command is about."""

    connect: KafkaConnect
    connector: Connector
    kafka: KafkaSettings

    @property
    def name(self) -> str:
        """The connector's name."""
        return str(self.connector["name"])

    @property
    def config(self) -> Mapping[str, str]:
        """The connector's properties."""
        config: Mapping[str, str] = self.connector["config"]
        return config

    @property
    def signals(self) -> Signals | None:
        """The topic of its signals; None: it was left out."""
        topic = self.config.get("signal.kafka.topic")
        return Signals(self.kafka, topic) if topic else None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Debezium's connector in Kafka Connect, filled in from cdc-sms's configuration."""


def _options(command: Command) -> Command:
    """Add what all commands share, and tell errors as cdc-sms does: a sentence and a remedy."""

    @wraps(command)
    def told(
        *, connect_url: str, config: Path | None, changes: tuple[str, ...], **others: object
    ) -> NoReturn:
        try:
            properties = dict(change.partition("=")[::2] for change in changes)
            settings = load(config, os.environ)
            connector = connector_of(settings, properties)
            subject = Subject(KafkaConnect(connect_url), connector, settings.kafka)
            code = command(subject, **others)
        except CdcSmsError as error:
            click.echo(f"{error}\n{error.hint}", err=True)
            raise SystemExit(error.exit_code) from error
        except requests.RequestException as error:
            click.echo(
                f"Kafka Connect at {connect_url} can't be asked: {type(error).__name__}.\n"
                "Check --connect-url, and that the worker runs.",
                err=True,
            )
            raise SystemExit(UNREACHABLE) from error
        raise SystemExit(code)

    for option in (
        click.option(
            "--set",
            "changes",
            metavar="KEY=VALUE",
            multiple=True,
            help="Another property of the connector, or another value; may be repeated.",
        ),
        click.option(
            "--config",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="cdc-sms's configuration; else $CDC_SMS_CONFIG, else ./cdc-sms.toml.",
        ),
        click.option(
            "--connect-url",
            metavar="URL",
            envvar="CONNECT_URL",
            default="http://127.0.0.1:8083",
            show_default=True,
            help="Kafka Connect; else $CONNECT_URL.",
        ),
    ):
        told = option(told)
    return told


_wait = click.option(
    "--wait", "wait_s", metavar="S", default=60.0, show_default=True, help="At most; seconds."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")


@cli.command()
@_options
@_wait
@_json
@click.option("--print", "only_print", is_flag=True, help="Print what would be registered.")
def register(subject: Subject, *, wait_s: float, as_json: bool, only_print: bool) -> int:
    """Make the connector, or bring the one that is there up to date; wait until it runs."""
    if only_print:
        click.echo(json.dumps(subject.connector, indent=2))
        return 0
    if subject.signals is not None:
        subject.signals.make_topic()
    subject.connect.ask("PUT", f"/{subject.name}/config", subject.config)
    deadline = time.monotonic() + wait_s
    while True:
        state = subject.connect.state(subject.name)
        if state["state"] in ("RUNNING", "FAILED") or time.monotonic() > deadline:
            return _tell(state, as_json=as_json)
        time.sleep(PAUSE_S)


@cli.command()
@_options
@_json
def status(subject: Subject, *, as_json: bool) -> int:
    """Tell whether the connector runs, and why not."""
    return _tell(subject.connect.state(subject.name), as_json=as_json)


@cli.command()
@_options
def snapshot(subject: Subject) -> int:
    """Have the running connector capture all pending rows once more; twice does no harm."""
    signal = snapshot_signal(subject.config)
    state = subject.connect.state(subject.name)
    if state["state"] != "RUNNING":
        return _tell(state, as_json=False)
    if subject.signals is None:
        raise SetupError(
            "The connector has no topic of signals: signal.kafka.topic is left out.",
            hint="Register it with one, or unregister it with --forget and register it again.",
        )
    subject.signals.send(subject.name, signal)
    click.echo(f"{subject.name}: asked. It begins within seconds; new rows wait until it is done.")
    return 0


@cli.command()
@_options
@_wait
@click.option("--forget", is_flag=True, help="Its position too: it would start with a snapshot.")
def unregister(subject: Subject, *, wait_s: float, forget: bool) -> int:
    """Remove the connector; what it left in PostgreSQL or Kafka stays, and is told."""
    connect, name = subject.connect, subject.name
    if forget:
        connect.ask("PUT", f"/{name}/stop")
        deadline = time.monotonic() + wait_s
        while not (forgotten := connect.forget(name)) and time.monotonic() < deadline:
            time.sleep(PAUSE_S)
        if not forgotten:
            raise SetupError(
                f"The connector {name} does not stop, so its position was not removed.",
                hint="Look at its status, then try again with a longer --wait.",
            )
    connect.ask("DELETE", f"/{name}")
    click.echo(f"{name}: unregistered. {_left_behind(subject.config)}", err=True)
    return 0


def _left_behind(config: Mapping[str, str]) -> str:
    if slot := config.get("slot.name"):
        return (
            "Its slot is still there and holds PostgreSQL's log until somebody uses it or drops "
            f"it: SELECT pg_drop_replication_slot('{slot}')"
        )
    topic = config["schema.history.internal.kafka.topic"]
    return f"Its topic {topic} is still there: it may be deleted if nobody registers again."


def _tell(state: Mapping[str, str], *, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(state))
    else:
        click.echo(f"{state['name']}: {state['state'].lower()}. {state['why']}".strip())
    return 0 if state["state"] == "RUNNING" else SetupError.exit_code


if __name__ == "__main__":
    cli(prog_name="scripts/debezium")
