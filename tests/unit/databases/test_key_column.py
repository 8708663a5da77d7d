"""What a column's reflected type says of its values in a record."""

from typing import Any

import pytest
from sqlalchemy import Column, types
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql

from cdc_sms.databases.key_column import key_column
from cdc_sms.model.encodings import ColumnKind, KeyColumn

# without annotations in SQLAlchemy
Number: Any = oracle.NUMBER
Domain: Any = postgresql.DOMAIN
SqlServers: Any = mssql


def _column(kind: str, **says: Any) -> KeyColumn:
    return KeyColumn("nr", ColumnKind(kind), **says)


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        (types.BIGINT(), _column("integer")),
        (types.NUMERIC(10, 2), _column("numeric", scale=2, precision=10)),
        (types.NUMERIC(), _column("numeric")),
        (types.FLOAT(), _column("float")),
        (types.DOUBLE(), _column("float")),
        (types.VARCHAR(40), _column("text")),
        (types.String(), _column("other")),  # PostgreSQL's name
        (types.UUID(), _column("uuid")),
        (types.BOOLEAN(), _column("boolean")),
        (types.DATE(), _column("date")),
        (types.JSON(), _column("other")),
        (postgresql.BYTEA(), _column("bytes")),
        (postgresql.ENUM("a", name="e"), _column("text")),
        (postgresql.TIMESTAMP(precision=3), _column("timestamp", precision=3)),
        (postgresql.TIMESTAMP(timezone=True), _column("timestamptz")),
        (postgresql.TIME(precision=3), _column("time", precision=3)),
        (postgresql.TIME(timezone=True), _column("other")),
        (postgresql.INTERVAL(), _column("other")),
        (Domain("d", types.NUMERIC(10, 2)), _column("numeric", scale=2, precision=10)),
    ],
    ids=repr,
)
def test_the_general_types_and_postgresqls(
    type_: types.TypeEngine[Any], expected: KeyColumn
) -> None:
    assert key_column(Column("nr", type_)) == expected


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        (mysql.BIGINT(unsigned=True), _column("integer", is_unsigned=True)),
        (mysql.BIGINT(), _column("integer")),
        (mysql.INTEGER(unsigned=True), _column("integer")),
        (mysql.TINYINT(display_width=1), _column("integer")),
        (mysql.YEAR(), _column("integer")),
        (mysql.BIT(12), _column("bits")),
        (mysql.DECIMAL(20, 0), _column("numeric", scale=0, precision=20)),
        (mysql.DOUBLE(), _column("float")),
        (mysql.CHAR(4), _column("text")),
        (mysql.ENUM("a"), _column("text")),
        (mysql.ENUM("it's", "ü"), _column("text")),
        (mysql.ENUM("a", "b,c"), _column("other")),
        (mysql.ENUM("b\\c"), _column("other")),
        (mysql.SET("a"), _column("text")),
        (mysql.INET6(), _column("text")),
        (types.BINARY(16), _column("bytes", length=16)),
        (types.VARBINARY(40), _column("bytes", length=40)),
        (mysql.TIME(fsp=3), _column("time", precision=3, number_unit="us")),
        (mysql.TIME(), _column("time", precision=0, number_unit="us")),
        (mysql.DATETIME(fsp=6), _column("timestamp", precision=6, has_zero_dates=True)),
        (mysql.DATETIME(), _column("timestamp", precision=0, has_zero_dates=True)),
        (mysql.TIMESTAMP(fsp=3), _column("timestamptz", precision=3, has_zero_dates=True)),
        (types.DATE(), _column("date", has_zero_dates=True)),
        (mysql.JSON(), _column("other")),
    ],
    ids=repr,
)
def test_the_types_of_mysql_and_mariadb(type_: types.TypeEngine[Any], expected: KeyColumn) -> None:
    assert key_column(Column("nr", type_), has_zero_dates=True) == expected


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        (SqlServers.DATETIME2(7), _column("timestamp", precision=7)),
        (SqlServers.DATETIME2(), _column("timestamp", precision=7)),
        (SqlServers.SMALLDATETIME(), _column("timestamp", precision=0)),
        (types.DATETIME(), _column("timestamp", precision=3)),
        (SqlServers.DATETIMEOFFSET(), _column("timestamptz", precision=7)),
        (SqlServers.TIME(3), _column("time", precision=3)),
        (SqlServers.UNIQUEIDENTIFIER(), _column("uuid")),
        (SqlServers.BIT(), _column("boolean")),
        (SqlServers.MONEY(), _column("other")),
        (Number(10, 0), _column("numeric", scale=0, precision=10)),
        (Number(10), _column("numeric", scale=0, precision=10)),
        (Number(), _column("numeric")),
        (oracle.DATE(), _column("timestamp", precision=0)),
        (oracle.TIMESTAMP(), _column("timestamp")),
        (oracle.TIMESTAMP(timezone=True), _column("timestamptz")),
        (oracle.TIMESTAMP(local_timezone=True), _column("timestamptz")),
        (oracle.RAW(16), _column("bytes", length=16)),
        (oracle.ROWID(), _column("other")),
    ],
    ids=repr,
)
def test_the_types_of_sql_server_and_oracle(
    type_: types.TypeEngine[Any], expected: KeyColumn
) -> None:
    assert key_column(Column("nr", type_)) == expected
