"""Debezium captures like our reader, and one takes over from the other (docs/change-over.md)."""

from collections import Counter

from faults.shop import Shop
from support.commands import Command
from support.fixtures.debezium import Connectors
from support.flow import Flow
from support.sources import on_every_database
from support.waiting import until


def test_rows_that_debezium_captures_are_sent_like_ours(
    flow: Flow, debezium_connector: Connectors
) -> None:
    flow.publish()
    debezium_connector(flow.config)
    flow.start("deliver")
    flow.insert(30, transaction=10)
    flow.database.execute("INSERT INTO sms (phone, body) VALUES ('12', 'wrong number')")

    flow.await_statuses(sent=30, failed=1, within_s=90)
    flow.await_rest()
    assert flow.lost() == []
    assert [letter["class"] for letter in flow.dead_letters()] == ["permanent"]


@on_every_database
def test_changing_over_and_back_under_load_loses_nothing_and_sends_nothing_twice(
    flow: Flow, debezium_connector: Connectors
) -> None:
    flow.publish()
    debezium_connector(flow.config)
    flow.start("deliver")
    flow.insert(10)
    flow.await_statuses(sent=10, within_s=90)

    with Shop.open(flow, rows_per_s=20):
        capture = to_the_built_in_reader(flow, debezium_connector)
        await_more_is_sent(flow)
        to_debezium(flow, debezium_connector, capture)
        await_more_is_sent(flow)

    rows = flow.ledger("SELECT count(*) FROM sms")
    flow.await_statuses(sent=rows, within_s=90)
    flow.await_rest()
    places = {(record.key(), record.partition()) for record in flow.records("outbox")}
    assert Counter(flow.accepted().values()) == {1: rows}
    assert len(places) == rows


def to_the_built_in_reader(flow: Flow, connectors: Connectors) -> Command:
    """Do the steps of docs/change-over.md."""
    shares_the_log = flow.business.source != "postgres"
    capture = flow.start("capture", ready=shares_the_log)
    if not shares_the_log:
        capture.await_line("capture.standing_by")
    connectors.remove_all()
    capture.await_url(f"{flow.url('capture')}/health/ready")
    return capture


def to_debezium(flow: Flow, connectors: Connectors, capture: Command) -> None:
    """Do the steps of docs/change-over.md."""
    if flow.business.source == "postgres":
        stop(capture)
    connectors(flow.config)
    if flow.business.source != "postgres":
        stop(capture)


def stop(capture: Command) -> None:
    capture.terminate()
    assert capture.wait(within_s=30) == 0


def await_more_is_sent(flow: Flow) -> None:
    """Wait until rows that are inserted from now on were sent: who reads now has captured them."""
    newest = flow.ledger("SELECT max(id) FROM sms")
    until(
        lambda: flow.ledger(f"SELECT count(*) FROM sms WHERE id > {newest} AND status = 'sent'"),
        within_s=90,
        what="rows to be sent",
    )
