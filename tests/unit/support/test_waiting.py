"""Waiting ends with what was waited for, or says what was seen last."""

import pytest
from support.waiting import GaveUpError, still, until


def no_tide() -> bool:
    raise KeyError("tide")


def test_until_returns_the_first_true_value() -> None:
    values = iter([0, 0, 7, 8])

    assert until(lambda: next(values), within_s=5, every_s=0) == 7


def test_until_says_what_it_saw_last_when_it_gives_up() -> None:
    with pytest.raises(GaveUpError, match=r"waited 0 s for the tide; last seen: ''"):
        until(str, within_s=0, what="the tide")


def test_until_tells_what_it_is_given_to_tell() -> None:
    with pytest.raises(GaveUpError, match="last seen: 'low'"):
        until(lambda: False, within_s=0, what="the tide", seen=lambda: "low")


def test_until_takes_a_named_error_for_not_yet() -> None:
    with pytest.raises(GaveUpError, match="last seen: KeyError: 'tide'"):
        until(no_tide, within_s=0, ignoring=(KeyError,))


def test_until_raises_any_other_error_at_once() -> None:
    with pytest.raises(KeyError):
        until(no_tide, within_s=60)


def test_still_gives_up_when_the_condition_ends() -> None:
    values = iter([1, 1, 0])

    with pytest.raises(GaveUpError, match="the calm did not stay true"):
        still(lambda: next(values), for_s=5, what="the calm", every_s=0)
