"""``status``, ``in-doubt list`` and ``dlq`` against real servers with something in them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from support.commands import Command, Commands
from support.fixtures.databases import PostgresDatabase
from support.servers.kafka import KafkaAddress

from cdc_sms.config.settings import LedgerSettings, SourceSettings
from cdc_sms.databases.control import Control
from cdc_sms.databases.engine import in_transaction, open_engine
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.migrations import upgrade
from cdc_sms.kafka.headers import DeadLetter, dead_letter_headers
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.hold import Hold, HoldKind
from cdc_sms.model.state import DeadLetterClass, State

NUMBER = "+48600100200"
NOW = datetime.now(UTC)


def _message(number: int, state: State, **facts: Any) -> Delivery:
    times = {"seen_at": NOW - timedelta(minutes=number), "changed_at": NOW, "due_at": NOW}
    return Delivery(
        id=f"sms/{number}@",
        message_key=f"sms/{number}",
        key_values="{}",
        row_created_at=None,
        state=state,
        **{**times, **facts},
    )


MESSAGES = [
    _message(1, State.SENT, attempts=1, provider="justsend"),
    _message(2, State.PENDING),
    _message(3, State.PENDING),
    _message(4, State.IN_DOUBT, doubts=1, provider="justsend", failure_code="timeout", attempts=1),
    _message(5, State.IN_DOUBT, doubts=2, provider="justsend", failure_code="timeout", attempts=2),
    _message(
        6,
        State.FAILED,
        doubts=2,
        dead_letter_class=DeadLetterClass.IN_DOUBT,
        failure_code="timeout",
        dlq_partition=0,
        dlq_offset=41,
    ),
    _message(7, State.SENDING, lease_until=NOW - timedelta(minutes=1), claim_token="t"),
    _message(8, State.FAILED, dead_letter_class=DeadLetterClass.PERMANENT, dlq_offset=1),
    _message(9, State.SENT, owes_write=True, next_write_at=NOW),
]


@pytest.fixture
def environment(postgres_database: PostgresDatabase) -> dict[str, str]:
    """A ledger with a message of each kind, and how to reach it."""
    parts = urlsplit(postgres_database.dsn)
    dsn = f"postgresql://{parts.username}@{parts.hostname}:{parts.port}{parts.path}"
    variables = {
        "CDC_SMS_SOURCE__DSN": dsn,
        "CDC_SMS_SOURCE__PASSWORD": postgres_database.server.password,
    }
    ledger = LedgerSettings()
    source = SourceSettings.model_validate(
        {"dsn": dsn, "password": postgres_database.server.password}
    )
    engine = open_engine(source, ledger)
    upgrade(engine, ledger)
    in_transaction(engine, lambda connection: Ledger().insert(connection, MESSAGES))
    hold = Hold(
        name="account:justsend",
        kind=HoldKind.ACCOUNT,
        reason="the key was refused",
        since=datetime.now(UTC),
    )
    in_transaction(engine, lambda connection: Control().hold(connection, hold))
    engine.dispose()
    return variables


def _json(command: Command) -> Any:
    return json.loads(command.output)


def test_status_shows_the_ledger_and_names_unreachable_roles(
    cdc_sms: Commands,
    configured: Callable[..., Path],
    environment: dict[str, str],
    postgres_database: PostgresDatabase,
) -> None:
    postgres_database.execute("SELECT pg_create_logical_replication_slot('cdc_sms', 'pgoutput')")

    command = cdc_sms.run(
        "status", "--config", str(configured()), "--json", environment=environment
    )

    status = _json(command)
    assert status["messages"] == {"sent": 2, "pending": 2, "in_doubt": 2, "failed": 2, "sending": 1}
    assert status["in_doubt"] == {"now": 3, "possible_doubles": 1}
    assert status["owed_write_backs"] == 1
    assert status["dead_letters"] == {"in_doubt": 1, "permanent": 1}
    assert [row["message_id"] for row in status["oldest_unfinished"]] == [
        "sms/7@",
        "sms/5@",
        "sms/3@",
    ]
    assert {role["state"] for role in status["roles"]} == {"unreachable"}
    assert status["outbox_lag"] is None
    slot = status["slot"]
    assert (slot["name"], slot["active"], slot["plugin"]) == ("cdc_sms", False, "pgoutput")
    assert slot["wal_status"] == "reserved"
    assert slot["retained_bytes"] >= slot["unconfirmed_bytes"] >= 0
    hold = status["holds"][0]
    assert (hold["name"], hold["reason"]) == ("account:justsend", "the key was refused")
    assert hold["way_out"]


def test_status_is_a_page_that_a_person_reads(
    cdc_sms: Commands, configured: Callable[..., Path], environment: dict[str, str]
) -> None:
    command = cdc_sms.run("status", "--config", str(configured()), environment=environment)

    assert "In doubt      3 now, 1 possible doubles ever" in command.output
    assert "unreachable" in command.output
    assert "account:justsend" in command.output
    assert "Dead letters  1 in_doubt, 1 permanent" in command.output


def test_status_shows_what_running_roles_say(
    cdc_sms: Commands, configured: Callable[..., Path], environment: dict[str, str]
) -> None:
    config = configured()
    cdc_sms("serve", "--config", str(config), environment=environment).await_line("role.started")
    address = next(
        line for line in config.read_text().splitlines() if line.startswith("serve")
    ).split('"')[1]
    asked = {**environment, "CDC_SMS_SERVE__ROLES": f"http://{address}"}

    command = cdc_sms.run("status", "--config", str(config), "--json", environment=asked)

    role = _json(command)["roles"][0]
    assert (role["role"], role["state"], role["reachable"]) == ("serve", "serving", True)


def test_status_says_that_the_ledger_was_never_made(
    cdc_sms: Commands, configured: Callable[..., Path], postgres_database: PostgresDatabase
) -> None:
    parts = urlsplit(postgres_database.dsn)
    environment = {
        "CDC_SMS_SOURCE__DSN": f"postgresql://{parts.username}@{parts.hostname}:{parts.port}{parts.path}",
        "CDC_SMS_SOURCE__PASSWORD": postgres_database.server.password,
    }

    command = cdc_sms.run("status", "--config", str(configured()), environment=environment)

    assert "cdc-sms migrate" in command.output


def test_status_ends_with_6_when_nothing_answers(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    command = cdc_sms.run("status", "--config", str(configured()), "--wait", "1", expect=6)

    assert "The database is unreachable" in command.output


def test_in_doubt_list_tells_what_becomes_of_each_message(
    cdc_sms: Commands, configured: Callable[..., Path], environment: dict[str, str]
) -> None:
    config = str(configured())

    found = _json(
        cdc_sms.run("in-doubt", "list", "--config", config, "--json", environment=environment)
    )
    table = cdc_sms.run("in-doubt", "list", "--config", config, environment=environment)

    by_id = {row["message_id"]: row for row in found}
    assert {name: row["next"] for name, row in by_id.items()} == {
        "sms/4@": "sent again, once",
        "sms/5@": "left for a person, as a dead letter",
        "sms/6@": "a person decides: cdc-sms in-doubt resolve (letter 0:41)",
        "sms/7@": "taken over as in doubt",
    }
    assert by_id["sms/6@"]["next_at"] is None
    assert by_id["sms/4@"]["code"] == "timeout"
    assert "sms/4@" in table.output


@pytest.fixture
def dead_letters(kafka_server: KafkaAddress, topic_prefix: str) -> dict[str, str]:
    """A topic with three dead letters and a foreign record, and how to reach it."""
    topic = f"{topic_prefix}.dlq"
    admin = AdminClient({"bootstrap.servers": kafka_server.bootstrap})
    for made in admin.create_topics([NewTopic(topic, 2, 1)]).values():
        made.result()
    producer = Producer({"bootstrap.servers": kafka_server.bootstrap, "acks": "all"})
    letters = [
        (1, DeadLetterClass.PERMANENT, "INVALID_MSISDN", {"phone": NUMBER, "body": "Hello Anna"}),
        (2, DeadLetterClass.PERMANENT, "BLACKLISTED", {"phone": "600 100 201", "body": "Hi"}),
        (3, DeadLetterClass.EXHAUSTED, "http_503", {"phone": NUMBER, "body": "Hello"}),
    ]
    for number, letter_class, code, row in letters:
        value = {"before": None, "after": {"id": number, **row}, "op": "c"}
        letter = dead_letter_headers(_letter(number, letter_class, code), [])
        headers: dict[str, str | bytes | None] = dict(letter)
        producer.produce(
            topic, json.dumps(value), f'{{"id":{number}}}', number % 2, headers=headers
        )
        producer.flush(10)
    producer.produce(topic, b"\xff not ours", partition=1)
    producer.flush(10)
    return {
        "CDC_SMS_KAFKA__BOOTSTRAP_SERVERS": kafka_server.bootstrap,
        "CDC_SMS_KAFKA__PREFIX": topic_prefix,
    }


def _letter(number: int, letter_class: DeadLetterClass, code: str) -> DeadLetter:
    return DeadLetter(
        dead_letter_class=letter_class,
        code=code,
        text="It was refused.",
        original_topic="cdc-sms.outbox",
        original_partition=4,
        original_offset=number,
        original_timestamp_ms=1_700_000_000_000,
        first_failure_at=NOW,
        last_failure_at=NOW,
        message_id=f"sms/{number}@",
        provider="justsend",
        attempt=2,
    )


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ([], [None, "sms/3@", "sms/2@", "sms/1@"]),
        (["--limit", "2"], [None, "sms/3@"]),
        (["--class", "permanent"], ["sms/2@", "sms/1@"]),
        (["--code", "http_503"], ["sms/3@"]),
        (["--recipient", "600100200"], ["sms/3@", "sms/1@"]),
        (["--recipient", "+48 600 100 201"], ["sms/2@"]),
        (["--since", "1h", "--class", "exhausted"], ["sms/3@"]),
        (["--since", "2999-01-01"], []),
        (["--until", "1h"], []),
    ],
    ids=[
        "newest first",
        "limit",
        "class",
        "code",
        "recipient",
        "recipient in another form",
        "since and class",
        "since the future",
        "until",
    ],
)
def test_dlq_list_shows_what_was_asked_for(
    cdc_sms: Commands,
    configured: Callable[..., Path],
    dead_letters: dict[str, str],
    options: list[str],
    ids: list[str | None],
) -> None:
    command = cdc_sms.run(
        "dlq", "list", *options, "--config", str(configured()), "--json", environment=dead_letters
    )

    assert [letter["message_id"] for letter in _json(command)] == ids


def test_dlq_list_masks_numbers_unless_asked(
    cdc_sms: Commands, configured: Callable[..., Path], dead_letters: dict[str, str]
) -> None:
    config = str(configured())

    masked = cdc_sms.run("dlq", "list", "--config", config, environment=dead_letters)
    revealed = cdc_sms.run("dlq", "list", "--config", config, "--reveal", environment=dead_letters)

    assert NUMBER not in masked.output
    assert "+48******200" in masked.output
    assert NUMBER in revealed.output


def test_dlq_show_tells_why_and_masks_the_row_unless_asked(
    cdc_sms: Commands, configured: Callable[..., Path], dead_letters: dict[str, str]
) -> None:
    config = str(configured())

    masked = cdc_sms.run("dlq", "show", "1:0", "--config", config, environment=dead_letters)
    revealed = _json(
        cdc_sms.run(
            "dlq", "show", "1:0", "--config", config, "--reveal", "--json", environment=dead_letters
        )
    )

    assert "INVALID_MSISDN" in masked.output
    assert "cdc-sms.outbox 4:1" in masked.output
    assert "cdcsms.class" in masked.output
    assert NUMBER not in masked.output
    assert "Anna" not in masked.output
    assert revealed["row"] == {"id": 1, "phone": NUMBER, "body": "Hello Anna"}
    assert revealed["key"] == '{"id":1}'


def test_dlq_show_gives_a_record_that_is_no_row_byte_for_byte_when_asked(
    cdc_sms: Commands, configured: Callable[..., Path], dead_letters: dict[str, str]
) -> None:
    command = cdc_sms.run(
        "dlq",
        "show",
        "1:2",
        "--config",
        str(configured()),
        "--reveal",
        "--json",
        environment=dead_letters,
    )

    assert _json(command)["row"] == b"\xff not ours".hex()


def test_dlq_show_of_no_record_says_so_with_3(
    cdc_sms: Commands, configured: Callable[..., Path], dead_letters: dict[str, str]
) -> None:
    command = cdc_sms.run(
        "dlq", "show", "1:99", "--config", str(configured()), environment=dead_letters, expect=3
    )

    assert "has no record 1:99" in command.errors


def test_dlq_list_names_the_topic_that_is_not_there(
    cdc_sms: Commands,
    configured: Callable[..., Path],
    kafka_server: KafkaAddress,
    topic_prefix: str,
) -> None:
    environment = {
        "CDC_SMS_KAFKA__BOOTSTRAP_SERVERS": kafka_server.bootstrap,
        "CDC_SMS_KAFKA__PREFIX": topic_prefix,
    }

    command = cdc_sms.run(
        "dlq", "list", "--config", str(configured()), environment=environment, expect=3
    )

    assert f"{topic_prefix}.dlq isn't there" in command.errors


def test_dlq_list_gives_up_with_6_when_no_broker_answers(
    cdc_sms: Commands, configured: Callable[..., Path]
) -> None:
    command = cdc_sms.run("dlq", "list", "--config", str(configured()), "--wait", "1", expect=6)

    assert "Traceback" not in command.errors
