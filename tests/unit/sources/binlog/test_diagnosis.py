"""What hurts on MySQL and MariaDB, now or later, is found from facts, with what mends it."""

from dataclasses import replace
from typing import Any

import pytest

from cdc_sms.config.settings import CaptureSettings, TableSettings
from cdc_sms.sources.binlog.diagnosis import (
    AILMENTS,
    Asked,
    Facts,
    FoundTable,
    TableColumn,
    judge,
    kept_for_s,
    shown,
)
from cdc_sms.sources.binlog.dictionary import Declared, Dictionary
from cdc_sms.sources.binlog.inspection import Facts as Inspected
from cdc_sms.sources.binlog.server import End, Server
from cdc_sms.sources.checkup import Finding

DAY_S = 86_400.0
COLUMNS = {"key": "id", "recipient": "phone", "text": "body", "status": "state"}
TABLE = TableSettings.model_validate(
    {"name": "shop.sms", "columns": {**COLUMNS, "created_at": "made_at"}}
)
BARE = TableSettings.model_validate(
    {"name": "shop.sms", "columns": {"key": "id", "recipient": "phone", "text": "body"}}
)
MYSQL = {
    "version": "9.7.4",
    "server_uuid": "636e021a-e809-11f1-a080-02fc00000001",
    "server_id": "7",
    "log_bin": "ON",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "binlog_row_metadata": "FULL",
    "binlog_expire_logs_seconds": "2592000",
    "gtid_mode": "ON",
    "innodb_flush_log_at_trx_commit": "1",
    "sync_binlog": "1",
    "log_replica_updates": "ON",
}
MARIADB = {
    **{name: value for name, value in MYSQL.items() if name not in ("gtid_mode", "server_uuid")},
    "version": "10.11.18-MariaDB-log",
}
FOUND = FoundTable(
    engine="InnoDB",
    rows=5_000_000,
    columns={
        "id": TableColumn("bigint"),
        "body": TableColumn("text", charset="utf8mb4"),
        "made_at": TableColumn("datetime(6)"),
    },
    indexed=["id", "state"],
)
DICTIONARY = Dictionary((Declared("id", "bigint"), Declared("state", "varchar")), ("id",))


def facts(variables: dict[str, str] | None = None, **changes: Any) -> Facts:
    """Return good facts of MySQL with some of them changed."""
    said = {**MYSQL, **(variables or {})}
    return replace(_facts(said), **changes)


def _facts(said: dict[str, str]) -> Facts:
    inspected = Inspected(
        server=Server(said),
        user="cdc",
        end=End("binlog.000003", 4711, ""),
        table=("shop", "sms", "BASE TABLE", "InnoDB"),
        dictionary=DICTIONARY,
    )
    return Facts(
        inspected=inspected,
        account="'cdc'@'10.%'",
        variables=said,
        table=FOUND,
        replicas=[],
        is_replica=False,
        prepared=0,
    )


def judged(
    found: Facts,
    *,
    kind: str = "mysql",
    table: TableSettings = TABLE,
    ledger_schema: str = "shop",
    **capture: object,
) -> list[Finding]:
    """Judge facts for a capture of these settings."""
    asked = Asked(
        kind="mariadb" if kind == "mariadb" else "mysql",
        table=table,
        capture=CaptureSettings.model_validate(capture),
        ledger_schema=ledger_schema,
        outage_s=DAY_S,
    )
    return list(judge(found, asked))


def test_a_good_mysql_has_no_findings() -> None:
    assert judged(facts()) == []


def test_a_good_mariadb_has_no_findings() -> None:
    assert judged(_facts(MARIADB), kind="mariadb") == []


@pytest.mark.parametrize(
    ("name", "variables", "said", "remedy"),
    [
        ("log-off", {"log_bin": "OFF"}, "no binlog", "log_bin = binlog"),
        ("row-format", {"binlog_format": "MIXED"}, "MIXED", "SET PERSIST binlog_format = ROW;"),
        ("row-image", {"binlog_row_image": "MINIMAL"}, "MINIMAL",
         "SET PERSIST binlog_row_image = FULL;"),
        ("row-metadata", {"binlog_row_metadata": "MINIMAL"}, "MINIMAL",
         "SET PERSIST binlog_row_metadata = FULL;"),
        ("server-id", {"server_id": "0"}, "is 0", "SET PERSIST server_id = 1;"),
        ("short-log", {"binlog_expire_logs_seconds": "3600"}, "kept for 1.0 h; wanted are 24.0 h",
         "SET PERSIST binlog_expire_logs_seconds = 172800;"),
        ("endless-log", {"binlog_expire_logs_seconds": "0"}, "purges no log", "172800"),
        ("endless-log", {"binlog_expire_logs_auto_purge": "OFF"}, "purges no log", "172800"),
        ("bounded-log", {"max_binlog_total_size": str(5 << 30)}, "is 5.0 GiB",
         "max_binlog_total_size"),
        ("read-only", {"super_read_only": "ON", "read_only": "ON"}, "super_read_only is on",
         "Name the primary"),
        ("no-gtid", {"gtid_mode": "OFF_PERMISSIVE"}, "OFF_PERMISSIVE", "enforce_gtid_consistency"),
        ("galera", {"wsrep_on": "ON"}, "node of Galera", "wsrep_sync_wait"),
        ("not-durable", {"sync_binlog": "0"}, "sync_binlog is 0", "SET PERSIST sync_binlog = 1;"),
        ("not-durable", {"innodb_flush_log_at_trx_commit": "2"}, "is 2",
         "innodb_flush_log_at_trx_commit = 1"),
        ("rollback-on-timeout", {"innodb_rollback_on_timeout": "ON"}, "is on", "OFF"),
        ("other-log-engine", {"binlog_storage_engine": "innodb"}, "is set", "empty"),
        ("untested-version", {"version": "8.0.44"}, "8.0.44; tested are 9.7", "Watch"),
    ],
)  # fmt: skip
def test_a_setting_that_hurts_is_told_with_what_mends_it(
    name: str, variables: dict[str, str], said: str, remedy: str
) -> None:
    [found] = judged(facts(variables))

    assert found.name == name
    assert said in found.said
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("name", "changes", "said", "remedy"),
    [
        ("replica", {"is_replica": True}, "is a replica", "Name the primary"),
        ("rds-retention", {"rds_hours": 0}, "is not set", "rds_set_configuration"),
        ("rds-retention", {"rds_hours": 12}, "is 12 h; wanted are 24.0 h", "hours', 48);"),
        ("prepared-xa", {"prepared": 2}, "2 XA transactions", "XA RECOVER"),
        ("not-transactional", {"table": replace(FOUND, engine="MyISAM")}, "engine MyISAM",
         "ALTER TABLE `shop`.`sms` ENGINE = InnoDB;"),
        ("no-status-index", {"table": replace(FOUND, indexed=["id"])}, "about 5,000,000 rows",
         "ALTER TABLE `shop`.`sms` ADD INDEX (`state`)"),
        ("created-at-changes",
         {"table": replace(FOUND, columns={"made_at": TableColumn(
             "timestamp", extra="DEFAULT_GENERATED on update CURRENT_TIMESTAMP")})},
         "changes with each update", "MODIFY `made_at` TIMESTAMP DEFAULT"),
        ("created-at-null",
         {"table": replace(FOUND, columns={"made_at": TableColumn("datetime", is_nullable=True)})},
         "may be NULL", "NOT NULL"),
        ("few-characters",
         {"table": replace(FOUND, columns={"body": TableColumn("text", charset="latin1")})},
         "body of shop.sms is of latin1", "CHARACTER SET utf8mb4"),
    ],
)  # fmt: skip
def test_a_state_that_hurts_is_told_with_what_mends_it(
    name: str, changes: dict[str, Any], said: str, remedy: str
) -> None:
    [found] = judged(facts(**changes))

    assert found.name == name
    assert said in found.said
    assert remedy in found.remedy


def test_a_replica_that_logs_only_its_own_writes_is_an_error() -> None:
    [found] = judged(facts({"log_replica_updates": "OFF"}, is_replica=True))

    assert (found.name, found.severity) == ("replica-log", "error")


def test_rights_are_granted_to_the_account_that_the_server_knows() -> None:
    good = facts()
    refused = replace(good.inspected, refusals={"status": "no", "replication": "no"}, end=None)

    remedies = {one.name: one.remedy for one in judged(replace(good, inspected=refused))}

    assert remedies == {
        "status-right": "GRANT REPLICATION CLIENT ON *.* TO 'cdc'@'10.%';",
        "replication-right": "GRANT REPLICATION SLAVE ON *.* TO 'cdc'@'10.%';",
    }


def test_mariadb_has_words_of_its_own() -> None:
    good = _facts({**MARIADB, "binlog_row_metadata": "NO_LOG"})
    refused = replace(good.inspected, refusals={"status": "no"})

    found = judged(replace(good, inspected=refused), kind="mariadb")

    remedies = {one.name: one.remedy for one in found}
    assert "BINLOG MONITOR" in remedies["status-right"]
    assert remedies["row-metadata"] == (
        "SET GLOBAL binlog_row_metadata = FULL; and the same in the configuration file."
    )


@pytest.mark.parametrize(("own", "replicas"), [("4711", []), ("7", [4711])])
def test_an_id_that_somebody_has_is_a_clash(own: str, replicas: list[int]) -> None:
    found = facts({"server_id": own}, replicas=replicas)

    [clash] = judged(found, server_id=4711)

    assert clash.name == "server-id-clash"
    assert judged(found, server_id=4712) == []


def test_a_filter_is_found_for_the_table_and_for_the_ledger() -> None:
    good = facts()
    end = End("binlog.000003", 4711, "", ignored=("sms_ledger",), logged=())
    filtered = replace(good, inspected=replace(good.inspected, end=end))

    [found] = judged(filtered, ledger_schema="sms_ledger")

    assert found.name == "log-filter"
    assert "sms_ledger" in found.said


def test_the_other_kind_of_server_is_told() -> None:
    [found] = judged(_facts(MARIADB), kind="mysql")

    assert found.name == "wrong-kind"
    assert "mariadb://" in found.remedy


def test_updates_need_whole_images_only_where_they_are_read() -> None:
    found = facts({"binlog_row_image": "FULL_NODUP"})

    assert judged(found) == []
    assert [one.name for one in judged(found, becomes_pending=True)] == ["row-image"]


def test_a_table_that_shows_neither_status_nor_time_is_told_what_that_means() -> None:
    assert {one.name for one in judged(facts(), table=BARE)} == {"no-status", "no-created-at"}


def test_debezium_is_not_asked_for_our_users_right_to_the_log() -> None:
    good = facts()
    refused = replace(good.inspected, refusals={"replication": "no"}, has_heartbeats=False)

    assert judged(replace(good, inspected=refused), reader="debezium") == []


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"binlog_expire_logs_seconds": "60"}, 60.0),
        ({"expire_logs_days": "2.5"}, 216_000.0),
        ({}, None),
    ],
)
def test_retention_is_read_in_seconds_or_days(
    variables: dict[str, str], seconds: float | None
) -> None:
    assert kept_for_s(variables) == seconds


def test_every_ailment_says_what_it_means_and_what_mends_it() -> None:
    for ailment in AILMENTS.values():
        assert ailment.means.endswith(".")
        assert ailment.remedy


def test_what_is_told_beside_the_findings_survives_an_unknown_end() -> None:
    good = facts()

    told = shown(replace(good, table=None, inspected=replace(good.inspected, end=None)))

    assert told["log_end"] is None
    assert told["table_rows"] is None
