"""Claim, settle and write-back where only MySQL and MariaDB can go wrong."""

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, time
from decimal import Decimal
from time import monotonic
from typing import Any, LiteralString

import pymysql
import pytest
from sqlalchemy import Connection
from support.fixtures.binlog_databases import BinlogDatabase
from support.ledgers import Bench, bench, sections_of
from support.waiting import GaveUpError, until

from cdc_sms.config.settings import TableSettings
from cdc_sms.databases.control import Control
from cdc_sms.databases.engine import in_transaction, open_engine
from cdc_sms.databases.identity import log_end, server_identifier
from cdc_sms.databases.migrations import upgrade
from cdc_sms.databases.reading import read_only
from cdc_sms.databases.version import HEAD, VERSION_TABLE
from cdc_sms.deliver.decide import Claim, Finished, Result, Wait
from cdc_sms.deliver.intake import Look
from cdc_sms.errors import CdcSmsError, DatabaseUnavailable, MappingError, SetupError
from cdc_sms.model.outcome import Sent
from cdc_sms.model.state import State


@pytest.fixture(
    params=[
        pytest.param("mysql", marks=pytest.mark.mysql),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def binlog_database(request: pytest.FixtureRequest) -> BinlogDatabase:
    made: BinlogDatabase = request.getfixturevalue(f"{request.param}_database")
    return made


@pytest.fixture
def desk(binlog_database: BinlogDatabase) -> Iterator[Bench]:
    made = bench(binlog_database)
    yield made
    made.engine.dispose()


@pytest.fixture
def benches(binlog_database: BinlogDatabase) -> Iterator["Benches"]:
    made = Benches(binlog_database)
    yield made
    made.close()


class Benches:
    """Makes tables of other shapes."""

    def __init__(self, database: BinlogDatabase) -> None:
        self.database = database
        self._made: list[Bench] = []

    def __call__(
        self, columns: LiteralString, *, engine: LiteralString = "InnoDB", **mapped: Any
    ) -> Bench:
        """Make a table and its bench.

        Args:
            columns: beside number and text.
            engine: the storage engine.
            mapped: columns of the mapping.
        """
        names = {"recipient": "phone", "text": "body", "status": "status", **mapped}
        words = {"sending": "sending"}
        made = bench(
            self.database,
            create=f"CREATE TABLE sms (phone varchar(20) DEFAULT '+48600100200',"
            f" body text, {columns}) ENGINE={engine} CHARACTER SET utf8mb4",
            table=TableSettings.model_validate({"name": "sms", "columns": names, "status": words}),
        )
        self._made.append(made)
        return made

    def close(self) -> None:
        """Let go of all."""
        for made in self._made:
            made.engine.dispose()


def test_row_that_the_log_shows_before_it_is_visible_is_waited_for(desk: Bench) -> None:
    look = desk.look(1, from_log=True)
    with desk.application() as application:
        application.insert([("+48600100200", "x")])
        [before] = desk.take(look)
        application.commit()

    [after] = desk.take(look)

    assert isinstance(before, Wait)
    assert before.reason == "not_visible"
    assert isinstance(after, Claim)


def test_key_that_is_deleted_and_inserted_in_one_transaction_is_waited_for(desk: Bench) -> None:
    key = desk.insert("old")
    desk.settle(desk.claim(key), Sent("1"))
    look = desk.look(key, from_log=True)
    with desk.application() as application:
        application.execute("DELETE FROM sms WHERE id = %s", key)
        application.execute(
            "INSERT INTO sms (id, phone, body) VALUES (%s, '+48600100200', 'new')", key
        )
        [before] = desk.take(look)
        application.commit()

    [after] = desk.take(look)

    assert isinstance(before, Wait)
    assert isinstance(after, Claim)
    assert after.row.text == "new"


def test_key_without_a_row_is_finished_as_gone_beside_one_that_is_held(desk: Bench) -> None:
    looks = [desk.look(key, from_log=True) for key in (1, 4711, 4712)]
    with desk.application() as application:
        application.insert([("+48600100200", "x")])
        results = {result.look.key[0]: result for result in desk.take(*looks)}

    assert isinstance(results[1], Wait)
    assert isinstance(results[4711], Finished)
    assert isinstance(results[4712], Finished)


def test_record_of_what_is_sent_is_finished_under_the_rows_lock(desk: Bench) -> None:
    key = desk.insert()
    desk.settle(desk.claim(key), Sent("1"))

    with desk.application() as application:
        application.execute("SELECT * FROM sms FOR UPDATE")
        [while_held] = desk.take(desk.look(key, from_log=True))
    [afterwards] = desk.take(desk.look(key, from_log=True))

    assert isinstance(while_held, Wait)
    assert isinstance(afterwards, Finished)
    assert afterwards.how == "sent"


def test_absent_key_locks_no_gap_for_the_application(desk: Bench) -> None:
    def take(connection: Connection) -> None:
        desk.table.prove(connection, [(2,), (9,)])
        with desk.application() as application:
            application.execute("SET innodb_lock_wait_timeout = 1")
            application.execute("INSERT INTO sms (id, phone, body) VALUES (5, '1', 'x')")
            application.commit()

    in_transaction(desk.engine, take)

    assert desk.database.execute("SELECT id FROM sms") == [(5,)]


class SemiSync:
    """A replica that is away: what is committed is in the log, and not visible, until ``end()``."""

    def __init__(self, desk: Bench) -> None:
        self._execute: Callable[[str], list[Any]] = desk.database.execute
        self._database = desk.database.name
        self._is_mysql = desk.business.source == "mysql"
        self._of = "source" if self._is_mysql else "master"
        if self._is_mysql and not self._has_plugin():
            self._execute("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'")

    def begin(self) -> None:
        """Have commits wait from now on."""
        self._set("enabled", "OFF")
        self._set("timeout", "60000")
        self._set(f"wait_no_{'replica' if self._is_mysql else 'slave'}", "ON")
        self._set("wait_point", "AFTER_SYNC")
        self._set("enabled", "ON")

    def holds(self) -> bool:
        """Say whether a commit in our database waits for the replica now."""
        sessions = self._execute("SHOW PROCESSLIST")
        return any(
            session[3] == self._database and "semi-sync ACK" in str(session[6])
            for session in sessions
        )

    def end(self) -> None:
        """Let all commits go."""
        self._set("enabled", "OFF")

    def close(self) -> None:
        """Leave the server as it was."""
        self.end()
        if self._is_mysql:
            self._execute("UNINSTALL PLUGIN rpl_semi_sync_source")

    def _has_plugin(self) -> bool:
        """Say whether a run that was killed has left it."""
        found = self._execute(
            "SELECT 1 FROM information_schema.plugins WHERE plugin_name = 'rpl_semi_sync_source'"
        )
        return bool(found)

    def _set(self, name: str, value: str) -> None:
        self._execute(f"SET GLOBAL rpl_semi_sync_{self._of}_{name} = {value}")


@pytest.fixture
def semi_sync(desk: Bench) -> Iterator[SemiSync]:
    """A replica that is away, from ``begin()`` on."""
    made = SemiSync(desk)
    yield made
    made.close()


def _during_a_commit(
    desk: Bench, semi_sync: SemiSync, key: int
) -> tuple[Look, Result, bool] | None:
    """Look at a row that is in the log already, and say whether a plain read shows it.

    None: another's commit on this server was first, and ours isn't even in the log.
    """
    look = desk.look(key, from_log=True)
    row = (key, "+48600100200", "x")
    application = threading.Thread(
        target=lambda: desk.business.insert([row], "id, phone, body"), daemon=True
    )
    semi_sync.begin()
    try:
        application.start()
        until(semi_sync.holds, within_s=3)
        [result] = desk.take(look)
        is_shown = bool(desk.database.execute("SELECT 1 FROM sms WHERE id = %s", key))
    except GaveUpError:
        return None
    finally:
        semi_sync.end()
        application.join(20)
    return look, result, is_shown


def test_commit_that_waits_for_a_replica_is_in_the_log_and_waited_for(
    desk: Bench, semi_sync: SemiSync
) -> None:
    keys = itertools.count(1)

    found = until(lambda: _during_a_commit(desk, semi_sync, next(keys)), within_s=60)
    assert found is not None
    look, before, is_shown = found
    [after] = desk.take(look)

    assert not is_shown
    assert isinstance(before, Wait)
    assert before.reason == "not_visible"
    assert isinstance(after, Claim)


def test_keys_that_differ_by_case_or_a_space_at_the_end_are_messages_of_their_own(
    benches: Benches,
) -> None:
    is_mysql = benches.database.dsn.startswith("mysql:")
    collation = "utf8mb4_0900_bin" if is_mysql else "utf8mb4_nopad_bin"
    desk = benches(
        f"id varchar(20) COLLATE {collation} PRIMARY KEY, status varchar(9) DEFAULT 'pending'",
        key="id",
    )
    names = ("a", "A", "a ", "ä", "a\u0308")
    for name in names:
        desk.database.execute("INSERT INTO sms (id, body) VALUES (%s, 'x')", name)

    claims = desk.claim(*names)
    desk.settle(claims, Sent("1"))

    assert len({claim.message.id for claim in claims}) == len(names)
    assert desk.database.execute("SELECT count(*) FROM cdc_sms_delivery") == [(len(names),)]
    assert desk.database.execute("SELECT DISTINCT status FROM sms") == [("sent",)]


@pytest.mark.parametrize(
    ("declared", "key"),
    [
        ("bigint unsigned", 2**64 - 1),
        ("int", -7),
        ("varchar(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci", "Zażółć"[:2] + "é "),
        ("char(8)", "ab"),
        ("enum('one', 'two')", "two"),
        ("binary(16)", uuid.UUID(int=5).bytes),
        ("varbinary(8)", b"\x00\xff "),
        ("decimal(20, 0) unsigned", Decimal(99999999999999999999)),
        ("decimal(10, 3)", Decimal("1.500")),
        ("datetime(3)", datetime(2026, 11, 24, 5, 47, 11, 123000)),  # noqa: DTZ001 - as the column
        ("timestamp(6)", datetime(2026, 11, 24, 5, 47, 11, 123456, tzinfo=UTC)),
        ("year", 2026),
    ],
    ids=lambda value: value.split("(")[0] if isinstance(value, str) else "",
)
def test_key_of_every_kind_finds_its_row_again_for_an_owed_write(
    benches: Benches, declared: LiteralString, key: object
) -> None:
    desk = benches(f"id {declared} PRIMARY KEY, status varchar(9) DEFAULT 'pending'", key="id")
    desk.database.execute("INSERT INTO sms (id, body) VALUES (%s, 'x')", key)
    claims = desk.claim(key)
    with desk.application() as application:
        application.execute("SELECT * FROM sms FOR UPDATE")
        desk.settle(claims, Sent("1"))

    until(lambda: desk.settles.write_owed(limit=10)[0] == 1, within_s=10)

    assert desk.database.execute("SELECT status FROM sms") == [("sent",)]


def test_composite_key_with_a_time_finds_its_row_beside_columns_of_unknown_types(
    benches: Benches,
) -> None:
    desk = benches(
        "at time(3), number bit(40), place point, status varchar(9) DEFAULT 'pending',"
        " PRIMARY KEY (at, number)",
        key=["at", "number"],
    )
    insert = "INSERT INTO sms (at, number, body) VALUES ('05:47:11.120', 2, 'x')"
    desk.database.execute(insert)

    desk.settle(desk.claim((time(5, 47, 11, 120_000), 2)), Sent("1"))

    assert desk.database.execute("SELECT status FROM sms") == [("sent",)]


def test_composite_key_with_a_uuid_finds_its_rows(benches: Benches) -> None:
    kind = "char(36)" if benches.database.dsn.startswith("mysql:") else "uuid"
    desk = benches(
        f"country char(2), number {kind}, status varchar(9) DEFAULT 'pending',"
        " PRIMARY KEY (country, number)",
        key=["country", "number"],
    )
    numbers = [uuid.uuid4() for _ in range(3)]
    for number in numbers:
        desk.database.execute(
            "INSERT INTO sms (country, number, body) VALUES ('PL', %s, 'x')", str(number)
        )
    is_native = kind == "uuid"

    desk.settle(desk.claim(*(("PL", n if is_native else str(n)) for n in numbers)), Sent("1"))

    assert desk.database.execute("SELECT DISTINCT status FROM sms") == [("sent",)]


@pytest.mark.parametrize(
    ("columns", "mapped"),
    [
        ("status enum('sending', 'pending', 'sent', 'failed') DEFAULT 'pending'", {}),
        ("status char(9) DEFAULT 'pending'", {}),
        (
            "status varchar(9) DEFAULT 'pending', note tinytext NOT NULL DEFAULT ('')",
            {"error_text": "note"},
        ),
        ("status varchar(9) DEFAULT 'pending', made date DEFAULT '0000-00-00'", {}),
        (
            "status varchar(9) DEFAULT 'pending', done datetime, tries tinyint",
            {"sent_at": "done", "attempts": "tries"},
        ),
        ("status varchar(9) DEFAULT 'pending', made datetime", {"created_at": "made"}),
    ],
    ids=["enum", "padded", "short note", "zero date", "times and numbers", "no time"],
)
def test_columns_as_people_have_them_take_their_status(
    benches: Benches, columns: LiteralString, mapped: dict[str, str]
) -> None:
    if "0000" in columns:
        columns, mapped = columns.replace(" DEFAULT '0000-00-00'", ""), {"created_at": "made"}
    desk = benches(f"id int PRIMARY KEY, {columns}", key="id", **mapped)
    with desk.application() as application:
        application.execute("SET sql_mode = ''")
        zero = (
            ", made) VALUES (1, 'x', '0000-00-00')"
            if "made date" in columns and ("datetime" not in columns)
            else ") VALUES (1, 'x')"
        )
        application.execute(f"INSERT INTO sms (id, body{zero}")
        application.commit()

    desk.settle(desk.claim(1), Sent("1"))

    assert desk.database.execute("SELECT status FROM sms") == [("sent",)]


@pytest.mark.parametrize(
    ("columns", "mapped"),
    [
        ("made timestamp DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP", "made"),
        ("made datetime(3) ON UPDATE CURRENT_TIMESTAMP(3)", "made"),
        ("made float", "made"),
    ],
    ids=["timestamp on update", "datetime on update", "float"],
)
def test_created_at_that_does_not_stay_is_refused_at_the_start(
    benches: Benches, columns: LiteralString, mapped: str
) -> None:
    with pytest.raises(MappingError, match=r"says which message|can't say exactly"):
        benches(f"id int PRIMARY KEY, status varchar(9), {columns}", key="id", created_at=mapped)


def test_table_that_undoes_nothing_is_written_only_what_the_ledger_has_committed(
    benches: Benches,
) -> None:
    desk = benches(
        "id int AUTO_INCREMENT PRIMARY KEY, status varchar(9) DEFAULT 'pending',"
        " made datetime(6) DEFAULT CURRENT_TIMESTAMP(6)",
        engine="MyISAM",
        key="id",
        created_at="made",
    )
    key = desk.insert()

    [claim] = desk.claim(key)
    while_sending = desk.row(key)["status"]
    [result] = desk.settle([claim], Sent("1"))
    before = desk.row(key)["status"], desk.state(claim.message.id)["owes_write"]
    desk.settles.write_owed(limit=10)

    assert while_sending == "pending"
    assert isinstance(result, Finished)
    assert before == ("pending", 1)
    assert desk.row(key)["status"] == "sent"
    assert not desk.state(claim.message.id)["owes_write"]


def test_write_to_a_table_that_undoes_nothing_is_repeated_after_a_lost_commit(
    benches: Benches,
) -> None:
    desk = benches(
        "id int AUTO_INCREMENT PRIMARY KEY, status varchar(9) DEFAULT 'pending'",
        engine="MyISAM",
        key="id",
    )
    key = desk.insert()
    claims = desk.claim(key)
    desk.settle(claims, Sent("1"))
    desk.database.execute("UPDATE sms SET status = 'sent'")  # written; the ledger's part was lost

    desk.settles.write_owed(limit=10)

    state = desk.state(claims[0].message.id)
    assert (state["state"], state["owes_write"]) == (State.SENT, 0)
    assert desk.row(key)["status"] == "sent"


def test_settle_that_is_a_deadlocks_victim_is_repeated_whole(desk: Bench) -> None:
    keys = [desk.insert(f"text {n}") for n in range(3)]
    claims = desk.claim(*keys)
    desk.database.execute("CREATE TABLE counted (id int PRIMARY KEY, n int)")
    desk.database.execute("CREATE TABLE heavy (id int PRIMARY KEY)")
    desk.database.execute("INSERT INTO counted VALUES (1, 0)")
    desk.database.execute(
        "CREATE TRIGGER counting BEFORE UPDATE ON sms FOR EACH ROW"
        " UPDATE counted SET n = n + 1 WHERE id = 1"
    )
    results: list[Any] = []
    with desk.application() as application:
        for n in range(200):  # the transaction that did less is the victim
            application.execute("INSERT INTO heavy VALUES (%s)", n)
        application.execute("UPDATE counted SET n = n + 1 WHERE id = 1")
        settling = threading.Thread(
            target=lambda: results.extend(desk.settle(claims, Sent("1"))), daemon=True
        )
        settling.start()
        until(lambda: desk.business.waits() > 0, within_s=5)
        application.execute("SELECT * FROM sms FOR UPDATE")
        application.commit()
    settling.join(20)

    assert [type(result) for result in results] == [Finished] * 3
    assert [desk.state(c.message.id)["attempts"] for c in claims] == [1, 1, 1]

    def shown() -> bool:
        desk.settles.write_owed(limit=10)
        return {desk.row(key)["status"] for key in keys} == {"sent"}

    until(shown, within_s=10)


def test_application_that_locks_and_updates_the_same_rows_changes_no_outcome(desk: Bench) -> None:
    keys = [desk.insert(f"text {n}") for n in range(60)]
    over = threading.Event()

    def work() -> None:
        with desk.application() as application:
            for n in range(400):
                if over.is_set():
                    return
                some = keys[n * 7 % 60], keys[n * 11 % 60]
                application.execute("SELECT * FROM sms WHERE id IN (%s, %s) FOR UPDATE", *some)
                application.execute("UPDATE sms SET sender = %s WHERE id = %s", str(n), some[0])
                application.commit()

    busy = threading.Thread(target=work, daemon=True)
    busy.start()
    left, sent = set(keys), 0
    deadline = monotonic() + 60
    while left and monotonic() < deadline:
        results = desk.take(*(desk.look(key, from_log=True) for key in sorted(left)[:20]))
        claims = [result for result in results if isinstance(result, Claim)]
        if claims:
            desk.settle(claims, Sent("1"))
            sent += len(claims)
        left -= {int(str(claim.look.key[0])) for claim in claims}
    over.set()
    busy.join(20)

    def shown() -> bool:
        desk.settles.write_owed(limit=100)
        return desk.database.execute("SELECT DISTINCT status FROM sms") == [("sent",)]

    until(shown, within_s=20)
    assert sent == len(keys)
    assert desk.database.execute(
        "SELECT count(*), sum(attempts) FROM cdc_sms_delivery WHERE state = 'sent'"
    ) == [(60, 60)]


def test_migration_that_was_cut_short_is_given_again(binlog_database: BinlogDatabase) -> None:
    sections = sections_of(binlog_database)
    engine = open_engine(sections.source, sections.ledger)
    upgrade(engine, sections.ledger)
    binlog_database.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0001'")
    binlog_database.execute("ALTER TABLE cdc_sms_delivery DROP COLUMN doubts_before")
    binlog_database.execute("ALTER TABLE cdc_sms_act DROP INDEX cdc_sms_act_by_target")
    binlog_database.execute("DROP TABLE cdc_sms_heartbeat")

    before, now = upgrade(engine, sections.ledger)

    assert (before, now) == ("0001", HEAD)
    assert binlog_database.execute("SELECT count(doubts_before) FROM cdc_sms_delivery") == [(0,)]
    assert binlog_database.execute("SELECT count(*) FROM cdc_sms_heartbeat") == [(0,)]
    [(indexes,)] = binlog_database.execute(
        "SELECT count(DISTINCT index_name) FROM information_schema.statistics"
        " WHERE table_schema = database() AND table_name = 'cdc_sms_act'"
    )
    assert indexes == 3
    engine.dispose()


def test_sessions_are_as_the_ledger_needs_them(desk: Bench) -> None:
    with desk.engine.connect() as connection:
        said = dict(
            tuple(row)
            for row in connection.exec_driver_sql(
                "SHOW SESSION VARIABLES WHERE Variable_name IN ('time_zone', 'sql_mode',"
                " 'innodb_lock_wait_timeout', 'lock_wait_timeout', 'autocommit',"
                " 'transaction_isolation', 'tx_isolation', 'wait_timeout',"
                " 'character_set_connection')"
            )
        )

    names = ("transaction_isolation", "tx_isolation")  # MariaDB's older name, or both
    assert {said.pop(name) for name in names if name in said} == {"READ-COMMITTED"}
    assert "STRICT_TRANS_TABLES" in said.pop("sql_mode")
    assert said == {
        "time_zone": "+00:00",
        "innodb_lock_wait_timeout": "1",
        "lock_wait_timeout": "1",
        "autocommit": "OFF",
        "wait_timeout": "30",
        "character_set_connection": "utf8mb4",
    }


def test_session_that_the_server_ended_is_replaced(desk: Bench) -> None:
    key = desk.insert()
    claims = desk.claim(key)
    for session, _user, _host, database, *_ in desk.database.execute("SHOW PROCESSLIST"):
        if database == desk.database.name:
            with suppress(pymysql.OperationalError):  # the one that lists them
                desk.database.execute(f"KILL {session}")

    with pytest.raises(DatabaseUnavailable):
        desk.settle(claims, Sent("1"))
    [result] = desk.settle(claims, Sent("1"))

    assert isinstance(result, Finished)
    assert desk.row(key)["status"] == "sent"


def test_what_people_look_at_is_read_only_and_bounded_for_that_look_alone(desk: Bench) -> None:
    bound = "max_execution_time" if desk.business.source == "mysql" else "max_statement_time"

    def bound_of(connection: Connection) -> float:
        return float(connection.exec_driver_sql(f"SELECT @@SESSION.{bound}").scalar_one())

    while_looking = read_only(desk.engine, bound_of)
    with pytest.raises(CdcSmsError):
        read_only(desk.engine, lambda c: Control().put(c, "name", {}))

    assert while_looking > 0
    assert in_transaction(desk.engine, bound_of) == 0


def test_server_and_its_log_are_known_by_its_own_words(desk: Bench) -> None:
    before = desk.business.log_end()
    server, end = in_transaction(desk.engine, lambda c: (server_identifier(c), log_end(c)))
    after = desk.business.log_end()

    asked: LiteralString = "SELECT @@server_id"
    if desk.business.source == "mysql":
        asked = "SELECT @@server_uuid"
    assert [(server,)] == [(str(known),) for (known,) in desk.database.execute(asked)]
    assert end is not None
    assert before <= (end >> 40, end & (1 << 40) - 1) <= after


def test_log_end_is_not_known_without_the_right_to_ask(binlog_database: BinlogDatabase) -> None:
    user = binlog_database.user_with("ALL ON {db}.*")
    sections = sections_of(user)
    engine = open_engine(sections.source, sections.ledger)

    assert in_transaction(engine, log_end) is None
    assert in_transaction(engine, server_identifier)
    engine.dispose()


def test_server_of_another_kind_than_the_dsn_says_is_refused(
    binlog_database: BinlogDatabase,
) -> None:
    sections = sections_of(binlog_database)
    kinds = {"mysql": "mariadb", "mariadb": "mysql"}
    dsn = sections.source.dsn.replace(sections.source.kind, kinds[sections.source.kind], 1)
    engine = open_engine(sections.source.model_copy(update={"dsn": dsn}), sections.ledger)

    with pytest.raises(SetupError, match="another kind"):
        in_transaction(engine, server_identifier)
    engine.dispose()


def test_ledger_may_lie_in_a_database_of_its_own(binlog_database: BinlogDatabase) -> None:
    other = f"{binlog_database.name}_books"
    desk = bench(binlog_database, schema=other)
    key = desk.insert()

    desk.settle(desk.claim(key), Sent("1"))

    states = binlog_database.execute(f"SELECT state FROM {other}.cdc_sms_delivery")
    binlog_database.execute(f"DROP DATABASE {other}")
    assert states == [("sent",)]
    desk.engine.dispose()
