"""What PostgreSQL must have for capture, judged from facts that were read in one query.

Pure: ``slot.py`` reads the facts and makes what is missing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cdc_sms.config.settings import CaptureSettings, TableSettings
from cdc_sms.errors import SetupError

PLUGIN = "pgoutput"
OLDEST_SERVER = 14

Facts = Mapping[str, Any]
"""Keys: ``version`` (150004), ``wal_level``, ``user``, ``database``, ``may_replicate``,
``free_slots``; and, each null where there is none, ``table`` (``kind``, ``key``, ``may_select``),
``publication`` (the catalogue's row and ``tables``), ``slot`` (of ``pg_replication_slots``)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is missing or wrong: its name, what it is, and what to do about it."""

    name: str
    said: str
    remedy: str


def quoted(*names: str) -> str:
    """Return a name as SQL writes it, each part in double quotes."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def publication_command(table: TableSettings, capture: CaptureSettings) -> str:
    """Return the statement that makes the publication that capture needs."""
    return (
        f"CREATE PUBLICATION {quoted(capture.publication)} "
        f"FOR TABLE {quoted(*table.schema_and_table)} "
        f"WITH (publish = '{_published(capture)}', publish_via_partition_root = true)"
    )


def _published(capture: CaptureSettings) -> str:
    return "insert, update" if capture.becomes_pending else "insert"


def raise_findings(facts: Facts, table: TableSettings, capture: CaptureSettings) -> None:
    """Raise everything that a person must put right, in one error.

    Raises:
        SetupError: its message holds each finding, its hint each remedy, in the same order.
    """
    found = list(findings(facts, table, capture))
    if found:
        raise SetupError(
            " ".join(finding.said for finding in found),
            hint=" ".join(finding.remedy for finding in found),
        )


def lost_because(facts: Facts) -> str | None:
    """Return why the slot that is there gives no log any more; None while it does."""
    slot = facts["slot"]
    if reason := slot.get("invalidation_reason"):  # PostgreSQL 17 and newer
        return str(reason)
    if slot.get("conflicting"):  # 16
        return "conflict with recovery"
    if slot["wal_status"] == "lost":
        return "wal_removed"
    if facts["publication"] is None:
        # the server reads the log with the catalogue of its time: a publication that is made now
        # doesn't exist yet where the slot stands
        return "the publication was dropped"
    return None


def findings(facts: Facts, table: TableSettings, capture: CaptureSettings) -> Iterator[Finding]:
    """Yield everything that a person must put right before capture can start."""
    version = facts["version"] // 10_000
    if version < OLDEST_SERVER:
        yield Finding(
            "version",
            f"The server is PostgreSQL {version}.",
            f"Capture needs PostgreSQL {OLDEST_SERVER} or newer.",
        )
    yield from _server(facts, capture)
    yield from _table(facts, table)
    yield from _publication(facts, table, capture)
    yield from _slot(facts, capture)


def _server(facts: Facts, capture: CaptureSettings) -> Iterator[Finding]:
    role = quoted(facts["user"])
    if facts["wal_level"] != "logical":
        yield Finding(
            "wal-level",
            f"wal_level is {facts['wal_level']}.",
            "Run ALTER SYSTEM SET wal_level = 'logical'; and restart the server (managed "
            "services: rds.logical_replication = 1, cloudsql.logical_decoding = on).",
        )
    if not facts["may_replicate"]:
        yield Finding(
            "replication-right",
            f"The user {facts['user']} may not replicate.",
            f"Run ALTER ROLE {role} REPLICATION; (on RDS: GRANT rds_replication TO {role};).",
        )
    if facts["slot"] is None and facts["free_slots"] < 1:
        yield Finding(
            "no-free-slot",
            f"No replication slot is free for {capture.slot}.",
            "Drop a slot that nobody uses, or raise max_replication_slots and restart the server.",
        )


def _table(facts: Facts, table: TableSettings) -> Iterator[Finding]:
    found = facts["table"]
    name = quoted(*table.schema_and_table)
    if found is None:
        yield Finding(
            "no-table",
            f"There is no table {table.name} in the database {facts['database']}.",
            "Check table.name and the database in source.dsn.",
        )
        return
    if not found["may_select"]:
        yield Finding(
            "select-right",
            f"The user {facts['user']} may not read {table.name}.",
            f"Run GRANT SELECT ON {name} TO {quoted(facts['user'])};",
        )
    mapped = table.columns.key
    if found["kind"] not in ("r", "p"):
        yield Finding("no-table", f"{table.name} is no table.", "Name a table in table.name.")
    elif not found["key"]:
        columns = ", ".join(quoted(column) for column in mapped)
        yield Finding(
            "no-primary-key",
            f"The table {table.name} has no primary key.",
            f"Run ALTER TABLE {name} ADD PRIMARY KEY ({columns});",
        )
    elif sorted(found["key"]) != sorted(mapped):
        yield Finding(
            "other-primary-key",
            f"The primary key of {table.name} is ({', '.join(found['key'])}), "
            f"and mapped is ({', '.join(mapped)}).",
            "Set table.columns.key to the primary key.",
        )


def _publication(facts: Facts, table: TableSettings, capture: CaptureSettings) -> Iterator[Finding]:
    publication = facts["publication"]
    if publication is None:
        return
    partitioned = facts["table"] is not None and facts["table"]["kind"] == "p"
    members = publication["tables"]
    named = [[member["schema"], member["name"]] for member in members]
    judgements = {
        "publishes all tables": publication["puballtables"],
        "publishes other tables than ours": named != [list(table.schema_and_table)],
        "publishes no inserts": not publication["pubinsert"],
        "publishes no updates": capture.becomes_pending and not publication["pubupdate"],
        "publishes updates": publication["pubupdate"] and not capture.becomes_pending,
        "publishes deletes": publication["pubdelete"] or publication["pubtruncate"],
        "has a row filter": any(member["filtered"] for member in members),
        "leaves out columns": any(member["cut"] for member in members),
        "publishes partitions under their own names": partitioned and not publication["pubviaroot"],
    }
    wrong = [words for words, is_wrong in judgements.items() if is_wrong]
    if wrong:
        yield Finding(
            "publication",
            f"The publication {capture.publication} {', '.join(wrong)}.",
            f"Run ALTER PUBLICATION {quoted(capture.publication)} SET "
            f"(publish = '{_published(capture)}'); where that isn't all, "
            f"DROP PUBLICATION {quoted(capture.publication)}; "
            f"{publication_command(table, capture)}; or set capture.publication to another name.",
        )


def _slot(facts: Facts, capture: CaptureSettings) -> Iterator[Finding]:
    slot = facts["slot"]
    if slot is None:
        return
    foreign = {
        "is a physical one": slot["slot_type"] != "logical",
        f"is of the plugin {slot['plugin']}": slot["plugin"] not in (PLUGIN, None),
        f"is of the database {slot['database']}": slot["database"] not in (facts["database"], None),
    }
    wrong = [words for words, is_wrong in foreign.items() if is_wrong]
    if wrong:
        yield Finding(
            "foreign-slot",
            f"The slot {capture.slot} {', '.join(wrong)}.",
            "Set capture.slot to another name, or drop the slot if nobody uses it.",
        )
