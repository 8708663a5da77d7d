from dataclasses import replace

import pytest

from cdc_sms.model.identity import Identity, differences

HOME = Identity("production", "7001", "cluster-a", "sms: id BIGINT()")


def test_the_same_place_differs_in_nothing() -> None:
    assert differences(HOME, HOME) == []


@pytest.mark.parametrize("field", ["environment", "server", "kafka", "mapping"])
def test_each_difference_is_named_with_both_values(field: str) -> None:
    [found] = differences(HOME, replace(HOME, **{field: "another"}))

    assert str(getattr(HOME, field)) in found
    assert "another" in found


def test_what_one_place_does_not_know_is_no_difference() -> None:
    assert differences(HOME, replace(HOME, kafka=None, mapping=None)) == []


def test_what_is_learnt_later_is_added() -> None:
    partly = replace(HOME, kafka=None, mapping=None)

    assert partly.completed_by(HOME) == HOME
    assert Identity.from_value(HOME.as_value()) == HOME
