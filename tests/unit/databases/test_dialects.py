"""Each dialect says all that differs, and what its server's errors mean."""

import inspect
import ssl

import pymysql
import pytest
from sqlalchemy import Boolean, Integer, LargeBinary, String, Text, column, exc, select, types
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.mysql.base import MySQLDialect
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.functions import GenericFunction

from cdc_sms import errors
from cdc_sms.databases import expressions
from cdc_sms.databases.dialects.mysql import BinlogEnd
from cdc_sms.databases.dialects.postgres import Snapshot
from cdc_sms.databases.engine import classified
from cdc_sms.databases.expressions import (
    AsType,
    BinaryText,
    FromHex,
    GivenRows,
    Instant,
    LongText,
    NewestFirst,
    as_rows,
    insert_if_absent,
    rows_of,
)
from cdc_sms.databases.refusals import LockTimeout, RepeatTransaction, RowRefused
from cdc_sms.databases.schema import control

DIALECTS = [
    PGDialect(),  # type: ignore[no-untyped-call]
    MySQLDialect(),
    MariaDBDialect(),
]


def _compiled(element: object, dialect: DefaultDialect) -> str:
    return str(element.compile(dialect=dialect))  # type: ignore[attr-defined]


@pytest.mark.parametrize("dialect", DIALECTS, ids=["postgres", "mysql", "mariadb"])
def test_every_dialect_writes_every_expression(dialect: DefaultDialect) -> None:
    made = {
        AsType: AsType(column("x"), type_=Integer()),
        FromHex: FromHex(column("x")),
        NewestFirst: NewestFirst(column("x")),
    }
    found = [
        one
        for _, one in inspect.getmembers(expressions, inspect.isclass)
        if issubclass(one, GenericFunction) and one not in {GenericFunction, GivenRows}
    ]

    written = [_compiled(select(made[one] if one in made else one()), dialect) for one in found]

    assert len(written) > 6
    assert not [text for text in written if "cdc_sms" in text]


@pytest.mark.parametrize("dialect", DIALECTS, ids=["postgres", "mysql", "mariadb"])
def test_every_dialect_writes_a_set_of_rows_and_an_insert_of_what_is_absent(
    dialect: DefaultDialect,
) -> None:
    given = rows_of([("a", Text()), ("n", Integer()), ("b", Boolean()), ("at", Instant())])
    statement = insert_if_absent(control).from_select(["name"], select(given.c.a))

    text = _compiled(statement, dialect)

    assert "json" in text.lower()
    assert "ON CONFLICT" in text or "ON DUPLICATE KEY" in text


@pytest.mark.parametrize("dialect", DIALECTS, ids=["postgres", "mysql", "mariadb"])
def test_every_dialect_has_a_text_that_compares_byte_by_byte(dialect: DefaultDialect) -> None:
    assert "COLLATE" in dialect.type_compiler_instance.process(BinaryText(200))
    assert "TEXT" in dialect.type_compiler_instance.process(LongText())


@pytest.mark.parametrize(
    ("type_", "written"),
    [
        (mysql.BIGINT(unsigned=True), "CAST(x AS UNSIGNED)"),
        (Integer(), "CAST(x AS SIGNED)"),
        (mysql.DECIMAL(20, 3), "CAST(x AS DECIMAL(20, 3))"),
        (mysql.TIMESTAMP(fsp=3), "CAST(x AS DATETIME(6))"),
        (types.BINARY(16), "UNHEX(x)"),
        (LargeBinary(), "UNHEX(x)"),
        (String(5), "x"),
    ],
    ids=["unsigned", "integer", "decimal", "timestamp", "binary", "blob", "text"],
)
def test_text_becomes_a_value_of_the_columns_type(
    type_: types.TypeEngine[object], written: str
) -> None:
    assert _compiled(AsType(column("x"), type_=type_), MySQLDialect()) == written


def test_rows_leave_out_what_is_null_and_write_bytes_as_digits() -> None:
    assert as_rows([{"a": None, "b": b"\x00\xff", "c": True}]) == '[{"b":"00ff","c":true}]'


def test_snapshot_knows_a_transactions_epoch_by_what_is_nearest() -> None:
    snapshot = Snapshot.parse("8589934592:8589934600:8589934595")

    assert snapshot.full(0xFFFFFFFF) == 8589934591
    assert snapshot.sees(0xFFFFFFFF)
    assert not snapshot.sees(3)
    assert not snapshot.sees(8)
    assert snapshot.sees(4)


def test_end_of_the_binlog_grows_over_files_and_prints_as_people_know_it() -> None:
    earlier, later = BinlogEnd.of("binlog.000009", 2**32), BinlogEnd.of("binlog.000010", 4)

    assert earlier < later
    assert str(later) == "binlog file 10, byte 4"


def _error(number: int, statement: str = "UPDATE sms") -> exc.SQLAlchemyError:
    driver = pymysql.OperationalError(number, "Duplicate entry '+48600100200' for key 'phone'")
    return exc.OperationalError(statement, {}, driver)


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        *((n, errors.DatabaseUnavailable) for n in (0, 1021, 1040, 1047, 1053, 1114, 1203, 1290)),
        *((n, errors.DatabaseUnavailable) for n in (1317, 1836, 1927, 1969, 2003, 2006, 2013)),
        *((n, errors.DatabaseUnavailable) for n in (2014, 3024, 4031)),
        *((n, errors.SetupError) for n in (1044, 1045, 1049, 1130, 1142, 1143, 1227, 1665, 1698)),
        *((n, errors.SetupError) for n in (1862, 2059, 3118, 3159)),
        *((n, errors.MappingError) for n in (1054, 1146)),
        *((n, RepeatTransaction) for n in (1020, 1213, 3101)),
        *((n, LockTimeout) for n in (1205, 3572)),
        *((n, RowRefused) for n in (1062, 1265, 1305, 1366, 1406, 1644, 3819, 4025)),
    ],
)
def test_every_number_that_we_name_has_its_way_out(
    number: int, wanted: type[errors.CdcSmsError]
) -> None:
    found = classified(_error(number))

    assert type(found) is wanted
    assert "600100200" not in f"{found.message} {found.hint}"


def test_savepoint_that_a_deadlock_took_along_repeats_the_transaction() -> None:
    found = classified(_error(1305, "ROLLBACK TO SAVEPOINT sa_savepoint_1"))

    assert isinstance(found, RepeatTransaction)


def test_certificate_that_is_not_trusted_is_nothing_to_wait_for() -> None:
    driver = pymysql.OperationalError(2003, "Can't connect")
    driver.original_exception = ssl.SSLCertVerificationError()  # type: ignore[attr-defined]

    assert isinstance(classified(exc.OperationalError("", {}, driver)), errors.SetupError)
