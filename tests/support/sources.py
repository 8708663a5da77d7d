"""The databases that a test is repeated on: a test takes ``source``, or a fixture that does."""

import pytest

on_every_database = pytest.mark.parametrize(
    "source",
    [
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mysql", marks=pytest.mark.mysql),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ],
)
