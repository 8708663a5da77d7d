import pytest

from cdc_sms.playground.story import SMALLEST, Plan


@pytest.mark.parametrize("messages", [SMALLEST, 33, 200, 500, 2000])
def test_acts_insert_all_messages_and_each_act_some(messages: int) -> None:
    plan = Plan.of(messages, None)
    acts = [plan.calm, plan.mistyped, plan.outage, plan.kill]

    assert sum(acts) == messages
    assert min(acts) > 0
    assert 1 <= plan.wrong <= plan.mistyped


def test_plan_keeps_the_rate_that_is_asked_for() -> None:
    assert Plan.of(200, 3.5).rate == 3.5
