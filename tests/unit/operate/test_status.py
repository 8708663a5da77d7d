"""What a snapshot makes of the roles' answers."""

from typing import Any

import pytest

from cdc_sms.operate.status import is_anything_reachable, outbox_lag


def test_lag_is_joined_over_all_members_by_partition() -> None:
    roles: list[dict[str, Any]] = [
        {"role": "capture"},
        {"role": "deliver", "lag": {"10": 3, "2": 0}},
        {"role": "deliver", "lag": {"1": 4}},
    ]

    assert outbox_lag(roles) == {"1": 4, "2": 0, "10": 3}


@pytest.mark.parametrize(
    "roles",
    [[], [{"reachable": False, "state": "unreachable"}], [{"role": "deliver", "lag": None}]],
    ids=["nobody asked", "unreachable", "not joined yet"],
)
def test_lag_is_unknown_when_no_deliver_tells_it(roles: list[dict[str, Any]]) -> None:
    assert outbox_lag(roles) is None


@pytest.mark.parametrize(
    ("role", "database", "reachable"),
    [(True, False, True), (False, True, True), (False, False, False)],
    ids=["a role", "the database", "neither"],
)
def test_something_is_reachable_when_a_role_or_the_database_answers(
    role: bool, database: bool, reachable: bool
) -> None:
    snapshot = {"roles": [{"reachable": role}], "database": {"reachable": database}}

    assert is_anything_reachable(snapshot) is reachable
