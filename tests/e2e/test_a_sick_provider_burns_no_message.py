from support.flow import KEY, Flow
from support.waiting import until

from cdc_sms.playground.faults import Rule


def test_outage_burns_no_attempt_and_dead_letters_nothing(flow: Flow) -> None:
    flow.start("capture")
    deliver = flow.start("deliver")
    flow.insert(5)
    flow.await_statuses(sent=5)

    flow.provider.outage(unavailable_s=10, refuse_s=20)
    flow.insert(100)

    deliver.await_line("breaker.opened", within_s=30)
    flow.await_statuses(sent=105, within_s=120)
    flow.await_rest()
    assert flow.dead_letters() == []
    assert flow.ledger("SELECT max(attempts) FROM cdc_sms_delivery") <= 2
    assert flow.ledger("SELECT sum(attempts) FROM cdc_sms_delivery") <= 105 + 4
    assert flow.ledger("SELECT count(*) FROM cdc_sms_delivery WHERE doubts > 0") == 0
    assert set(flow.accepted().values()) == {1}


def test_account_failure_holds_everything_and_heals_by_itself(flow: Flow) -> None:
    flow.provider.set_key("rotated-at-the-provider")
    flow.start("capture")
    deliver = flow.start("deliver")
    flow.insert(50)

    deliver.await_line("hold.started")
    held = flow.ledger("SELECT count(*) FROM cdc_sms_control WHERE name LIKE 'hold:%'")
    flow.provider.set_key(KEY)

    flow.await_statuses(sent=50)
    assert held == 1
    assert flow.dead_letters() == []
    assert flow.ledger("SELECT max(attempts) FROM cdc_sms_delivery") == 1
    until(
        lambda: flow.ledger("SELECT count(*) FROM cdc_sms_control WHERE name LIKE 'hold:%'") == 0,
        within_s=10,
    )


def test_answer_that_names_a_pause_is_obeyed(flow: Flow) -> None:
    flow.provider.set_rules(Rule(calls="send", status=429, retry_after="3", first=1))
    flow.start("capture")
    deliver = flow.start("deliver")
    flow.insert(1)
    flow.await_statuses(sent=1)

    deliver.await_line("breaker.opened")
    assert flow.ledger("SELECT attempts FROM cdc_sms_delivery") == 1


def test_request_that_was_accepted_but_not_answered_is_in_doubt_and_resent_once(
    flow: Flow,
) -> None:
    flow.provider.set_rules(Rule(calls="send", fault="hang", accepts=True, first=1))
    flow.start("capture")
    flow.start("deliver")
    flow.insert(1)

    flow.await_statuses(sent=1)
    assert list(flow.accepted().values()) == [2]
    assert flow.ledger("SELECT doubts FROM cdc_sms_delivery") == 1


def test_message_that_stays_in_doubt_is_left_to_a_person(flow: Flow) -> None:
    flow.provider.set_rules(Rule(calls="send", text="text", fault="reset", accepts=True))
    flow.start("capture")
    flow.start("deliver")
    flow.insert(1)

    flow.await_statuses(failed=1)
    flow.await_rest()
    [letter] = flow.dead_letters()
    assert letter["class"] == "in_doubt"
    assert list(flow.accepted().values()) == [2]
