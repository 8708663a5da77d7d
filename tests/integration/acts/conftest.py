"""An installation on which nothing runs, for one test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.acts_site import Site
from support.commands import Commands
from support.servers.kafka import KafkaAddress


@pytest.fixture
def source() -> str:
    """The kind of its database: a test file that tries others says so by itself."""
    return "postgres"


@pytest.fixture
def site(
    request: pytest.FixtureRequest,
    source: str,
    kafka_server: KafkaAddress,
    topic_prefix: str,
    cdc_sms: Commands,
    tmp_path: Path,
) -> Iterator[Site]:
    """Its table, ledger, topics and configuration."""
    database = request.getfixturevalue(f"{source}_database")
    made = Site(database, kafka_server.bootstrap, topic_prefix, cdc_sms, tmp_path)
    yield made
    made.close()
