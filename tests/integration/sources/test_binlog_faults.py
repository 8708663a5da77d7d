"""What goes wrong between a reader and MySQL or MariaDB, through a real TCP proxy."""

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from contracts.source_promises import acquired, ids, read_until
from support.binlog_sources import BinlogBusiness
from support.tcp_proxy import TcpProxy
from support.waiting import until

from cdc_sms.errors import NeedsPerson, PositionLost, SetupError, SourceUnavailable
from cdc_sms.model.captured_row import CapturedRow
from cdc_sms.sources.base import Heartbeat, HeldByAnother, Log, LogState, Start
from cdc_sms.sources.binlog import replica, source, watch
from cdc_sms.sources.binlog.position import BinlogPosition

BOTH = [
    pytest.param("mysql_database", marks=pytest.mark.mysql),
    pytest.param("mariadb_database", marks=pytest.mark.mariadb),
]


@pytest.fixture(params=BOTH)
def business(request: pytest.FixtureRequest) -> BinlogBusiness:
    return BinlogBusiness(request.getfixturevalue(request.param))


@pytest.fixture
def proxy(business: BinlogBusiness, tcp_proxy: Callable[[str, int], TcpProxy]) -> TcpProxy:
    server = business.database.server
    return tcp_proxy(server.host, server.port)


def read_to_the_end_of_it(log: Log) -> list[CapturedRow]:
    """Read until an error; return the rows that came before."""
    rows: list[CapturedRow] = []

    def lost() -> bool:
        try:
            rows.extend(log.read(wait_s=0.1).rows)
        except SourceUnavailable:
            return True
        return False

    until(lost, within_s=40, every_s=0, what="the reader to notice")
    return rows


def confirm_all(log: Log, rows: int) -> Sequence[CapturedRow]:
    """Read so many rows, to the end of their transaction, and confirm them."""
    batch = read_until(log, lambda batch: len(batch.rows) >= rows and batch.position is not None)
    assert batch.position is not None
    log.confirm(batch.position)
    return batch.rows


# Connections


def test_a_connection_that_is_cut_amid_a_transaction_loses_nothing(
    business: BinlogBusiness, proxy: TcpProxy
) -> None:
    log = business.source(through=business.database.through(proxy)).acquire(Start.NEW_STREAM)
    business.insert([1])
    confirm_all(log, 1)
    business.insert(range(2, 5002), "x" * 500)
    first = log.read(wait_s=5).rows

    proxy.drop_connections()
    seen = [*first, *read_to_the_end_of_it(log)]
    log.close()
    again = acquired(business, Start.STREAM)
    repeated = read_until(again, lambda batch: len(batch.rows) >= 5000)

    assert 0 < len(seen) <= 5000
    assert ids(repeated.rows) == list(range(2, 5002))
    again.close()


def test_a_dead_link_is_noticed(
    business: BinlogBusiness, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "SILENCE_S", 2.0)
    monkeypatch.setattr(replica, "HEARTBEAT_S", 0.5)
    log = business.source(through=business.database.through(proxy)).acquire(Start.NEW_STREAM)
    business.insert([1])
    confirm_all(log, 1)

    proxy.deaf()
    business.insert([2])
    read_to_the_end_of_it(log)
    log.close()
    proxy.restore()

    again = acquired(business, Start.STREAM)
    assert 2 in ids(read_until(again, lambda batch: 2 in ids(batch.rows)).rows)
    again.close()


def test_silence_within_the_servers_own_heartbeats_is_no_death(
    business: BinlogBusiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "SILENCE_S", 1.0)
    monkeypatch.setattr(replica, "HEARTBEAT_S", 0.3)
    log = business.source(heartbeat_s=10).acquire(Start.NEW_STREAM)
    reads = 0

    def read_on() -> bool:
        nonlocal reads
        log.read(wait_s=0.5)
        reads += 1
        return reads == 6

    until(read_on, within_s=20, every_s=0)
    log.close()


def test_an_idle_log_whose_heartbeats_come_is_no_fault(
    business: BinlogBusiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "ECHO_S", 0.4)
    log = business.source(heartbeat_s=1).acquire(Start.NEW_STREAM)
    beats: list[Heartbeat] = []

    def came() -> bool:
        beat = log.read(wait_s=0.1).heartbeat
        beats.extend([] if beat is None else [beat])
        return len(beats) >= 4

    until(came, within_s=20, what="heartbeats to come round", every_s=0)
    log.close()


def test_a_sender_that_the_server_ends_is_asked_for_again(business: BinlogBusiness) -> None:
    log = business.source().acquire(Start.NEW_STREAM)
    business.insert([1])
    confirm_all(log, 1)

    for session in sessions(business):
        if session["Command"] == "Binlog Dump" and session["db"] == business.database.name:
            business.database.execute(f"KILL {session['Id']}")
    business.insert([2])
    read_to_the_end_of_it(log)
    log.close()

    again = acquired(business, Start.STREAM)
    assert 2 in ids(read_until(again, lambda batch: 2 in ids(batch.rows)).rows)
    again.close()


def sessions(business: BinlogBusiness) -> list[dict[str, Any]]:
    """Return the server's sessions."""
    names = ("Id", "User", "Host", "db", "Command")
    found = business.database.execute("SHOW PROCESSLIST")
    return [dict(zip(names, row[:5], strict=True)) for row in found]


def test_a_wrong_password_is_a_finding_and_no_outage(business: BinlogBusiness) -> None:
    poor = business.database.user_with("SELECT ON {db}.*")
    business.database.execute(f"ALTER USER '{poor.server.user}'@'%' IDENTIFIED BY 'rotated'")

    with pytest.raises(SetupError, match="Access denied") as caught:
        business.source(through=poor).inspect()

    assert "password" in caught.value.hint


def test_a_user_who_must_use_tls_is_refused_without_it(business: BinlogBusiness) -> None:
    poor = business.database.user_with("SELECT ON {db}.*")
    business.database.execute(f"ALTER USER '{poor.server.user}'@'%' REQUIRE SSL")

    with pytest.raises(SetupError):
        business.source(through=poor, dsn="?ssl_mode=disabled").inspect()


def test_a_server_is_verified_by_its_certificate(business: BinlogBusiness) -> None:
    right = business.database.server.ca
    foreign = Path(__file__).parents[2] / "data" / "tls" / "localhost.pem"

    found = business.source(dsn=f"?ssl_mode=verify_ca&ssl_ca={right}").inspect()
    with pytest.raises(SetupError, match="certificate verify failed"):
        business.source(dsn=f"?ssl_mode=verify_ca&ssl_ca={foreign}").inspect()

    assert found.state is LogState.ABSENT


def test_rows_come_over_tls(business: BinlogBusiness) -> None:
    log = business.source(dsn="?ssl_mode=required").acquire(Start.NEW_STREAM)

    business.insert(range(1, 3000), "x" * 300)

    assert ids(confirm_all(log, 2999)) == list(range(1, 3000))
    log.close()


def test_a_server_that_is_away_is_waited_for(business: BinlogBusiness, proxy: TcpProxy) -> None:
    proxy.cut()

    with pytest.raises(SourceUnavailable):
        business.source(through=business.database.through(proxy)).inspect()


@pytest.mark.parametrize("way", ["restart", "kill"])
@pytest.mark.parametrize(
    ("database", "breakable"),
    [
        pytest.param("mysql_database", "breakable_mysql", marks=pytest.mark.mysql),
        pytest.param("mariadb_database", "breakable_mariadb", marks=pytest.mark.mariadb),
    ],
)
def test_a_server_that_ends_and_comes_back_is_read_on(
    request: pytest.FixtureRequest, database: str, breakable: str, way: str
) -> None:
    business = BinlogBusiness(request.getfixturevalue(database))
    server = request.getfixturevalue(breakable)
    log = business.source().acquire(Start.NEW_STREAM)
    business.insert([1])
    confirm_all(log, 1)
    business.insert([2])

    if way == "kill":
        server.kill()
        server.start()
    else:
        server.restart()
    read_to_the_end_of_it(log)
    log.close()
    business.insert([3])

    again = acquired(business, Start.STREAM)
    found = read_until(again, lambda batch: 3 in ids(batch.rows))
    assert ids(found.rows) in ([1, 2, 3], [2, 3])
    again.close()


def test_every_row_comes_however_often_the_connection_is_cut(
    business: BinlogBusiness, proxy: TcpProxy
) -> None:
    kills, seen, confirmed = 60, Counter[object](), 0
    business.source().acquire(Start.NEW_STREAM).close()
    stop, written = threading.Event(), Counter[object]()
    writer = threading.Thread(target=write_until, args=(business, stop, written))
    writer.start()
    through = business.database.through(proxy)
    cuts = random.Random(6)
    for _kill in range(kills):
        log = until(
            partial(business.source(through=through).acquire, Start.STREAM),
            within_s=20,
            ignoring=(HeldByAnother, SourceUnavailable),
        )
        with suppress(SourceUnavailable), closing(log):
            for _read in range(cuts.randint(1, 8)):
                confirmed += read_and_confirm(log, seen)
            proxy.drop_connections()
            read_and_confirm(log, seen)
    stop.set()
    writer.join()
    rest = acquired(business, Start.STREAM)

    def all_seen() -> bool:
        read_and_confirm(rest, seen)
        return not written.keys() - seen.keys()

    until(all_seen, within_s=20, every_s=0)
    rest.close()
    assert len(written) > 500
    assert set(seen) == set(written)
    assert confirmed > kills
    repeated = seen.total() - len(written)
    print(f"{kills} kills, {len(written)} rows, {repeated} of them repeated")


def write_until(business: BinlogBusiness, stop: threading.Event, written: Counter[object]) -> None:
    """Insert transactions of several rows until told to stop."""
    with closing(business.database.connect(autocommit=False)) as connection:
        for first in itertools.count(1, 10):
            if stop.wait(0.005):
                return
            rows = [(number, "x" * 50) for number in range(first, first + 10)]
            with connection.cursor() as cursor:
                cursor.executemany("INSERT INTO sms (id, body) VALUES (%s, %s)", rows)
                cursor.execute("INSERT INTO other (id) VALUES (1)")
            connection.commit()
            written.update(number for number, _body in rows)


def read_and_confirm(log: Log, seen: Counter[object]) -> int:
    """Read once, confirm what may be; return how many rows came."""
    batch = log.read(wait_s=0.05)
    seen.update(ids(batch.rows))
    if batch.position is not None:
        log.confirm(batch.position)
    return len(batch.rows)


def test_a_statement_with_any_character_does_not_end_the_watch(
    business: BinlogBusiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "EVERY_S", 0.1)
    monkeypatch.setattr(source, "SILENCE_S", 0.2)
    monkeypatch.setattr(replica, "HEARTBEAT_S", 0.1)
    asleep = threading.Thread(target=business.database.execute, args=("SELECT SLEEP(2), '😀'",))
    log = business.source(heartbeat_s=0.5).acquire(Start.NEW_STREAM)
    asleep.start()
    beats: list[Heartbeat] = []

    def beaten() -> bool:
        beat = log.read(wait_s=0.05).heartbeat
        beats.extend([beat] if beat else [])
        log.keep_alive()
        return len(beats) >= 3

    until(beaten, within_s=10, every_s=0)
    asleep.join()
    log.close()


# Positions


def test_a_file_that_was_purged_loses_the_position(business: BinlogBusiness) -> None:
    log = business.source().acquire(Start.NEW_STREAM)
    log.close()
    moved(business, file=lambda name: name.rpartition(".")[0] + ".000000")

    found = business.source().inspect()
    log = business.source().acquire(Start.STREAM)

    assert found.state is LogState.LOST
    assert "was purged" in found.reason
    with pytest.raises(PositionLost, match="The position is purged"):
        read_until(log, lambda batch: bool(batch.rows))
    log.close()


def test_a_position_beyond_the_logs_end_is_lost(business: BinlogBusiness) -> None:
    business.source().acquire(Start.NEW_STREAM).close()
    moved(business, offset=lambda offset: offset + 1_000_000_000)

    found = business.source().inspect()
    log = business.source().acquire(Start.STREAM)

    assert found.state is LogState.LOST
    with pytest.raises(PositionLost, match=r"\(1236\)\. The position is"):
        read_until(log, lambda batch: bool(batch.rows))
    log.close()


def test_a_log_that_was_reset_is_not_read_as_the_former_one(business: BinlogBusiness) -> None:
    business.source().acquire(Start.NEW_STREAM).close()
    moved(business, created=lambda _created: 1_000_000_000)
    log = business.source().acquire(Start.STREAM)

    with pytest.raises(PositionLost, match="the log was reset"):
        read_until(log, lambda batch: bool(batch.rows))
    log.close()


def test_a_log_that_is_reset_while_it_is_read_is_noticed(
    business: BinlogBusiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "ECHO_S", 3.0)
    business.reset_log()  # in its first file: the next one will have the same name
    log = business.source(heartbeat_s=0.5).acquire(Start.NEW_STREAM)
    begun_s = time.time()
    business.insert(range(1, 2001))  # behind so much the server waits for the new file to grow
    confirm_all(log, 2000)
    # a file is known by the second of its birth
    until(lambda: time.time() > begun_s + 1, within_s=5, what="the next second")

    business.reset_log()
    business.insert([2001])

    read_to_the_end_of_it(log)
    log.close()
    again = business.source().acquire(Start.STREAM)
    with pytest.raises(PositionLost):
        read_until(again, lambda batch: bool(batch.rows))
    again.close()


def test_transactions_that_the_server_lost_lose_the_position(business: BinlogBusiness) -> None:
    business.source().acquire(Start.NEW_STREAM).close()
    moved(business, gtids=further)

    found = business.source().inspect()

    assert (found.state, found.reason) == (LogState.LOST, "the log was reset")


def test_another_server_that_has_everything_is_read_on_by_transaction_ids(
    business: BinlogBusiness,
) -> None:
    business.insert([1])
    business.source().acquire(Start.NEW_STREAM).close()
    moved(
        business,
        server=lambda _name: "another",
        file=lambda _name: "other.000099",
        created=lambda _created: 1_000_000_000,
    )
    business.insert([2])

    found = business.source().inspect()
    log = business.source().acquire(Start.STREAM)
    rows = confirm_all(log, 1)
    log.close()

    assert found.state is LogState.USABLE
    assert ids(rows) == [2]
    assert json.loads(business.positions.text or "")["server"] != "another"


def test_another_server_that_lacks_what_was_read_needs_a_person(
    business: BinlogBusiness,
) -> None:
    business.source().acquire(Start.NEW_STREAM).close()
    moved(business, server=lambda _name: "another", gtids=further)

    with pytest.raises(NeedsPerson, match="lacks transactions"):
        business.source().inspect()


def test_another_server_without_transaction_ids_needs_a_person(
    business: BinlogBusiness,
) -> None:
    business.source().acquire(Start.NEW_STREAM).close()
    moved(business, server=lambda _name: "another", gtids=lambda _set: "")

    with pytest.raises(NeedsPerson, match="no ids"):
        business.source().inspect()


def moved(business: BinlogBusiness, **changes: Callable[[Any], Any]) -> None:
    """Change what is kept of the position."""
    kept = BinlogPosition.from_text(business.positions.text or "")
    new = {name: change(getattr(kept, name)) for name, change in changes.items()}
    business.positions.text = kept.moved(**new).to_text()


def further(gtids: str) -> str:
    """Return transaction ids of which the server doesn't have the last."""
    if ":" in gtids:
        return f"{gtids},{gtids.partition(':')[0]}:1000000000"
    head, dash, last = gtids.rpartition("-")
    return f"{head}{dash}{int(last) + 1_000_000}"


# The lock


def test_a_reader_that_lost_its_lock_says_so(business: BinlogBusiness) -> None:
    log = business.source().acquire(Start.NEW_STREAM)

    ((holder,),) = business.database.execute(
        "SELECT IS_USED_LOCK(%s)", watch.lock_name(business.database.name, business.database.name)
    )
    business.database.execute(f"KILL {holder}")

    read_to_the_end_of_it(log)
    log.close()
    acquired(business, Start.STREAM).close()


def test_a_reader_that_was_frozen_saves_nothing(
    business: BinlogBusiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SESSION_S", 3)
    log = business.source().acquire(Start.NEW_STREAM)
    business.insert([1])
    batch = read_until(log, lambda batch: bool(batch.rows) and batch.position is not None)
    saved = len(business.positions.saved)

    second = acquired(business, Start.STREAM)  # while the first one is not at work
    assert batch.position is not None
    log.confirm(batch.position)
    log.close()

    assert len(business.positions.saved) == saved
    second.close()


def test_a_second_reader_stands_by_while_the_first_one_snapshots(
    business: BinlogBusiness,
) -> None:
    business.insert(range(1, 2000))
    log = business.source().acquire(Start.NEW_SNAPSHOT)
    log.read(wait_s=1)

    with pytest.raises(HeldByAnother):
        business.source().acquire(Start.NEW_SNAPSHOT)
    log.close()


# What the server must have


def test_everything_that_is_missing_is_said_at_once(business: BinlogBusiness) -> None:
    business.database.execute("DROP TABLE sms")
    business.database.execute("CREATE TABLE sms (id int, body text)")
    business.database.execute("DROP TABLE cdc_sms_heartbeat")
    poor = business.database.user_with("SELECT ON {db}.*")

    with pytest.raises(SetupError) as caught:
        business.source(through=poor).inspect()

    assert "may not read the log" in caught.value.message
    assert "may not ask where the log ends" in caught.value.message
    assert "has no primary key" in caught.value.message
    assert "has no column status" in caught.value.message
    assert "There is no table cdc_sms_heartbeat" in caught.value.message
    assert "GRANT REPLICATION SLAVE" in caught.value.hint
    assert "cdc-sms migrate" in caught.value.hint


def test_the_rights_that_are_asked_for_are_enough(business: BinlogBusiness) -> None:
    status = (
        "BINLOG MONITOR" if business.database.server.scheme == "mariadb" else ("REPLICATION CLIENT")
    )
    user = business.database.user_with(
        "SELECT ON {db}.sms",
        "SELECT, INSERT, UPDATE ON {db}.cdc_sms_heartbeat",
        f"REPLICATION SLAVE, {status} ON *.*",
    )
    log = business.source(through=user).acquire(Start.NEW_SNAPSHOT)
    read_until(log, lambda batch: batch.ends_snapshot)

    business.insert([1])

    assert ids(read_until(log, lambda batch: bool(batch.rows)).rows) == [1]
    log.close()


def test_a_replication_id_that_is_taken_is_refused(business: BinlogBusiness) -> None:
    ((server_id,),) = business.database.execute("SELECT @@server_id")

    with pytest.raises(SetupError, match="is another server's"):
        business.source(server_id=server_id).acquire(Start.NEW_STREAM)
