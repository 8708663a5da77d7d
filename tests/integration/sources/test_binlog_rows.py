"""What the logs of MySQL and MariaDB may hold besides plain inserts, read from real servers."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from contracts.source_promises import ids, read_until
from support.binlog_sources import BinlogBusiness
from support.fixtures.binlog_databases import BinlogDatabase
from support.waiting import until

from cdc_sms.errors import LogDecodeError, PositionLost
from cdc_sms.model.captured_row import BinlogTransaction, CapturedRow, Undecodable
from cdc_sms.model.change_event import Operation
from cdc_sms.sources.base import Log, LogState, Start
from cdc_sms.sources.binlog.position import BinlogPosition

BOTH = [
    pytest.param("mysql_database", marks=pytest.mark.mysql),
    pytest.param("mariadb_database", marks=pytest.mark.mariadb),
]


@pytest.fixture(params=BOTH)
def business(request: pytest.FixtureRequest) -> BinlogBusiness:
    return BinlogBusiness(request.getfixturevalue(request.param))


@pytest.fixture
def on_mysql(mysql_database: BinlogDatabase) -> BinlogBusiness:
    return BinlogBusiness(mysql_database)


@pytest.fixture
def on_mariadb(mariadb_database: BinlogDatabase) -> BinlogBusiness:
    return BinlogBusiness(mariadb_database)


def rows(log: Log, count: int) -> list[CapturedRow]:
    """Read until so many rows have come."""
    return read_until(log, lambda batch: len(batch.rows) >= count).rows


def as_dict(row: CapturedRow) -> dict[str, object]:
    return dict(zip(row.table.columns, row.values, strict=True))


@contextmanager
def global_setting(database: BinlogDatabase, name: str, value: str) -> Iterator[None]:
    """Have the server work with a setting for a while."""
    ((former,),) = database.execute(f"SELECT @@GLOBAL.{name}")
    database.execute(f"SET GLOBAL {name} = {value}")
    try:
        yield
    finally:
        database.execute(f"SET GLOBAL {name} = %s", former)


# Transactions


def test_a_row_says_which_transaction_it_came_with(business: BinlogBusiness) -> None:
    log = business.source().acquire(Start.NEW_STREAM)

    business.insert([1, 2])
    first, second = rows(log, 2)

    assert isinstance(first.transaction, BinlogTransaction)
    ((server_id,),) = business.database.execute("SELECT @@server_id")
    assert first.transaction.server_id == server_id
    assert (first.transaction, first.position) == (second.transaction, second.position)
    assert (first.ordinal, second.ordinal) == (0, 1)
    log.close()


def test_a_distributed_transaction_comes_when_it_is_committed(business: BinlogBusiness) -> None:
    log = business.source().acquire(Start.NEW_STREAM)
    with closing(business.database.connect()) as connection, connection.cursor() as cursor:
        for statement in ("XA START 'a'", "INSERT INTO sms (id) VALUES (1)", "XA END 'a'"):
            cursor.execute(statement)
        cursor.execute("XA PREPARE 'a'")
        business.insert([2])
        before = read_until(log, lambda batch: len(batch.rows) >= 1)

        cursor.execute("XA COMMIT 'a'")
        after = read_until(log, lambda batch: bool(batch.rows) and batch.position is not None)

    assert (ids(before.rows), before.position) == ([2], None)
    assert ids(after.rows) == [1]
    log.close()


def test_a_distributed_transaction_that_is_rolled_back_never_comes(
    business: BinlogBusiness,
) -> None:
    log = business.source().acquire(Start.NEW_STREAM)
    with closing(business.database.connect()) as connection, connection.cursor() as cursor:
        for statement in ("XA START 'b'", "INSERT INTO sms (id) VALUES (1)", "XA END 'b'"):
            cursor.execute(statement)
        cursor.execute("XA PREPARE 'b'")
        cursor.execute("XA ROLLBACK 'b'")
    business.insert([2])
    batch = read_until(log, lambda batch: bool(batch.rows) and batch.position is not None)

    assert ids(batch.rows) == [2]
    log.close()


def test_what_was_prepared_before_our_position_is_no_silent_loss(
    business: BinlogBusiness,
) -> None:
    with closing(business.database.connect()) as connection, connection.cursor() as cursor:
        for statement in ("XA START 'c'", "INSERT INTO sms (id) VALUES (1)", "XA END 'c'"):
            cursor.execute(statement)
        cursor.execute("XA PREPARE 'c'")
        log = business.source().acquire(Start.NEW_STREAM)
        cursor.execute("XA COMMIT 'c'")

    assert "prepared before our position" in doubt(log)
    log.close()


def test_a_compressed_transaction_comes(on_mysql: BinlogBusiness) -> None:
    log = on_mysql.source().acquire(Start.NEW_STREAM)

    on_mysql.execute(
        "SET SESSION binlog_transaction_compression = ON;"
        "INSERT INTO other (id, x) VALUES (1, repeat('y', 100000));"
        "INSERT INTO sms (id) VALUES (1), (2);"
        "INSERT INTO sms (id, body) VALUES (3, repeat('long ', 1000000))"
    )
    found = rows(log, 3)

    assert ids(found) == [1, 2, 3]
    assert as_dict(found[2])["body"] == "long " * 1_000_000
    log.close()


def test_a_huge_compressed_transaction_of_others_passes(on_mysql: BinlogBusiness) -> None:
    log = on_mysql.source().acquire(Start.NEW_STREAM)

    on_mysql.execute(
        "SET SESSION binlog_transaction_compression = ON;"
        + "INSERT INTO other (id, x) VALUES (1, repeat('y', 8000000));" * 10
        + "INSERT INTO sms (id) VALUES (1)"
    )
    (row,) = rows(log, 1)

    assert as_dict(row)["id"] == 1
    log.close()


def test_a_tagged_transaction_comes_and_is_kept_with_the_position(on_mysql: BinlogBusiness) -> None:
    log = on_mysql.source().acquire(Start.NEW_STREAM)

    on_mysql.execute("SET SESSION gtid_next = 'AUTOMATIC:mytag'; INSERT INTO sms (id) VALUES (1)")
    batch = read_until(log, lambda batch: bool(batch.rows) and batch.position is not None)

    assert isinstance(batch.rows[0].transaction, BinlogTransaction)
    ((gtid_mode,),) = on_mysql.database.execute("SELECT @@GLOBAL.gtid_mode")
    assert gtid_mode == "ON"
    assert ":mytag:" in (batch.rows[0].transaction.gtid or "")
    assert batch.position is not None
    log.confirm(batch.position)
    log.close()
    assert ":mytag:" in (on_mysql.positions.text or "")


def test_events_that_mariadb_compressed_come(on_mariadb: BinlogBusiness) -> None:
    with (
        global_setting(on_mariadb.database, "log_bin_compress", "ON"),
        global_setting(on_mariadb.database, "log_bin_compress_min_len", "10"),
    ):
        log = on_mariadb.source().acquire(Start.NEW_STREAM)
        on_mariadb.insert([1, 2], "compressible " * 100)
        found = rows(log, 2)

    assert [as_dict(row)["body"] for row in found] == ["compressible " * 100] * 2
    log.close()


def test_a_text_larger_than_a_packet_comes_whole(business: BinlogBusiness) -> None:
    log = business.source().acquire(Start.NEW_STREAM)

    business.execute("INSERT INTO other (id, x) VALUES (1, repeat('y', 15000000))")
    business.insert([1], "x" * 15_000_000)
    business.insert([2])
    found = rows(log, 2)

    assert [len(str(as_dict(row)["body"])) for row in found] == [15_000_000, 5]
    log.close()


def test_a_text_of_several_packets_comes_whole(on_mysql: BinlogBusiness) -> None:
    with global_setting(on_mysql.database, "max_allowed_packet", "134217728"):
        log = on_mysql.source().acquire(Start.NEW_STREAM)

        on_mysql.execute("INSERT INTO other (id, x) VALUES (1, repeat('y', 40000000))")
        on_mysql.execute("INSERT INTO sms (id, body) VALUES (1, repeat('x', 40000000))")
        on_mysql.insert([2])
        found = rows(log, 2)

    assert [len(str(as_dict(row)["body"])) for row in found] == [40_000_000, 5]
    log.close()


# Updates


def test_updates_come_where_they_may_make_a_row_pending(business: BinlogBusiness) -> None:
    log = business.source(becomes_pending=True).acquire(Start.NEW_STREAM)

    business.execute("INSERT INTO sms (id, body, status) VALUES (1, 'draft', 'draft')")
    business.execute("UPDATE sms SET status = 'pending'")
    business.execute("REPLACE INTO sms (id, body) VALUES (1, 'replaced')")
    business.execute(
        "INSERT INTO sms (id, body) VALUES (1, '') ON DUPLICATE KEY UPDATE body = 'again'"
    )
    found = rows(log, 4)

    assert [(row.operation, as_dict(row)["body"], as_dict(row)["status"]) for row in found] == [
        (Operation.CREATE, "draft", "draft"),
        (Operation.UPDATE, "draft", "pending"),
        (Operation.UPDATE, "replaced", "pending"),
        (Operation.UPDATE, "again", "pending"),
    ]
    assert [list(row.before or [])[2:] for row in found] == [
        [],
        ["draft", "draft"],
        ["draft", "pending"],
        ["replaced", "pending"],
    ]
    log.close()


# What the log doesn't show


def test_a_statement_that_writes_our_table_is_found(business: BinlogBusiness) -> None:
    log = business.source().acquire(Start.NEW_STREAM)

    business.execute("SET SESSION binlog_format = STATEMENT; INSERT INTO sms (id) VALUES (1)")

    with pytest.raises(PositionLost, match="logs statements instead of rows"):
        rows(log, 1)
    log.close()


def test_a_statement_that_writes_another_table_is_a_doubt_and_the_log_goes_on(
    business: BinlogBusiness,
) -> None:
    log = business.source().acquire(Start.NEW_STREAM)

    business.execute("SET SESSION binlog_format = STATEMENT; INSERT INTO other (id) VALUES (1)")
    assert "logs statements instead of rows" in doubt(log)
    business.insert([1])

    assert ids(rows(log, 1)) == [1]
    log.close()


def doubt(log: Log) -> str:
    found: list[str] = []

    def came() -> bool:
        said = log.read(wait_s=0.1).doubt
        found.extend([said] if said else [])
        return bool(found)

    until(came, within_s=20, what="a doubt about the log", every_s=0)
    return found[0]


def test_columns_that_the_log_leaves_out_are_marked(business: BinlogBusiness) -> None:
    log = business.source().acquire(Start.NEW_STREAM)

    business.execute("SET SESSION binlog_row_image = MINIMAL; INSERT INTO sms (id) VALUES (1)")
    (row,) = rows(log, 1)

    assert list(row.values) == [1, *[Undecodable(b"")] * 3]
    log.close()


# The table as it was


def test_rows_of_each_moment_are_read_with_the_table_of_that_moment(
    business: BinlogBusiness,
) -> None:
    log = business.source().acquire(Start.NEW_STREAM)
    business.insert([1], "one")
    found = rows(log, 1)

    business.execute(
        "ALTER TABLE sms ADD COLUMN kind enum('ą', 'ż') CHARACTER SET utf8mb4 DEFAULT 'ż' FIRST,"
        " ADD COLUMN number int unsigned DEFAULT 4000000000"
    )
    business.insert([2], "two")
    found += rows(log, 1)
    business.execute("CREATE TABLE _sms_new LIKE sms")
    business.execute("ALTER TABLE _sms_new DROP COLUMN kind")
    business.execute("RENAME TABLE sms TO _sms_old, _sms_new TO sms")
    business.insert([3], "three")
    found += rows(log, 1)

    first, second, third = map(as_dict, found)
    assert (first["id"], first["body"]) == (1, "one")
    assert (second["kind"], second["body"], second["number"]) == ("ż", "two", 4_000_000_000)
    assert ("kind" in third, third["body"], third["number"]) == (False, "three", 4_000_000_000)
    log.close()


def test_one_change_while_we_were_away_is_read_right_on_both_sides(
    business: BinlogBusiness,
) -> None:
    business.source().acquire(Start.NEW_STREAM).close()
    business.insert([1], "before")
    business.execute("ALTER TABLE sms ADD COLUMN kind int DEFAULT 5 FIRST, DROP COLUMN recipient")
    business.insert([2], "after")

    log = business.source().acquire(Start.STREAM)
    before, after = map(as_dict, rows(log, 2))

    assert (before["id"], before["body"], "kind" in before) == (1, "before", False)
    assert (after["id"], after["body"], after["kind"]) == (2, "after", 5)
    log.close()


def test_two_changes_while_we_were_away_stop_with_what_goes_on(business: BinlogBusiness) -> None:
    business.source().acquire(Start.NEW_STREAM).close()
    business.execute("ALTER TABLE sms ADD COLUMN kind int DEFAULT 5 FIRST")
    business.insert([1])
    business.execute("ALTER TABLE sms DROP COLUMN kind")
    log = business.source().acquire(Start.STREAM)

    with pytest.raises(LogDecodeError, match="was changed again") as caught:
        rows(log, 1)

    assert "binlog_row_metadata = FULL" in caught.value.hint
    assert "--accept-gap" in caught.value.hint
    log.close()


def test_a_log_that_describes_its_tables_is_read_over_any_change(
    business: BinlogBusiness,
) -> None:
    with global_setting(business.database, "binlog_row_metadata", "'FULL'"):
        business.source().acquire(Start.NEW_STREAM).close()
        business.execute(
            "ALTER TABLE sms ADD COLUMN kind enum('ą', 'ż') CHARACTER SET utf8mb4 DEFAULT 'ż' FIRST"
        )
        business.insert([1], "one")
        business.execute("ALTER TABLE sms DROP COLUMN kind, ADD COLUMN small tinyint unsigned")
        business.execute("INSERT INTO sms (id, small) VALUES (2, 200)")
        business.execute("ALTER TABLE sms DROP COLUMN small")
        business.insert([3], "three")
    log = business.source().acquire(Start.STREAM)

    first, second, third = map(as_dict, rows(log, 3))

    assert (first["kind"], first["body"]) == ("ż", "one")
    assert (second["small"], second["id"]) == (200, 2)
    assert (third["body"], len(third)) == ("three", 4)
    log.close()


# Heartbeats


def test_our_heartbeat_comes_back_with_its_place_and_server(business: BinlogBusiness) -> None:
    log = business.source(heartbeat_s=0.2).acquire(Start.NEW_STREAM)

    beats = []

    def beaten() -> bool:
        beat = log.read(wait_s=0.1).heartbeat
        beats.extend([beat] if beat else [])
        return len(beats) >= 2

    until(beaten, within_s=10, every_s=0)

    assert beats[0].position < beats[1].position
    assert beats[0].server == beats[1].server != ""
    log.close()


def test_a_heartbeat_of_another_reader_is_passed_by(business: BinlogBusiness) -> None:
    log = business.source().acquire(Start.NEW_STREAM)
    beats = []

    business.execute("INSERT INTO cdc_sms_heartbeat VALUES ('another', 1, '2026-01-01')")
    business.insert([1])

    def all_read() -> bool:
        batch = log.read(wait_s=0.1)
        beats.append(batch.heartbeat)
        return bool(batch.rows)

    until(all_read, within_s=5, every_s=0)
    assert not any(beats)
    log.close()


# MariaDB's own


def test_a_table_that_keeps_its_versions_shows_rows_and_no_former_versions(
    mariadb118_database: BinlogDatabase,
) -> None:
    business = BinlogBusiness(
        mariadb118_database,
        "CREATE TABLE sms (id int PRIMARY KEY, recipient varchar(20), body text,"
        " status varchar(10) DEFAULT 'pending') WITH SYSTEM VERSIONING",
    )
    assert business.source().inspect().state is LogState.ABSENT
    business.insert([1])
    log = business.source().acquire(Start.NEW_SNAPSHOT)

    business.insert([2])
    business.execute("UPDATE sms SET status = 'sent'; DELETE FROM sms WHERE id = 1")
    business.insert([3])
    found = read_until(log, lambda batch: 3 in ids(batch.rows)).rows

    assert ids(found) == [1, 2, 3]
    assert {row.table.columns for row in found} == {("id", "recipient", "body", "status")}
    log.close()


def test_a_row_of_a_server_that_tells_few_places_has_one(
    mariadb118_database: BinlogDatabase,
) -> None:
    business = BinlogBusiness(mariadb118_database)
    log = business.source().acquire(Start.NEW_STREAM)
    begin = BinlogPosition.from_text(business.positions.text or "").offset

    business.insert([1])
    business.insert([2])
    first, second = rows(log, 2)

    assert begin <= first.position < second.position
    log.close()


def test_a_vector_is_read(mariadb118_database: BinlogDatabase) -> None:
    business = BinlogBusiness(
        mariadb118_database,
        "CREATE TABLE sms (id int PRIMARY KEY, body text, recipient text, v vector(2),"
        " status varchar(10) DEFAULT 'pending')",
    )
    log = business.source().acquire(Start.NEW_STREAM)

    business.execute("INSERT INTO sms (id, v) VALUES (1, vec_fromtext('[1,2.5]'))")
    (row,) = rows(log, 1)

    assert as_dict(row)["id"] == 1
    assert as_dict(row)["status"] == "pending"
    log.close()


def test_a_change_is_looked_up_right_where_the_server_tells_few_places(
    mariadb118_database: BinlogDatabase,
) -> None:
    business = BinlogBusiness(mariadb118_database)
    log = business.source().acquire(Start.NEW_STREAM)

    business.insert([1])
    business.execute("ALTER TABLE sms ADD COLUMN kind int DEFAULT 5 FIRST")
    business.insert([2])
    found = rows(log, 2)

    assert ids(found) == [1, 2]
    assert as_dict(found[1])["kind"] == 5
    log.close()
