"""What the tests of the broker's client share."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.members import Join, Member, Outbox, make_outbox
from support.servers.kafka import KafkaAddress

from cdc_sms.config.settings import KafkaSettings


@pytest.fixture
def outbox(kafka_server: KafkaAddress, topic_prefix: str) -> Outbox:
    """An empty outbox with four partitions."""
    return make_outbox(kafka_server, topic_prefix)


@pytest.fixture
def join(outbox: Outbox) -> Iterator[Join]:
    """Make members of the outbox's group; they are closed at the end."""
    with ExitStack() as members:

        def make(
            protocol: str = "auto",
            *,
            settings: KafkaSettings = outbox.settings,
            finishes: bool = True,
            paused: bool = False,
        ) -> Member:
            chosen = settings.model_copy(update={"group_protocol": protocol})
            member = Member(chosen, finishes=finishes, paused=paused)
            members.callback(member.consumer.close)
            return member

        yield make
