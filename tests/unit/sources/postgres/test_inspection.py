"""What is missing or wrong on a server is found from facts, all at once."""

from typing import Any

import pytest

from cdc_sms.config.settings import CaptureSettings, TableSettings
from cdc_sms.errors import SetupError
from cdc_sms.sources.postgres.inspection import lost_because, publication_command, raise_findings

TABLE = TableSettings.model_validate(
    {"name": "erp.sms", "columns": {"key": "id", "recipient": "recipient", "text": "body"}}
)
CAPTURE = CaptureSettings()
PUBLICATION = {
    "puballtables": False,
    "pubinsert": True,
    "pubupdate": False,
    "pubdelete": False,
    "pubtruncate": False,
    "pubviaroot": True,
    "tables": [{"schema": "erp", "name": "sms", "filtered": False, "cut": False}],
}
SLOT = {
    "slot_type": "logical",
    "plugin": "pgoutput",
    "database": "shop",
    "active_pid": None,
    "wal_status": "reserved",
}
GOOD: dict[str, Any] = {
    "version": 150_004,
    "wal_level": "logical",
    "user": "cdc",
    "database": "shop",
    "may_replicate": True,
    "free_slots": 3,
    "table": {"kind": "r", "key": ["id"], "may_select": True},
    "publication": PUBLICATION,
    "slot": SLOT,
}


def changed(path: str, value: object) -> dict[str, Any]:
    """Return good facts with one of them changed, named by its path."""
    first, *rest = path.split(".")
    return {**GOOD, first: {**GOOD[first], rest[0]: value} if rest else value}


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(GOOD, id="everything is there"),
        pytest.param({**GOOD, "publication": None, "slot": None}, id="the first start"),
        pytest.param(changed("version", 140_000), id="the oldest server"),
        pytest.param(changed("free_slots", 0), id="no slot is free, but ours is there"),
        pytest.param(changed("table.kind", "p"), id="a partitioned table"),
    ],
)
def test_a_good_server_has_no_findings(facts: dict[str, Any]) -> None:
    raise_findings(facts, TABLE, CAPTURE)


@pytest.mark.parametrize(
    ("facts", "said", "remedy"),
    [
        (changed("version", 130_009), "The server is PostgreSQL 13.", "14 or newer"),
        (changed("wal_level", "replica"), "wal_level is replica.", "ALTER SYSTEM SET wal_level"),
        (changed("may_replicate", False), "may not replicate", 'ALTER ROLE "cdc" REPLICATION;'),
        ({**changed("free_slots", 0), "slot": None}, "No replication slot is free",
         "max_replication_slots"),
        (changed("table", None), "There is no table erp.sms in the database shop.", "table.name"),
        (changed("table.kind", "v"), "erp.sms is no table.", "table.name"),
        (changed("table.key", None), "has no primary key",
         'ALTER TABLE "erp"."sms" ADD PRIMARY KEY ("id");'),
        (changed("table.key", ["id", "shop"]), "is (id, shop), and mapped is (id)",
         "table.columns.key"),
        (changed("table.may_select", False), "may not read erp.sms",
         'GRANT SELECT ON "erp"."sms" TO "cdc";'),
        (changed("publication.puballtables", True), "publishes all tables", "DROP PUBLICATION"),
        (changed("publication.pubinsert", False), "publishes no inserts", "DROP PUBLICATION"),
        (changed("publication.pubupdate", True), "publishes updates", "ALTER PUBLICATION"),
        (changed("publication.pubdelete", True), "publishes deletes", "CREATE"),
        (changed("publication.tables", []), "publishes other tables than ours", "CREATE"),
        (changed("publication.tables", [{**PUBLICATION["tables"][0], "filtered": True}]),  # type: ignore[index]
         "has a row filter", "CREATE"),
        (changed("publication.tables", [{**PUBLICATION["tables"][0], "cut": True}]),  # type: ignore[index]
         "leaves out columns", "CREATE"),
        (changed("slot.slot_type", "physical"), "is a physical one", "capture.slot"),
        (changed("slot.plugin", "wal2json"), "is of the plugin wal2json", "capture.slot"),
        (changed("slot.database", "other"), "is of the database other", "capture.slot"),
    ],
)  # fmt: skip
def test_a_finding_names_what_is_wrong_and_the_remedy(
    facts: dict[str, Any], said: str, remedy: str
) -> None:
    with pytest.raises(SetupError) as caught:
        raise_findings(facts, TABLE, CAPTURE)

    assert said in caught.value.message
    assert remedy in caught.value.hint


def test_a_partitioned_table_must_be_published_as_a_whole() -> None:
    facts = {**changed("table.kind", "p"), "publication": {**PUBLICATION, "pubviaroot": False}}

    with pytest.raises(SetupError, match="partitions under their own names"):
        raise_findings(facts, TABLE, CAPTURE)


def test_all_findings_are_said_in_one_error() -> None:
    facts = {**GOOD, "wal_level": "minimal", "may_replicate": False, "table": None}

    with pytest.raises(SetupError) as caught:
        raise_findings(facts, TABLE, CAPTURE)

    for word in ("wal_level", "may not replicate", "no table"):
        assert word in caught.value.message


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (GOOD, None),
        (changed("slot.wal_status", "extended"), None),
        (changed("slot.wal_status", "unreserved"), None),
        (changed("slot.wal_status", "lost"), "wal_removed"),
        (changed("slot.conflicting", True), "conflict with recovery"),
        (changed("slot.invalidation_reason", "idle_timeout"), "idle_timeout"),
        (changed("publication", None), "the publication was dropped"),
    ],
)
def test_a_slot_is_lost_for_a_named_reason(facts: dict[str, Any], reason: str | None) -> None:
    assert lost_because(facts) == reason


def test_names_are_quoted_in_the_command() -> None:
    odd = TABLE.model_copy(update={"name": 'erp.my"sms'})

    assert 'FOR TABLE "erp"."my""sms" WITH (publish = \'insert\'' in publication_command(
        odd, CAPTURE
    )
