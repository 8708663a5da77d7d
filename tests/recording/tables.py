"""The tables that are recorded, and what their keys are: the truth that decoded keys must meet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Column, types
from sqlalchemy.dialects import mysql, postgresql

from cdc_sms.databases.key_column import key_column
from cdc_sms.model.encodings import KeyColumn, KeyValue

CONNECTORS = ("postgresql", "mysql", "mariadb")

MESSAGES = "sms"
SIGNALS = "cdc_sms_signal"
PENDING = "pending"
LAST = 99
"""The id of the row that is inserted last."""

_LONGEST_KEY = 16  # columns, on MySQL
_IDENTIFIER = "0190f3b6-7c1e-7a52-9d3a-5b1f8c2d4e6f"
_HEX = _IDENTIFIER.replace("-", "")
_MADE = datetime(2026, 11, 24, 5, 47, 11, 123456)  # noqa: DTZ001 - a column without a zone
_LONG_AGO = datetime(1999, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001


@dataclass(frozen=True)
class KeyPart:
    """One column of a recorded key, with its value in each of two rows.

    Attributes:
        name: the column's.
        declared: its type in SQL.
        reflected: its type as SQLAlchemy reflects it.
        literals: its values in SQL.
        values: its values as the connection reads them.
    """

    name: str
    declared: str
    reflected: types.TypeEngine[Any]
    literals: tuple[str, str]
    values: tuple[KeyValue, KeyValue]

    def column(self, connector: str) -> KeyColumn:
        """Return what intake knows of the column."""
        column = Column(self.name, self.reflected)
        return key_column(column, has_zero_dates=connector != "postgresql")


def parts(connector: str) -> Sequence[KeyPart]:
    """Return the columns whose encodings are recorded."""
    match connector:
        case "postgresql":
            return [*_EVERYWHERE, *_POSTGRES]
        case "mysql":
            return [*_EVERYWHERE, *_MYSQL]
        case _:
            return [*_EVERYWHERE, *_MYSQL, *_MARIADB]


def key_tables(connector: str) -> Iterator[tuple[str, Sequence[KeyPart]]]:
    """Yield the tables of these columns, each with a key of all that it has."""
    columns = parts(connector)
    for start in range(0, len(columns), _LONGEST_KEY):
        yield f"sms_keys_{start // _LONGEST_KEY}", columns[start : start + _LONGEST_KEY]


def key_table_names(connector: str) -> list[str]:
    """Return their names."""
    return [table for table, _ in key_tables(connector)]


def made(connector: str) -> Iterator[str]:
    """Yield the statements that make the tables, with the rows that a snapshot finds."""
    is_postgres = connector == "postgresql"
    word, coded = ("text", "") if is_postgres else ("varchar(20)", " CHARACTER SET utf8mb4")
    columns_of_it = f"id bigint PRIMARY KEY, status {word} NOT NULL, body text"
    yield f"CREATE TABLE {MESSAGES} ({columns_of_it}){coded}"
    yield f"INSERT INTO {MESSAGES} VALUES (1, '{PENDING}', 'zażółć'), (4, 'sent', NULL)"
    yield f"CREATE TABLE {SIGNALS} (id varchar(42) PRIMARY KEY, type varchar(32), data text)"
    for table, columns in key_tables(connector):
        declared = ", ".join(f"{part.name} {part.declared} NOT NULL" for part in columns)
        names = ", ".join(part.name for part in columns)
        yield f"CREATE TABLE {table} ({declared}, PRIMARY KEY ({names})){coded}"


def row_inserted(table: str, columns: Sequence[KeyPart], row: int) -> str:
    """Return the statement that inserts one of the rows."""
    names = ", ".join(part.name for part in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join(p.literals[row] for p in columns)})"


def changed(connector: str, schema: str) -> Iterator[str]:
    """Yield the statements whose rows are read from the log, the row ``LAST`` at the end."""
    yield f"INSERT INTO {MESSAGES} VALUES (2, '{PENDING}', 'zażółć'), (3, 'draft', NULL)"
    yield f"UPDATE {MESSAGES} SET status = '{PENDING}' WHERE id = 3"
    yield f"UPDATE {MESSAGES} SET status = 'sent' WHERE id = 2"
    yield f"DELETE FROM {MESSAGES} WHERE id = 3"
    for table, columns in key_tables(connector):
        for row in (0, 1):
            yield row_inserted(table, columns, row)
    yield f"TRUNCATE TABLE {key_table_names(connector)[0]}"
    if connector == "postgresql":
        yield "SELECT pg_logical_emit_message(true, 'a prefix', 'a message')"
    wanted = f'{{"data-collections": ["{schema}.{MESSAGES}"], "type": "incremental"}}'
    yield f"INSERT INTO {SIGNALS} VALUES ('look again', 'execute-snapshot', '{wanted}')"
    yield f"INSERT INTO {MESSAGES} VALUES ({LAST}, '{PENDING}', NULL)"


_EVERYWHERE = (
    KeyPart(
        "whole",
        "decimal(20,0)",
        types.NUMERIC(20, 0),
        ("18446744073709551615", "4711"),
        (Decimal(18446744073709551615), Decimal(4711)),
    ),
    KeyPart(
        "amount",
        "decimal(10,2)",
        types.NUMERIC(10, 2),
        ("12.30", "-1234567.80"),
        (Decimal("12.30"), Decimal("-1234567.80")),
    ),
    KeyPart(
        "day",
        "date",
        types.DATE(),
        ("'2026-11-24'", "'1969-12-31'"),
        (date(2026, 11, 24), date(1969, 12, 31)),
    ),
)

_POSTGRES = (
    KeyPart("id", "bigint", types.BIGINT(), ("9007199254740993", "-1"), (9007199254740993, -1)),
    KeyPart(
        "free",
        "numeric",
        types.NUMERIC(),
        ("3.14159265358979323846", "1000"),
        (Decimal("3.14159265358979323846"), Decimal(1000)),
    ),
    KeyPart(
        "token",
        "bytea",
        postgresql.BYTEA(),
        (r"'\x00fffe'", rf"'\x{_HEX}'"),
        (b"\0\xff\xfe", bytes.fromhex(_HEX)),
    ),
    KeyPart(
        "uid",
        "uuid",
        types.UUID(),
        (f"'{_IDENTIFIER}'", f"'{UUID(int=0)}'"),
        (UUID(_IDENTIFIER), UUID(int=0)),
    ),
    KeyPart(
        "clock",
        "time(6)",
        postgresql.TIME(precision=6),
        ("'05:47:11.123456'", "'23:59:59.999999'"),
        (time(5, 47, 11, 123456), time(23, 59, 59, 999999)),
    ),
    KeyPart(
        "coarse_clock",
        "time(3)",
        postgresql.TIME(precision=3),
        ("'05:47:11.123'", "'23:59:59.999'"),
        (time(5, 47, 11, 123000), time(23, 59, 59, 999000)),
    ),
    KeyPart(
        "made",
        "timestamp(6)",
        postgresql.TIMESTAMP(precision=6),
        (f"'{_MADE}'", f"'{_LONG_AGO}'"),
        (_MADE, _LONG_AGO),
    ),
    KeyPart(
        "coarse",
        "timestamp(3)",
        postgresql.TIMESTAMP(precision=3),
        ("'2026-11-24 05:47:11.123'", "'1999-12-31 23:59:59'"),
        (_MADE.replace(microsecond=123000), _LONG_AGO.replace(microsecond=0)),
    ),
    KeyPart(
        "seen",
        "timestamptz",
        postgresql.TIMESTAMP(timezone=True),
        (f"'{_MADE}+00'", f"'{_LONG_AGO}+01'"),
        (_MADE.replace(tzinfo=UTC), _LONG_AGO.replace(tzinfo=UTC, hour=22)),
    ),
    KeyPart(
        "word",
        "varchar(40)",
        types.VARCHAR(40),
        ("'zażółć /%\"'", "''"),
        ('zażółć /%"', ""),
    ),
    KeyPart("flag", "boolean", types.BOOLEAN(), ("true", "false"), (True, False)),
)

_MYSQL = (
    KeyPart(
        "id",
        "bigint unsigned",
        mysql.BIGINT(unsigned=True),
        ("18446744073709551615", "9007199254740993"),
        (18446744073709551615, 9007199254740993),
    ),
    KeyPart(
        "small",
        "int unsigned",
        mysql.INTEGER(unsigned=True),
        ("4294967295", "1"),
        (4294967295, 1),
    ),
    KeyPart("tiny", "tinyint(1)", mysql.TINYINT(display_width=1), ("1", "0"), (1, 0)),
    KeyPart(
        "token",
        "varbinary(40)",
        types.VARBINARY(40),
        ("x'00fffe'", f"x'{_HEX}'"),
        (b"\0\xff\xfe", bytes.fromhex(_HEX)),
    ),
    KeyPart(
        "uid",
        "binary(16)",
        types.BINARY(16),
        (f"x'{_HEX}'", "x'01'"),
        (bytes.fromhex(_HEX), b"\1".ljust(16, b"\0")),
    ),
    KeyPart(
        "clock",
        "time(6)",
        mysql.TIME(fsp=6),
        ("'05:47:11.123456'", "'23:59:59.999999'"),
        (time(5, 47, 11, 123456), time(23, 59, 59, 999999)),
    ),
    KeyPart("coarse_clock", "time", mysql.TIME(), ("'05:47:11'", "0"), (time(5, 47, 11), time(0))),
    KeyPart(
        "made",
        "datetime(6)",
        mysql.DATETIME(fsp=6),
        (f"'{_MADE}'", f"'{_LONG_AGO}'"),
        (_MADE, _LONG_AGO),
    ),
    KeyPart(
        "coarse",
        "datetime",
        mysql.DATETIME(),
        ("'2026-11-24 05:47:11'", "'1999-12-31 23:59:59'"),
        (_MADE.replace(microsecond=0), _LONG_AGO.replace(microsecond=0)),
    ),
    KeyPart(
        "seen",
        "timestamp(6)",
        mysql.TIMESTAMP(fsp=6),
        (f"'{_MADE}'", f"'{_LONG_AGO}'"),
        (_MADE.replace(tzinfo=UTC), _LONG_AGO.replace(tzinfo=UTC)),
    ),
    KeyPart("built", "year", mysql.YEAR(), ("2026", "1999"), (2026, 1999)),
    KeyPart("kind", "enum('a','b')", mysql.ENUM("a", "b"), ("'b'", "'a'"), ("b", "a")),
    KeyPart("marks", "set('x','y')", mysql.SET("x", "y"), ("'x,y'", "''"), ("x,y", "")),
    KeyPart("bits", "bit(12)", mysql.BIT(12), ("b'100000000001'", "b'0'"), (2049, 0)),
    KeyPart("one_bit", "bit(1)", mysql.BIT(1), ("b'1'", "b'0'"), (1, 0)),
    KeyPart(
        "word",
        "varchar(40)",
        mysql.VARCHAR(40),
        ("'zażółć /%\"'", "''"),
        ('zażółć /%"', ""),
    ),
    KeyPart("code", "char(4)", mysql.CHAR(4), ("'ab'", "''"), ("ab", "")),
)

# No INET4 and INET6: Debezium's MariaDB connector 3.5.0 stops at a table that has one.
_MARIADB = (
    KeyPart(
        "guid",
        "uuid",
        types.UUID(),
        (f"'{_IDENTIFIER}'", f"'{UUID(int=0)}'"),
        (UUID(_IDENTIFIER), UUID(int=0)),
    ),
)
