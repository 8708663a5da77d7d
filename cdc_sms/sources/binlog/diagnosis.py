"""What can be wrong with MySQL or MariaDB as a source, and what of it facts show. Pure.

What capture's start refuses is judged by ``inspection.py`` and told here as well, so that one look
names everything. ``checkup.py`` reads the facts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cdc_sms.config.settings import CaptureSettings, Kind, TableSettings
from cdc_sms.sources.binlog.inspection import Facts as Inspected
from cdc_sms.sources.binlog.inspection import findings, quoted
from cdc_sms.sources.checkup import Ailment, Catalogue, Finding, Severity, finder

TESTED: Mapping[Kind, Sequence[tuple[int, int]]] = {
    "mysql": ((9, 7),),
    "mariadb": ((10, 11), (11, 8)),
}

LARGE_TABLE_ROWS = 1_000_000
"""From so many rows on a snapshot without an index is told."""

OURS_ALONE = frozenset({"replication-right", "status-right", "no-heartbeat-table"})
"""What Debezium's connector doesn't need: it beats by itself, and its user's rights are its own."""

Found = Callable[..., Finding]

_PARAMETERS = (
    "RDS, Aurora: in the parameter group; Cloud SQL: as a database flag; Azure: as a server "
    "parameter."
)
_EVERYWHERE = (
    "Open sessions keep the old value: have the application connect again, and see that it sets "
    "none of its own."
)
_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

AILMENTS: Catalogue = {
    "wrong-kind": Ailment(
        _E, "The log is read by the other server's rules.", "Begin source.dsn with {kind}://."
    ),
    "version": Ailment(_E, "Capture does not start.", "Upgrade to MySQL 8.0 or MariaDB 10.6."),
    "log-off": Ailment(
        _E,
        "There is no log to read.",
        "log_bin = binlog in the server's configuration file, then restart it.",
        "RDS: a backup retention of at least one day; Aurora: binlog_format = ROW in the cluster "
        "parameter group, then reboot; Cloud SQL: point-in-time recovery (binary logging) on; "
        "Azure: it is always on.",
    ),
    "row-format": Ailment(
        _E,
        "Statements instead of rows stand in the log: rows are missed.",
        f"{{set}} binlog_format = ROW{{keep}} {_EVERYWHERE}",
        "RDS, Aurora: binlog_format = ROW in the (cluster) parameter group; Cloud SQL, Azure: it "
        "is ROW.",
    ),
    "row-image": Ailment(
        _E,
        "Columns are missing in the log: rows can't be captured whole.",
        f"{{set}} binlog_row_image = FULL{{keep}} {_EVERYWHERE}",
        _PARAMETERS,
    ),
    "row-metadata": Ailment(
        _W,
        "The log does not name columns: after an ALTER TABLE on the table, rows from before it "
        "that are not read yet stop capture (exit 4) instead of being decoded.",
        "{set} binlog_row_metadata = FULL{keep}",
        "RDS, Aurora: in the parameter group; Cloud SQL: as a database flag, where its list has "
        "it; Azure: it can't be changed: see that capture has read everything before an ALTER "
        "TABLE.",
    ),
    "row-values": Ailment(
        _E,
        "With capture.becomes_pending: an update of a JSON column shows its change and not its "
        "value; such rows are not whole.",
        "{set} binlog_row_value_options = ''{keep}",
        _PARAMETERS,
    ),
    "commit-order": Ailment(
        _E,
        "Commits become visible in another order than the log's: a row could be missing in the "
        "snapshot of a start, and in the log behind it.",
        "{set} binlog_order_commits = ON{keep}",
        _PARAMETERS,
    ),
    "short-log": Ailment(
        _W,
        "In an outage of the given length the log is purged before it is read; capture then makes "
        "a new position and captures pending rows by a snapshot.",
        "{set} binlog_expire_logs_seconds = {seconds}{keep}",
        "RDS, Aurora: CALL mysql.rds_set_configuration('binlog retention hours', {hours}); "
        "Cloud SQL: the retention of point-in-time recovery, in days; Azure: the server parameter "
        "binlog_expire_logs_seconds.",
    ),
    "rds-retention": Ailment(
        _W,
        "RDS purges the log as soon as it can, whatever binlog_expire_logs_seconds says.",
        "CALL mysql.rds_set_configuration('binlog retention hours', {hours});",
    ),
    "bounded-log": Ailment(
        _W,
        "The log is purged by its size, however long nobody has read it.",
        "SET GLOBAL max_binlog_total_size = 0; or enough for the outage, in the configuration "
        "file, too.",
    ),
    "endless-log": Ailment(
        _N,
        "The server purges no log by itself: a full disk stops it.",
        "Let something purge it, or: {set} binlog_expire_logs_seconds = {seconds}{keep}",
        "RDS, Aurora: 'binlog retention hours'; Cloud SQL, Azure: they purge by themselves.",
    ),
    "log-filter": Ailment(
        _E,
        "The database is left out of the log.",
        "Take binlog_do_db and binlog_ignore_db out of the configuration file; restart.",
        "No managed service sets them.",
    ),
    "server-id": Ailment(
        _E, "The server serves no replicas, and so no capture.", "{set} server_id = 1{keep}"
    ),
    "server-id-clash": Ailment(
        _E,
        "Two readers of one id throw each other out, or a real replica.",
        "Give capture.server_id another number, or leave it out: then it is one of its own.",
    ),
    "status-right": Ailment(
        _E,
        "Capture can't ask where the log ends.",
        "GRANT {status_right} ON *.* TO {user};",
        "The same, as the administrator.",
    ),
    "select-right": Ailment(
        _E,
        "The pending rows of a first start can't be read.",
        "GRANT SELECT ON {table} TO {user};",
    ),
    "replication-right": Ailment(
        _E,
        "The log can't be read.",
        "GRANT REPLICATION SLAVE ON *.* TO {user};",
        "The same, as the administrator.",
    ),
    "log-unreadable": Ailment(
        _E, "A trial of the log failed: so would capture.", "Do what the server's sentence says."
    ),
    "mark-lost": Ailment(
        _E,
        "The log is read, and what is committed does not appear in it in time.",
        "Look at the server's load; does the session of this user set sql_log_bin = 0, or is the "
        "ledger's database filtered out of the log?",
    ),
    "no-table": Ailment(
        _E, "Nothing can be captured.", "Check table.name, source.dsn, and GRANT SELECT on it."
    ),
    "no-column": Ailment(_E, "Capture does not start.", "Correct [table.columns]."),
    "no-heartbeat-table": Ailment(
        _E, "Capture can't prove that the log is read: it does not start.", "cdc-sms migrate"
    ),
    "no-primary-key": Ailment(
        _E, "A record could not say which row it is about.", "ALTER TABLE {table} ADD PRIMARY KEY …"
    ),
    "other-primary-key": Ailment(
        _E, "A record would name the wrong row.", "Set table.columns.key to the primary key."
    ),
    "created-at-changes": Ailment(
        _E,
        "Each update would make the row another message: it could be sent twice.",
        "ALTER TABLE {table} MODIFY {created_at} {created_type} DEFAULT CURRENT_TIMESTAMP; or map "
        "another column.",
    ),
    "not-transactional": Ailment(
        _W,
        "Rows of this engine can't be locked or rolled back: what became of a message is written "
        "to its row later (owed), and a crash may leave half a statement.",
        "ALTER TABLE {table} ENGINE = InnoDB;",
    ),
    "rollback-on-timeout": Ailment(
        _E,
        "A locked row would undo the whole transaction in which its message is settled.",
        "innodb_rollback_on_timeout = OFF in the configuration file, then restart the server.",
        _PARAMETERS,
    ),
    "not-durable": Ailment(
        _W,
        "After a crash of the server or its machine a row may be gone whose message was sent, or "
        "the log may lack what the tables have.",
        "{set} {setting} = 1{keep}",
        "RDS, Cloud SQL, Azure: 1 is the default; Aurora keeps its own log and ignores it.",
    ),
    "read-only": Ailment(
        _E,
        "The server takes no writes: no status, no ledger.",
        "Name the primary in source.dsn.",
        "RDS, Aurora: the cluster's (writer) endpoint, not a reader's; Cloud SQL, Azure: the "
        "primary instance, not a replica.",
    ),
    "replica-log": Ailment(
        _E,
        "The server is a replica whose log lacks what it replicates: rows are missed.",
        "log_replica_updates = ON (MariaDB: log_slave_updates) in the configuration file; restart.",
        "Read from the primary.",
    ),
    "replica": Ailment(
        _W,
        "Status and ledger are written to a replica, and its primary does not know of them.",
        "Name the primary in source.dsn.",
        "The same.",
    ),
    "galera": Ailment(
        _W,
        "Each node of Galera numbers its log itself: capture can't go on at another one. A claim "
        "that reads behind another node's write may see an old row.",
        "Name one node in source.dsn, not a balancer; SET GLOBAL wsrep_sync_wait = 1; and "
        "log_slave_updates = ON on that node.",
    ),
    "no-gtid": Ailment(
        _W,
        "After a failover the position means nothing on the new primary: capture stops, for a "
        "person (exit 5).",
        "SET PERSIST enforce_gtid_consistency = ON; then SET PERSIST gtid_mode = OFF_PERMISSIVE; "
        "ON_PERMISSIVE; ON; one after the other.",
        "RDS, Aurora: gtid-mode and enforce_gtid_consistency in the parameter group; Azure: server "
        "parameters, step by step; Cloud SQL: it is on.",
    ),
    "prepared-xa": Ailment(
        _W,
        "A distributed transaction that is prepared and never ended holds the position back.",
        "XA RECOVER; then XA COMMIT or XA ROLLBACK, as its coordinator says.",
    ),
    "other-log-engine": Ailment(
        _W,
        "The log of MariaDB's InnoDB-based binlog has file names of its own; nothing is tested "
        "with it.",
        "Leave binlog_storage_engine empty.",
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
        "ALTER TABLE {table} ADD COLUMN created_at DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6); and "
        "map it.",
    ),
    "no-status-index": Ailment(
        _W,
        "A snapshot (first start, lost position) reads the whole table.",
        "ALTER TABLE {table} ADD INDEX ({status}), ALGORITHM=INPLACE, LOCK=NONE;",
    ),
    "created-at-null": Ailment(
        _N,
        "Rows without it are told apart by the key alone.",
        "ALTER TABLE {table} MODIFY {created_at} {created_type} NOT NULL DEFAULT "
        "CURRENT_TIMESTAMP;",
    ),
    "few-characters": Ailment(
        _N,
        "A character that the column can't hold is lost when the application inserts it.",
        "ALTER TABLE {table} MODIFY {text} … CHARACTER SET utf8mb4;",
    ),
    "untested-version": Ailment(
        _N, "Nothing is known against it; the tests don't run on it.", "Watch the first days."
    ),
}


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of the business table, as the data dictionary has it."""

    type: str
    extra: str = ""
    is_nullable: bool = False
    charset: str | None = None


@dataclass(frozen=True, slots=True)
class FoundTable:
    """The business table, as the data dictionary has it.

    Attributes:
        engine: such as ``InnoDB``.
        rows: about how many.
        columns: by name.
        indexed: the first column of each index.
    """

    engine: str
    rows: int
    columns: Mapping[str, TableColumn]
    indexed: Sequence[str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read from the server.

    Attributes:
        inspected: what capture's start looks at.
        account: who we are, as GRANT names it.
        variables: the server's global ones, by their names in small letters.
        table: None: there is none that we may see.
        replicas: ids of those that read the log now, other than our own capture; None: we may not
            ask.
        is_replica: it follows another server; None: we may not ask.
        rds_hours: RDS's own retention: hours, or 0 where it is not set; None: it isn't RDS.
        prepared: how many XA transactions wait for their end; None: we may not ask.
    """

    inspected: Inspected
    account: str
    variables: Mapping[str, str]
    table: FoundTable | None
    replicas: Sequence[int] | None = None
    is_replica: bool | None = None
    rds_hours: int | None = None
    prepared: int | None = None

    @property
    def kind(self) -> Kind:
        """Return which of the two servers it is."""
        return "mariadb" if self.inspected.server.is_mariadb else "mysql"

    @property
    def version(self) -> str:
        """Return its version, in its own words."""
        return self.variables["version"]

    def is_on(self, variable: str) -> bool:
        """Say whether a switch is on; one that the server lacks is off."""
        return self.variables.get(variable, "OFF").upper() in ("ON", "1")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the facts are judged for.

    Attributes:
        kind: as the DSN names it.
        table: the business table.
        capture: names, and who reads.
        ledger_schema: where the table of heartbeats is.
        outage_s: how long the log has to be kept; seconds.
    """

    kind: Kind
    table: TableSettings
    capture: CaptureSettings
    ledger_schema: str
    outage_s: float


def finder_for(facts: Facts, asked: Asked) -> Found:
    """Return what makes findings about one table, its names filled in."""
    columns = asked.table.columns
    is_mysql = facts.kind == "mysql"
    created = facts.table and facts.table.columns.get(columns.created_at or "")
    return finder(
        AILMENTS,
        kind=facts.kind,
        user=facts.account,
        set="SET PERSIST" if is_mysql else "SET GLOBAL",
        keep=";" if is_mysql else "; and the same in the configuration file.",
        status_right="REPLICATION CLIENT" if is_mysql else "BINLOG MONITOR",
        table=quoted(*asked.table.schema_and_table),
        text=quoted(columns.text),
        status=quoted(columns.status or "status"),
        created_at=quoted(columns.created_at or "created_at"),
        created_type=created.type.upper() if created else "DATETIME(6)",
        seconds=int(2 * asked.outage_s),
        hours=max(1, int(2 * asked.outage_s / 3600)),
    )


def judge(facts: Facts, asked: Asked) -> Iterator[Finding]:
    """Yield everything that the facts show; pure."""
    found = finder_for(facts, asked)
    by_debezium = asked.capture.reader == "debezium"
    for finding in findings(facts.inspected, asked.table, asked.capture):
        if by_debezium and finding.name in OURS_ALONE:
            continue
        if finding.name in AILMENTS:
            yield found(finding.name, finding.said)
        else:
            yield Finding(finding.name, Severity.ERROR, finding.said, finding.remedy)
    for judgement in (_server, _log, _retention, _filters, _ids, _topology, _safety):
        yield from judgement(facts, asked, found)
    if facts.table is not None:
        yield from _table(facts.table, asked, found)


def _server(facts: Facts, asked: Asked, found: Found) -> Iterator[Finding]:
    release = facts.inspected.server.version
    if facts.kind != asked.kind:
        yield found(
            "wrong-kind", f"The server is {facts.version}, and source.dsn says {asked.kind}."
        )
    if release not in TESTED[facts.kind]:
        tested = ", ".join(".".join(map(str, one)) for one in TESTED[facts.kind])
        yield found("untested-version", f"The server is {facts.version}; tested are {tested}.")
    for switch in ("super_read_only", "read_only", "innodb_read_only"):
        if facts.is_on(switch):
            yield found("read-only", f"{switch} is on.")
            break


def _log(facts: Facts, asked: Asked, found: Found) -> Iterator[Finding]:
    if not facts.is_on("log_bin"):
        return
    said = facts.variables
    if asked.capture.becomes_pending and said.get("binlog_row_image") == "FULL_NODUP":
        yield found(
            "row-image", "binlog_row_image is FULL_NODUP: an update's row is not whole in the log."
        )
    metadata = said.get("binlog_row_metadata", "MINIMAL")
    if metadata != "FULL":
        yield found("row-metadata", f"binlog_row_metadata is {metadata}.")
    if said.get("binlog_storage_engine"):
        yield found("other-log-engine", "binlog_storage_engine is set.")


def _retention(facts: Facts, asked: Asked, found: Found) -> Iterator[Finding]:
    if not facts.is_on("log_bin"):
        return
    wanted = f"wanted are {asked.outage_s / 3600:.1f} h"
    if facts.rds_hours is not None:
        if facts.rds_hours * 3600 < asked.outage_s:
            hours = f"{facts.rds_hours} h" if facts.rds_hours else "not set"
            yield found("rds-retention", f"'binlog retention hours' is {hours}; {wanted}.")
        return
    kept_s = kept_for_s(facts.variables)
    if kept_s is None:
        yield found("endless-log", "The server purges no log by itself.")
    elif kept_s < asked.outage_s:
        yield found("short-log", f"The log is kept for {kept_s / 3600:.1f} h; {wanted}.")
    size = int(facts.variables.get("max_binlog_total_size", "0"))
    if size:
        yield found("bounded-log", f"max_binlog_total_size is {size / (1 << 30):.1f} GiB.")


def kept_for_s(variables: Mapping[str, str]) -> float | None:
    """Return how long the log is kept at least; seconds. None: for ever."""
    if variables.get("binlog_expire_logs_auto_purge", "ON") == "OFF":
        return None
    seconds = float(variables.get("binlog_expire_logs_seconds", "0"))
    days = float(variables.get("expire_logs_days", "0"))
    return seconds or days * 86_400 or None


def _filters(facts: Facts, asked: Asked, found: Found) -> Iterator[Finding]:
    end, ledger = facts.inspected.end, asked.ledger_schema
    if end is None or ledger == asked.table.schema_and_table[0]:
        return
    if (end.logged and ledger not in end.logged) or ledger in end.ignored:
        yield found("log-filter", f"The log leaves out the ledger's database {ledger}.")


def _ids(facts: Facts, asked: Asked, found: Found) -> Iterator[Finding]:
    chosen = asked.capture.server_id
    if chosen is None or asked.capture.reader == "debezium":
        return
    if str(chosen) == facts.variables.get("server_id"):
        yield found("server-id-clash", f"The server's own server_id is {chosen}, as capture's.")
    elif facts.replicas and chosen in facts.replicas:
        yield found(
            "server-id-clash", f"A replica of the server has the server_id {chosen}, as capture."
        )


def _topology(facts: Facts, asked: Asked, found: Found) -> Iterator[Finding]:
    del asked
    logs_replicated = facts.is_on("log_replica_updates") or facts.is_on("log_slave_updates")
    if facts.is_replica and not logs_replicated:
        yield found("replica-log", "The server is a replica, and log_replica_updates is off.")
    elif facts.is_replica:
        yield found("replica", "The server is a replica of another one.")
    if facts.is_on("wsrep_on"):
        yield found("galera", "The server is a node of Galera.")
    gtid_mode = facts.variables.get("gtid_mode")
    if gtid_mode not in (None, "ON"):
        yield found("no-gtid", f"gtid_mode is {gtid_mode}.")


def _safety(facts: Facts, asked: Asked, found: Found) -> Iterator[Finding]:
    del asked
    for setting in ("sync_binlog", "innodb_flush_log_at_trx_commit"):
        value = facts.variables.get(setting, "1")
        if value != "1":
            yield found("not-durable", f"{setting} is {value}.", setting=setting)
    if facts.is_on("innodb_rollback_on_timeout"):
        yield found("rollback-on-timeout", "innodb_rollback_on_timeout is on.")
    if facts.prepared:
        yield found("prepared-xa", f"{facts.prepared} XA transactions are prepared and not ended.")


def _table(table: FoundTable, asked: Asked, found: Found) -> Iterator[Finding]:
    name, columns = asked.table.name, asked.table.columns
    if table.engine.lower() != "innodb":
        yield found("not-transactional", f"The table {name} is of the engine {table.engine}.")
    if columns.status is None:
        yield found("no-status", f"No status column of {name} is mapped.")
    elif table.rows >= LARGE_TABLE_ROWS and columns.status not in table.indexed:
        yield found(
            "no-status-index",
            f"{name} has about {table.rows:,} rows, and no index begins with {columns.status}.",
        )
    yield from _columns(table, asked, found)


def _columns(table: FoundTable, asked: Asked, found: Found) -> Iterator[Finding]:
    name, columns = asked.table.name, asked.table.columns
    if columns.created_at is None:
        yield found("no-created-at", f"No created-at column of {name} is mapped.")
    created = table.columns.get(columns.created_at or "")
    if created is not None and "on update" in created.extra.lower():
        yield found(
            "created-at-changes", f"{columns.created_at} of {name} changes with each update."
        )
    elif created is not None and created.is_nullable:
        yield found("created-at-null", f"{columns.created_at} of {name} may be NULL.")
    text = table.columns.get(columns.text)
    if text is not None and text.charset not in (None, "utf8mb4", "utf16", "utf16le", "utf32"):
        yield found("few-characters", f"{columns.text} of {name} is of {text.charset}.")


def shown(facts: Facts) -> dict[str, object]:
    """Return what of the facts is told beside the findings."""
    told = (
        "binlog_format",
        "binlog_row_image",
        "binlog_row_metadata",
        "binlog_expire_logs_seconds",
        "gtid_mode",
        "server_id",
    )
    end = facts.inspected.end
    return {
        "kind": facts.kind,
        "version": facts.version,
        "log_end": None if end is None else f"{end.file} {end.offset}",
        "replicas": facts.replicas,
        "table_rows": None if facts.table is None else facts.table.rows,
        **{name: facts.variables.get(name) for name in told},
    }
