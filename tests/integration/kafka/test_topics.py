"""The topics on a real broker: made, compared, altered, refused; and the command that does it."""

import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType
from support.servers.kafka import KafkaAddress
from support.waiting import until

from cdc_sms.cli.main import run
from cdc_sms.config.settings import KafkaSettings
from cdc_sms.errors import BrokerUnavailable, SetupError
from cdc_sms.kafka.connection import reached_admin_client
from cdc_sms.kafka.topics import check_topics, ensure_topics, verify_topics


@pytest.fixture
def settings(kafka_server: KafkaAddress, topic_prefix: str) -> KafkaSettings:
    """A prefix without topics."""
    return KafkaSettings(
        bootstrap_servers=kafka_server.bootstrap, prefix=topic_prefix, partitions=3
    )


@pytest.fixture
def admin(kafka_server: KafkaAddress) -> AdminClient:
    """A client of our own, to see what was done."""
    return AdminClient({"bootstrap.servers": kafka_server.bootstrap, "log_level": 0})


def make_by_hand(admin: AdminClient, name: str, partitions: int, **settings: str) -> None:
    """Make a topic as somebody else may have made it."""
    config = {key.replace("_", "."): value for key, value in settings.items()}
    (made,) = admin.create_topics([NewTopic(name, partitions, 1, config=config)]).values()
    made.result(10)
    until(
        lambda: all(setting(admin, name, key) == value for key, value in config.items()),
        within_s=10,
        what=f"{name} to be seen as it was made",
        ignoring=(KafkaException,),
    )


def setting(admin: AdminClient, topic: str, name: str) -> str:
    """Return one setting of a topic."""
    (answer,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    value: str = answer.result(10)[name].value
    return value


def test_missing_topics_are_made_as_they_have_to_be(
    settings: KafkaSettings, admin: AdminClient
) -> None:
    report = ensure_topics(settings, alter=False)

    assert report.findings == ()
    names = (settings.outbox, settings.dlq, settings.heartbeat, settings.positions)
    assert report.changes == tuple(f"{name}: made" for name in names)
    listed = admin.list_topics(timeout=10).topics
    assert len(listed[settings.outbox].partitions) == 3
    assert len(listed[settings.dlq].partitions) == 1
    assert int(setting(admin, settings.outbox, "max.message.bytes")) == 4 * 1024 * 1024
    assert int(setting(admin, settings.dlq, "max.message.bytes")) == (4 * 1024 + 64) * 1024
    assert setting(admin, settings.dlq, "retention.ms") == "-1"
    assert setting(admin, settings.heartbeat, "retention.ms") == "2592000000"
    assert setting(admin, settings.positions, "cleanup.policy") == "compact"


def test_making_them_once_more_changes_nothing(settings: KafkaSettings) -> None:
    ensure_topics(settings, alter=False)

    report = ensure_topics(settings, alter=True)

    assert (report.changes, report.findings) == ((), ())


def test_a_topic_that_somebody_made_is_compared_and_left_alone(
    settings: KafkaSettings, admin: AdminClient
) -> None:
    make_by_hand(admin, settings.outbox, 3, retention_ms="3600000")

    report = ensure_topics(settings, alter=False)

    names = (settings.dlq, settings.heartbeat, settings.positions)
    assert report.changes == tuple(f"{name}: made" for name in names)
    assert {f.unmet.setting for f in report.findings if f.unmet} >= {"retention.ms"}
    assert setting(admin, settings.outbox, "retention.ms") == "3600000"


def test_settings_are_altered_on_request_and_partitions_never(
    settings: KafkaSettings, admin: AdminClient
) -> None:
    make_by_hand(admin, settings.outbox, 2, retention_ms="3600000", retention_bytes="1000000")

    report = ensure_topics(settings, alter=True)

    (finding,) = report.findings
    assert "has 2 partitions" in finding.what
    assert f"{settings.outbox}: retention.bytes = -1" in report.changes
    assert int(setting(admin, settings.outbox, "retention.ms")) == 30 * 24 * 3600 * 1000


def test_a_larger_outbox_asks_for_larger_dead_letters(
    settings: KafkaSettings, admin: AdminClient
) -> None:
    ensure_topics(settings, alter=False)
    admin.delete_topics([settings.outbox])[settings.outbox].result(10)
    make_by_hand(admin, settings.outbox, 3, max_message_bytes="8000000", retention_ms="-1")

    (finding,) = check_topics(settings)

    assert finding.topic == settings.dlq
    assert "at least 8065536" in finding.what


def test_a_role_is_refused_with_all_findings_at_once(
    settings: KafkaSettings, admin: AdminClient
) -> None:
    make_by_hand(admin, settings.outbox, 3, retention_ms="3600000")

    with pytest.raises(SetupError) as caught:
        verify_topics(settings)

    assert f"{settings.outbox} has retention.ms = 3600000" in caught.value.message
    assert f"{settings.dlq} isn't there" in caught.value.message
    assert "cdc-sms topics --alter" in caught.value.hint


def test_a_role_starts_where_the_topics_are_as_they_have_to_be(settings: KafkaSettings) -> None:
    ensure_topics(settings, alter=False)

    verify_topics(settings)

    assert check_topics(settings) == []


def test_a_broker_that_is_not_there_is_told_as_unreachable() -> None:
    settings = KafkaSettings(bootstrap_servers="127.0.0.1:1")

    with pytest.raises(BrokerUnavailable, match="Connection refused"):
        reached_admin_client(settings, wait_s=0)


def test_a_broker_that_refuses_us_is_told_as_a_matter_of_set_up(settings: KafkaSettings) -> None:
    wrong = settings.model_copy(
        update={"security_protocol": "sasl_plaintext", "sasl_mechanism": "PLAIN"}
        | {"sasl_username": "nobody"}
    )
    wrong = KafkaSettings.model_validate({**wrong.model_dump(), "sasl_password": "wrong"})

    with pytest.raises(SetupError) as caught:
        reached_admin_client(wrong, wait_s=10)

    assert "kafka.sasl_*" in caught.value.hint


# The command


@pytest.fixture
def config(settings: KafkaSettings, tmp_path: Path) -> Path:
    """The smallest configuration file with the broker of the test."""
    path = tmp_path / "cdc-sms.toml"
    path.write_text(
        f"""
        [source]
        dsn = "postgresql://shop@localhost/shop"
        [table]
        name = "sms"
        columns = {{ key = "id", recipient = "msisdn", text = "body" }}
        [kafka]
        bootstrap_servers = "{settings.bootstrap_servers}"
        prefix = "{settings.prefix}"
        partitions = 3
        [providers.justsend]
        """
    )
    return path


def topics(config: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Any]:
    """Run ``cdc-sms topics --json``."""
    code = run(["topics", "--config", str(config), "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def test_topics_command_makes_them(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = topics(config, capsys)

    assert code == 0
    assert len(said["changes"]) == 4
    assert said["findings"] == []


def test_topics_command_only_looks_when_told_so(
    config: Path, capsys: pytest.CaptureFixture[str], settings: KafkaSettings, admin: AdminClient
) -> None:
    code, said = topics(config, capsys, "--check")

    assert code == 3
    assert [finding["what"] for finding in said["findings"]] == ["isn't there"] * 4
    assert settings.outbox not in admin.list_topics(timeout=10).topics


def test_topics_command_tells_people_what_is_wrong(
    config: Path, capsys: pytest.CaptureFixture[str], settings: KafkaSettings, admin: AdminClient
) -> None:
    make_by_hand(admin, settings.outbox, 3, retention_ms="3600000")

    code = run(["topics", "--config", str(config)])

    said = capsys.readouterr().out
    assert code == 3
    assert f"{settings.dlq}: made" in said
    assert "retention.ms = 3600000" in said
    assert "cdc-sms topics --alter" in said
