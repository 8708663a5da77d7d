"""PostgreSQL keeps the promises of a source, on the oldest and the newest server at hand."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from contracts.source_promises import SourcePromises, acquired, ids, read_until
from psycopg import sql
from support.captures import TABLE, postgres_source, source_settings, table_settings
from support.fixtures.databases import PostgresDatabase
from support.servers.postgres import DebianPostgres, PostgresAddress
from support.tcp_proxy import TcpProxy
from support.waiting import still, until

from cdc_sms.errors import PositionLost, SetupError, SourceUnavailable
from cdc_sms.model.captured_row import Undecodable
from cdc_sms.sources.base import Found, HeldByAnother, LogState, Start
from cdc_sms.sources.postgres import source, watch
from cdc_sms.sources.postgres.source import PostgresSource


class PostgresBusiness:
    """The table ``sms`` of a test's database."""

    def __init__(self, database: PostgresDatabase) -> None:
        self.database = database
        database.execute(TABLE)
        database.execute("CREATE TABLE other (id int)")

    def source(self) -> PostgresSource:
        return postgres_source(self.database)

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.database.dsn) as connection:
            connection.execute(statement.encode())

    def insert(self, ids: Iterable[int], body: str = "hello") -> None:
        self.database.execute(
            "INSERT INTO sms (id, body) SELECT unnest(%s::bigint[]), %s", list(ids), body
        )

    def write_elsewhere(self) -> None:
        self.database.execute("INSERT INTO other SELECT generate_series(1, 100)")

    def drop_position(self) -> None:
        self.database.execute("SELECT pg_drop_replication_slot(%s)", self.database.name)


class TestPostgres15(SourcePromises):
    @pytest.fixture
    def business(self, postgres_database: PostgresDatabase) -> PostgresBusiness:
        return PostgresBusiness(postgres_database)


class TestPostgres18(SourcePromises):
    @pytest.fixture
    def business(self, postgres18_database: PostgresDatabase) -> PostgresBusiness:
        return PostgresBusiness(postgres18_database)


@pytest.fixture
def business(postgres_database: PostgresDatabase) -> PostgresBusiness:
    return PostgresBusiness(postgres_database)


# What it makes


def test_the_publication_publishes_inserts_of_one_table_only(business: PostgresBusiness) -> None:
    business.source().acquire(Start.NEW_STREAM).close()

    assert business.database.execute(
        "SELECT puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot"
        " FROM pg_publication"
    ) == [(False, True, False, False, False, True)]
    assert business.database.execute("SELECT schemaname, tablename FROM pg_publication_tables") == [
        ("public", "sms")
    ]


def test_the_slot_of_a_new_server_fails_over(postgres18_database: PostgresDatabase) -> None:
    PostgresBusiness(postgres18_database).source().acquire(Start.NEW_STREAM).close()

    assert postgres18_database.execute(
        "SELECT failover FROM pg_replication_slots WHERE slot_name = %s", postgres18_database.name
    ) == [(True,)]


def test_rows_of_partitions_come_as_the_tables_own(postgres_database: PostgresDatabase) -> None:
    postgres_database.execute(
        "CREATE TABLE sms (id bigint, body text, status text DEFAULT 'pending', recipient text,"
        " PRIMARY KEY (id)) PARTITION BY RANGE (id)"
    )
    postgres_database.execute("CREATE TABLE sms_1 PARTITION OF sms FOR VALUES FROM (0) TO (10)")
    postgres_database.execute("INSERT INTO sms (id) VALUES (1)")
    log = postgres_source(postgres_database).acquire(Start.NEW_SNAPSHOT)

    postgres_database.execute("INSERT INTO sms (id) VALUES (2)")
    batch = read_until(log, lambda batch: len(batch.rows) >= 2)

    assert [(row.table.name, row.values[0]) for row in batch.rows] == [("sms", 1), ("sms", 2)]
    log.close()


def test_domains_are_written_as_their_base_types(postgres_database: PostgresDatabase) -> None:
    postgres_database.execute("CREATE DOMAIN number AS integer")
    postgres_database.execute("CREATE DOMAIN small_number AS number")
    postgres_database.execute("CREATE TYPE word AS ENUM ('pending', 'sent')")
    postgres_database.execute(
        "CREATE TABLE sms (id small_number PRIMARY KEY, body text, recipient text, status word)"
    )
    postgres_database.execute("INSERT INTO sms (id, status) VALUES (1, 'pending')")
    log = postgres_source(postgres_database).acquire(Start.NEW_SNAPSHOT)

    postgres_database.execute("INSERT INTO sms (id, status) VALUES (2, 'pending')")
    batch = read_until(log, lambda batch: len(batch.rows) >= 2)

    assert [list(row.values) for row in batch.rows] == [
        [1, None, None, "pending"],
        [2, None, None, "pending"],
    ]
    log.close()


def test_a_key_comes_in_the_keys_own_order(postgres_database: PostgresDatabase) -> None:
    postgres_database.execute(
        "CREATE TABLE sms (shop text, body text, recipient text, status text, id int,"
        " PRIMARY KEY (id, shop))"
    )
    table = table_settings(key=("shop", "id"))
    log = postgres_source(postgres_database, table=table).acquire(Start.NEW_STREAM)

    postgres_database.execute("INSERT INTO sms (id, shop) VALUES (1, 'x')")
    (row,) = read_until(log, lambda batch: bool(batch.rows)).rows

    assert row.table.key == ("id", "shop")
    log.close()


def test_a_megabyte_of_text_comes_whole(business: PostgresBusiness) -> None:
    text = "0123456789abcdef" * 65_536
    log = business.source().acquire(Start.NEW_STREAM)

    business.database.execute("INSERT INTO sms (id, body) VALUES (1, %s)", text)
    (row,) = read_until(log, lambda batch: bool(batch.rows)).rows

    assert row.values[2] == text
    log.close()


def test_a_column_that_was_added_meanwhile_comes_along(business: PostgresBusiness) -> None:
    log = business.source().acquire(Start.NEW_STREAM)

    business.execute("INSERT INTO sms (id) VALUES (1)")
    business.execute("ALTER TABLE sms ADD COLUMN price numeric DEFAULT 1.5")
    business.execute("INSERT INTO sms (id) VALUES (2)")
    business.execute("ALTER TABLE sms DROP COLUMN recipient")
    business.execute("INSERT INTO sms (id) VALUES (3)")
    batch = read_until(log, lambda batch: len(batch.rows) >= 3)

    assert [row.table.columns for row in batch.rows] == [
        ("id", "recipient", "body", "status"),
        ("id", "recipient", "body", "status", "price"),
        ("id", "body", "status", "price"),
    ]
    log.close()


def test_bytes_in_no_encoding_are_marked(postgres_server: PostgresAddress, run_id: str) -> None:
    with _ascii_database(postgres_server, f"ascii_{run_id}") as database:
        database.execute("CREATE TABLE sms (id text PRIMARY KEY, body text, recipient text)")
        table = table_settings(status=None)
        log = postgres_source(database, table=table).acquire(Start.NEW_STREAM)

        with psycopg.connect(database.dsn, client_encoding="SQL_ASCII") as connection:
            connection.execute(b"INSERT INTO sms VALUES ('k\xff', 'b\xfe', 'fine')")
        (row,) = read_until(log, lambda batch: bool(batch.rows)).rows
        log.close()

    assert list(row.values) == [Undecodable(b"k\xff"), Undecodable(b"b\xfe"), "fine"]


@contextmanager
def _ascii_database(server: PostgresAddress, name: str) -> Iterator[PostgresDatabase]:
    create = sql.SQL(
        "CREATE DATABASE {} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
    ).format(sql.Identifier(name))
    with closing(psycopg.connect(server.dsn, autocommit=True)) as connection:
        connection.execute(create)
        try:
            yield PostgresDatabase(name, server)
        finally:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            until(
                lambda: connection.execute(drop),
                within_s=10,
                ignoring=(psycopg.errors.ObjectInUse,),
            )


# What it refuses


def test_everything_that_is_wrong_is_said_at_once(postgres_database: PostgresDatabase) -> None:
    postgres_database.execute("CREATE TABLE sms (id int, body text)")
    postgres_database.execute("CREATE PUBLICATION mine FOR ALL TABLES")
    postgres_database.execute(
        "SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", postgres_database.name
    )
    reader = postgres_source(postgres_database, publication="mine")

    with pytest.raises(SetupError) as caught:
        reader.inspect()

    assert "has no primary key" in caught.value.message
    assert "publishes all tables, publishes other tables than ours" in caught.value.message
    assert "is of the plugin test_decoding" in caught.value.message
    assert 'ALTER TABLE "public"."sms" ADD PRIMARY KEY ("id");' in caught.value.hint
    assert "DROP PUBLICATION" in caught.value.hint


def test_a_user_without_rights_is_told_which(postgres_database: PostgresDatabase) -> None:
    postgres_database.execute(TABLE)
    role = f"poor_{postgres_database.name}"
    created = sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(sql.Identifier(role))
    postgres_database.execute(created)
    as_role = source_settings(postgres_database, user=role, password="secret")

    with pytest.raises(SetupError) as caught:
        postgres_source(postgres_database, source=as_role).inspect()

    postgres_database.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    assert f"The user {role} may not replicate." in caught.value.message
    assert f"The user {role} may not read sms." in caught.value.message
    assert "GRANT SELECT" in caught.value.hint


def test_a_wrong_password_is_a_finding_and_no_outage(business: PostgresBusiness) -> None:
    wrong = source_settings(business.database, password="wrong")

    with pytest.raises(SetupError, match="password authentication failed"):
        postgres_source(business.database, source=wrong).inspect()


def test_a_server_that_is_away_is_waited_for(business: PostgresBusiness) -> None:
    nobody = source_settings(business.database).model_copy(
        update={"dsn": "postgresql://postgres@127.0.0.1:1/postgres"}
    )

    with pytest.raises(SourceUnavailable, match="Connection refused"):
        postgres_source(business.database, source=nobody).inspect()


def test_who_may_not_make_the_publication_is_told_what_to_run(
    postgres_database: PostgresDatabase,
) -> None:
    postgres_database.execute(TABLE)
    role = f"reader_{postgres_database.name}"
    name = sql.Identifier(role)
    create = sql.SQL("CREATE ROLE {} LOGIN REPLICATION PASSWORD 'secret'")
    postgres_database.execute(create.format(name))
    postgres_database.execute(sql.SQL("GRANT SELECT ON sms TO {}").format(name))
    as_role = source_settings(postgres_database, user=role, password="secret")
    reader = postgres_source(postgres_database, source=as_role)

    assert reader.inspect() == Found(LogState.ABSENT)
    with pytest.raises(SetupError) as caught:
        reader.acquire(Start.NEW_STREAM)

    postgres_database.execute(sql.SQL("DROP OWNED BY {}").format(name))
    postgres_database.execute(sql.SQL("DROP ROLE {}").format(name))
    assert 'CREATE PUBLICATION "cdc_sms" FOR TABLE "public"."sms"' in caught.value.hint


def test_a_word_that_the_status_column_cannot_hold_is_a_finding(
    postgres_database: PostgresDatabase,
) -> None:
    postgres_database.execute(
        "CREATE TABLE sms (id int PRIMARY KEY, recipient text, body text, status smallint)"
    )
    log = postgres_source(postgres_database).acquire(Start.NEW_SNAPSHOT)

    with pytest.raises(SetupError, match="invalid input syntax for type smallint") as caught:
        read_until(log, lambda batch: batch.ends_snapshot)

    assert "[table.status]" in caught.value.hint
    log.close()


# What is lost


def test_a_slot_whose_publication_was_dropped_is_lost(business: PostgresBusiness) -> None:
    business.source().acquire(Start.NEW_STREAM).close()

    business.database.execute("DROP PUBLICATION cdc_sms")

    found = until(business.source().inspect, within_s=5, ignoring=(HeldByAnother,))
    assert found == Found(LogState.LOST, "the publication was dropped")


def test_a_publication_that_was_made_anew_behind_our_back_loses_the_position(
    business: PostgresBusiness,
) -> None:
    business.source().acquire(Start.NEW_STREAM).close()
    until(business.source().inspect, within_s=5, ignoring=(HeldByAnother,))
    business.execute("DROP PUBLICATION cdc_sms")
    business.execute("INSERT INTO sms (id) VALUES (1)")
    business.execute("CREATE PUBLICATION cdc_sms FOR TABLE sms WITH (publish = 'insert')")

    log = business.source().acquire(Start.STREAM)

    with pytest.raises(PositionLost, match="does not exist"):
        read_until(log, lambda batch: bool(batch.rows))
    log.close()


def test_a_slot_that_the_server_gave_up_is_lost_and_made_anew(
    losing_postgres: PostgresAddress, run_id: str
) -> None:
    name = f"losing_{run_id}"
    with psycopg.connect(losing_postgres.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    business = PostgresBusiness(PostgresDatabase(name, losing_postgres))
    business.source().acquire(Start.NEW_STREAM).close()
    business.execute("INSERT INTO sms (id) VALUES (1)")

    def given_up() -> bool:
        business.database.execute("SELECT pg_switch_wal()")
        business.database.execute("INSERT INTO other VALUES (1)")
        business.database.execute("CHECKPOINT")
        return business.source().inspect() == Found(LogState.LOST, "wal_removed")

    until(given_up, within_s=30, ignoring=(HeldByAnother,))
    with pytest.raises(PositionLost):
        business.source().acquire(Start.STREAM)
    log = business.source().acquire(Start.NEW_SNAPSHOT)
    batch = read_until(log, lambda batch: batch.ends_snapshot)
    log.close()

    assert ids(batch.rows) == [1]


@pytest.fixture(scope="module")
def losing_postgres() -> Iterator[PostgresAddress]:
    """A server of our own that keeps next to nothing of its log for a slot."""
    server = DebianPostgres()
    server.name = "postgres-losing"
    with server.borrowed() as address:
        with psycopg.connect(address.dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
            connection.execute("SELECT pg_reload_conf()")
        yield address


# What is in the way, and what goes away


def with_options(database: PostgresDatabase, option: str) -> PostgresSource:
    """Return a source whose sessions have an option of the server's set."""
    settings = source_settings(database)
    changed = {"dsn": f"{settings.dsn}?options=-c%20{option.replace('=', '%3D')}"}
    return postgres_source(database, source=settings.model_copy(update=changed))


def test_an_old_transaction_in_the_way_of_the_slot_is_named(business: PostgresBusiness) -> None:
    with psycopg.connect(business.database.dsn) as old:
        old.execute("INSERT INTO other VALUES (1)")

        with pytest.raises(SourceUnavailable) as caught:
            with_options(business.database, "lock_timeout=500ms").acquire(Start.NEW_STREAM)

        assert f"the server's process {old.info.backend_pid}" in caught.value.message
        assert business.source().inspect() == Found(LogState.ABSENT)
    business.source().acquire(Start.NEW_STREAM).close()


def test_a_reader_that_was_frozen_loses_the_slot(business: PostgresBusiness) -> None:
    hasty = with_options(business.database, "wal_sender_timeout=1s")
    frozen = hasty.acquire(Start.NEW_STREAM)

    other = acquired(business, Start.STREAM)

    with pytest.raises(SourceUnavailable):
        read_until(frozen, lambda batch: bool(batch.rows))
    frozen.close()
    other.close()


@pytest.mark.parametrize("fault", ["deaf", "mute"])
def test_a_link_that_went_silent_is_noticed(
    fault: str,
    business: PostgresBusiness,
    postgres_proxy: TcpProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source, "SILENCE_S", 2.0)
    monkeypatch.setattr(source, "STATUS_S", 0.5)
    log = postgres_source(business.database.through(postgres_proxy)).acquire(Start.NEW_STREAM)
    still(lambda: log.read(wait_s=0.1) is not None, for_s=3, what="an idle link")

    getattr(postgres_proxy, fault)()

    with pytest.raises(SourceUnavailable, match="nothing was heard"):
        read_until(log, lambda batch: bool(batch.rows), within_s=5)
    postgres_proxy.cut()
    log.close()


def test_a_server_that_works_in_silence_is_not_taken_for_dead(
    business: PostgresBusiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "SILENCE_S", 0.2)
    monkeypatch.setattr(source, "STATUS_S", 0.01)
    monkeypatch.setattr(watch, "EVERY_S", 0.01)
    log = business.source().acquire(Start.NEW_STREAM)
    business.execute("INSERT INTO other SELECT generate_series(1, 1000000)")
    business.execute("INSERT INTO sms (id) VALUES (1)")

    batch = read_until(log, lambda batch: bool(batch.rows), within_s=30)

    assert ids(batch.rows) == [1]
    log.close()


def test_a_cut_link_is_an_outage(business: PostgresBusiness, postgres_proxy: TcpProxy) -> None:
    log = postgres_source(business.database.through(postgres_proxy)).acquire(Start.NEW_STREAM)

    postgres_proxy.cut()

    with pytest.raises(SourceUnavailable):
        read_until(log, lambda batch: bool(batch.rows))
    log.close()


def test_a_killed_sender_is_an_outage(business: PostgresBusiness) -> None:
    log = business.source().acquire(Start.NEW_STREAM)

    business.database.execute(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s",
        business.database.name,
    )

    with pytest.raises(SourceUnavailable):
        read_until(log, lambda batch: bool(batch.rows))
    log.close()


def test_a_log_that_is_not_read_is_kept_alive(
    business: PostgresBusiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "STATUS_S", 0.3)
    log = with_options(business.database, "wal_sender_timeout=1s").acquire(Start.NEW_STREAM)
    business.execute(
        "INSERT INTO sms (body) SELECT repeat('x', 1000) FROM generate_series(1, 9999)"
    )

    def kept_alive() -> bool:
        log.keep_alive()
        return True

    still(kept_alive, for_s=3, every_s=0.1)

    batch = read_until(log, lambda batch: len(batch.rows) == 9999)
    assert batch.position is not None
    log.close()


def test_the_log_that_is_held_for_us_is_measured(
    business: PostgresBusiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "EVERY_S", 0.05)
    log = business.source().acquire(Start.NEW_STREAM)
    business.execute("INSERT INTO other SELECT generate_series(1, 100000)")

    def measured() -> bool:
        log.read(wait_s=0.05)
        return (log.lag_bytes or 0) > 1_000_000

    until(measured, within_s=10)
    log.close()
