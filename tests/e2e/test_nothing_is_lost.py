from support.flow import Flow
from support.sources import on_every_database
from support.waiting import until

from cdc_sms.playground.faults import Rule


@on_every_database
def test_rows_that_were_pending_before_the_first_start_are_sent(flow: Flow) -> None:
    flow.insert(50, transaction=10)

    flow.start("capture")
    flow.start("deliver")

    flow.await_statuses(sent=50)
    assert flow.lost() == []


@on_every_database
def test_rows_inserted_while_nothing_runs_are_sent_at_the_next_start(flow: Flow) -> None:
    capture = flow.start("capture")
    capture.terminate()
    assert capture.wait(within_s=30) == 0
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


def test_outbox_that_was_deleted_and_made_anew_is_noticed_and_its_rows_are_captured_again(
    flow: Flow,
) -> None:
    flow.start("capture")
    deliver = flow.start("deliver")
    flow.insert(20)
    flow.await_statuses(sent=20)
    deliver.terminate()
    assert deliver.wait(within_s=30) == 0
    flow.insert(30)
    until(lambda: len(flow.records("outbox")) == 50, within_s=30, what="all rows on the topic")

    flow.remove_topic("outbox")
    flow.run("topics")
    flow.start("deliver")

    flow.await_statuses(sent=50)
    until(
        lambda: flow.ledger("SELECT count(*) FROM cdc_sms_control WHERE name LIKE 'gap:%'") == 0,
        within_s=30,
        what="the gaps to be healed",
    )
    assert flow.lost() == []
    assert set(flow.accepted().values()) == {1}


def test_partition_that_never_got_a_record_is_no_gap_at_the_next_start(flow: Flow) -> None:
    flow.start("capture")
    deliver = flow.start("deliver")
    flow.insert(1)
    flow.await_statuses(sent=1)
    deliver.terminate()
    assert deliver.wait(within_s=30) == 0

    again = flow.start("deliver")
    flow.insert(1)
    flow.await_statuses(sent=2)

    assert "gap.flagged" not in again.errors
