"""MySQL's and MariaDB's check-up: reads what ``diagnosis.py`` judges, and tries the log itself."""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import pymysql
from pymysql.constants import CR, ER
from pymysqlreplication.constants import BINLOG

from cdc_sms.config.settings import CaptureSettings, LedgerSettings, SourceSettings, TableSettings
from cdc_sms.errors import SetupError
from cdc_sms.sources.binlog.connection import (
    Connection,
    close,
    connect,
    errors_mapped,
    execute,
    texts,
)
from cdc_sms.sources.binlog.diagnosis import (
    Asked,
    Facts,
    Found,
    FoundTable,
    TableColumn,
    finder_for,
    judge,
    shown,
)
from cdc_sms.sources.binlog.events import HEADER_BYTES, header
from cdc_sms.sources.binlog.inspection import HEARTBEATS, quoted
from cdc_sms.sources.binlog.inspection import Facts as Inspected
from cdc_sms.sources.binlog.position import BinlogPosition
from cdc_sms.sources.binlog.replica import chosen_id, dump, register
from cdc_sms.sources.binlog.server import (
    End,
    Server,
    describe,
    dictionary,
    end_of_log,
    table_as_named,
)
from cdc_sms.sources.binlog.watch import is_held, lock_name
from cdc_sms.sources.binlog.wire import Wire
from cdc_sms.sources.checkup import Examined

TRIAL_S = 15.0
"""How long the mark may take to come back; seconds."""

MARK = "doctor:"
"""What the trial's row in the table of heartbeats is called: no slot's name, so that no reader
takes it for a heartbeat."""

_QUIET_S = 1.0
_LARGEST_OFFSET = 0xFFFFFFFF

_VARIABLES = (
    "version",
    "server_id",
    "log_bin",
    "basedir",
    "binlog_expire_logs_auto_purge",
    "binlog_expire_logs_seconds",
    "binlog_format",
    "binlog_row_image",
    "binlog_row_metadata",
    "binlog_storage_engine",
    "expire_logs_days",
    "gtid_mode",
    "innodb_flush_log_at_trx_commit",
    "innodb_read_only",
    "innodb_rollback_on_timeout",
    "log_replica_updates",
    "log_slave_updates",
    "max_binlog_total_size",
    "read_only",
    "super_read_only",
    "sync_binlog",
    "wsrep_on",
)

_TABLE = """
SELECT ENGINE, COALESCE(TABLE_ROWS, 0) FROM information_schema.TABLES
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s
"""
_COLUMNS = """
SELECT COLUMN_NAME, COLUMN_TYPE, EXTRA, IS_NULLABLE, CHARACTER_SET_NAME
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s
"""
_INDEXED = """
SELECT DISTINCT COLUMN_NAME FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND SEQ_IN_INDEX = 1
"""


class BinlogCheckup:
    """The check-up of one table's log; see :class:`~cdc_sms.sources.checkup.Checkup`.

    Args:
        source: where the server is.
        table: the table whose rows are captured.
        capture: names, and who reads.
        ledger: where the table of heartbeats is.

    Thread: one owner.
    """

    def __init__(
        self,
        *,
        source: SourceSettings,
        table: TableSettings,
        capture: CaptureSettings,
        ledger: LedgerSettings,
    ) -> None:
        self._source = source
        self._table = table
        self._capture = capture
        self._ledger_schema = ledger.ledger_schema

    def look(self, *, outage_s: float) -> Examined:
        """Read and judge; see :class:`~cdc_sms.sources.checkup.Checkup`."""
        with _connected(self._source) as connection:
            facts = self._facts(connection)
        asked = self._asked(outage_s)
        unknown = {
            "who reads the log": facts.replicas is None,
            "whether it is a replica": facts.is_replica is None,
            "XA transactions that are prepared": facts.prepared is None,
        }
        left_out = [
            f"Not asked for, a right is missing: {words}." for words in unknown if unknown[words]
        ]
        return Examined(list(judge(facts, asked)), {"server": shown(facts)}, left_out=left_out)

    def try_log(self) -> Examined:
        """Read the log from its end, as a replica of a number of its own, and see a mark in it.

        The mark is a row that one transaction inserts and deletes again: nothing is left behind.
        """
        with _connected(self._source) as connection, _connected(self._source) as replication:
            facts = self._facts(connection)
            end = facts.inspected.end
            why_not = _not_tried(facts)
            if why_not or end is None:
                return Examined(left_out=[f"The log was not tried: {why_not}."])
            found = finder_for(facts, self._asked(0))
            server = facts.inspected.server
            try:
                wire = _stream(replication, server, end)
                _await_start(wire)
                took_s = self._seen_after_s(wire, connection, server)
            except SetupError as error:
                return self._refused(error, found)
            finally:
                _hang_up(connection, replication)
        if took_s is None:
            said = f"A committed mark was not seen in the log within {TRIAL_S:g} s."
            return Examined([found("mark-lost", said)])
        return Examined(measured={"commit_to_seen_ms": round(took_s * 1000, 3)})

    def _seen_after_s(self, wire: Wire, connection: Connection, server: Server) -> float | None:
        """Commit a mark and wait for it; return how long it took, None: it didn't come."""
        token = secrets.token_hex(8)
        begun_s = self._commit_mark(connection, MARK + token)
        goal: End | None = None
        last = (0.0, 0)
        while time.monotonic() - begun_s < TRIAL_S:
            packet = wire.packet(_QUIET_S)
            if packet is None:
                # a compressed transaction shows no text: it is there once the log's end was read
                goal = goal or end_of_log(connection, server)
                if goal is not None and last[1] >= goal.offset & _LARGEST_OFFSET:
                    return last[0] - begun_s
                continue
            _refuse(wire, packet)
            if token.encode() in packet:
                return time.monotonic() - begun_s
            last = _place(packet) or last
        return None

    def _refused(self, error: SetupError, found: Found) -> Examined:
        """Say what it means that the server refused a step of the trial."""
        cause = error.__cause__
        code = cause.args[0] if isinstance(cause, pymysql.Error) else None
        if code in _DENIED:
            return Examined(left_out=["The log was not tried: the user may not write its mark."])
        # we are logged in: what is refused is to be a replica
        if code == ER.ACCESS_DENIED_ERROR or "REPLICATION" in error.message:
            if self._capture.reader == "debezium":
                return Examined(left_out=["The log was not tried: only the connector's user may."])
            return Examined([found("replication-right", "The user may not read the log.")])
        return Examined([found("log-unreadable", error.message, remedy=error.hint)])

    def _commit_mark(self, connection: Connection, name: str) -> float:
        """Write the mark, and return when its commit began."""
        rows = quoted(self._ledger_schema, HEARTBEATS)
        with errors_mapped("Writing a mark into the log"):
            execute(connection, "START TRANSACTION")
            execute(
                connection,
                f"INSERT INTO {rows} (name, beat, written_at) VALUES (%s, 1, UTC_TIMESTAMP(6))",  # noqa: S608 - quoted
                name,
            )
            execute(connection, f"DELETE FROM {rows} WHERE name = %s", name)  # noqa: S608 - quoted
            begun_s = time.monotonic()
            execute(connection, "COMMIT")
        return begun_s

    # ---- what is read -------------------------------------------------------------------------

    def _asked(self, outage_s: float) -> Asked:
        return Asked(
            kind=self._source.kind,
            table=self._table,
            capture=self._capture,
            ledger_schema=self._ledger_schema,
            outage_s=outage_s,
        )

    def _facts(self, connection: Connection) -> Facts:
        server = describe(connection)
        with errors_mapped("Examining the server"):
            variables = _variables(connection)
            account = _account(connection)
            replicas = _replicas(connection, server)
            if replicas and is_held(connection, lock_name(self._ledger_schema, self._capture.slot)):
                # our own capture is one of them, and has the id that the configuration names
                replicas = [one for one in replicas if one != self._capture.server_id]
            return Facts(
                inspected=self._inspected(connection, server, account),
                account=account,
                variables={**server.variables, **variables},
                table=self._found_table(connection),
                replicas=replicas,
                is_replica=_is_replica(connection, server),
                rds_hours=_rds_hours(connection, variables),
                prepared=_count(connection, "XA RECOVER"),
            )

    def _inspected(self, connection: Connection, server: Server, account: str) -> Inspected:
        refusals: dict[str, str] = {}
        end: End | None = None
        try:
            end = end_of_log(connection, server)
        except SetupError as error:
            refusals["status"] = error.message
        named = table_as_named(connection, self._table)
        return Inspected(
            server=server,
            user=account,
            end=end,
            refusals=refusals,
            table=named,
            dictionary=None if named is None else dictionary(connection, *named[:2]),
            has_heartbeats=_is_there(connection, self._ledger_schema, HEARTBEATS),
        )

    def _found_table(self, connection: Connection) -> FoundTable | None:
        name = self._table.schema_and_table
        found = texts(execute(connection, _TABLE, *name))
        if not found or found[0][0] is None:
            return None
        columns = {
            str(column): TableColumn(str(kind), str(extra), nullable == "YES", charset)
            for column, kind, extra, nullable, charset in texts(
                execute(connection, _COLUMNS, *name)
            )
        }
        indexed = [str(column) for (column,) in texts(execute(connection, _INDEXED, *name))]
        return FoundTable(found[0][0], int(found[0][1] or 0), columns, indexed)


@contextmanager
def _connected(source: SourceSettings) -> Iterator[Connection]:
    connection = connect(source)
    try:
        yield connection
    finally:
        close(connection)


def _not_tried(facts: Facts) -> str:
    """Return why the log can't be tried; empty: it can."""
    end = facts.inspected.end
    reasons = {
        "log_bin is off": not facts.is_on("log_bin"),
        "where it ends may not be asked": end is None,
        "its file is larger than a replica may ask for": end is not None
        and end.offset > _LARGEST_OFFSET,
        "there is no table for its mark": not facts.inspected.has_heartbeats,
        "the server takes no writes": facts.is_on("super_read_only")
        or facts.is_on("innodb_read_only"),
    }
    return ", ".join(words for words, is_so in reasons.items() if is_so)


def _stream(replication: Connection, server: Server, end: End) -> Wire:
    server_id = chosen_id(replication, server, wanted=None, name="doctor")
    register(replication, server_id)
    position = BinlogPosition(server=server.identity, file=end.file, offset=end.offset)
    return dump(replication, server, position, server_id=server_id)


def _hang_up(connection: Connection, replication: Connection) -> None:
    """End the stream's session: by itself the server notices only when it sends again."""
    with suppress(pymysql.Error):
        number = replication.thread_id()  # type: ignore[no-untyped-call]
        execute(connection, f"KILL {number:d}")


def _await_start(wire: Wire) -> None:
    """Wait until the server has begun to send."""
    deadline_s = time.monotonic() + TRIAL_S
    while time.monotonic() < deadline_s:
        packet = wire.packet(_QUIET_S)
        if packet is None:
            continue
        _refuse(wire, packet)
        if header(packet, 1).kind == BINLOG.FORMAT_DESCRIPTION_EVENT:
            return


def _refuse(wire: Wire, packet: bytes) -> None:
    refusal = wire.refused(packet)
    if refusal is not None:
        raise refusal


def _place(packet: bytes) -> tuple[float, int] | None:
    """Return when an event came and where it ends; None for one that is not in the file."""
    end = header(packet, 1).end if len(packet) > HEADER_BYTES else 0
    return (time.monotonic(), end) if end else None


def _variables(connection: Connection) -> dict[str, str]:
    names = ", ".join(f"'{name}'" for name in _VARIABLES)
    rows = execute(connection, f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")
    return {str(name).lower(): value or "" for name, value in texts(rows)}


def _account(connection: Connection) -> str:
    """Return who we are as GRANT names it: the account may be of another host than ours."""
    user, _, host = str(texts(execute(connection, "SELECT CURRENT_USER()"))[0][0]).rpartition("@")
    return f"'{user}'@'{host}'"


def _rows(connection: Connection, command: str) -> tuple[tuple[str | None, ...], ...] | None:
    """Return what a command shows; None where we may not ask, or the server has no such command."""
    try:
        return texts(execute(connection, command))
    except (pymysql.err.OperationalError, pymysql.err.ProgrammingError) as error:
        if error.args[0] in _LOST:
            raise
        return None


_DENIED = frozenset({ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR})
_LOST = frozenset({CR.CR_SERVER_LOST, CR.CR_SERVER_GONE_ERROR})


def _is_there(connection: Connection, schema: str, table: str) -> bool:
    """Say whether a table is there; the dictionary hides those on which the user has no right."""
    try:
        execute(connection, f"SELECT 1 FROM {quoted(schema, table)} LIMIT 0")  # noqa: S608 - quoted
    except pymysql.err.ProgrammingError as error:
        return bool(error.args[0] != ER.NO_SUCH_TABLE)
    except pymysql.err.OperationalError as error:
        if error.args[0] not in _DENIED:
            raise
    return True


def _count(connection: Connection, command: str) -> int | None:
    rows = _rows(connection, command)
    return None if rows is None else len(rows)


def _replicas(connection: Connection, server: Server) -> list[int] | None:
    rows = _rows(connection, "SHOW SLAVE HOSTS" if server.is_mariadb else "SHOW REPLICAS")
    return None if rows is None else [int(row[0] or 0) for row in rows]


def _is_replica(connection: Connection, server: Server) -> bool | None:
    command = "SHOW ALL SLAVES STATUS" if server.is_mariadb else "SHOW REPLICA STATUS"
    count = _count(connection, command)
    return None if count is None else count > 0


def _rds_hours(connection: Connection, variables: Mapping[str, str]) -> int | None:
    """Return RDS's own retention, 0 where none is set; None: this isn't RDS."""
    if "rdsdb" not in variables.get("basedir", ""):
        return None
    shown_ = _rows(connection, "CALL mysql.rds_show_configuration") or ()
    hours = [row[1] for row in shown_ if row[0] == "binlog retention hours"]
    return int(hours[0] or 0) if hours else 0
