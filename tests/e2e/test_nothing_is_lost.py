import psycopg
from support.flow import Flow
from support.waiting import until

from cdc_sms.playground.faults import Rule


def test_capture_killed_in_a_transaction_of_thousands_of_rows_loses_none(flow: Flow) -> None:
    rows = 20_000
    capture = flow.start("capture")
    with psycopg.connect(flow.database.dsn) as connection:
        connection.execute(
            "INSERT INTO sms (phone, body) SELECT '+48600100200', 'x' || g"
            " FROM generate_series(1, %s) g",
            (rows,),
        )

    until(lambda: len(flow.records("outbox")) > 0, within_s=30, what="the first records")
    capture.kill()
    flow.start("capture")

    until(
        lambda: len({record.key() for record in flow.records("outbox")}) == rows,
        within_s=60,
        what="every row on the topic",
    )


def test_deliver_killed_with_requests_in_flight_loses_none_and_names_its_doubts(
    flow: Flow,
) -> None:
    flow.provider.set_rules(Rule(delay_s=0.3))
    flow.start("capture")
    deliver = flow.start("deliver")
    flow.insert(120)

    until(lambda: flow.provider.in_flight >= 8, within_s=30, what="requests in flight")
    in_flight = flow.provider.in_flight
    deliver.kill()
    flow.start("deliver")

    flow.await_statuses(sent=120)
    flow.await_rest()
    doubted = flow.ledger("SELECT count(*) FROM cdc_sms_delivery WHERE doubts > 0")
    assert flow.lost() == []
    assert flow.doubled_beyond_doubt() == []
    assert in_flight >= 1
    assert 1 <= doubted <= 16


def test_rows_that_were_pending_before_the_first_start_are_sent(flow: Flow) -> None:
    flow.insert(50, transaction=10)

    flow.start("capture")
    flow.start("deliver")

    flow.await_statuses(sent=50)
    assert flow.lost() == []


def test_rows_inserted_while_nothing_runs_are_sent_at_the_next_start(flow: Flow) -> None:
    flow.start("capture").terminate()
    flow.insert(30)

    flow.start("capture")
    flow.start("deliver")

    flow.await_statuses(sent=30)


def test_stop_in_the_middle_gives_back_what_was_not_sent_and_doubts_nothing(flow: Flow) -> None:
    flow.provider.set_rules(Rule(delay_s=0.2))
    flow.start("capture")
    deliver = flow.start("deliver")
    flow.insert(100)
    until(lambda: len(flow.provider.accepted()) > 5, within_s=30, what="some acceptances")

    deliver.terminate()
    code = deliver.wait(within_s=30)
    flow.start("deliver")

    flow.await_statuses(sent=100)
    assert code == 0
    assert flow.ledger("SELECT count(*) FROM cdc_sms_delivery WHERE doubts > 0") == 0
    assert set(flow.accepted().values()) == {1}
