"""The whole way, for one test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.commands import Commands
from support.fixtures.databases import PostgresDatabase
from support.flow import KEY, Flow
from support.servers.kafka import KafkaAddress

from cdc_sms.playground.provider import Simulator


@pytest.fixture
def provider() -> Iterator[Simulator]:
    """What stands in for Digital Virgo: real HTTP, the contract, faults on request."""
    with Simulator(key=KEY) as simulator:
        yield simulator


@pytest.fixture
def make_flow(
    postgres_database: PostgresDatabase,
    kafka_server: KafkaAddress,
    topic_prefix: str,
    provider: Simulator,
    cdc_sms: Commands,
    tmp_path: Path,
) -> Iterator[Callable[..., Flow]]:
    """Make an installation with settings of the test's own."""
    made: list[Flow] = []

    def make(**changes: Any) -> Flow:
        plain: dict[str, Any] = {
            "database": postgres_database,
            "kafka": kafka_server.bootstrap,
            "prefix": topic_prefix,
            "provider": provider,
            "cdc_sms": cdc_sms,
            "folder": tmp_path,
        }
        flow = Flow(**{**plain, **changes})
        made.append(flow)
        return flow

    yield make
    for flow in made:
        flow.remove()


@pytest.fixture
def flow(make_flow: Callable[..., Flow]) -> Flow:
    """An installation with the tests' usual settings; no role runs yet."""
    return make_flow()
