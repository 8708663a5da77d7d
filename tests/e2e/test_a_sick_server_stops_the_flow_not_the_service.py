from collections.abc import Callable

import pytest
import requests
from support.fixtures.databases import PostgresDatabase
from support.flow import Flow
from support.servers.kafka import KafkaServer
from support.servers.postgres import PostgresServer
from support.tcp_proxy import TcpProxy
from support.waiting import until


def test_database_killed_and_started_again_is_waited_for(
    flow: Flow, breakable_postgres: PostgresServer
) -> None:
    roles = [flow.start("capture"), flow.start("deliver")]
    flow.insert(20)
    flow.await_statuses(sent=20)

    breakable_postgres.kill()
    until(
        lambda: requests.get(f"{flow.url('capture')}/health/ready", timeout=5).status_code == 503,
        within_s=30,
        what="capture to say that it isn't ready",
    )
    alive = [
        requests.get(f"{flow.url(role)}/health/live", timeout=5).status_code
        for role in ("capture", "deliver")
    ]
    breakable_postgres.start()
    flow.insert(20)

    flow.await_statuses(sent=40)
    assert alive == [200, 200]
    assert all(role.is_running for role in roles)
    assert set(flow.accepted().values()) == {1}


def test_broker_killed_and_started_again_is_waited_for(
    flow: Flow, breakable_kafka: KafkaServer
) -> None:
    roles = [flow.start("capture"), flow.start("deliver")]
    flow.insert(20)
    flow.await_statuses(sent=20)

    breakable_kafka.kill()
    flow.insert(20)
    breakable_kafka.start()

    flow.await_statuses(sent=40, within_s=90)
    assert all(role.is_running for role in roles)
    assert set(flow.accepted().values()) == {1}


def test_roles_wait_for_servers_that_are_away_at_their_start(
    flow: Flow, breakable_postgres: PostgresServer
) -> None:
    flow.insert(3)
    breakable_postgres.kill()
    deliver = flow.start("deliver", ready=False)
    capture = flow.start("capture", ready=False)
    deliver.await_line("server.awaited")
    capture.await_line("server.awaited")

    breakable_postgres.start()

    flow.await_statuses(sent=3)


@pytest.mark.parametrize("fault", [TcpProxy.cut, TcpProxy.deaf])
def test_idle_deliver_says_within_half_a_minute_that_its_ledger_is_away_and_is_back(
    make_flow: Callable[..., Flow],
    postgres_database: PostgresDatabase,
    postgres_proxy: TcpProxy,
    fault: Callable[[TcpProxy], None],
) -> None:
    flow = make_flow(database=postgres_database.through(postgres_proxy))
    flow.start("deliver")

    fault(postgres_proxy)
    _await_ready(flow, "deliver", 503)
    postgres_proxy.restore()

    _await_ready(flow, "deliver", 200)


def test_idle_deliver_says_within_half_a_minute_that_its_provider_is_away_and_is_back(
    flow: Flow,
) -> None:
    flow.start("deliver")

    flow.provider.outage(refuse_s=25)
    _await_ready(flow, "deliver", 503)

    _await_ready(flow, "deliver", 200, within_s=45)


def test_idle_deliver_says_within_half_a_minute_that_its_broker_is_away_and_is_back(
    flow: Flow, breakable_kafka: KafkaServer
) -> None:
    flow.start("deliver")

    breakable_kafka.kill()
    _await_ready(flow, "deliver", 503)
    breakable_kafka.start()

    _await_ready(flow, "deliver", 200)


def _await_ready(flow: Flow, role: str, status: int, *, within_s: float = 30) -> None:
    until(
        lambda: requests.get(f"{flow.url(role)}/health/ready", timeout=5).status_code == status,
        within_s=within_s,
        what=f"{role} to answer {status}",
    )
