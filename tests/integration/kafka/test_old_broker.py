"""A broker that has groups of the classic protocol only: what Kafka before 4.0 is."""

from collections.abc import Iterator, Mapping

import pytest
from support.fixtures.servers import unavailable
from support.members import Member, Outbox, make_outbox
from support.servers.kafka import KafkaAddress, KafkaServer
from support.servers.machine import ServerUnavailableError
from support.waiting import until

from cdc_sms.errors import SetupError


class OldKafkaServer(KafkaServer):
    """A broker without the new group protocol."""

    name = "kafka-classic"

    def _settings(self) -> Mapping[str, str]:
        return {**super()._settings(), "group.coordinator.rebalance.protocols": "classic"}


@pytest.fixture(scope="module")
def old_kafka_server() -> Iterator[KafkaAddress]:
    """Apache Kafka with classic groups only, in a process of its own."""
    try:
        with OldKafkaServer().borrowed() as address:
            yield address
    except ServerUnavailableError as error:
        unavailable(str(error))


@pytest.fixture
def old_outbox(old_kafka_server: KafkaAddress, topic_prefix: str) -> Outbox:
    """An outbox on it."""
    return make_outbox(old_kafka_server, topic_prefix)


@pytest.mark.kafka
def test_a_group_falls_back_to_the_classic_protocol(old_outbox: Outbox) -> None:
    old_outbox.put(8)

    member = Member(old_outbox.settings, finishes=True, paused=False)

    until(member.saw(8), within_s=30)
    member.consumer.close()
    assert member.consumer.group_protocol == "classic"
    assert not member.revocations[1:]


@pytest.mark.kafka
def test_a_forced_protocol_that_the_broker_lacks_stops_the_role(old_outbox: Outbox) -> None:
    forced = old_outbox.settings.model_copy(update={"group_protocol": "consumer"})
    member = Member(forced, finishes=True, paused=False)

    with pytest.raises(SetupError) as caught:
        until(member.saw(1), within_s=30)

    member.consumer.close()
    assert "kafka.group_protocol" in caught.value.hint
