"""The fast half of ``scripts/faults``: the same cases, each on its own, with our own reader.

On PostgreSQL all of them; on MySQL and MariaDB those that hang on how the log is read, and on how
rows are looked at, locked and written.
"""

from collections.abc import Mapping

import pytest
from faults.catalogue import CASES
from faults.runs import block, run
from faults.servers import DatabaseServer, Servers
from faults.site import Plan
from support.fixtures.servers import elsewhere, unavailable
from support.servers.kafka import KAFKA
from support.servers.mariadb import MARIADB
from support.servers.mysql import MYSQL
from support.servers.postgres import POSTGRES
from support.sources import on_every_database

DATABASES: Mapping[str, DatabaseServer] = {
    server.name: server for server in (POSTGRES, MYSQL, MARIADB)
}
KILLS = 8


@pytest.fixture
def servers(request: pytest.FixtureRequest, source: str) -> Servers:
    """The servers of the tests, which a case may break."""
    database = DATABASES[source]
    for server in (database, KAFKA):
        if elsewhere(server.name):
            unavailable(f"{server.name} is named by an environment variable: it may not be broken")
        request.getfixturevalue(f"{server.name}_server")
    return Servers(database, KAFKA)


def assert_kept(case: str, servers: Servers) -> None:
    plan = Plan(source=servers.database.name, kills=KILLS)
    found = run(CASES[case], servers=servers, plan=plan)
    assert found.is_clean, block(found)


@on_every_database
def test_reader_killed_in_a_transaction_of_thousands_of_rows_loses_none(servers: Servers) -> None:
    assert_kept("kill-capture", servers)


@on_every_database
def test_reader_whose_connections_are_killed_over_and_over_misses_no_row(servers: Servers) -> None:
    assert_kept("connection-kills", servers)


@on_every_database
def test_deliver_killed_with_requests_in_flight_loses_none_and_names_its_doubts(
    servers: Servers,
) -> None:
    assert_kept("kill-deliver", servers)


def test_member_frozen_past_its_lease_sends_nothing_late_when_it_wakes(servers: Servers) -> None:
    assert_kept("frozen-member", servers)


def test_second_reader_takes_over_and_a_frozen_one_that_wakes_is_harmless(servers: Servers) -> None:
    assert_kept("takeover", servers)


def test_outage_of_the_provider_burns_no_attempt_and_dead_letters_nothing(servers: Servers) -> None:
    assert_kept("provider-down", servers)


def test_message_accepted_and_answered_500_is_in_doubt_and_resent_once_at_most(
    servers: Servers,
) -> None:
    assert_kept("accepted-500", servers)


def test_account_that_is_refused_holds_everything_and_heals_by_itself(servers: Servers) -> None:
    assert_kept("account", servers)


def test_rows_that_the_application_locks_delay_no_other_and_are_written_later(
    servers: Servers,
) -> None:
    assert_kept("row-locked", servers)


def test_rows_that_a_standby_keeps_invisible_are_sent_when_it_returns(servers: Servers) -> None:
    assert_kept("row-late", servers)


@on_every_database
def test_rows_cancelled_or_corrected_before_their_claim_are_sent_as_they_stand(
    servers: Servers,
) -> None:
    assert_kept("row-changed", servers)


@on_every_database
def test_keys_that_are_used_again_are_other_messages_or_unclear(servers: Servers) -> None:
    assert_kept("ids-again", servers)


def test_records_that_cannot_be_read_stop_no_other(servers: Servers) -> None:
    assert_kept("poison", servers)


def test_rows_larger_than_a_record_are_sent(servers: Servers) -> None:
    assert_kept("large", servers)


def test_this_file_runs_the_fast_half_and_nothing_else() -> None:
    tested = {
        name
        for test in (value for name, value in globals().items() if name.startswith("test_"))
        for name in test.__code__.co_consts
        if name in CASES
    }

    assert tested == {case.name for case in CASES.values() if case.is_fast}
