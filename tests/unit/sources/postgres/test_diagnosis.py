"""What hurts now or later is found from facts, each finding with what mends it."""

from typing import Any

import pytest

from cdc_sms.config.settings import CaptureSettings, TableSettings
from cdc_sms.sources.checkup import Finding, Severity
from cdc_sms.sources.postgres.diagnosis import AILMENTS, judge, names_capture, shown, size_for

DAY_S = 86_400.0
TABLE = TableSettings.model_validate(
    {
        "name": "erp.sms",
        "columns": {
            "key": "id",
            "recipient": "phone",
            "text": "body",
            "status": "state",
            "created_at": "made_at",
        },
    }
)
BARE = TableSettings.model_validate(
    {"name": "erp.sms", "columns": {"key": "id", "recipient": "phone", "text": "body"}}
)
SLOT: dict[str, Any] = {
    "slot_name": "cdc_sms",
    "slot_type": "logical",
    "plugin": "pgoutput",
    "database": "shop",
    "active_pid": 77,
    "wal_status": "reserved",
}
FACTS: dict[str, Any] = {
    "version": 150_004,
    "wal_level": "logical",
    "user": "cdc",
    "database": "shop",
    "may_replicate": True,
    "free_slots": 3,
    "table": {"kind": "r", "key": ["id"], "may_select": True},
    "publication": {
        "puballtables": False,
        "pubinsert": True,
        "pubupdate": False,
        "pubdelete": False,
        "pubtruncate": False,
        "pubviaroot": True,
        "tables": [{"schema": "erp", "name": "sms", "filtered": False, "cut": False}],
    },
    "slot": SLOT,
}
IS_THERE: dict[str, Any] = {
    "is_logged": True,
    "is_owned": False,
    "is_row_secured": False,
    "rows": 5_000_000,
    "indexed": ["id", "state"],
    "nullable": ["state"],
}
SERVER: dict[str, Any] = {
    "version_text": "15.4",
    "in_recovery": False,
    "encoding": "UTF8",
    "fsync": "on",
    "synchronous_commit": "on",
    "synchronous_standby_names": "",
    "slot_keep_bytes": 200 << 30,
    "idle_slot_timeout_s": None,
    "free_senders": 3,
    "max_senders": 10,
    "log_bytes_per_s": 1_000_000,
    "slot_retains_bytes": 0,
    "sees_others": True,
    "may_create": False,
    "writers": [],
    "table": IS_THERE,
}
IDLE = {"pid": 4711, "user": "erp", "database": "shop", "age_s": 3_600.0, "state": "idle"}


def judged(
    facts: dict[str, Any] | None = None,
    *,
    mapped: TableSettings = TABLE,
    reader: str = "builtin",
    **server: object,
) -> list[Finding]:
    """Judge good facts with some of them changed."""
    capture = CaptureSettings.model_validate({"reader": reader})
    changed = {**FACTS, **(facts or {})}
    return list(judge(changed, {**SERVER, **server}, table=mapped, capture=capture, outage_s=DAY_S))


def test_a_good_server_has_no_findings() -> None:
    assert judged() == []


@pytest.mark.parametrize(
    ("name", "facts", "server", "said", "remedy"),
    [
        ("standby", {}, {"in_recovery": True}, "is a standby", "Name the primary"),
        ("not-durable", {}, {"fsync": "off"}, "fsync is off", "SET fsync = on"),
        ("not-durable", {}, {"synchronous_commit": "off"}, "synchronous_commit is off",
         "SET synchronous_commit = on"),
        ("any-standby", {}, {"synchronous_standby_names": "ANY 1 (*)"}, "means capture too",
         "synchronous_standby_names"),
        ("no-encoding", {}, {"encoding": "SQL_ASCII"}, "SQL_ASCII", "UTF8"),
        ("no-free-sender", {"slot": None}, {"free_senders": 0}, "All 10 of max_wal_senders",
         "max_wal_senders = 15"),
        ("endless-slot", {}, {"slot_keep_bytes": None}, "-1: without bound",
         "max_slot_wal_keep_size = '161GB'"),
        ("short-slot", {}, {"slot_keep_bytes": 10 << 30}, "lasts 3.0 h",
         "max_slot_wal_keep_size = '161GB'"),
        ("slot-idle-timeout", {}, {"idle_slot_timeout_s": 3_600}, "is 1.0 h; wanted are 24.0 h",
         "idle_replication_slot_timeout = '1500min'"),
        ("slot-lost", {"slot": {**SLOT, "wal_status": "lost"}}, {}, "is lost: wal_removed",
         "Start capture"),
        ("slot-unread", {"slot": {**SLOT, "active_pid": None}},
         {"slot_retains_bytes": 3 << 30}, "for which 3.0 GiB",
         "pg_drop_replication_slot('cdc_sms')"),
        ("long-transaction", {}, {"writers": [IDLE]}, "process 4711 (user erp, database shop, 3600",
         "pg_terminate_backend(4711)"),
        ("long-transaction", {}, {"writers": [{**IDLE, "pid": None}]}, "A prepared transaction",
         "ROLLBACK PREPARED"),
        ("blind", {}, {"sees_others": False}, "may not see", 'pg_read_all_stats TO "cdc"'),
        ("unlogged-table", {}, {"table": {**IS_THERE, "is_logged": False}}, "erp.sms is unlogged",
         'ALTER TABLE "erp"."sms" SET LOGGED'),
        ("row-security", {}, {"table": {**IS_THERE, "is_row_secured": True}}, "concerns cdc",
         'CREATE POLICY cdc_sms ON "erp"."sms" TO "cdc"'),
        ("publication-missing", {"publication": None, "slot": None}, {}, "no publication",
         'CREATE PUBLICATION "cdc_sms" FOR TABLE "erp"."sms"'),
        ("no-status-index", {}, {"table": {**IS_THERE, "indexed": ["id"]}}, "about 5,000,000 rows",
         'ON "erp"."sms" ("state") WHERE "state" = \'pending\''),
        ("created-at-null", {}, {"table": {**IS_THERE, "nullable": ["made_at"]}}, "may be NULL",
         '"made_at" SET NOT NULL'),
        ("untested-version", {"version": 170_002}, {}, "PostgreSQL 17", "Watch"),
        ("wal-level", {"wal_level": "replica"}, {}, "wal_level is replica", "ALTER SYSTEM"),
        ("replication-right", {"may_replicate": False}, {}, "may not replicate", "ALTER ROLE"),
    ],
)  # fmt: skip
def test_a_finding_names_what_it_found_and_what_mends_it(
    name: str, facts: dict[str, Any], server: dict[str, Any], said: str, remedy: str
) -> None:
    [found] = judged(facts, **server)

    assert found.name == name
    assert said in found.said
    assert remedy in found.remedy


def test_a_table_that_shows_neither_status_nor_time_is_told_what_that_means() -> None:
    names = {found.name for found in judged(mapped=BARE)}

    assert names == {"no-status", "no-created-at"}


def test_an_owner_is_not_told_to_make_the_publication() -> None:
    facts = {"publication": None, "slot": None}

    assert judged(facts, may_create=True, table={**IS_THERE, "is_owned": True}) == []


def test_debezium_needs_its_publication_and_not_our_users_right_to_replicate() -> None:
    facts = {"publication": None, "slot": None, "may_replicate": False}

    [found] = judged(facts, reader="debezium")

    assert found.name == "debezium-publication-missing"


def test_a_sender_that_capture_holds_is_not_missed() -> None:
    assert judged(free_senders=0) == []


def test_managed_services_have_their_own_way() -> None:
    [found] = judged({"wal_level": "replica"})

    for service, setting in (
        ("RDS", "rds.logical_replication"),
        ("Cloud SQL", "cloudsql.logical_decoding"),
        ("Azure", "wal_level"),
    ):
        assert service in found.managed
        assert setting in found.managed


@pytest.mark.parametrize(
    ("names", "means_us"),
    [
        ("", False),
        ("*", True),
        ("FIRST 1 (*)", True),
        ("ANY 2 (berlin, warsaw)", False),
        ('ANY 1 (berlin, "cdc-sms capture")', True),
        ("berlin", False),
    ],
)
def test_names_of_standbys_are_read_as_the_server_does(names: str, means_us: bool) -> None:
    assert names_capture(names) is means_us


def test_a_slots_bound_lasts_twice_the_outage_and_is_never_tiny() -> None:
    assert size_for(1_000_000, DAY_S) == "161GB"
    assert size_for(10, DAY_S) == "10GB"


def test_every_ailment_says_what_it_means_and_what_mends_it() -> None:
    for ailment in AILMENTS.values():
        assert ailment.means.endswith(".")
        assert ailment.remedy
        assert isinstance(ailment.severity, Severity)


def test_facts_are_told_without_a_slot_and_without_a_table() -> None:
    told = shown({**FACTS, "slot": None}, {**SERVER, "table": None})

    assert told["slot"] is None
    assert told["table_rows"] is None
