"""Asks a broker about topics, and again while its answer is that of a moment ago.

A broker hears of a new topic from the controller, and a partition has no leader while one goes.
"""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException

from cdc_sms.errors import SetupError
from cdc_sms.kafka.connection import classified, error_of

Answer = TypeVar("Answer")

LEADER_WAIT_S = 10.0
"""How long a partition may be without a leader; seconds."""

NEWS_WAIT_S = 2.0
"""How long a new topic may take to be known to the broker that is asked; seconds."""

_PAUSE_S = 0.1
_BETWEEN_LEADERS = frozenset(
    {
        "_UNKNOWN_PARTITION",  # the client's own list is of a moment ago
        "_UNKNOWN_TOPIC",
        "FENCED_LEADER_EPOCH",
        "LEADER_NOT_AVAILABLE",
        "NOT_LEADER_FOR_PARTITION",
        "OFFSET_NOT_AVAILABLE",
        "UNKNOWN_LEADER_EPOCH",
        "UNKNOWN_TOPIC_OR_PART",  # by a broker that hasn't heard yet of the partition it leads
    }
)


def answered(ask: Callable[[], Answer], *, doing: str) -> Answer:
    """Ask, and again while a partition has no leader: a new topic's has none for a moment.

    Args:
        ask: calls the client library.
        doing: as for :func:`~cdc_sms.kafka.connection.classified`.

    Raises:
        BrokerUnavailable: no broker answers.
        SetupError: we may not ask.
    """
    deadline = time.monotonic() + LEADER_WAIT_S
    while True:
        try:
            return ask()
        except KafkaException as exception:
            error = error_of(exception)
            if error.name() not in _BETWEEN_LEADERS or time.monotonic() > deadline:
                raise classified(error, doing=doing) from exception
        time.sleep(_PAUSE_S)


def partitions_of(consumer: Consumer, topic: str, *, wait_s: float) -> Sequence[int]:
    """Return a topic's partitions, in order.

    Args:
        consumer: asks.
        topic: which.
        wait_s: how long a broker may take to answer; seconds.

    Raises:
        BrokerUnavailable: no broker answers.
        SetupError: the topic isn't there, or we may not ask.
    """
    deadline = time.monotonic() + NEWS_WAIT_S
    while not (found := _partitions(consumer, topic, wait_s)):
        if time.monotonic() > deadline:
            raise SetupError(
                f"The topic {topic} isn't there.", hint="Make it with 'cdc-sms topics'."
            )
        time.sleep(_PAUSE_S)
    return found


def _partitions(consumer: Consumer, topic: str, wait_s: float) -> Sequence[int]:
    """Return the topic's partitions; none: the broker that was asked knows no such topic."""

    def ask() -> Sequence[int]:
        found = consumer.list_topics(topic, timeout=max(wait_s, 1.0)).topics[topic]
        if found.error is None:
            return sorted(found.partitions)
        if found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return []
        raise KafkaException(found.error)

    return answered(ask, doing=f"Asking for the topic {topic}")
