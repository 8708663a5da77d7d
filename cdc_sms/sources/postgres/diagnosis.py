"""What can be wrong with PostgreSQL as a source, and what of it facts show. Pure.

What capture's start refuses is judged by ``inspection.py`` and told here as well, so that one look
names everything. ``checkup.py`` reads the facts.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cdc_sms.config.settings import CaptureSettings, TableSettings
from cdc_sms.sources.checkup import Ailment, Catalogue, Finding, Severity, finder
from cdc_sms.sources.postgres.inspection import (
    Facts,
    findings,
    lost_because,
    publication_command,
    quoted,
)

TESTED = (15, 18)
"""Versions that the tests run on; those between and 14 are written for."""

LONG_TRANSACTION_S = 60.0
"""A transaction that writes for longer is told; seconds."""

LARGE_TABLE_ROWS = 1_000_000
"""From so many rows on a snapshot without an index is told."""

_APPLICATION = "cdc-sms capture"
_GIB = 1 << 30
_LEAST_GIB = 10

_PARAMETERS = (
    "RDS, Aurora: in the parameter group; Cloud SQL: as a database flag; Azure: as a server "
    "parameter."
)
Found = Callable[..., Finding]

_BOUND = (
    "ALTER SYSTEM SET max_slot_wal_keep_size = '{size}'; SELECT pg_reload_conf(); or as much as "
    "the disk can spare: '{size}' is twice the outage at the server's average."
)
_BOUND_MANAGED = (
    "RDS: in the parameter group; Cloud SQL: as a database flag, where its list has it; Azure: it "
    "can't be changed (-1). Without it, and on Aurora: an alarm on the storage and the slot's lag."
)
_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

AILMENTS: Catalogue = {
    # what capture's start refuses; sentence and remedy are the inspection's
    "version": Ailment(_E, "Capture does not start.", "Upgrade to PostgreSQL 14 or newer."),
    "wal-level": Ailment(
        _E,
        "The log holds no rows: capture does not start.",
        "ALTER SYSTEM SET wal_level = 'logical'; then restart the server.",
        "RDS, Aurora: rds.logical_replication = 1 in the (cluster) parameter group, then reboot. "
        "Cloud SQL: the flag cloudsql.logical_decoding = on. Azure: the server parameter "
        "wal_level = logical, then restart.",
    ),
    "replication-right": Ailment(
        _E,
        "The log can't be read: capture does not start.",
        "ALTER ROLE {user} REPLICATION;",
        "RDS, Aurora: GRANT rds_replication TO {user}; Cloud SQL, Azure: ALTER ROLE {user} "
        "REPLICATION; as the administrator.",
    ),
    "no-free-slot": Ailment(
        _E,
        "Capture does not start.",
        "Drop a slot that nobody uses: SELECT pg_drop_replication_slot('…'); or raise "
        "max_replication_slots and restart the server.",
        _PARAMETERS,
    ),
    "no-table": Ailment(_E, "Nothing can be captured.", "Check table.name and source.dsn."),
    "select-right": Ailment(
        _E,
        "The pending rows of a first start can't be read.",
        "GRANT SELECT ON {table} TO {user};",
    ),
    "no-primary-key": Ailment(
        _E, "A record could not say which row it is about.", "ALTER TABLE {table} ADD PRIMARY KEY …"
    ),
    "other-primary-key": Ailment(
        _E, "A record would name the wrong row.", "Set table.columns.key to the primary key."
    ),
    "publication": Ailment(
        _E,
        "Rows would be missing on the topic, or our own updates on it.",
        "DROP PUBLICATION {publication}; {create_publication};",
    ),
    "foreign-slot": Ailment(
        _E, "The slot is not ours to read.", "Set capture.slot to another name."
    ),
    # what hurts at the start or later
    "no-free-sender": Ailment(
        _E,
        "Nobody more can read the log: capture does not start, or can't connect again.",
        "ALTER SYSTEM SET max_wal_senders = {senders}; then restart the server.",
        _PARAMETERS,
    ),
    "publication-missing": Ailment(
        _E,
        "Capture makes its publication at the first start, and may not.",
        "As the table's owner: {create_publication};",
    ),
    "debezium-publication-missing": Ailment(
        _E,
        "The connector makes no publication by itself, and fails.",
        "{create_publication};",
    ),
    "unlogged-table": Ailment(
        _E, "Rows of an unlogged table are not in the log.", "ALTER TABLE {table} SET LOGGED;"
    ),
    "row-security": Ailment(
        _E,
        "Row-level security may hide rows from the user: what the log shows would look deleted, "
        "and its message be cancelled.",
        "CREATE POLICY cdc_sms ON {table} TO {user} USING (true); or ALTER ROLE {user} BYPASSRLS;",
        "RDS, Aurora, Cloud SQL, Azure: the policy; BYPASSRLS needs a superuser on some of them.",
    ),
    "standby": Ailment(
        _E,
        "A standby takes no writes: no status, no ledger.",
        "Name the primary in source.dsn.",
        "RDS, Aurora: the cluster's (writer) endpoint, not a reader's; Cloud SQL, Azure: the "
        "primary instance, not a replica.",
    ),
    "slot-blocked": Ailment(
        _E,
        "While a transaction that writes is open, no slot can be made: a first start, and one "
        "after a lost slot, wait for it.",
        "Let it end, or: SELECT pg_terminate_backend({pid});",
        "The same; RDS, Aurora: as a member of rds_superuser or pg_signal_backend.",
    ),
    "log-unreadable": Ailment(
        _E,
        "A trial of the log failed: so would capture.",
        "Do what the server's sentence says; a connection pooler can't be used.",
    ),
    "mark-lost": Ailment(
        _E,
        "The log is read, and what is committed does not appear in it in time.",
        "Look at the server's load and log; is logical decoding busy with a huge transaction?",
    ),
    "long-transaction": Ailment(
        _W,
        "Until it ends no slot can be made, and the log since its begin is kept.",
        "Let it end, or: SELECT pg_terminate_backend({pid}); a prepared one: ROLLBACK PREPARED.",
    ),
    "endless-slot": Ailment(
        _W,
        "While nobody reads, the log is kept until the disk is full, and the database stops. A "
        "lost slot heals by a snapshot of pending rows, a full disk doesn't.",
        _BOUND,
        _BOUND_MANAGED,
    ),
    "short-slot": Ailment(
        _W,
        "In an outage of the given length the slot is lost; capture then makes a new one and "
        "captures pending rows by a snapshot.",
        _BOUND,
        _BOUND_MANAGED,
    ),
    "slot-idle-timeout": Ailment(
        _W,
        "In an outage of the given length the slot is lost (PostgreSQL 18).",
        "ALTER SYSTEM SET idle_replication_slot_timeout = '{minutes}min'; SELECT pg_reload_conf();",
        _PARAMETERS,
    ),
    "slot-lost": Ailment(
        _W,
        "The server gave up the slot: capture makes a new one and captures pending rows.",
        "Start capture; then see why it was away for so long.",
    ),
    "slot-unread": Ailment(
        _W,
        "Nobody reads our slot, and the server keeps its log.",
        "Start capture; or, if it isn't wanted any more: "
        "SELECT pg_drop_replication_slot('{slot}');",
    ),
    "any-standby": Ailment(
        _W,
        "Capture's connection counts as a synchronous standby: commits wait for it and not for a "
        "real one.",
        "Name the standbys: ALTER SYSTEM SET synchronous_standby_names = '…'; "
        "SELECT pg_reload_conf();",
    ),
    "no-status": Ailment(
        _W,
        "The row never shows what became of it, a first start begins at the log's end, and a gap "
        "can't be healed.",
        "Add a status column and map it in [table.columns].",
    ),
    "no-created-at": Ailment(
        _W,
        "The key alone says which message a row is: a key that is used again ends as an unclear "
        "dead letter, or unsent.",
        "ALTER TABLE {table} ADD COLUMN created_at timestamptz DEFAULT now(); and map it.",
    ),
    "no-status-index": Ailment(
        _W,
        "A snapshot (first start, lost slot) reads the whole table.",
        "CREATE INDEX CONCURRENTLY ON {table} ({status}) WHERE {status} = {pending};",
    ),
    "not-durable": Ailment(
        _W,
        "After a crash of the server a row may be gone whose message was sent.",
        "ALTER SYSTEM SET {setting} = on; SELECT pg_reload_conf();",
        _PARAMETERS,
    ),
    "blind": Ailment(
        _N,
        "The age of other users' transactions is not shown to the user.",
        "GRANT pg_read_all_stats TO {user};",
    ),
    "untested-version": Ailment(
        _N, "Nothing is known against it; the tests don't run on it.", "Watch the first days."
    ),
    "no-encoding": Ailment(
        _N,
        "The database checks no encoding: bytes that are no UTF-8 are read as they can be.",
        "None; a new database should have ENCODING 'UTF8'.",
    ),
    "created-at-null": Ailment(
        _N,
        "Rows without it are told apart by the key alone.",
        "ALTER TABLE {table} ALTER COLUMN {created_at} SET NOT NULL;",
    ),
}


def judge(
    facts: Facts,
    server: Mapping[str, Any],
    *,
    table: TableSettings,
    capture: CaptureSettings,
    outage_s: float,
) -> Iterator[Finding]:
    """Yield everything that the facts show; pure.

    Args:
        facts: as ``inspection.py`` knows them.
        server: what only the check-up asks for, as ``checkup.py`` reads them.
        table: the table.
        capture: names, and who reads.
        outage_s: how long the log has to be kept; seconds.
    """
    found = finder_for(str(facts["user"]), table, capture)
    by_debezium = capture.reader == "debezium"
    for finding in findings(facts, table, capture):
        # what the connector's user may, only that user can be asked
        if not (by_debezium and finding.name == "replication-right"):
            yield found(finding.name, finding.said, remedy=finding.remedy)
    yield from _version(facts, found)
    yield from _server(server, found)
    yield from _senders(facts, server, found)
    yield from _retention(server, found, outage_s)
    yield from _slot(facts, server, found)
    yield from _writers(server, found)
    yield from _table(facts, server, found, table, by_debezium)


def finder_for(user: str, table: TableSettings, capture: CaptureSettings) -> Found:
    """Return what makes findings about one table, its names filled in."""
    columns, words = table.columns, table.status
    return finder(
        AILMENTS,
        user=quoted(user),
        table=quoted(*table.schema_and_table),
        slot=capture.slot,
        publication=quoted(capture.publication),
        create_publication=publication_command(table, capture),
        status=quoted(columns.status or "status"),
        created_at=quoted(columns.created_at or "created_at"),
        pending="'" + words.pending.replace("'", "''") + "'",
    )


def _version(facts: Facts, found: Found) -> Iterator[Finding]:
    version = facts["version"] // 10_000
    if version not in TESTED and version >= min(TESTED) - 1:
        tested = ", ".join(map(str, TESTED))
        yield found("untested-version", f"The server is PostgreSQL {version}; tested are {tested}.")


def _server(server: Mapping[str, Any], found: Found) -> Iterator[Finding]:
    if server["in_recovery"]:
        yield found("standby", "The server is a standby.")
    for setting in ("fsync", "synchronous_commit"):
        if server[setting] == "off":
            yield found("not-durable", f"{setting} is off.", setting=setting)
    if names_capture(server["synchronous_standby_names"]):
        yield found(
            "any-standby",
            f"synchronous_standby_names is {server['synchronous_standby_names']!r}, which "
            "means capture too.",
        )
    if server["encoding"] == "SQL_ASCII":
        yield found("no-encoding", "The database's encoding is SQL_ASCII.")


def names_capture(standby_names: str) -> bool:
    """Say whether ``synchronous_standby_names`` takes capture's connection for a standby.

    Source: PostgreSQL manual, 20.6.2: ``FIRST n (names)``, ``ANY n (names)`` or names; ``*`` is
    any name.
    """
    listed = standby_names.rpartition("(")[2].rstrip(") ")
    names = re.findall(r'"([^"]*)"|([^,\s]+)', listed)
    return any((quoted_ or bare).lower() in ("*", _APPLICATION) for quoted_, bare in names)


def _senders(facts: Facts, server: Mapping[str, Any], found: Found) -> Iterator[Finding]:
    slot = facts["slot"]
    is_read = slot is not None and slot["active_pid"] is not None
    if server["free_senders"] < 1 and not is_read:
        yield found(
            "no-free-sender",
            f"All {server['max_senders']} of max_wal_senders are in use.",
            senders=server["max_senders"] + 5,
        )


def _retention(server: Mapping[str, Any], found: Found, outage_s: float) -> Iterator[Finding]:
    keeps, rate = server["slot_keep_bytes"], server["log_bytes_per_s"] or 0
    size = size_for(rate, outage_s)
    if keeps is None:
        yield found("endless-slot", "max_slot_wal_keep_size is -1: without bound.", size=size)
    elif keeps < rate * outage_s:
        yield found(
            "short-slot",
            f"max_slot_wal_keep_size lasts {keeps / rate / 3600:.1f} h at the server's average of "
            f"{rate / 1e6:.2f} MB of log a second; wanted are {outage_s / 3600:.1f} h.",
            size=size,
        )
    timeout_s = server["idle_slot_timeout_s"]
    if timeout_s and timeout_s < outage_s:
        yield found(
            "slot-idle-timeout",
            f"idle_replication_slot_timeout is {timeout_s / 3600:.1f} h; wanted are "
            f"{outage_s / 3600:.1f} h.",
            minutes=int(outage_s // 60) + 60,
        )


def size_for(bytes_per_s: float, outage_s: float) -> str:
    """Return the bound on a slot's log that lasts twice an outage, in the setting's form."""
    return f"{max(_LEAST_GIB, -(-int(2 * bytes_per_s * outage_s) // _GIB))}GB"


def _slot(facts: Facts, server: Mapping[str, Any], found: Found) -> Iterator[Finding]:
    slot = facts["slot"]
    if slot is None or slot["slot_type"] != "logical":
        return
    reason = lost_because(facts)
    if reason is not None:
        yield found("slot-lost", f"The slot {slot['slot_name']} is lost: {reason}.")
    elif slot["active_pid"] is None and (server["slot_retains_bytes"] or 0) > _GIB:
        kept = server["slot_retains_bytes"] / _GIB
        yield found(
            "slot-unread",
            f"Nobody reads the slot {slot['slot_name']}, for which {kept:.1f} GiB of log are kept.",
        )


def _writers(server: Mapping[str, Any], found: Found) -> Iterator[Finding]:
    for writer in server["writers"]:
        if (writer["age_s"] or 0) >= LONG_TRANSACTION_S:
            yield found("long-transaction", f"{whose(writer)} is open.", pid=writer["pid"])
    if not server["sees_others"]:
        yield found("blind", "The user may not see since when others' transactions are open.")


def whose(writer: Mapping[str, Any]) -> str:
    """Return which transaction it is, as the beginning of a sentence."""
    age = "" if writer["age_s"] is None else f", {writer['age_s']:.0f} s old"
    if writer["pid"] is None:
        return f"A prepared transaction of {writer['user']} in {writer['database']}{age},"
    state = f", {writer['state']}" if writer["state"] else ""
    return (
        f"A transaction of the process {writer['pid']} (user {writer['user']}, database "
        f"{writer['database']}{age}{state})"
    )


def _table(
    facts: Facts,
    server: Mapping[str, Any],
    found: Found,
    table: TableSettings,
    by_debezium: bool,  # noqa: FBT001 - a fact like the others
) -> Iterator[Finding]:
    is_there = server["table"]
    if is_there is None:
        return
    name = table.name
    if not is_there["is_logged"]:
        yield found("unlogged-table", f"The table {name} is unlogged.")
    if is_there["is_row_secured"]:
        yield found("row-security", f"Row-level security on {name} concerns {facts['user']}.")
    if facts["publication"] is None:
        if by_debezium:
            yield found("debezium-publication-missing", "There is no publication.")
        elif not (is_there["is_owned"] and server["may_create"]):
            yield found(
                "publication-missing",
                f"There is no publication, and {facts['user']} is not the table's owner with "
                "CREATE on the database.",
            )
    yield from _columns(is_there, found, table)


def _columns(is_there: Mapping[str, Any], found: Found, table: TableSettings) -> Iterator[Finding]:
    name, columns = table.name, table.columns
    if columns.status is None:
        yield found("no-status", f"No status column of {name} is mapped.")
    elif is_there["rows"] >= LARGE_TABLE_ROWS and columns.status not in is_there["indexed"]:
        yield found(
            "no-status-index",
            f"{name} has about {is_there['rows']:,} rows, and no index begins with "
            f"{columns.status}.",
        )
    if columns.created_at is None:
        yield found("no-created-at", f"No created-at column of {name} is mapped.")
    elif columns.created_at in is_there["nullable"]:
        yield found("created-at-null", f"{columns.created_at} of {name} may be NULL.")


def shown(facts: Facts, server: Mapping[str, Any]) -> dict[str, object]:
    """Return what of the facts is told beside the findings."""
    slot = facts["slot"]
    told = ("slot_keep_bytes", "log_bytes_per_s", "slot_retains_bytes", "free_senders")
    return {
        "kind": "postgres",
        "version": server["version_text"],
        "wal_level": facts["wal_level"],
        "slot": None if slot is None else slot.get("wal_status"),
        "free_slots": facts["free_slots"],
        "table_rows": (server["table"] or {}).get("rows"),
        **{name: server[name] for name in told},
    }
