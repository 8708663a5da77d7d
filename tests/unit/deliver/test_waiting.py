from dataclasses import replace

import pytest
from support.factories import look

from cdc_sms.deliver.intake import Look
from cdc_sms.deliver.waiting import Waiting


def _look(offset: int) -> Look:
    one = look()
    return replace(one, place=one.place._replace(offset=offset))


@pytest.fixture
def waiting() -> Waiting:
    made = Waiting()
    made.add(_look(1), "held", 30.0)
    made.add(_look(2), "retrying", 10.0)
    made.add(_look(3), "held", 20.0)
    return made


def test_looks_come_out_in_the_order_of_their_due_times(waiting: Waiting) -> None:
    assert [one.place.offset for one in waiting.due(20.0)] == [2, 3]
    assert waiting.next_due_s() == 30.0


def test_what_waits_for_a_reason_is_let_go_together(waiting: Waiting) -> None:
    assert [one.place.offset for one in waiting.released("held")] == [3, 1]
    assert not waiting.has("held")
    assert waiting.has("retrying")


def test_a_reason_is_known_as_long_as_one_waits_for_it(waiting: Waiting) -> None:
    waiting.due(20.0)
    assert waiting.has("held")
    assert not waiting.has("retrying")

    waiting.drop(lambda one: one.place.offset == 1)
    assert not waiting.has("held")
