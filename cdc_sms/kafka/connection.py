"""How every client of the broker is configured, and what the broker's errors mean to us.

Not for topics, consuming or producing: this is what those three have in common. The client is
librdkafka; its settings go by its own names (``CONFIGURATION.md`` of its repository).
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.errors import (
    BrokerError,
    BrokerUnavailable,
    CdcSmsError,
    ConfigurationError,
    ProduceFailed,
    SetupError,
)

logger = logging.getLogger(__name__)

Setting = str | int | float | bool

_OURS = "it follows from the rest of the configuration: set {}"

RESERVED: Mapping[str, tuple[Setting | None, str]] = {
    "bootstrap.servers": (None, _OURS.format("kafka.bootstrap_servers")),
    "metadata.broker.list": (None, _OURS.format("kafka.bootstrap_servers")),
    "group.id": (None, _OURS.format("kafka.group_id")),
    "group.protocol": (None, _OURS.format("kafka.group_protocol")),
    # consuming: only what is finished is committed, and no gap passes in silence
    "enable.auto.commit": (False, "an offset goes only when its message is done"),
    "auto.commit.enable": (False, "an offset goes only when its message is done"),
    "enable.auto.offset.store": (False, "an offset goes only when its message is done"),
    "auto.offset.reset": ("error", "a gap in the log has to be named before it is crossed"),
    "partition.assignment.strategy": (
        "cooperative-sticky",
        "a rebalance must not stop the partitions that stay",
    ),
    "statistics.interval.ms": (None, "it is how the client notices that a broker is back"),
    # producing: nothing is dropped, doubled, reordered, or put on another partition
    "acks": ("all", "a position is confirmed only when every replica has the record"),
    "request.required.acks": ("all", "a position is confirmed only when every replica has it"),
    "enable.idempotence": (True, "the client's own repetitions must not double a record"),
    "message.timeout.ms": (0, "a record that waits for the broker must not be dropped"),
    "delivery.timeout.ms": (0, "a record that waits for the broker must not be dropped"),
    "message.send.max.retries": (2_147_483_647, "a record must not be dropped"),
    "retries": (2_147_483_647, "a record must not be dropped"),
    "partitioner": ("murmur2_random", "a key has to be on the partition where Debezium puts it"),
    "transactional.id": (None, "the producer works without transactions"),
}
"""What our guarantees rest on: each with the value that is used (None: not for you to set), and
why. Naming it with that very value is allowed."""


def client_settings(settings: KafkaSettings) -> dict[str, object]:
    """Return what every client is configured with; producer and consumer add their own.

    Args:
        settings: their ``librdkafka`` table wins over what is set here.

    Returns:
        A new dict, for the client's constructor. It holds the password in clear.

    Raises:
        ConfigurationError: the table sets something that a guarantee rests on.
    """
    chosen: dict[str, object] = {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": "cdc-sms",
        "security.protocol": settings.security_protocol,
        # a dead link is noticed within 30 s, a slow broker has 20 to answer
        "socket.keepalive.enable": "true",
        "socket.timeout.ms": 20_000,
        "socket.connection.setup.timeout.ms": 20_000,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 2_000,
        # no heuristics about idle links: our own are never idle for long
        "log.connection.close": "false",
    }
    optional: dict[str, str | None] = {
        "ssl.ca.location": settings.ssl_ca_location,
        "sasl.mechanism": settings.sasl_mechanism,
        "sasl.username": settings.sasl_username,
        "sasl.password": (
            settings.sasl_password.get_secret_value() if settings.sasl_password else None
        ),
    }
    chosen.update({name: value for name, value in optional.items() if value is not None})
    _refuse_reserved(settings.librdkafka)
    chosen.update({name: _as_text(value) for name, value in settings.librdkafka.items()})
    chosen["logger"] = ClientLog(_secrets(chosen))
    return chosen


def _refuse_reserved(given: Mapping[str, Setting]) -> None:
    refused = [
        f"kafka.librdkafka sets {name}: {why}."
        for name, value in given.items()
        if name in RESERVED
        for ours, why in [RESERVED[name]]
        if ours is None or _comparable(value) != _comparable(ours)
    ]
    if refused:
        raise ConfigurationError(
            " ".join(refused), hint="Take it out of [kafka.librdkafka]: it can't be changed there."
        )


def _as_text(value: Setting) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _comparable(value: Setting) -> str:
    text = _as_text(value).lower()
    return "all" if text == "-1" else text  # two spellings of acks


_SECRET_WORDS = ("password", "secret", "token", ".pem", "oauthbearer.config")


def _secrets(chosen: Mapping[str, object]) -> frozenset[str]:
    return frozenset(
        str(value)
        for name, value in chosen.items()
        if any(word in name for word in _SECRET_WORDS) and len(str(value)) > 3
    )


class ClientLog:
    """Where the client library's own lines go: our log, without secrets.

    It stands in for a ``logging.Logger``: the library calls nothing but ``log``.

    Thread: any thread that polls a client.
    """

    def __init__(self, secrets: frozenset[str] = frozenset()) -> None:
        """Hide these values wherever a line shows them."""
        self._secrets = secrets

    def log(self, level: int, _template: str, facility: str, client: str, line: str) -> None:
        """Log one line of the library as the event ``client.reported``.

        Lost connections and fatal errors become debug lines: they are reported as errors, too,
        and what becomes of those is said once at its start and once at its end. That one table
        of settings serves both producer and consumer is no news either.
        """
        if facility in {"FAIL", "ERROR", "FATAL"} or (
            facility == "CONFWARN" and "will be ignored" in line
        ):
            level = logging.DEBUG
        if not logger.isEnabledFor(level):
            return
        for secret in self._secrets:
            line = line.replace(secret, "***")
        logger.log(
            level, "client.reported", extra={"facility": facility, "client": client, "line": line}
        )


# The library's codes by name: those that begin with an underscore are its own, the others the
# broker's. Source: rdkafka.h, rd_kafka_resp_err_t.

_UNAVAILABLE = frozenset(
    {
        "_ALL_BROKERS_DOWN",
        "_DESTROY_BROKER",
        "_FAIL",
        "_IN_PROGRESS",
        "_INTR",
        "_ISR_INSUFF",
        "_MSG_TIMED_OUT",
        "_NODE_UPDATE",
        "_PREV_IN_PROGRESS",
        "_RESOLVE",
        "_RETRY",
        "_TIMED_OUT",
        "_TIMED_OUT_QUEUE",
        "_TRANSPORT",
        "_WAIT_CACHE",
        "_WAIT_COORD",
        "BROKER_NOT_AVAILABLE",
        "COORDINATOR_LOAD_IN_PROGRESS",
        "COORDINATOR_NOT_AVAILABLE",
        "ELIGIBLE_LEADERS_NOT_AVAILABLE",
        "FENCED_LEADER_EPOCH",
        "KAFKA_STORAGE_ERROR",
        "LEADER_NOT_AVAILABLE",
        "NETWORK_EXCEPTION",
        "NOT_CONTROLLER",
        "NOT_COORDINATOR",
        "NOT_ENOUGH_REPLICAS",
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        "NOT_LEADER_FOR_PARTITION",
        "OFFSET_NOT_AVAILABLE",
        "PREFERRED_LEADER_NOT_AVAILABLE",
        "REASSIGNMENT_IN_PROGRESS",
        "REBOOTSTRAP_REQUIRED",
        "REPLICA_NOT_AVAILABLE",
        "REQUEST_TIMED_OUT",
        "STALE_BROKER_EPOCH",
        "STALE_CTRL_EPOCH",
        "THROTTLING_QUOTA_EXCEEDED",
        "UNKNOWN_LEADER_EPOCH",
        "UNSTABLE_OFFSET_COMMIT",
        # the group moved on under a commit or a heartbeat: the client joins again by itself
        "FENCED_MEMBER_EPOCH",
        "ILLEGAL_GENERATION",
        "MEMBER_ID_REQUIRED",
        "REBALANCE_IN_PROGRESS",
        "STALE_MEMBER_EPOCH",
        "UNKNOWN_MEMBER_ID",
    }
)

_REFUSED_RECORD = frozenset(
    {
        "_INVALID_DIFFERENT_RECORD",
        "_PURGE_INFLIGHT",
        "_PURGE_QUEUE",
        "INVALID_MSG",
        "INVALID_MSG_SIZE",
        "INVALID_RECORD",
        "INVALID_TIMESTAMP",
        "MSG_SIZE_TOO_LARGE",
        "RECORD_LIST_TOO_LARGE",
        "UNSUPPORTED_FOR_MESSAGE_FORMAT",
    }
)

_CREDENTIALS = "Check kafka.security_protocol, kafka.sasl_* and kafka.ssl_ca_location."
_RIGHTS = "Give the user the rights that the documentation lists under Kafka."
_TOPICS = "Make and check the topics: cdc-sms topics."
_GROUP = "Check kafka.group_id and kafka.group_protocol, and the broker's limits for groups."
_BROKER_RULES = "Ask who runs the broker: its version or its policies refuse it."

_SETUP: Mapping[str, str] = {
    "_AUTHENTICATION": _CREDENTIALS,
    "_SSL": _CREDENTIALS,
    "ILLEGAL_SASL_STATE": _CREDENTIALS,
    "SASL_AUTHENTICATION_FAILED": _CREDENTIALS,
    "UNSUPPORTED_SASL_MECHANISM": _CREDENTIALS,
    "CLUSTER_AUTHORIZATION_FAILED": _RIGHTS,
    "GROUP_AUTHORIZATION_FAILED": _RIGHTS,
    "TOPIC_AUTHORIZATION_FAILED": _RIGHTS,
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": _RIGHTS,
    "_UNKNOWN_PARTITION": _TOPICS,
    "_UNKNOWN_TOPIC": _TOPICS,
    "TOPIC_EXCEPTION": _TOPICS,
    "UNKNOWN_TOPIC_ID": _TOPICS,
    "UNKNOWN_TOPIC_OR_PART": _TOPICS,
    "_UNKNOWN_GROUP": _GROUP,
    "FENCED_INSTANCE_ID": _GROUP,
    "GROUP_ID_NOT_FOUND": _GROUP,
    "GROUP_MAX_SIZE_REACHED": _GROUP,
    "INCONSISTENT_GROUP_PROTOCOL": _GROUP,
    "INVALID_GROUP_ID": _GROUP,
    "INVALID_SESSION_TIMEOUT": _GROUP,
    "UNRELEASED_INSTANCE_ID": _GROUP,
    "UNSUPPORTED_ASSIGNOR": _GROUP,
    "_UNSUPPORTED_FEATURE": _BROKER_RULES,
    "INVALID_CONFIG": _BROKER_RULES,
    "INVALID_PARTITIONS": _BROKER_RULES,
    "INVALID_REPLICATION_FACTOR": _BROKER_RULES,
    "POLICY_VIOLATION": _BROKER_RULES,
    "SECURITY_DISABLED": _BROKER_RULES,
    "UNSUPPORTED_COMPRESSION_TYPE": _BROKER_RULES,
    "UNSUPPORTED_VERSION": _BROKER_RULES,
}


def classified(error: KafkaError, *, doing: str) -> CdcSmsError:
    """Return the error of ours that stands for one of the client library's.

    Args:
        error: as the library reports it.
        doing: what failed, as the beginning of a sentence: ``Reading <topic>``.

    Returns:
        A code without an entry in the tables is a plain :class:`BrokerError`, or, if the library
        itself says that repeating may help, :class:`BrokerUnavailable`.
    """
    name = error.name()
    message = f"{doing} failed: {error.str()} ({name})."
    if name in _SETUP:
        return SetupError(message, hint=_SETUP[name])
    if name in _REFUSED_RECORD:
        return ProduceFailed(
            message, hint="Compare the record's size with max.message.bytes: cdc-sms topics."
        )
    if name in _UNAVAILABLE or (error.retriable() and not error.fatal()):
        return BrokerUnavailable(
            message, hint="Check that the brokers in kafka.bootstrap_servers run and are reachable."
        )
    return BrokerError(message, hint="Look the error's name up in Kafka's documentation.")


def error_of(exception: KafkaException) -> KafkaError:
    """Return the library's error object that its exception carries."""
    error = exception.args[0] if exception.args else None
    return (
        error if isinstance(error, KafkaError) else KafkaError(KafkaError.UNKNOWN, str(exception))
    )


@contextmanager
def errors_classified(doing: str) -> Iterator[None]:
    """Raise the library's exceptions as ours.

    Args:
        doing: as for :func:`classified`.
    """
    try:
        yield
    except KafkaException as exception:
        raise classified(error_of(exception), doing=doing) from exception


@contextmanager
def settings_checked() -> Iterator[None]:
    """Raise what a client's constructor refuses as a mistake of the configuration.

    Raises:
        ConfigurationError: librdkafka doesn't know a setting, or not its value.
    """
    try:
        yield
    except KafkaException as exception:
        _refuse(error_of(exception).str(), exception)
    except (TypeError, ValueError) as error:
        _refuse(str(error), error)


def _refuse(reason: str, cause: Exception) -> NoReturn:
    raise ConfigurationError(
        f"The broker's client refuses its settings: {reason}",
        hint="Correct [kafka] or [kafka.librdkafka]; librdkafka's CONFIGURATION.md lists them.",
    ) from cause


def admin_client(
    settings: KafkaSettings, on_error: Callable[[KafkaError], None] | None = None
) -> AdminClient:
    """Return a client for questions about brokers and topics.

    Args:
        settings: where, and as whom.
        on_error: told of connection errors, which calls report only as time-outs.

    Raises:
        ConfigurationError: librdkafka refuses a setting.
    """
    chosen: dict[str, Any] = client_settings(settings)
    if on_error is not None:
        chosen["error_cb"] = on_error
    with settings_checked():
        return AdminClient(chosen)


_ALL_DOWN = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001 - the library's only name for it
_SLICE_S = 1.0


def reached_admin_client(settings: KafkaSettings, *, wait_s: float) -> AdminClient:
    """Return a client for questions about brokers and topics, once a broker answers it.

    Args:
        settings: where, and as whom.
        wait_s: how long to try, in seconds; once at least.

    Raises:
        BrokerUnavailable: none did in time.
        SetupError: a broker was reached and refuses us: credentials, TLS.
        ConfigurationError: librdkafka refuses a setting.
    """
    seen: list[KafkaError] = []
    client = admin_client(settings, seen.append)
    deadline = time.monotonic() + wait_s
    while (trouble := _ask(client, seen, settings)) is not None:
        if isinstance(trouble, SetupError) or time.monotonic() >= deadline:
            raise trouble
    return client


def _ask(
    client: AdminClient, seen: list[KafkaError], settings: KafkaSettings
) -> CdcSmsError | None:
    """Ask for metadata once; return what is in the way, the most telling error first.

    The call itself only times out; why, the connection's errors tell.
    """
    doing = f"Reaching Kafka at {settings.bootstrap_servers}"
    try:
        client.list_topics(timeout=_SLICE_S)
    except KafkaException as exception:
        client.poll(0)
        found = [classified(error, doing=doing) for error in (*seen, error_of(exception))]
        seen.clear()
        return next((error for error in found if isinstance(error, SetupError)), found[0])
    return None


class BrokerLink:
    """Whether a broker answers one of our clients: said once when it ends, once when it is back.

    Thread: the one that polls the client.

    Args:
        bootstrap_servers: what the log names.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        """Begin unknown: neither up nor lost."""
        self._brokers = bootstrap_servers
        self.is_lost = False  # and that was said
        self.is_up = False
        self.was_up = False

    def failed(self, error: KafkaError) -> None:
        """Note a connection error; only the one that concerns all brokers ends the link."""
        if error.code() == _ALL_DOWN:
            self.is_up = False
            if not self.is_lost:
                self.is_lost = True
                logger.warning("broker.lost", extra={"brokers": self._brokers})

    def seen(self, brokers: Mapping[str, Mapping[str, object]]) -> None:
        """Read the ``brokers`` of the client's statistics.

        Source: librdkafka, STATISTICS.md.
        """
        self.is_up = any(broker.get("state") == "UP" for broker in brokers.values())
        if not self.is_up:
            return
        self.was_up = True
        if self.is_lost:
            self.is_lost = False
            logger.info("broker.reached", extra={"brokers": self._brokers})


def cluster_id(settings: KafkaSettings, *, timeout_s: float = 10.0) -> str | None:
    """Return what the cluster calls itself; None: it has no name.

    Raises:
        BrokerUnavailable: no broker answers.
        SetupError: we may not ask.
    """
    client = admin_client(settings)  # named: its answers die with it
    with errors_classified("Asking for the cluster's id"):
        found: str | None = client.describe_cluster(request_timeout=timeout_s).result().cluster_id
    return found
