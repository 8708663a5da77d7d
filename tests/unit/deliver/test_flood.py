import pytest

from cdc_sms.deliver.flood import run_after


@pytest.mark.parametrize(
    ("run", "ends", "after"),
    [
        (0, [True, True], 2),
        (7, [True], 8),
        (7, [False], 0),
        (7, [True, False, True], 1),
        (7, [], 7),
    ],
)
def test_a_run_is_what_was_given_up_since_the_last_success(
    run: int, ends: list[bool], after: int
) -> None:
    assert run_after(run, ends) == after
