"""How the client library is configured, and what its errors and its lines become."""

import logging

import pytest
from confluent_kafka import KafkaError
from pydantic import SecretStr

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.errors import (
    BrokerError,
    BrokerUnavailable,
    CdcSmsError,
    ConfigurationError,
    ProduceFailed,
    SetupError,
)
from cdc_sms.kafka import connection
from cdc_sms.kafka.connection import (
    RESERVED,
    BrokerLink,
    ClientLog,
    Setting,
    admin_client,
    classified,
    client_settings,
)


def _settings(**given: object) -> KafkaSettings:
    return KafkaSettings.model_validate({"bootstrap_servers": "kafka:9092", **given})


def test_tls_and_sasl_are_handed_to_the_client_by_its_own_names() -> None:
    chosen = client_settings(
        _settings(
            security_protocol="sasl_ssl",
            ssl_ca_location="/etc/ssl/ca.pem",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username="cdc-sms",
            sasl_password=SecretStr("correct horse"),
        )
    )

    assert chosen["security.protocol"] == "sasl_ssl"
    assert chosen["ssl.ca.location"] == "/etc/ssl/ca.pem"
    assert chosen["sasl.mechanism"] == "SCRAM-SHA-512"
    assert chosen["sasl.username"] == "cdc-sms"
    assert chosen["sasl.password"] == "correct horse"


def test_what_is_not_configured_is_not_handed_on() -> None:
    assert not {name for name in client_settings(_settings()) if name.startswith(("sasl", "ssl"))}


def test_a_setting_of_the_library_wins_over_ours() -> None:
    chosen = client_settings(
        _settings(librdkafka={"socket.timeout.ms": 5000, "enable.ssl.certificate.verification": 0})
    )

    assert chosen["socket.timeout.ms"] == "5000"
    assert chosen["enable.ssl.certificate.verification"] == "0"


def test_truth_values_are_written_as_the_library_reads_them() -> None:
    chosen = client_settings(_settings(librdkafka={"socket.keepalive.enable": False}))

    assert chosen["socket.keepalive.enable"] == "false"


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_setting_that_a_guarantee_rests_on_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name.replace(".", r"\.")):
        client_settings(_settings(librdkafka={name: "something else"}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("acks", "all"),
        ("acks", -1),
        ("enable.auto.commit", False),
        ("auto.offset.reset", "error"),
        ("message.timeout.ms", 0),
    ],
)
def test_a_reserved_setting_may_be_named_with_the_value_it_has(name: str, value: Setting) -> None:
    assert client_settings(_settings(librdkafka={name: value}))[name] == str(value).lower()


def test_all_refused_settings_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"acks.*partitioner"):
        client_settings(_settings(librdkafka={"acks": 1, "partitioner": "random"}))


def test_a_setting_that_the_library_does_not_know_is_a_mistake_of_the_configuration() -> None:
    with pytest.raises(ConfigurationError, match=r"no\.such\.setting"):
        admin_client(_settings(librdkafka={"no.such.setting": 1}))


NAMES = [
    *connection._UNAVAILABLE,
    *connection._REFUSED_RECORD,
    *connection._SETUP,
]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_error_we_name_is_one_of_the_librarys(name: str) -> None:
    assert KafkaError(getattr(KafkaError, name)).name() == name


def test_no_error_stands_in_two_tables() -> None:
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("_ALL_BROKERS_DOWN", BrokerUnavailable),
        ("_TRANSPORT", BrokerUnavailable),
        ("NOT_ENOUGH_REPLICAS", BrokerUnavailable),
        ("REBALANCE_IN_PROGRESS", BrokerUnavailable),
        ("STALE_MEMBER_EPOCH", BrokerUnavailable),
        ("MSG_SIZE_TOO_LARGE", ProduceFailed),
        ("INVALID_RECORD", ProduceFailed),
        ("TOPIC_AUTHORIZATION_FAILED", SetupError),
        ("GROUP_AUTHORIZATION_FAILED", SetupError),
        ("SASL_AUTHENTICATION_FAILED", SetupError),
        ("_AUTHENTICATION", SetupError),
        ("UNKNOWN_TOPIC_OR_PART", SetupError),
        ("UNKNOWN", BrokerError),
        ("_FATAL", BrokerError),
    ],
)
def test_the_librarys_errors_become_ours(name: str, expected: type[CdcSmsError]) -> None:
    error = classified(KafkaError(getattr(KafkaError, name)), doing="Reading cdc-sms.outbox")

    assert type(error) is expected
    assert error.message.startswith("Reading cdc-sms.outbox failed")
    assert name in error.message
    assert error.hint


def test_an_unknown_error_that_may_be_repeated_is_waited_for() -> None:
    error = KafkaError(KafkaError.UNKNOWN, "odd", retriable=True)

    assert isinstance(classified(error, doing="Committing"), BrokerUnavailable)


def test_a_secret_never_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    chosen = client_settings(_settings(sasl_username="u", sasl_password=SecretStr("correct horse")))
    log = chosen["logger"]
    assert isinstance(log, ClientLog)

    with caplog.at_level(logging.DEBUG):
        log.log(logging.WARNING, "%s [%s] %s", "SASL", "cdc-sms#1", "sent u:correct horse")

    (record,) = caplog.records
    assert record.message == "client.reported"
    assert record.line == "sent u:***"  # type: ignore[attr-defined]  # what `extra` adds


@pytest.mark.parametrize(
    ("facility", "line"),
    [
        ("FAIL", "Connect to ipv4#127.0.0.1:9092 failed: Connection refused"),
        (
            "CONFWARN",
            "Configuration property linger.ms is a producer property and will be ignored by this",
        ),
    ],
)
def test_lines_that_are_no_news_are_logged_for_debugging_only(
    facility: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        ClientLog().log(logging.ERROR, "%s [%s] %s", facility, "cdc-sms#1", line)

    assert [record.levelno for record in caplog.records] == [logging.DEBUG]


def _events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]


ALL_DOWN = KafkaError(getattr(KafkaError, "_ALL_BROKERS_DOWN"))  # noqa: B009 - its only name
ONE_DOWN = KafkaError(getattr(KafkaError, "_TRANSPORT"))  # noqa: B009 - the same
UP = {"a:9092/1": {"state": "UP"}, "a:9092/bootstrap": {"state": "INIT"}}
DOWN = {"a:9092/1": {"state": "TRY_CONNECT"}}


def test_a_lost_link_is_said_once_at_its_start_and_once_at_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    link = BrokerLink("a:9092")

    with caplog.at_level(logging.INFO):
        for _ in range(3):
            link.failed(ALL_DOWN)
            link.seen(DOWN)
        link.seen(UP)
        link.seen(UP)

    assert _events(caplog) == ["broker.lost", "broker.reached"]


def test_one_broker_of_several_may_be_away() -> None:
    link = BrokerLink("a:9092,b:9092")
    link.seen(UP)

    link.failed(ONE_DOWN)

    assert link.is_up


def test_a_link_is_up_only_while_a_broker_answers() -> None:
    link = BrokerLink("a:9092")

    states = [link.is_up]
    link.seen(UP)
    states.append(link.is_up)
    link.failed(ALL_DOWN)
    states.append(link.is_up)

    assert states == [False, True, False]
    assert link.was_up
