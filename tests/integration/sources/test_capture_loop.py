"""Capture from a real PostgreSQL to a real Kafka, with faults between them."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from psycopg.errors import ObjectInUse
from support.captures import TABLE, Captured, Remembered, Running, table_settings
from support.fixtures.databases import PostgresDatabase
from support.servers.kafka import KafkaAddress, KafkaServer
from support.servers.postgres import PostgresServer
from support.tcp_proxy import TcpProxy
from support.waiting import still, until

from cdc_sms.capture import heartbeat, loop, outbox
from cdc_sms.errors import NeedsPerson, SetupError

INSERT = "INSERT INTO sms (id) SELECT i FROM generate_series(%s::bigint, %s::bigint) i"


@pytest.fixture
def captured(
    postgres_database: PostgresDatabase, kafka_server: KafkaAddress, topic_prefix: str
) -> Captured:
    """A table and an outbox, both empty."""
    postgres_database.execute(TABLE)
    postgres_database.execute("CREATE TABLE other (id int)")
    made = Captured(postgres_database, kafka_server, topic_prefix)
    made.make_topic()
    return made


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What capture has logged since the test began: the events' names."""
    caplog.set_level(logging.INFO, logger="cdc_sms")
    ours = ("cdc_sms.capture", "cdc_sms.sources")
    return lambda: [r.getMessage() for r in caplog.records if r.name.startswith(ours)]


def await_stream(running: Running) -> None:
    until(running.is_streaming, within_s=20, what="capture to stream")


def await_confirmed(captured: Captured, position: int, within_s: float = 20) -> None:
    until(lambda: captured.confirmed() >= position, within_s=within_s, what="the confirmation")


def sample(running: Running, name: str, **labels: str) -> float:
    """Return a metric's value, as the role's own page shows it."""
    wanted = name + (
        "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}" if labels else ""
    )
    lines = running.metrics.render("capture").decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split()[0] == wanted)


# What comes through


def test_drafts_that_become_pending_come_through_and_other_updates_do_not(
    captured: Captured,
) -> None:
    with captured.running(becomes_pending=True) as running:
        await_stream(running)
        captured.database.execute("INSERT INTO sms (id, status) VALUES (1, 'sent')")
        captured.database.execute("UPDATE sms SET status = 'failed'")
        captured.database.execute("UPDATE sms SET status = 'pending'")
        captured.database.execute("UPDATE sms SET status = 'sent'")
        captured.database.execute("INSERT INTO sms (id) VALUES (2)")
        until(
            lambda: b'{"id":2}' in {m.key() for m in captured.records()},
            within_s=20,
            what="the last row",
        )
        records = captured.records()

    found = [json.loads(m.value() or b"") for m in records]
    ours = [(v["op"], v["after"]["status"]) for v in found if v["after"]["id"] == 1]
    assert ours == [("c", "sent"), ("u", "pending")]


def test_pending_rows_come_first_and_then_what_is_inserted(
    captured: Captured, events: Callable[[], list[str]]
) -> None:
    captured.database.execute("INSERT INTO sms (id, status) VALUES (1, 'sent'), (2, 'pending')")

    with captured.running() as running:
        await_stream(running)
        captured.database.execute("INSERT INTO sms (id) VALUES (3)")
        records = until(lambda: r if len(r := captured.records()) >= 2 else None, within_s=20)

    assert records is not None
    found = {m.key(): json.loads(m.value() or b"")["op"] for m in records}
    assert found == {b'{"id":2}': "r", b'{"id":3}': "c"}
    assert [name for name in events() if name.split(".")[0] in {"slot", "snapshot", "stream"}] == [
        "slot.created",
        "snapshot.started",
        "snapshot.completed",
        "stream.started",
    ]
    assert sample(running, "cdc_sms_rows_produced_total", operation="r") == 1
    assert sample(running, "cdc_sms_rows_produced_total", operation="c") == 1


def test_a_later_start_goes_on_where_the_former_one_ended(captured: Captured) -> None:
    with captured.running() as running:
        await_stream(running)
        captured.database.execute(INSERT, 1, 10)
        captured.await_keys(lambda keys: len(keys) == 10)
    captured.database.execute(INSERT, 11, 20)

    with captured.running() as running:
        await_stream(running)
        keys = captured.await_keys(lambda keys: len(keys) >= 20)

    assert keys == list(range(1, 21))


def test_a_huge_transaction_streams_through(captured: Captured) -> None:
    with captured.running() as running:
        await_stream(running)
        seen: list[float] = []
        captured.database.execute(INSERT, 1, 50_000)

        def all_acknowledged() -> bool:
            seen.append(sample(running, "cdc_sms_unacknowledged_records"))
            return sample(running, "cdc_sms_rows_produced_total", operation="c") >= 50_000

        until(all_acknowledged, within_s=60)
        end = captured.log_end()
        await_confirmed(captured, end - 1_000)

    assert max(seen) <= outbox.MAX_RECORDS + 500
    assert captured.keys() == list(range(1, 50_001))


def test_a_busy_neighbour_table_holds_back_no_log(captured: Captured) -> None:
    with captured.running() as running:
        await_stream(running)
        captured.database.execute("INSERT INTO other SELECT generate_series(1, 10000)")

        await_confirmed(captured, captured.log_end() - 1_000)


def test_a_row_that_is_too_large_comes_with_its_key(captured: Captured) -> None:
    with captured.running(max_record_bytes=20_000) as running:
        await_stream(running)
        captured.database.execute("INSERT INTO sms (id, body) VALUES (1, repeat('x', 50000))")
        captured.database.execute("INSERT INTO sms (id) VALUES (2)")
        captured.await_keys(lambda keys: keys == [1, 2])

    large = next(message for message in captured.records() if message.key() == b'{"id":1}')
    assert large.headers() == [("cdcsms.trimmed", b"too_large")]
    assert "body" not in json.loads(large.value() or b"")["after"]
    assert sample(running, "cdc_sms_rows_trimmed_total", reason="too_large") == 1


def test_a_row_that_the_topic_refuses_comes_smaller(
    postgres_database: PostgresDatabase, kafka_server: KafkaAddress, topic_prefix: str
) -> None:
    postgres_database.execute(TABLE)
    captured = Captured(postgres_database, kafka_server, topic_prefix)
    captured.make_topic(**{"max.message.bytes": "300000"})

    with captured.running() as running:
        await_stream(running)
        postgres_database.execute(
            "INSERT INTO sms (id, body) SELECT i, CASE i WHEN 50 THEN"
            " (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 20000))"
            " ELSE 'x' END FROM generate_series(1, 100) i"
        )
        captured.await_keys(lambda keys: keys == list(range(1, 101)))
        await_confirmed(captured, captured.log_end() - 1_000)

    trimmed = [message.key() for message in captured.records() if message.headers()]
    assert trimmed == [b'{"id":50}']


def test_a_table_without_status_starts_at_the_present(
    captured: Captured, events: Callable[[], list[str]]
) -> None:
    captured.database.execute(INSERT, 1, 10)

    with captured.running(table=table_settings(status=None)) as running:
        await_stream(running)
        captured.database.execute(INSERT, 11, 11)
        captured.await_keys(bool)

    assert captured.keys() == [11]
    assert captured.first_snapshot.complete
    assert "snapshot.skipped" in events()


# What goes wrong


def test_a_connection_that_is_cut_in_a_transaction_leaves_no_gap(
    captured: Captured, postgres_proxy: TcpProxy, events: Callable[[], list[str]]
) -> None:
    through = captured.database.through(postgres_proxy)
    with captured.running(database=through) as running:
        await_stream(running)
        captured.database.execute(INSERT, 1, 30_000)
        until(
            lambda: sample(running, "cdc_sms_rows_produced_total", operation="c") > 1_000,
            within_s=20,
        )
        before = captured.confirmed()
        postgres_proxy.drop_connections()
        keys = captured.await_keys(lambda keys: set(keys) == set(range(1, 30_001)), within_s=60)
        until(lambda: captured.confirmed() > before, within_s=20)

    assert set(keys) == set(range(1, 30_001))
    assert events().count("stream.lost") == 1


def test_nothing_is_confirmed_that_kafka_has_not_acknowledged(
    captured: Captured, kafka_proxy: TcpProxy
) -> None:
    with captured.running(bootstrap=kafka_proxy.address) as running:
        await_stream(running)
        captured.database.execute(INSERT, 1, 1)
        captured.await_keys(lambda keys: keys == [1])
        kafka_proxy.deaf()
        start = captured.log_end()
        captured.database.execute(INSERT, 2, 2)
        captured.database.execute("INSERT INTO other SELECT generate_series(1, 1000)")
        end = captured.log_end()

        until(lambda: running.loop.status()["unacknowledged_records"] == 1, within_s=10)
        still(lambda: captured.confirmed() <= start + 200, for_s=2, every_s=0.1)
        kafka_proxy.restore()
        await_confirmed(captured, end)

    assert set(captured.keys()) == {1, 2}


def test_a_broker_that_is_away_is_waited_for_in_bounded_memory(
    captured: Captured,
    kafka_proxy: TcpProxy,
    monkeypatch: pytest.MonkeyPatch,
    events: Callable[[], list[str]],
) -> None:
    monkeypatch.setattr(outbox, "MAX_RECORDS", 1_000)
    monkeypatch.setattr("cdc_sms.capture.standing.SLOW_BROKER_S", 1.0)
    with captured.running(bootstrap=kafka_proxy.address) as running:
        await_stream(running)
        kafka_proxy.cut()
        captured.database.execute(INSERT, 1, 20_000)

        until(lambda: running.loop.ready() is not None, within_s=20)
        held = running.loop.status()["unacknowledged_records"]
        kafka_proxy.restore()
        captured.await_keys(lambda keys: len(keys) >= 20_000, within_s=60)
        until(lambda: running.loop.ready() is None, within_s=20)

    assert isinstance(held, int)
    assert 1_000 <= held <= 1_500
    assert captured.keys() == list(range(1, 20_001))
    assert (events().count("broker.awaited"), events().count("broker.reached")) == (1, 1)


def test_a_database_that_restarts_is_waited_for(
    captured: Captured, breakable_postgres: PostgresServer
) -> None:
    with captured.running() as running:
        await_stream(running)
        captured.database.execute(INSERT, 1, 10)
        captured.await_keys(lambda keys: len(keys) == 10)

        breakable_postgres.kill()
        until(lambda: running.loop.ready() is not None, within_s=20)
        breakable_postgres.start()
        captured.database.execute(INSERT, 11, 20)
        captured.await_keys(lambda keys: set(keys) == set(range(1, 21)))


def test_a_broker_that_restarts_is_waited_for(
    captured: Captured, breakable_kafka: KafkaServer
) -> None:
    with captured.running() as running:
        await_stream(running)
        captured.database.execute(INSERT, 1, 10)
        captured.await_keys(lambda keys: len(keys) == 10)

        breakable_kafka.kill()
        captured.database.execute(INSERT, 11, 20)
        breakable_kafka.start()
        captured.await_keys(lambda keys: set(keys) == set(range(1, 21)), within_s=60)
        await_confirmed(captured, captured.log_end() - 1_000)


def test_a_first_snapshot_that_was_cut_short_is_repeated(
    captured: Captured, kafka_proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdc_sms.capture.loop.FLUSH_S", 0.1)
    captured.database.execute(INSERT, 1, 5_000)
    kafka_proxy.deaf()
    with captured.running(bootstrap=kafka_proxy.address) as running:
        until(lambda: running.loop.status()["unacknowledged_records"] or 0, within_s=20)
    assert not captured.first_snapshot.complete
    kafka_proxy.restore()

    with captured.running() as running:
        await_stream(running)

    assert captured.first_snapshot.complete
    assert set(captured.keys()) == set(range(1, 5_001))


def test_a_slot_that_is_dropped_meanwhile_is_made_anew_and_loses_nothing(
    captured: Captured, events: Callable[[], list[str]]
) -> None:
    with captured.running() as running:
        await_stream(running)
        captured.database.execute(INSERT, 1, 5)
        captured.await_keys(lambda keys: len(keys) == 5)
        captured.database.execute("UPDATE sms SET status = 'sent'")

    captured.database.execute("SELECT pg_drop_replication_slot(%s)", captured.database.name)
    captured.database.execute(INSERT, 6, 10)

    with captured.running() as running:
        await_stream(running)
        captured.database.execute(INSERT, 11, 11)
        keys = captured.await_keys(lambda keys: 11 in keys)

    assert keys == list(range(1, 12))
    assert captured.first_snapshot.forgotten == 1
    assert events().count("slot.lost") == 1


def test_a_lost_slot_of_a_table_without_status_needs_a_person(captured: Captured) -> None:
    table = table_settings(status=None)
    with captured.running(table=table) as running:
        await_stream(running)
    captured.database.execute("SELECT pg_drop_replication_slot(%s)", captured.database.name)

    with captured.running(table=table) as running:
        error = running.await_end()

    assert isinstance(error, NeedsPerson)


def test_a_publication_that_was_made_anew_is_healed_by_a_snapshot(captured: Captured) -> None:
    with captured.running() as running:
        await_stream(running)
    captured.database.execute("DROP PUBLICATION cdc_sms")
    captured.database.execute(INSERT, 1, 3)
    captured.database.execute("CREATE PUBLICATION cdc_sms FOR TABLE sms WITH (publish = 'insert')")

    with captured.running() as running:
        until(lambda: captured.first_snapshot.forgotten == 1, within_s=20)
        await_stream(running)
        captured.await_keys(lambda keys: set(keys) == {1, 2, 3})


def test_a_wrong_table_ends_the_role_with_its_remedy(captured: Captured) -> None:
    with captured.running(table=table_settings(name="texts")) as running:
        error = running.await_end()

    assert isinstance(error, SetupError)
    assert "There is no table texts" in error.message


def test_a_second_capture_stands_by_and_takes_over(
    captured: Captured, events: Callable[[], list[str]]
) -> None:
    first = captured.running()
    running = first.__enter__()
    await_stream(running)
    with captured.running(first_snapshot=Remembered(complete=True)) as second:
        until(lambda: second.loop.status()["state"] == "standing_by", within_s=20)
        assert second.loop.live()

        first.__exit__(None, None, None)
        until(second.is_streaming, within_s=10, what="the second capture to take over")
        captured.database.execute(INSERT, 1, 3)
        captured.await_keys(lambda keys: keys == [1, 2, 3])

    assert events().count("capture.standing_by") == 1


def test_a_stop_waits_for_what_kafka_still_owes(captured: Captured, kafka_proxy: TcpProxy) -> None:
    with captured.running(bootstrap=kafka_proxy.address) as running:
        await_stream(running)
        kafka_proxy.delay(0.5)
        captured.database.execute(INSERT, 1, 10)
        end = captured.log_end()

        def owes_all() -> bool:
            return running.loop.status()["unacknowledged_records"] == 10

        until(owes_all, within_s=10, every_s=0.01)
        still(owes_all, for_s=0.2)

    await_confirmed(captured, end, within_s=2)
    assert captured.keys() == list(range(1, 11))


def test_status_says_what_is_in_the_way(captured: Captured) -> None:
    nowhere = PostgresDatabase(captured.database.name, captured.database.server)
    with captured.running(database=_unreachable(nowhere)) as running:
        until(lambda: running.loop.status()["why"], within_s=20)
        status: dict[str, Any] = running.loop.status()

    assert status["state"] == "waiting"
    assert "Connection refused" in status["why"]
    assert running.loop.ready() is not None


def _unreachable(database: PostgresDatabase) -> PostgresDatabase:
    with TcpProxy(database.server.host, database.server.port) as proxy:
        return database.through(proxy)


# The heartbeat, gaps


def test_a_heartbeat_goes_through_the_log_to_its_topic(captured: Captured) -> None:
    with captured.running(heartbeat_s=0.2) as running:
        await_stream(running)
        until(lambda: len(captured.heartbeats()) >= 2, within_s=10, what="two heartbeats")

    beat = captured.heartbeats()[-1]
    [(server,)] = captured.database.execute("SELECT system_identifier FROM pg_control_system()")
    assert (beat["slot"], beat["server"], beat["history"]) == (
        captured.database.name,
        str(server),
        1,
    )
    assert 0 < beat["position"] <= captured.log_end()


def test_without_heartbeats_capture_is_not_ready_and_says_what_is_in_the_way(
    captured: Captured, monkeypatch: pytest.MonkeyPatch, kafka_proxy: TcpProxy
) -> None:
    monkeypatch.setattr(heartbeat, "LATE_S", 2.0)
    with captured.running(heartbeat_s=0.2, bootstrap=kafka_proxy.address) as running:
        await_stream(running)
        until(lambda: bool(captured.heartbeats()), within_s=10, what="a heartbeat")

        kafka_proxy.deaf()
        until(lambda: running.loop.ready() is not None, within_s=20, what="capture to turn red")
        said = running.loop.ready()
        kafka_proxy.restore()
        until(running.is_streaming, within_s=30, what="capture to turn green")

    assert "Kafka" in str(said)


def test_a_gap_in_the_outbox_is_healed_by_the_pending_rows(
    captured: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LEDGER_S", 0.2)
    with captured.running() as running:
        await_stream(running)
        captured.database.execute(INSERT, 1, 3)
        captured.await_keys([1, 2, 3].__eq__)

        captured.gaps.standing = frozenset({"gap:0", "gap:2"})

        captured.await_keys([1, 1, 2, 2, 3, 3].__eq__)
        until(lambda: not captured.gaps.standing, within_s=10, what="the flags to go")
        await_stream(running)
        captured.database.execute(INSERT, 4, 4)
        captured.await_keys([1, 1, 2, 2, 3, 3, 4].__eq__)


def test_a_gap_that_no_status_column_can_heal_is_said_and_kept(
    captured: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LEDGER_S", 0.2)
    with captured.running(table=table_settings(status=None)) as running:
        await_stream(running)

        captured.gaps.standing = frozenset({"gap:0"})
        until(lambda: running.loop.ready() is not None, within_s=10, what="capture to turn red")
        said = running.loop.ready()

    assert "no status column" in str(said)
    assert captured.gaps.standing == {"gap:0"}


def test_a_person_may_accept_a_gap_that_nothing_heals(captured: Captured) -> None:
    captured.gaps.standing = frozenset({"gap:0"})
    with captured.running(table=table_settings(status=None), accept_gap=True) as running:
        await_stream(running)
        captured.database.execute(INSERT, 1, 1)
        captured.await_keys([1].__eq__)

    assert captured.gaps.standing == frozenset()


def test_a_lost_slot_that_a_person_accepts_goes_on_from_the_present(captured: Captured) -> None:
    lost = Remembered(complete=True)
    table = table_settings(status=None)
    captured.database.execute(INSERT, 1, 2)
    with captured.running(table=table, first_snapshot=lost, accept_gap=True) as running:
        await_stream(running)
        captured.database.execute(INSERT, 3, 3)
        captured.await_keys([3].__eq__)


def test_what_a_person_accepted_is_no_word_for_a_later_gap(captured: Captured) -> None:
    table = table_settings(status=None)
    with captured.running(table=table, accept_gap=True, heartbeat_s=0.2) as running:
        await_stream(running)
        until(captured.heartbeats, within_s=20, what="the present to be reached")

        end_reader_and_drop_slot(captured)
        error = running.await_end()

    assert isinstance(error, NeedsPerson)


def end_reader_and_drop_slot(captured: Captured) -> None:
    name = captured.database.name

    def dropped() -> bool:
        captured.database.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
            " WHERE slot_name = %s AND active",
            name,
        )
        captured.database.execute("SELECT pg_drop_replication_slot(%s)", name)
        return True

    until(dropped, within_s=20, ignoring=(ObjectInUse,), every_s=0.005)


def test_a_row_of_six_megabytes_comes_with_its_key_and_the_log_goes_on(captured: Captured) -> None:
    with captured.running() as running:
        await_stream(running)
        captured.database.execute(
            "INSERT INTO sms (id, body) VALUES (1, repeat('x', 6 * 1024 * 1024))"
        )
        captured.database.execute(INSERT, 2, 2)
        captured.await_keys([1, 2].__eq__)

    [large] = [record for record in captured.records() if record.key() == b'{"id":1}']
    assert len(large.value() or b"") < 4 * 1024 * 1024
    assert dict(large.headers() or []) == {"cdcsms.trimmed": b"too_large"}
