"""Every error that PostgreSQL has is mapped to one of ours."""

import psycopg
import pytest
from psycopg.errors import lookup

from cdc_sms.errors import CdcSmsError, PositionLost, SetupError, SourceUnavailable
from cdc_sms.sources.base import HeldByAnother
from cdc_sms.sources.postgres.connection import _SETUP, _SINGLE, errors_mapped, mapped


def every_sqlstate() -> list[str]:
    return sorted(
        state
        for error in vars(psycopg.errors).values()
        if isinstance(state := getattr(error, "sqlstate", None), str)
    )


def test_every_sqlstate_of_the_driver_is_mapped_with_a_remedy() -> None:
    errors = [mapped(state, "no", doing="Reading") for state in every_sqlstate()]

    assert len(errors) > 200
    assert {type(error) for error in errors} == {
        SetupError,
        SourceUnavailable,
        HeldByAnother,
        PositionLost,
    }
    assert all(error.hint for error in errors)


def test_every_code_in_the_tables_exists() -> None:
    known = every_sqlstate()

    assert [state for state in _SINGLE if lookup(state).sqlstate != state] == []
    assert [family for family in _SETUP if not any(s.startswith(family) for s in known)] == []


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        pytest.param("08006", SourceUnavailable, id="the connection failed"),
        pytest.param("57P01", SourceUnavailable, id="the server shuts down"),
        pytest.param("57P03", SourceUnavailable, id="the server starts up"),
        pytest.param("53300", SourceUnavailable, id="too many connections"),
        pytest.param("58030", SourceUnavailable, id="an input or output error"),
        pytest.param("XX000", SourceUnavailable, id="an internal error"),
        pytest.param("55P03", SourceUnavailable, id="a lock was not free in time"),
        pytest.param("55006", HeldByAnother, id="the slot is active"),
        pytest.param("42710", HeldByAnother, id="another reader made the slot"),
        pytest.param("55000", PositionLost, id="the slot was invalidated"),
        pytest.param("42704", PositionLost, id="the slot is gone"),
        pytest.param("28P01", SetupError, id="a wrong password"),
        pytest.param("3D000", SetupError, id="no such database"),
        pytest.param("42501", SetupError, id="a right is missing"),
        pytest.param("53400", SetupError, id="all slots are in use"),
        pytest.param("22P02", SetupError, id="a word that the column can't hold"),
    ],
)
def test_what_an_sqlstate_means(state: str, kind: type[CdcSmsError]) -> None:
    error = mapped(state, "no", doing="Reading")

    assert type(error) is kind
    assert error.message == f"Reading failed: no ({state})."


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        pytest.param("server closed the connection unexpectedly", SourceUnavailable, id="closed"),
        pytest.param("timeout expired", SourceUnavailable, id="time-out"),
        pytest.param('FATAL: database "x" does not exist', SetupError, id="no such database"),
        pytest.param("no pg_hba.conf entry for host", SetupError, id="not let in"),
        pytest.param("password authentication failed", SetupError, id="a wrong password"),
    ],
)
def test_what_a_connection_error_without_sqlstate_means(
    message: str, kind: type[CdcSmsError]
) -> None:
    assert type(mapped(None, message, doing="Connecting")) is kind


def test_the_drivers_errors_become_ours_with_their_cause() -> None:
    with pytest.raises(SourceUnavailable) as caught, errors_mapped("Reading"):
        raise psycopg.OperationalError("the network\nis down")

    assert caught.value.message == "Reading failed: the network."
    assert isinstance(caught.value.__cause__, psycopg.OperationalError)
