"""The whole way, for one test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.business.base import Database
from support.commands import Commands
from support.fixtures.debezium import Connectors
from support.flow import KEY, Flow
from support.servers.connect import ConnectAddress
from support.servers.kafka import KafkaAddress

from cdc_sms.playground.provider import Simulator


@pytest.fixture
def provider() -> Iterator[Simulator]:
    """What stands in for Digital Virgo: real HTTP, the contract, faults on request."""
    with Simulator(key=KEY) as simulator:
        yield simulator


@pytest.fixture
def source() -> str:
    """The business database's kind, unless a test asks for several."""
    return "postgres"


@pytest.fixture
def database(request: pytest.FixtureRequest, source: str) -> Database:
    """A fresh database of that kind."""
    fresh: Database = request.getfixturevalue(f"{source}_database")
    return fresh


@pytest.fixture
def make_flow(
    database: Database,
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
            "database": database,
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


@pytest.fixture
def debezium_connector(
    database: Database, connect_server: ConnectAddress, cdc_sms: Commands
) -> Iterator[Connectors]:
    """Register Debezium's connector on ``database``: call it with cdc-sms's file."""
    connectors = Connectors(cdc_sms, connect_server, database.server.password)
    yield connectors
    connectors.remove_all()
