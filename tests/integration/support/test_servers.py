"""What tests are promised of the real servers and of the fixtures that hand them out."""

import psycopg
import pymysql
import pytest
import requests
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from support.fixtures.binlog_databases import BinlogDatabase
from support.fixtures.databases import PostgresDatabase
from support.servers.connect import CONNECTORS, ConnectAddress
from support.servers.kafka import KafkaAddress, KafkaServer
from support.servers.mysql import BinlogServer, MysqlAddress
from support.servers.postgres import PostgresServer
from support.tcp_proxy import TcpProxy


def test_database_is_of_this_test_alone_and_has_a_logical_log(
    postgres_database: PostgresDatabase,
) -> None:
    postgres_database.execute("CREATE TABLE sms (id bigint PRIMARY KEY)")

    assert postgres_database.execute("SHOW wal_level") == [("logical",)]
    assert postgres_database.execute("SELECT current_database()") == [(postgres_database.name,)]


def test_database_is_dropped_although_a_slot_is_held(
    request: pytest.FixtureRequest, postgres_database: PostgresDatabase
) -> None:
    slot = f"{postgres_database.name}_slot"
    reader = psycopg.connect(f"{postgres_database.dsn}?replication=database", autocommit=True)
    request.addfinalizer(reader.close)
    reader.execute(f'CREATE_REPLICATION_SLOT "{slot}" TEMPORARY LOGICAL pgoutput'.encode())

    held = postgres_database.execute("SELECT active FROM pg_replication_slots")

    assert (True,) in held


def test_postgres18_is_of_that_version(postgres18_database: PostgresDatabase) -> None:
    [(version,)] = postgres18_database.execute("SHOW server_version_num")

    assert int(version) // 10_000 == 18


def test_postgres_keeps_data_and_address_over_a_kill(
    postgres_database: PostgresDatabase, breakable_postgres: PostgresServer
) -> None:
    postgres_database.execute("CREATE TABLE sms AS SELECT 7 AS id")

    breakable_postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        postgres_database.execute("SELECT")
    address = breakable_postgres.start()

    assert address == postgres_database.server
    assert postgres_database.execute("SELECT id FROM sms") == [(7,)]


def test_postgres_is_reached_through_the_proxy_until_it_is_cut(
    postgres_database: PostgresDatabase, postgres_proxy: TcpProxy
) -> None:
    proxied = postgres_database.through(postgres_proxy)
    assert proxied.execute("SELECT 1") == [(1,)]

    postgres_proxy.cut()

    with pytest.raises(psycopg.OperationalError):
        proxied.execute("SELECT 1")


BINLOG_DATABASES = ("mysql_database", "mariadb_database", "mariadb118_database")


@pytest.fixture(params=BINLOG_DATABASES)
def binlog_database(request: pytest.FixtureRequest) -> BinlogDatabase:
    database: BinlogDatabase = request.getfixturevalue(request.param)
    return database


def test_binlog_database_is_of_this_test_alone_and_has_a_row_log(
    binlog_database: BinlogDatabase,
) -> None:
    binlog_database.execute("CREATE TABLE sms (id bigint PRIMARY KEY)")

    [settings] = binlog_database.execute("SELECT @@log_bin, @@binlog_format, @@server_id > 0")
    assert settings == (1, "ROW", 1)
    assert binlog_database.execute("SELECT database()") == [(binlog_database.name,)]
    assert binlog_database.execute("SHOW TABLES") == [("sms",)]


@pytest.mark.parametrize(
    ("fixture", "version"),
    [("mysql_database", "9.7."), ("mariadb_database", "10.11."), ("mariadb118_database", "11.8.")],
)
def test_binlog_server_is_of_its_version(
    request: pytest.FixtureRequest, fixture: str, version: str
) -> None:
    database: BinlogDatabase = request.getfixturevalue(fixture)

    [(told,)] = database.execute("SELECT version()")

    assert told.startswith(version)


def test_binlog_server_proves_who_it_is(binlog_database: BinlogDatabase) -> None:
    tls = {"ssl_ca": binlog_database.server.ca, "ssl_verify_cert": True}

    with binlog_database.connect(**tls) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
        [(_, version)] = cursor.fetchall()

    assert version.startswith("TLSv1")


def test_binlog_user_may_do_what_it_was_granted_alone(binlog_database: BinlogDatabase) -> None:
    binlog_database.execute("CREATE TABLE sms AS SELECT 7 AS id")
    user = binlog_database.user_with("SELECT ON {db}.sms")

    assert user.execute("SELECT id FROM sms") == [(7,)]
    with pytest.raises(pymysql.err.OperationalError, match="denied"):
        user.execute("DELETE FROM sms")


@pytest.mark.parametrize("kind", ["mysql", "mariadb"])
def test_binlog_server_keeps_data_and_address_over_a_kill(
    request: pytest.FixtureRequest, kind: str
) -> None:
    database: BinlogDatabase = request.getfixturevalue(f"{kind}_database")
    server: BinlogServer = request.getfixturevalue(f"breakable_{kind}")
    database.execute("CREATE TABLE sms AS SELECT 7 AS id")

    server.kill()
    with pytest.raises(pymysql.err.OperationalError):
        database.execute("SELECT 1")
    address = server.start()

    assert address == database.server
    assert database.execute("SELECT id FROM sms") == [(7,)]


@pytest.mark.parametrize("kind", ["mysql", "mariadb"])
def test_binlog_server_is_reached_through_the_proxy_until_it_is_cut(
    request: pytest.FixtureRequest, kind: str
) -> None:
    database: BinlogDatabase = request.getfixturevalue(f"{kind}_database")
    proxy: TcpProxy = request.getfixturevalue(f"{kind}_proxy")
    proxied = database.through(proxy)
    assert proxied.execute("SELECT 1") == [(1,)]

    proxy.cut()

    with pytest.raises(pymysql.err.OperationalError):
        proxied.execute("SELECT 1")


def test_address_named_with_its_password_is_read_back() -> None:
    address = MysqlAddress("mariadb", "db.example", 3307, "o'root", "s/e:c@t")

    assert MysqlAddress.parse(address.dsn) == address
    assert address.dsn_of("shop") == "mariadb://o%27root@db.example:3307/shop"


def make_topic(server: KafkaAddress, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    admin.create_topics([NewTopic(topic, num_partitions=1)])[topic].result()


def produce(bootstrap: str, topic: str, *, within_s: float) -> None:
    """Produce one record, or raise KafkaException."""
    errors: list[KafkaException] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "message.timeout.ms": int(within_s * 1000),
            "log_level": 0,
        }
    )
    producer.produce(
        topic,
        b"hello",
        on_delivery=lambda error, _: errors.append(KafkaException(error)) if error else None,
    )
    producer.flush(within_s + 5)
    if errors:
        raise errors[0]


def test_kafka_makes_no_topic_by_itself(kafka_server: KafkaAddress, topic_prefix: str) -> None:
    with pytest.raises(KafkaException):
        produce(kafka_server.bootstrap, f"{topic_prefix}.nowhere", within_s=2)


def test_kafka_clients_stay_behind_the_proxy(
    kafka_server: KafkaAddress, kafka_proxy: TcpProxy, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}.outbox"
    make_topic(kafka_server, topic)
    produce(kafka_proxy.address, topic, within_s=10)

    kafka_proxy.cut()

    with pytest.raises(KafkaException):
        produce(kafka_proxy.address, topic, within_s=1)


def test_kafka_keeps_data_and_address_over_a_restart(
    kafka_server: KafkaAddress, breakable_kafka: KafkaServer, topic_prefix: str
) -> None:
    make_topic(kafka_server, f"{topic_prefix}.outbox")

    address = breakable_kafka.restart()

    admin = AdminClient({"bootstrap.servers": address.bootstrap})
    assert f"{topic_prefix}.outbox" in admin.list_topics(timeout=10).topics
    assert address == kafka_server


def test_connect_has_debezium_for_three_databases(connect_server: ConnectAddress) -> None:
    plugins = requests.get(f"{connect_server.url}/connector-plugins", timeout=5).json()

    assert {plugin["class"] for plugin in plugins} >= CONNECTORS
