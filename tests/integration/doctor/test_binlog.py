"""The doctor on real MySQL and MariaDB: what is healthy, what is broken, what is left behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from support.fixtures.binlog_databases import BinlogDatabase
from support.patient import MEASURED, Patient, connection_of, errors
from support.servers.machine import free_port

from cdc_sms.config.settings import SourceSettings
from cdc_sms.sources.binlog.connection import close, connect
from cdc_sms.sources.binlog.position import BinlogPosition
from cdc_sms.sources.binlog.replica import dump, register
from cdc_sms.sources.binlog.server import describe, end_of_log

Admit = Callable[..., Patient]

CREATE = """
CREATE TABLE sms (
    id bigint AUTO_INCREMENT PRIMARY KEY,
    phone varchar(20) NOT NULL, body text CHARACTER SET utf8mb4 NOT NULL,
    status varchar(20) NOT NULL DEFAULT 'pending',
    created_at datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))
"""


@pytest.fixture(params=["mysql", "mariadb"])
def database(request: pytest.FixtureRequest) -> BinlogDatabase:
    """A fresh database with the table, on each of the two servers."""
    found: BinlogDatabase = request.getfixturevalue(f"{request.param}_database")
    found.execute(CREATE)
    return found


@pytest.fixture
def patient(database: BinlogDatabase, admitted: Admit) -> Patient:
    """A healthy installation on it."""
    return admitted(database.dsn, database.server.password)


def _as(user: BinlogDatabase) -> dict[str, str]:
    return connection_of(user.dsn, user.server.password)


@contextmanager
def _with_variable(database: BinlogDatabase, name: str, value: str) -> Iterator[None]:
    """Give a global variable a value for a while: sessions that are open don't see it."""
    [(before,)] = database.execute(f"SELECT @@GLOBAL.{name}")
    database.execute(f"SET GLOBAL {name} = {value}")
    try:
        yield
    finally:
        database.execute(f"SET GLOBAL {name} = {before}")


def test_a_healthy_server_has_no_error_and_its_times_are_measured(patient: Patient) -> None:
    said = patient.examined()

    assert errors(said) == []
    assert said["left_out"] == []
    assert set(said["measured"]) == MEASURED
    assert all(0 < value < 10_000 for value in said["measured"].values())


def test_mariadb_11_8_is_healthy_too(mariadb118_database: BinlogDatabase, admitted: Admit) -> None:
    mariadb118_database.execute(CREATE)
    patient = admitted(mariadb118_database.dsn, mariadb118_database.server.password)

    said = patient.examined()

    assert errors(said) == []
    assert set(said["measured"]) == MEASURED


def test_nothing_is_left_in_the_database(patient: Patient, database: BinlogDatabase) -> None:
    patient.examined()

    assert database.execute("SELECT count(*) FROM cdc_sms_heartbeat") == [(0,)]
    assert database.execute("SELECT count(*) FROM cdc_sms_control") == [(0,)]
    assert database.execute("SELECT count(*) FROM sms") == [(0,)]
    sessions = database.execute("SHOW PROCESSLIST")
    assert [one for one in sessions if one[3] == database.name and "Dump" in one[4]] == []


def test_a_capture_that_runs_is_not_disturbed(patient: Patient) -> None:
    address = f"127.0.0.1:{free_port()}"
    role = patient.commands(
        "capture", environment={**patient.environment, "CDC_SMS_CAPTURE__ADDRESS": address}
    )
    role.await_url(f"http://{address}/health/ready")

    said = patient.examined()

    assert errors(said) == []
    assert set(said["measured"]) == MEASURED
    assert role.await_url(f"http://{address}/health/ready").ok
    assert "stream.lost" not in role.errors


def test_a_log_that_the_server_compresses_is_read_too(
    patient: Patient, database: BinlogDatabase
) -> None:
    is_mysql = database.server.scheme == "mysql"
    name = "binlog_transaction_compression" if is_mysql else "log_bin_compress"

    with _with_variable(database, name, "ON"):
        said = patient.examined()

    assert "commit_to_seen_ms" in said["measured"]


def test_row_images_that_are_not_whole_are_found(
    patient: Patient, database: BinlogDatabase
) -> None:
    with _with_variable(database, "binlog_row_image", "MINIMAL"):
        [found] = patient.findings("row-image")

    assert found["severity"] == "error"
    assert "binlog_row_image = FULL" in found["remedy"]


def test_an_outage_that_the_log_does_not_outlast_is_found(
    patient: Patient, database: BinlogDatabase
) -> None:
    with _with_variable(database, "binlog_expire_logs_seconds", "86400"):
        [found] = patient.findings("short-log", outage_s=3 * 86_400)
        assert patient.examined(outage_s=3_600)["measured"]

    assert "kept for 24.0 h; wanted are 72.0 h" in found["said"]
    assert "rds_set_configuration('binlog retention hours', 144)" in found["managed"]


def test_the_servers_own_id_is_a_clash(patient: Patient, database: BinlogDatabase) -> None:
    [(own,)] = database.execute("SELECT @@server_id")

    [found] = patient.findings("server-id-clash", changes={"CDC_SMS_CAPTURE__SERVER_ID": str(own)})

    assert "leave it out" in found["remedy"]


def test_a_replica_of_captures_id_is_a_clash(patient: Patient, database: BinlogDatabase) -> None:
    source = SourceSettings.model_validate(
        {"dsn": database.dsn, "password": database.server.password}
    )
    replica, number = connect(source), free_port() + 1_000_000
    try:
        server = describe(replica)
        end = end_of_log(replica, server)
        assert end is not None
        register(replica, number)
        position = BinlogPosition(server.identity, end.file, end.offset)
        dump(replica, server, position, server_id=number)

        [found] = patient.findings(
            "server-id-clash", changes={"CDC_SMS_CAPTURE__SERVER_ID": str(number)}
        )
    finally:
        database.execute(f"KILL {replica.thread_id()}")  # type: ignore[no-untyped-call]
        close(replica)

    assert f"A replica of the server has the server_id {number}" in found["said"]


def test_a_table_without_transactions_is_found(patient: Patient, database: BinlogDatabase) -> None:
    database.execute("ALTER TABLE sms ENGINE = MyISAM")

    [found] = patient.findings("not-transactional")

    assert found["remedy"] == f"ALTER TABLE `{database.name}`.`sms` ENGINE = InnoDB;"


def test_a_created_at_that_updates_change_is_found(
    patient: Patient, database: BinlogDatabase
) -> None:
    database.execute(
        "ALTER TABLE sms MODIFY created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP"
        " ON UPDATE CURRENT_TIMESTAMP"
    )

    [found] = patient.findings("created-at-changes")

    assert "MODIFY `created_at` TIMESTAMP DEFAULT CURRENT_TIMESTAMP" in found["remedy"]


def test_every_missing_right_is_named_with_its_grant(
    patient: Patient, database: BinlogDatabase
) -> None:
    user = database.user_with("SELECT ON {db}.*")

    said = patient.examined(expect=10, changes=_as(user))

    remedies = [one["remedy"] for one in errors(said)]
    account = f"'{user.server.user}'@'%'"
    assert f"GRANT UPDATE (`status`) ON `{database.name}`.`sms` TO {account};" in remedies
    assert f"GRANT INSERT ON `{database.name}`.`cdc_sms_delivery` TO {account};" in remedies
    assert f"GRANT DELETE ON `{database.name}`.`cdc_sms_heartbeat` TO {account};" in remedies
    assert any("ON *.* TO" in remedy for remedy in remedies)


def test_the_remedies_make_the_user_well(patient: Patient, database: BinlogDatabase) -> None:
    user = database.user_with("SELECT ON {db}.sms")

    for _round in range(2):  # the log is tried only once it may be asked where it ends
        for one in errors(patient.examined(changes=_as(user))):
            database.execute(one["remedy"])

    said = patient.examined(changes=_as(user))
    assert errors(said) == []
    assert set(said["measured"]) == MEASURED


def test_debezium_is_not_asked_for_our_users_right_to_the_log(
    patient: Patient, database: BinlogDatabase
) -> None:
    user = database.user_with("SELECT, INSERT, UPDATE, DELETE ON {db}.*")

    said = patient.examined(changes={**_as(user), "CDC_SMS_CAPTURE__READER": "debezium"})

    assert errors(said) == []
    assert any(sentence.startswith("The log was not tried") for sentence in said["left_out"])


def test_a_server_that_is_away_ends_it_with_6(patient: Patient, database: BinlogDatabase) -> None:
    away = f"{database.server.scheme}://u@127.0.0.1:{free_port()}/shop"

    said = patient.examined(wait_s=0, expect=6, changes={"CDC_SMS_SOURCE__DSN": away})

    assert [one["name"] for one in errors(said)] == ["unreachable"]


def test_no_secret_is_printed(patient: Patient, database: BinlogDatabase) -> None:
    user = database.user_with("SELECT ON {db}.sms")

    command = patient.doctor("--json", changes=_as(user))

    assert user.server.password not in command.output + command.errors
