from support.flow import Flow

from cdc_sms.playground.faults import Rule


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
