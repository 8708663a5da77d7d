"""What a column's type says of its values in a record: for decoding a key. Pure.

By SQLAlchemy's reflection of the business table; a dialect's own types come first where they say
more than the general ones.
"""

import re
from typing import Any

from sqlalchemy import Column, Dialect, String, types
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql

from cdc_sms.model.encodings import ColumnKind, KeyColumn

_SQL_SERVERS_DIGITS = 7
_DATETIMES_DIGITS = 3  # SQL Server's DATETIME, the only one that is reflected without a precision

_CHANGED = re.compile(r"[,\\\0\n\r]")
"""What Debezium writes otherwise than it is in a word of MySQL's ENUM: no row has such a key."""


class Bits(types.TypeDecorator[int]):
    """MySQL's ``BIT`` as a whole number, which the driver reads as bytes.

    SQLAlchemy's own type of it has no operators, so that nothing can be compared with it.
    """

    impl = types.Integer
    cache_ok = True

    def process_result_value(self, value: Any, _dialect: Dialect) -> int | None:
        """Read what came from the server."""
        return int.from_bytes(value, "big") if isinstance(value, bytes) else value


def key_column(column: Column[Any], *, has_zero_dates: bool = False) -> KeyColumn:
    """Say what a key's column holds.

    Args:
        column: as reflected.
        has_zero_dates: whether a ``DATE`` may be one of zeros: on MySQL and MariaDB, where its
            reflected type doesn't tell.
    """
    return _of(column.name, column.type, has_zero_dates)


def _of(name: str, type_: types.TypeEngine[Any], has_zero_dates: bool) -> KeyColumn:  # noqa: FBT001
    if isinstance(type_, postgresql.DOMAIN):
        return _of(name, type_.data_type, has_zero_dates)
    if isinstance(type_, types.Date):
        return KeyColumn(name, ColumnKind.DATE, has_zero_dates=has_zero_dates)
    return (
        _of_mysql(name, type_)
        or _of_sql_server(name, type_)
        or _of_oracle(name, type_)
        or _in_general(name, type_)
    )


def _of_mysql(name: str, type_: types.TypeEngine[Any]) -> KeyColumn | None:
    """Read MySQL's and MariaDB's types: a time keeps no digits of a second by default."""
    match type_:
        case mysql.BIGINT(unsigned=True):
            return KeyColumn(name, ColumnKind.INTEGER, is_unsigned=True)
        case mysql.YEAR():
            return KeyColumn(name, ColumnKind.INTEGER)
        case mysql.BIT() | Bits():
            return KeyColumn(name, ColumnKind.BITS)
        case mysql.TIMESTAMP():
            kind, digits = ColumnKind.TIMESTAMPTZ, type_.fsp or 0
            return KeyColumn(name, kind, precision=digits, has_zero_dates=True)
        case mysql.DATETIME():
            kind, digits = ColumnKind.TIMESTAMP, type_.fsp or 0
            return KeyColumn(name, kind, precision=digits, has_zero_dates=True)
        case mysql.TIME():
            return KeyColumn(name, ColumnKind.TIME, precision=type_.fsp or 0, number_unit="us")
        case mysql.ENUM() if any(_CHANGED.search(word) for word in type_.enums):
            return KeyColumn(name, ColumnKind.OTHER)
        case mysql.INET4() | mysql.INET6():
            return KeyColumn(name, ColumnKind.TEXT)
        case _:
            return None


def _of_sql_server(name: str, type_: types.TypeEngine[Any]) -> KeyColumn | None:
    match type_:
        case mssql.DATETIMEOFFSET():
            digits = _digits(type_, _SQL_SERVERS_DIGITS)
            return KeyColumn(name, ColumnKind.TIMESTAMPTZ, precision=digits)
        case mssql.DATETIME2():
            digits = _digits(type_, _SQL_SERVERS_DIGITS)
            return KeyColumn(name, ColumnKind.TIMESTAMP, precision=digits)
        case mssql.SMALLDATETIME():
            return KeyColumn(name, ColumnKind.TIMESTAMP, precision=0)
        case types.DATETIME():
            return KeyColumn(name, ColumnKind.TIMESTAMP, precision=_DATETIMES_DIGITS)
        case mssql.TIME():
            return KeyColumn(name, ColumnKind.TIME, precision=_digits(type_, _SQL_SERVERS_DIGITS))
        case _:
            return None


def _of_oracle(name: str, type_: types.TypeEngine[Any]) -> KeyColumn | None:
    match type_:
        case oracle.NUMBER():
            scale = 0 if type_.scale is None and type_.precision is not None else type_.scale
            return KeyColumn(name, ColumnKind.NUMERIC, scale, type_.precision)
        case oracle.DATE():  # it has a time of day
            return KeyColumn(name, ColumnKind.TIMESTAMP, precision=0)
        case oracle.TIMESTAMP(local_timezone=True):
            return KeyColumn(name, ColumnKind.TIMESTAMPTZ)
        case _:
            return None


def _in_general(name: str, type_: types.TypeEngine[Any]) -> KeyColumn:
    match type_:
        case types.Numeric() if not isinstance(type_, types.Float):
            return KeyColumn(name, ColumnKind.NUMERIC, type_.scale, type_.precision)
        case types.DateTime() | types.Time():
            return KeyColumn(name, _kind_of_time(type_), precision=_digits(type_, None))
        case types.LargeBinary() | types.BINARY() | types.VARBINARY() | oracle.RAW():
            return KeyColumn(name, ColumnKind.BYTES, length=type_.length)
        case _:
            return KeyColumn(name, _kind(type_))


def _kind(type_: types.TypeEngine[Any]) -> ColumnKind:
    match type_:
        case types.Boolean():
            return ColumnKind.BOOLEAN
        case types.Integer():
            return ColumnKind.INTEGER
        case types.Float():
            return ColumnKind.FLOAT
        case types.Uuid():
            return ColumnKind.UUID
        case String() if type(type_) is not String:
            return ColumnKind.TEXT
        case _:  # String itself is PostgreSQL's name, which records lose, or its "char"
            return ColumnKind.OTHER


def _kind_of_time(type_: types.DateTime | types.Time) -> ColumnKind:
    if isinstance(type_, types.DateTime):
        return ColumnKind.TIMESTAMPTZ if type_.timezone else ColumnKind.TIMESTAMP
    return ColumnKind.OTHER if type_.timezone else ColumnKind.TIME


def _digits(type_: types.TypeEngine[Any], default: int | None) -> int | None:
    precision: int | None = getattr(type_, "precision", None)
    return default if precision is None else precision
