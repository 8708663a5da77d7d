"""An installation on which nothing runs, for one test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.acts_site import Site
from support.commands import Commands
from support.fixtures.databases import PostgresDatabase
from support.servers.kafka import KafkaAddress


@pytest.fixture
def site(
    postgres_database: PostgresDatabase,
    kafka_server: KafkaAddress,
    topic_prefix: str,
    cdc_sms: Commands,
    tmp_path: Path,
) -> Iterator[Site]:
    """Its table, ledger, topics and configuration."""
    made = Site(postgres_database, kafka_server.bootstrap, topic_prefix, cdc_sms, tmp_path)
    yield made
    made.close()
