"""The topics: what each has to be like, made where it is missing, compared where it is not.

What is required follows from the guarantees: a record must outlast the longest outage, the row's
largest record must fit, and a dead letter has to fit with its headers on top.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.errors import SetupError
from cdc_sms.kafka.connection import (
    classified,
    error_of,
    errors_classified,
    reached_admin_client,
)

logger = logging.getLogger(__name__)

RECORD_BYTES = 4 * 1024 * 1024
"""What the outbox takes at least."""

HEADERS_BYTES = 64 * 1024
"""What a dead letter's headers may need on top of the original record."""

RETENTION_MS = 30 * 24 * 3600 * 1000
"""What the outbox keeps at least: longer than any outage should last."""

HEARTBEAT_MS = RETENTION_MS
"""What the topic of heartbeats keeps at least: the last one must outlast the longest outage, for
it tells a restored backup."""

MISSING = "isn't there"
"""What is wrong with a topic that doesn't exist, as the rest of a sentence."""

_REACH_S = 2.0
_TIMEOUT_S = 30.0
_VISIBLE_S = 15.0
_TICK_S = 0.1
_FOR_EVER = -1


@dataclass(frozen=True, slots=True)
class Requirement:
    """One setting of a topic.

    Attributes:
        setting: the broker's name for it.
        wanted: the value it is given.
        at_least: a larger one will do, and -1, which means no bound.
    """

    setting: str
    wanted: str
    at_least: bool = False

    def is_met_by(self, value: str) -> bool:
        """Say whether a value will do."""
        if not self.at_least:
            return value == self.wanted
        return int(value) >= int(self.wanted) or int(value) == _FOR_EVER

    def __str__(self) -> str:
        """Return it in words."""
        return f"at least {self.wanted}" if self.at_least else self.wanted


@dataclass(frozen=True, slots=True)
class RequiredTopic:
    """What one topic has to be like.

    Attributes:
        name: with its prefix.
        partitions: how many.
        replicas: how many; -1: as many as the broker likes.
        requirements: its settings, whatever the number of replicas.
    """

    name: str
    partitions: int
    replicas: int
    requirements: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """What one topic is like.

    Attributes:
        partitions: how many.
        replicas: of the partition that has the fewest.
        settings: every setting of it, the broker's defaults included.
    """

    partitions: int
    replicas: int
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One way in which a topic is not as it has to be.

    Attributes:
        topic: its name.
        what: what is wrong, as the rest of a sentence that begins with the name.
        remedy: what to do about it.
        unmet: the requirement that can be met by changing a setting; None: no setting helps.
    """

    topic: str
    what: str
    remedy: str
    unmet: Requirement | None = None

    def __str__(self) -> str:
        """Return the sentence and its remedy."""
        return f"{self.topic} {self.what}. {self.remedy}"


@dataclass(frozen=True, slots=True)
class TopicsReport:
    """What was done to the topics, and what is left.

    Attributes:
        changes: one sentence each.
        findings: what is still not as it has to be.
    """

    changes: tuple[str, ...]
    findings: tuple[Finding, ...]


def required_topics(
    settings: KafkaSettings, *, outbox_bytes: int = RECORD_BYTES
) -> tuple[RequiredTopic, ...]:
    """Return what the topics of this step have to be like.

    Args:
        settings: prefix, partitions, replicas.
        outbox_bytes: what the outbox really takes; a dead letter must hold the largest of them.
    """
    dead_letter_bytes = max(RECORD_BYTES, outbox_bytes) + HEADERS_BYTES
    return (
        RequiredTopic(
            settings.outbox,
            settings.partitions,
            settings.replication_factor,
            _requirements(RETENTION_MS, RECORD_BYTES),
        ),
        # one partition: whoever reads dead letters, reads them in the order in which they died
        RequiredTopic(
            settings.dlq,
            1,
            settings.replication_factor,
            _requirements(_FOR_EVER, dead_letter_bytes),
        ),
        RequiredTopic(
            settings.heartbeat,
            1,
            settings.replication_factor,
            (
                Requirement("cleanup.policy", "delete"),
                Requirement("retention.ms", str(HEARTBEAT_MS), at_least=True),
            ),
        ),
        RequiredTopic(
            settings.positions,
            1,
            settings.replication_factor,
            (
                Requirement("cleanup.policy", "compact"),
                Requirement("unclean.leader.election.enable", "false"),
            ),
        ),
    )


def _requirements(retention_ms: int, record_bytes: int) -> tuple[Requirement, ...]:
    return (
        Requirement("cleanup.policy", "delete"),
        Requirement("retention.ms", str(retention_ms), at_least=retention_ms > 0),
        # a bound in bytes would drop records by how many there are, not by how old
        Requirement("retention.bytes", str(_FOR_EVER)),
        Requirement("max.message.bytes", str(record_bytes), at_least=True),
        Requirement("unclean.leader.election.enable", "false"),
    )


_TWO_REPLICAS = Requirement("min.insync.replicas", "2", at_least=True)
_FEW_REPLICAS = 3


def deviations(required: RequiredTopic, found: FoundTopic | None) -> list[Finding]:
    """Return how a topic differs from what it has to be like."""
    name = required.name
    if found is None:
        return [Finding(name, MISSING, "Make it: cdc-sms topics.")]
    findings = []
    if found.partitions != required.partitions and required.partitions > 1:
        findings.append(
            Finding(
                name,
                f"has {found.partitions} partitions, and kafka.partitions is {required.partitions}",
                f"Set kafka.partitions = {found.partitions}, or have the topic changed.",
            )
        )
    if required.replicas not in {-1, found.replicas}:
        findings.append(
            Finding(
                name,
                f"has {found.replicas} replicas, and kafka.replication_factor is "
                f"{required.replicas}",
                "Have its partitions reassigned, or set what it has.",
            )
        )
    requirements = required.requirements
    if found.replicas >= _FEW_REPLICAS:
        requirements = (*requirements, _TWO_REPLICAS)
    return findings + [
        _unmet(name, requirement, found.settings[requirement.setting])
        for requirement in requirements
        if not requirement.is_met_by(found.settings[requirement.setting])
    ]


def _unmet(topic: str, requirement: Requirement, value: str) -> Finding:
    return Finding(
        topic,
        f"has {requirement.setting} = {value}; it has to be {requirement}",
        "Let it be set: cdc-sms topics --alter.",
        requirement,
    )


def check_topics(settings: KafkaSettings) -> list[Finding]:
    """Compare the topics with what they have to be like.

    Raises:
        BrokerUnavailable: no broker answers.
        SetupError: we may not ask for a topic's settings.
    """
    return _check(reached_admin_client(settings, wait_s=_REACH_S), settings)


def verify_topics(settings: KafkaSettings) -> None:
    """Refuse topics that are not as they have to be: what a role does at its start.

    Raises:
        BrokerUnavailable: no broker answers.
        SetupError: all that is wrong, at once.
    """
    findings = check_topics(settings)
    if findings:
        raise SetupError(
            " ".join(f"{finding.topic} {finding.what}." for finding in findings),
            hint=" ".join(dict.fromkeys(finding.remedy for finding in findings)),
        )


def ensure_topics(settings: KafkaSettings, *, alter: bool) -> TopicsReport:
    """Make the topics that are missing; leave the others alone, unless told otherwise.

    Args:
        settings: where, as whom, which.
        alter: also change settings that have to be different; partitions and replicas of a
            topic that exists are never changed.

    Raises:
        BrokerUnavailable: no broker answers; what was made until then stays.
        SetupError: we may not make, see or change a topic.
    """
    client = reached_admin_client(settings, wait_s=_REACH_S)
    made = _make_missing(client, settings)
    changes = [f"{name}: made" for name in made]
    findings = _check_visible(client, settings, made)
    # how many replicas a topic got, the broker knows only once it is made
    to_alter = [f for f in findings if f.unmet is not None and (alter or f.topic in made)]
    for finding in to_alter:
        _alter(client, finding)
        if finding.topic not in made and finding.unmet is not None:
            changes.append(f"{finding.topic}: {finding.unmet.setting} = {finding.unmet.wanted}")
    return TopicsReport(tuple(changes), tuple(_check(client, settings) if to_alter else findings))


def _make_missing(client: AdminClient, settings: KafkaSettings) -> list[str]:
    found = _look(client, [topic.name for topic in required_topics(settings)])
    missing = [topic for topic in required_topics(settings) if found[topic.name] is None]
    if not missing:
        return []
    with errors_classified("Making the topics"):
        answers: Mapping[str, Future[None]] = client.create_topics(
            [
                NewTopic(
                    topic.name,
                    num_partitions=topic.partitions,
                    replication_factor=topic.replicas,
                    config={r.setting: r.wanted for r in topic.requirements},
                )
                for topic in missing
            ],
            operation_timeout=_TIMEOUT_S,
            request_timeout=_TIMEOUT_S,
        )
    return [name for name, answer in answers.items() if _was_made(name, answer)]


def _was_made(name: str, answer: Future[None]) -> bool:
    try:
        answer.result(_TIMEOUT_S)
    except KafkaException as exception:
        error = error_of(exception)
        if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:  # somebody was quicker
            return False
        raise classified(error, doing=f"Making the topic {name}") from exception
    logger.info("topic.made", extra={"topic": name})
    return True


def _check_visible(
    client: AdminClient, settings: KafkaSettings, made: Sequence[str]
) -> list[Finding]:
    """Compare once what was made can be seen: a broker learns of it from the controller."""
    deadline = time.monotonic() + _VISIBLE_S
    while True:
        found = _look(client, made)
        if all(found.values()) or time.monotonic() > deadline:
            return _check(client, settings)
        client.poll(_TICK_S)


def _check(client: AdminClient, settings: KafkaSettings) -> list[Finding]:
    found = _look(client, [topic.name for topic in required_topics(settings)])
    outbox = found[settings.outbox]
    takes = RECORD_BYTES if outbox is None else int(outbox.settings["max.message.bytes"])
    return [
        finding
        for topic in required_topics(settings, outbox_bytes=takes)
        for finding in deviations(topic, found[topic.name])
    ]


def _look(client: AdminClient, names: Sequence[str]) -> dict[str, FoundTopic | None]:
    """Return what each topic is like; None where there is none."""
    with errors_classified("Asking for the topics"):
        # all of them: asking for one by name would have it made where the broker does that
        listed = client.list_topics(timeout=_TIMEOUT_S).topics
    present = [name for name in names if name in listed]
    settings = _settings_of(client, present)
    return {
        name: FoundTopic(
            partitions=len(listed[name].partitions),
            replicas=min(len(p.replicas) for p in listed[name].partitions.values()),
            settings=settings[name],
        )
        if name in settings and listed[name].partitions
        else None
        for name in names
    }


def _settings_of(client: AdminClient, names: Sequence[str]) -> dict[str, Mapping[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    answers = client.describe_configs(resources, request_timeout=_TIMEOUT_S)
    settings: dict[str, Mapping[str, str]] = {}
    for resource, answer in answers.items():
        with errors_classified(f"Asking for the settings of {resource.name}"):
            entries = answer.result(_TIMEOUT_S)
        settings[resource.name] = {name: entry.value for name, entry in entries.items()}
    return settings


def _alter(client: AdminClient, finding: Finding) -> None:
    assert finding.unmet is not None
    entry = ConfigEntry(
        finding.unmet.setting,
        finding.unmet.wanted,
        incremental_operation=AlterConfigOpType.SET,
    )
    resource = ConfigResource(ResourceType.TOPIC, finding.topic, incremental_configs=[entry])
    answers = client.incremental_alter_configs([resource], request_timeout=_TIMEOUT_S)
    with errors_classified(f"Changing {finding.unmet.setting} of {finding.topic}"):
        answers[resource].result(_TIMEOUT_S)
    logger.info(
        "topic.altered",
        extra={
            "topic": finding.topic,
            "setting": finding.unmet.setting,
            "value": finding.unmet.wanted,
        },
    )
