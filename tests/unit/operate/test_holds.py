"""Which hold a person means."""

import pytest
from support.factories import hold

from cdc_sms.errors import ActRefused
from cdc_sms.model.hold import Hold, HoldKind
from cdc_sms.operate.holds import pick

MANUAL, FLOOD = hold(HoldKind.MANUAL), hold(HoldKind.FLOOD)


def test_the_only_hold_needs_no_name() -> None:
    assert pick([FLOOD], None) is FLOOD


def test_one_of_several_is_found_by_its_name() -> None:
    assert pick([FLOOD, MANUAL], "manual") is MANUAL


@pytest.mark.parametrize(
    ("holds", "name", "said"),
    [
        ([], None, "No hold is in force"),
        ([], "manual", "No hold is in force"),
        ([FLOOD, MANUAL], None, "Several holds are in force: flood, manual"),
        ([FLOOD], "manual", "No hold 'manual' is in force"),
    ],
    ids=["none", "none of that name", "several", "another name"],
)
def test_what_is_not_one_hold_is_refused(holds: list[Hold], name: str | None, said: str) -> None:
    with pytest.raises(ActRefused, match=said):
        pick(holds, name)
