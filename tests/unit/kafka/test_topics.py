"""What the topics have to be like, and what is said where they are not."""

from dataclasses import replace

import pytest

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.kafka.topics import FoundTopic, RequiredTopic, deviations, required_topics

SETTINGS = KafkaSettings(bootstrap_servers="kafka:9092", prefix="shop")
OUTBOX, DLQ, HEARTBEAT, POSITIONS = required_topics(SETTINGS)
DAY_MS = 24 * 3600 * 1000


def _good(required: RequiredTopic, **changed: str) -> FoundTopic:
    names = {r.setting: r.wanted for r in required.requirements}
    other = {name.replace("_", "."): value for name, value in changed.items()}
    return FoundTopic(
        partitions=required.partitions,
        replicas=1,
        settings={"min.insync.replicas": "1", **names, **other},
    )


def test_the_topics_of_this_step_are_the_outbox_and_the_dead_letters() -> None:
    assert (OUTBOX.name, DLQ.name) == ("shop.outbox", "shop.dlq")
    assert (OUTBOX.partitions, DLQ.partitions) == (12, 1)


@pytest.mark.parametrize(
    "required", [OUTBOX, DLQ, HEARTBEAT, POSITIONS], ids=["outbox", "dlq", "heartbeat", "positions"]
)
def test_a_topic_as_it_is_made_is_as_it_has_to_be(required: RequiredTopic) -> None:
    assert deviations(required, _good(required)) == []


def test_a_topic_that_is_not_there_is_to_be_made() -> None:
    (finding,) = deviations(OUTBOX, None)

    assert str(finding) == "shop.outbox isn't there. Make it: cdc-sms topics."
    assert finding.unmet is None


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("retention_ms", str(29 * DAY_MS)),
        ("retention_bytes", "1000000000"),
        ("max_message_bytes", "1048588"),
        ("cleanup_policy", "compact"),
        ("unclean_leader_election_enable", "true"),
    ],
)
def test_a_setting_that_may_lose_records_is_found(setting: str, value: str) -> None:
    (finding,) = deviations(OUTBOX, _good(OUTBOX, **{setting: value}))

    assert f"has {setting.replace('_', '.')} = {value}" in finding.what
    assert "topics --alter" in finding.remedy
    assert finding.unmet is not None


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("retention_ms", str(90 * DAY_MS)),
        ("retention_ms", "-1"),
        ("max_message_bytes", "8388608"),
        ("min_insync_replicas", "2"),
    ],
)
def test_more_than_required_will_do(setting: str, value: str) -> None:
    assert deviations(OUTBOX, _good(OUTBOX, **{setting: value})) == []


def test_dead_letters_are_kept_for_ever() -> None:
    (finding,) = deviations(DLQ, _good(DLQ, retention_ms=str(365 * DAY_MS)))

    assert "it has to be -1" in finding.what


def test_a_dead_letter_fits_with_its_headers_whatever_the_outbox_takes() -> None:
    _, dlq, *_ = required_topics(SETTINGS, outbox_bytes=8_388_608)

    (finding,) = deviations(dlq, _good(DLQ))

    assert "it has to be at least 8454144" in finding.what


def test_three_replicas_need_two_of_them_in_sync() -> None:
    three = replace(_good(OUTBOX), replicas=3)

    (finding,) = deviations(OUTBOX, three)

    assert "has min.insync.replicas = 1; it has to be at least 2" in finding.what


def test_another_number_of_partitions_is_found_and_never_changed() -> None:
    (finding,) = deviations(OUTBOX, replace(_good(OUTBOX), partitions=6))

    assert "has 6 partitions, and kafka.partitions is 12" in finding.what
    assert "kafka.partitions = 6" in finding.remedy
    assert finding.unmet is None


def test_another_number_of_replicas_than_configured_is_found() -> None:
    required, *_ = required_topics(SETTINGS.model_copy(update={"replication_factor": 3}))

    (finding,) = deviations(required, _good(OUTBOX))

    assert "has 1 replicas, and kafka.replication_factor is 3" in finding.what


def test_everything_that_is_wrong_is_found_at_once() -> None:
    found = _good(OUTBOX, retention_ms="1", max_message_bytes="1")

    assert len(deviations(OUTBOX, replace(found, partitions=1))) == 3
