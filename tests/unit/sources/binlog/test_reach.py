"""What a saved position is good for on a server, decided from facts."""

import pytest

from cdc_sms.errors import NeedsPerson
from cdc_sms.sources.base import LogState
from cdc_sms.sources.binlog.position import BinlogPosition
from cdc_sms.sources.binlog.reach import reach
from cdc_sms.sources.binlog.server import End, Server

UUID = "11111111-1111-1111-1111-111111111111"
FILES = {"binlog.000002": 500, "binlog.000003": 200}
END = End("binlog.000003", 200, gtids=f"{UUID}:1-9")
SAVED = BinlogPosition(UUID, "binlog.000002", 400, gtids=f"{UUID}:1-5")


def server(**variables: str) -> Server:
    return Server(
        {"version": "9.7.4", "server_uuid": UUID, "server_id": "1", "gtid_mode": "ON", **variables}
    )


def test_the_same_servers_log_is_read_on() -> None:
    assert reach(server(), END, FILES, SAVED).state is LogState.USABLE


def test_a_file_that_is_gone_was_purged() -> None:
    found = reach(server(), END, FILES, SAVED.moved(file="binlog.000001"))

    assert (found.state, found.reason) == (LogState.LOST, "binlog.000001 was purged")


def test_a_file_that_ends_before_our_position_is_not_the_one() -> None:
    found = reach(server(), END, FILES, SAVED.moved(offset=501))

    assert found.state is LogState.LOST


def test_a_commit_that_waits_for_a_replica_is_no_reset() -> None:
    saved = SAVED.moved(gtids=f"{UUID}:1-10", created=1_795_507_631)

    assert reach(server(), END, FILES, saved).state is LogState.USABLE


def test_a_log_that_lacks_what_was_read_was_reset() -> None:
    found = reach(server(), END, FILES, SAVED.moved(gtids=f"{UUID}:1-10"))

    assert (found.state, found.reason) == (LogState.LOST, "the log was reset")


def test_transaction_ids_that_are_off_decide_nothing() -> None:
    found = reach(server(gtid_mode="OFF"), END, FILES, SAVED.moved(gtids=f"{UUID}:1-10"))

    assert found.state is LogState.USABLE


def test_another_server_with_everything_is_read_on() -> None:
    assert reach(server(server_uuid="other"), END, {}, SAVED).state is LogState.USABLE


def test_another_server_that_purged_what_is_next_lost_it() -> None:
    other = server(server_uuid="other", gtid_purged=f"{UUID}:1-6")

    assert reach(other, END, {}, SAVED).state is LogState.LOST


def test_another_server_that_lacks_what_was_read_needs_a_person() -> None:
    with pytest.raises(NeedsPerson, match="lacks transactions"):
        reach(server(server_uuid="other"), END, {}, SAVED.moved(gtids=f"{UUID}:1-10"))


@pytest.mark.parametrize("changes", [{"gtid_mode": "OFF"}, {}])
def test_another_server_without_ids_needs_a_person(changes: dict[str, str]) -> None:
    saved = SAVED if changes else SAVED.moved(gtids="")

    with pytest.raises(NeedsPerson, match="no ids"):
        reach(server(server_uuid="other", **changes), END, {}, saved)


def test_mariadb_is_known_by_its_server_id_and_goes_on_by_domains() -> None:
    mariadb = Server({"version": "10.11.18-MariaDB", "server_id": "7"})
    saved = BinlogPosition("5", "binlog.000002", 400, gtids="0-5-10")

    assert reach(mariadb, End("a.000001", 4, "0-7-11"), {}, saved).state is LogState.USABLE
    with pytest.raises(NeedsPerson, match="lacks transactions"):
        reach(mariadb, End("a.000001", 4, "0-7-9"), {}, saved)
