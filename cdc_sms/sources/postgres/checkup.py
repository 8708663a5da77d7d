"""PostgreSQL's check-up: reads what ``diagnosis.py`` judges, and tries the log itself."""

import secrets
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import psycopg
from psycopg import sql

from cdc_sms.config.settings import CaptureSettings, SourceSettings, TableSettings
from cdc_sms.errors import SetupError, SourceUnavailable
from cdc_sms.sources.checkup import Examined, Finding
from cdc_sms.sources.postgres.connection import (
    LOCK_TIMEOUT_S,
    Connection,
    connect,
    errors_mapped,
)
from cdc_sms.sources.postgres.diagnosis import Found, finder_for, judge, shown, whose
from cdc_sms.sources.postgres.inspection import Facts
from cdc_sms.sources.postgres.slot import Slot
from cdc_sms.sources.postgres.wire import Wire

TRIAL_S = 15.0
"""How long the mark may take to come back; seconds."""

MARK = "cdc-sms doctor"
"""The prefix of the trial's message in the log: no reader's, so that none takes notice."""

_SERVER = """
SELECT jsonb_build_object(
    'version_text', current_setting('server_version'),
    'in_recovery', pg_is_in_recovery(),
    'encoding', current_setting('server_encoding'),
    'fsync', current_setting('fsync'),
    'synchronous_commit', current_setting('synchronous_commit'),
    'synchronous_standby_names', current_setting('synchronous_standby_names'),
    'slot_keep_bytes', (SELECT CASE WHEN setting::bigint < 0 THEN NULL
        ELSE setting::bigint * 1048576 END
        FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
    'idle_slot_timeout_s', (SELECT CASE unit WHEN 'min' THEN 60 ELSE 1 END * setting::bigint
        FROM pg_settings WHERE name = 'idle_replication_slot_timeout'),
    'free_senders', current_setting('max_wal_senders')::int
        - (SELECT count(*) FROM pg_stat_replication),
    'max_senders', current_setting('max_wal_senders')::int,
    'log_bytes_per_s', (SELECT CASE WHEN stats_reset < now() THEN
        round(wal_bytes / extract(epoch FROM now() - stats_reset)) END FROM pg_stat_wal),
    'slot_retains_bytes', (SELECT pg_wal_lsn_diff(
            CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
            ELSE pg_current_wal_lsn() END, restart_lsn)::bigint
        FROM pg_replication_slots WHERE slot_name = %(slot)s),
    'sees_others', pg_has_role(current_user, 'pg_read_all_stats', 'usage'),
    'may_create', has_database_privilege(current_database(), 'CREATE'),
    'writers', (SELECT coalesce(jsonb_agg(to_jsonb(w) ORDER BY age_s DESC NULLS LAST), '[]') FROM (
        SELECT l.pid, a.usename AS user, a.datname AS database, a.state,
            extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS age_s
        FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
            AND l.pid <> pg_backend_pid()
        UNION ALL
        SELECT NULL, owner, database, 'prepared',
            extract(epoch FROM clock_timestamp() - prepared)::float8
        FROM pg_prepared_xacts) w),
    'table', (
        SELECT jsonb_build_object(
            'is_logged', c.relpersistence = 'p',
            'is_owned', pg_has_role(c.relowner, 'usage'),
            'is_row_secured', row_security_active(c.oid),
            'rows', greatest(c.reltuples, (SELECT sum(greatest(p.reltuples, 0))
                FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
                WHERE i.inhparent = c.oid), 0)::bigint,
            'indexed', (SELECT coalesce(jsonb_agg(DISTINCT a.attname), '[]')
                FROM pg_index i JOIN pg_attribute a
                ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                WHERE i.indrelid = c.oid AND i.indisvalid),
            'nullable', (SELECT coalesce(jsonb_agg(a.attname), '[]') FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                AND NOT a.attnotnull))
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %(schema)s AND c.relname = %(table)s))
"""
"""Who writes is taken from the locks: everybody may see those, ages only some.

Source: PostgreSQL manual, 54.12 pg_locks, 28.2.3 pg_stat_activity.
"""


class PostgresCheckup:
    """The check-up of one table's log; see :class:`~cdc_sms.sources.checkup.Checkup`.

    Args:
        source: where the server is.
        table: the table whose rows are captured.
        capture: the names of slot and publication, and who reads.

    Thread: one owner.
    """

    def __init__(
        self, *, source: SourceSettings, table: TableSettings, capture: CaptureSettings
    ) -> None:
        self._source = source
        self._table = table
        self._capture = capture
        self._inspected = Slot(table=table, capture=capture)

    def look(self, *, outage_s: float) -> Examined:
        """Read and judge; see :class:`~cdc_sms.sources.checkup.Checkup`."""
        with closing(connect(self._source)) as connection:
            facts = self._inspected.facts(connection)
            server = self._server(connection)
        judged = judge(facts, server, table=self._table, capture=self._capture, outage_s=outage_s)
        return Examined(list(judged), {"server": shown(facts, server)})

    def try_log(self) -> Examined:
        """Make a temporary slot and read a mark through it.

        Nothing is left behind: the slot ends with its connection.
        """
        with closing(connect(self._source)) as connection:
            facts = self._inspected.facts(connection)
            why_not = _not_tried(facts, self._server(connection))
            if why_not:
                return Examined(left_out=[why_not])
            found = finder_for(str(facts["user"]), self._table, self._capture)
            try:
                with closing(connect(self._source, replication=True)) as replication:
                    slot = self._temporary_slot(replication)
                    return self._seen(replication, connection, slot, found)
            except SourceUnavailable as error:
                if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                    return Examined([self._blocked(connection, found)])
                raise
            except SetupError as error:
                said = error.message
                return Examined([found("log-unreadable", said, remedy=error.hint)])

    def _temporary_slot(self, replication: Connection) -> str:
        name = f"cdc_sms_doctor_{secrets.token_hex(4)}"
        brackets = replication.info.server_version >= 150_000
        options = "(SNAPSHOT 'nothing')" if brackets else "NOEXPORT_SNAPSHOT"
        command = sql.SQL("CREATE_REPLICATION_SLOT {} TEMPORARY LOGICAL pgoutput {}").format(
            sql.Identifier(name), sql.SQL(options)
        )
        with errors_mapped("Making a temporary replication slot"):
            replication.execute(command)
        return name

    def _seen(
        self, replication: Connection, connection: Connection, slot: str, found: Found
    ) -> Examined:
        wire = Wire(replication, doing="Reading PostgreSQL's log")
        start = sql.SQL(
            "START_REPLICATION SLOT {} LOGICAL 0/0 "
            "(proto_version '1', publication_names {}, messages 'true')"
        ).format(sql.Identifier(slot), sql.Literal(f'"{self._capture.publication}"'))
        wire.begin(start.as_bytes(None))
        wire.await_start()
        token = secrets.token_hex(8)
        with errors_mapped("Writing a mark into the log"):
            # committed on this server's disk, whatever standby is away
            connection.execute("SET synchronous_commit = local")
            begun_s = time.monotonic()
            connection.execute("SELECT pg_logical_emit_message(true, %s, %s)", (MARK, token))
        deadline_s = begun_s + TRIAL_S
        while time.monotonic() < deadline_s:
            message = wire.receive()
            if message is None:
                wire.wait(deadline_s - time.monotonic())
            elif token.encode() in message:
                took_ms = round((time.monotonic() - begun_s) * 1000, 3)
                return Examined(measured={"commit_to_seen_ms": took_ms})
        return Examined(
            [found("mark-lost", f"A committed mark was not seen in the log within {TRIAL_S:g} s.")]
        )

    def _blocked(self, connection: Connection, found: Found) -> Finding:
        writers = self._server(connection)["writers"]
        oldest = whose(writers[0]) if writers else "A transaction that has just ended"
        pid = writers[0]["pid"] if writers else None
        return found(
            "slot-blocked",
            f"{oldest} was open: no temporary slot could be made within {LOCK_TIMEOUT_S} s.",
            pid=pid or "<process>",
        )

    def _server(self, connection: Connection) -> Mapping[str, Any]:
        schema, name = self._table.schema_and_table
        asked = {"schema": schema, "table": name, "slot": self._capture.slot}
        with errors_mapped("Examining PostgreSQL"):
            row = connection.execute(_SERVER, asked).fetchone()
        assert row is not None
        server: Mapping[str, Any] = row[0]
        return server


def _not_tried(facts: Facts, server: Mapping[str, Any]) -> str:
    """Return why the log can't be tried, in a sentence; empty: it can."""
    reasons = {
        "wal_level is not logical": facts["wal_level"] != "logical",
        f"{facts['user']} may not replicate": not facts["may_replicate"],
        "no replication slot is free for it": facts["free_slots"] < 1,
        "the server is a standby": server["in_recovery"],
    }
    why = [words for words, is_so in reasons.items() if is_so]
    return f"The log was not tried: {', '.join(why)}." if why else ""
