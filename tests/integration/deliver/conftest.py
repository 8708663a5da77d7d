"""A database of each kind."""

import pytest
from support.business.base import Database


@pytest.fixture(
    params=[
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mysql", marks=pytest.mark.mysql),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def database(request: pytest.FixtureRequest) -> Database:
    """A fresh database of each kind, one after the other."""
    made: Database = request.getfixturevalue(f"{request.param}_database")
    return made
