import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from pymysql import OperationalError
from support.servers.kafka import KafkaAddress
from support.servers.mysql import MysqlAddress
from support.servers.postgres import PostgresAddress

from cdc_sms.errors import DatabaseUnavailable
from cdc_sms.playground.real import real_servers


def databases(server: PostgresAddress) -> set[str]:
    with psycopg.connect(server.dsn) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


def slots(server: PostgresAddress) -> set[str]:
    with psycopg.connect(server.dsn) as connection:
        return {
            name for (name,) in connection.execute("SELECT slot_name FROM pg_replication_slots")
        }


def test_demo_removes_its_database_slot_and_topics_from_real_servers(
    postgres_server: PostgresAddress, kafka_server: KafkaAddress
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka_server.bootstrap})

    with real_servers(postgres_server.dsn, kafka_server.bootstrap, "builtin") as servers:
        topic = f"{servers.kafka['prefix']}.outbox"
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
        with psycopg.connect(servers.dsn, password=servers.password) as connection:
            connection.execute(
                "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [servers.name]
            )
        assert servers.name in databases(postgres_server)
        assert servers.name in slots(postgres_server)

    assert servers.name not in databases(postgres_server)
    assert servers.name not in slots(postgres_server)
    assert topic not in admin.list_topics(timeout=30).topics


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("mysql", marks=pytest.mark.mysql),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ],
)
def test_demo_removes_its_database_from_a_server_that_keeps_no_slot(
    request: pytest.FixtureRequest, kafka_server: KafkaAddress, source: str
) -> None:
    server: MysqlAddress = request.getfixturevalue(f"{source}_server")

    with real_servers(server.dsn, kafka_server.bootstrap, "builtin") as servers:
        during = server.connect(servers.name)
        during.close()

    with pytest.raises(OperationalError, match="Unknown database"):
        server.connect(servers.name)


def test_demo_says_which_option_is_wrong_when_the_database_is_away() -> None:
    away = "postgresql://postgres:x@127.0.0.1:1/postgres"

    with (
        pytest.raises(DatabaseUnavailable) as failure,
        real_servers(away, "127.0.0.1:1", "builtin"),
    ):
        pass

    assert "--dsn" in failure.value.hint
