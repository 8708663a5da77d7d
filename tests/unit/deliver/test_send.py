import pytest
from support.factories import claim, look, row

from cdc_sms.deliver.send import compose
from cdc_sms.deliver.waiting import Waiting, pause_s
from cdc_sms.model.message import Message
from cdc_sms.model.outcome import Failed, FailureClass


def test_message_is_made_of_the_row_as_it_stood_under_the_lock() -> None:
    message = compose(claim(row=row(recipient="600 100 200", sender="ACME")), region="PL")

    assert isinstance(message, Message)
    assert message.recipient.reveal() == "+48600100200"
    assert (message.sender, message.attempt) == ("ACME", 1)
    assert "600100200" not in repr(message)
    assert "parcel" not in repr(message)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"recipient": ""}, "no_recipient"),
        ({"recipient": "  "}, "no_recipient"),
        ({"text": ""}, "no_text"),
        ({"recipient": "not a number"}, "invalid_recipient"),
        ({"recipient": "+4812"}, "invalid_recipient"),
    ],
)
def test_row_that_is_no_message_is_refused_for_good_with_a_reason(
    changes: dict[str, str], code: str
) -> None:
    refused = compose(claim(row=row(**changes)), region="PL")

    assert isinstance(refused, Failed)
    assert (refused.failure_class, refused.code) == (FailureClass.PERMANENT, code)
    assert refused.text


def test_waiting_looks_come_out_in_the_order_of_their_due_times() -> None:
    waiting = Waiting()
    late, soon, now = look(), look(), look()
    waiting.add(late, "retrying", 30.0)
    waiting.add(soon, "retrying", 10.0)
    waiting.add(now, "in_doubt", 5.0)

    assert waiting.due(10.0) == [now, soon]
    assert waiting.next_due_s() == 30.0
    assert len(waiting) == 1


def test_look_that_cannot_know_better_waits_longer_each_time_up_to_a_limit() -> None:
    pauses = [pause_s("not_visible", looks) for looks in range(12)]

    assert pauses == sorted(pauses)
    assert pauses[0] < 0.01
    assert pauses[-1] == 1.0
