"""The business table as a statement needs it: looked up, with the columns that are asked for."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Inspector, Integer, MetaData, Table, types
from sqlalchemy.dialects import mysql
from sqlalchemy.engine.interfaces import ReflectedColumn

from cdc_sms.config.settings import TableSettings
from cdc_sms.databases.key_column import Bits


def mapped_table(connection: Connection, settings: TableSettings, names: Iterable[str]) -> Table:
    """Look the table up.

    Args:
        connection: the caller's transaction.
        settings: the mapping, which was checked.
        names: the columns.
    """
    schema, name = settings.schema_and_table
    return Table(
        name,
        MetaData(),
        schema=schema,
        autoload_with=connection,
        include_columns=list(names),
        resolve_fks=False,
        listeners=[("column_reflect", _make_plain)],
    )


def plain(type_: types.TypeEngine[Any]) -> types.TypeEngine[Any]:
    """Return a type that statements can compare.

    SQLAlchemy takes a YEAR and a BIT for no number, and makes of a SET's text a set of words.
    """
    match type_:
        case mysql.YEAR():
            return Integer()
        case mysql.BIT():
            return Bits()
        case mysql.SET():
            return types.VARCHAR()
        case _:
            return type_


def _make_plain(_inspector: Inspector, _table: Table, column: ReflectedColumn) -> None:
    column["type"] = plain(column["type"])
