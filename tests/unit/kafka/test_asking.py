"""What asking about a topic does with a broker's answers that say: not now."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from cdc_sms.errors import BrokerUnavailable, SetupError
from cdc_sms.kafka import asking


class Failing:
    """Fails with each of these, then answers."""

    def __init__(self, *codes: int) -> None:
        self._codes = list(codes)

    def __call__(self) -> str:
        if self._codes:
            raise KafkaException(KafkaError(self._codes.pop(0)))
        return "answer"


def test_a_partition_without_leader_is_asked_again() -> None:
    ask = Failing(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART)

    assert asking.answered(ask, doing="Asking") == "answer"


def test_a_partition_that_gets_no_leader_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LEADER_WAIT_S", 0.0)

    with pytest.raises(BrokerUnavailable, match="Asking failed"):
        asking.answered(Failing(*[KafkaError.LEADER_NOT_AVAILABLE] * 2), doing="Asking")


def test_a_refusal_is_told_at_once() -> None:
    ask = Failing(KafkaError.TOPIC_AUTHORIZATION_FAILED)

    with pytest.raises(SetupError, match="Asking failed"):
        asking.answered(ask, doing="Asking")
