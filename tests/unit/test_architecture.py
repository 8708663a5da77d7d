"""Rules of the house that no linter knows."""

import inspect
from pathlib import Path

import pytest
from sqlalchemy import exc

import cdc_sms
from cdc_sms import errors
from cdc_sms.databases.engine import classified
from cdc_sms.databases.refusals import LockTimeout, RepeatTransaction, RowRefused

PACKAGE = Path(cdc_sms.__file__).parent

TOPS = {
    "cli/main.py": "the command line",
    "deliver/desk.py": "the ledger thread",
    "deliver/send.py": "a sender thread",
    "serve/app.py": "an HTTP request",
}


def test_any_exception_is_caught_only_at_a_top() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if "except Exception" in path.read_text(encoding="utf-8")
    }

    assert found == set(TOPS)


def test_every_error_of_ours_demands_a_hint() -> None:
    classes = [
        found
        for _name, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, errors.CdcSmsError)
    ]

    assert len(classes) > 10
    for found in classes:
        parameter = inspect.signature(found).parameters["hint"]
        assert parameter.default is inspect.Parameter.empty


class FromServer(Exception):  # noqa: N818 - what a driver raises
    """A driver's error with the server's SQLSTATE."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "wanted"),
    [
        ("08006", errors.DatabaseUnavailable),
        ("25006", errors.DatabaseUnavailable),
        ("53100", errors.DatabaseUnavailable),
        ("53300", errors.DatabaseUnavailable),
        ("57014", errors.DatabaseUnavailable),
        ("57P01", errors.DatabaseUnavailable),
        ("58030", errors.DatabaseUnavailable),
        ("XX000", errors.DatabaseUnavailable),
        ("28P01", errors.SetupError),
        ("3D000", errors.SetupError),
        ("42501", errors.SetupError),
        ("42703", errors.MappingError),
        ("42P01", errors.MappingError),
        ("40001", RepeatTransaction),
        ("40P01", RepeatTransaction),
        ("0A000", RepeatTransaction),
        ("55P03", LockTimeout),
        ("22001", RowRefused),
        ("23502", RowRefused),
        ("P0001", RowRefused),
    ],
)
def test_every_sqlstate_that_we_name_has_its_way_out(
    sqlstate: str, wanted: type[errors.CdcSmsError]
) -> None:
    ours = classified(exc.DBAPIError("statement", {}, FromServer(sqlstate)))

    assert type(ours) is wanted
    assert ours.hint
