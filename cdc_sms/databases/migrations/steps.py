"""What steps are made of: each leaves alone what is there already.

On MySQL and MariaDB no transaction holds tables: a migration that was cut short has left some of
them, and is simply given again.
"""

from typing import Any

import sqlalchemy as sa
from alembic import context, op


def schema() -> str:
    """Return the ledger's schema."""
    return str(context.config.attributes["schema"])


def create_table(name: str, *columns: sa.Column[Any]) -> None:
    """Make a table; its texts compare byte by byte."""
    if _inspect().has_table(name, schema=schema()):
        return
    op.create_table(
        name,
        *columns,
        schema=schema(),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
    )


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column."""
    if column.name not in {c["name"] for c in _inspect().get_columns(table, schema=schema())}:
        op.add_column(table, column, schema=schema())


def create_index(
    name: str, table: str, column: str, *, where: str | None = None, after: str | None = None
) -> None:
    """Make an index.

    Args:
        name: its name.
        table: on which table.
        column: on which column; of a long text, on its first 200 characters.
        where: the rows that it is about, where a database can have indexes of a part.
        after: the column that the condition is about: where it can't, it comes first.
    """
    if name in {index["name"] for index in _inspect().get_indexes(table, schema=schema())}:
        return
    is_partial = op.get_bind().dialect.name == "postgresql"
    columns = [column] if is_partial or after is None else [after, column]
    options: dict[str, Any] = {}
    if where is not None:
        options["postgresql_where"] = sa.text(where)
    if column in _LONG:
        options |= {"mysql_length": _LONGEST, "mariadb_length": _LONGEST}
    op.create_index(name, table, columns, schema=schema(), **options)


_LONG = {"message_key", "target"}
_LONGEST = 200
"""What ids are held to, see ``MAX_ID_BYTES``; an index of MySQL holds 3,072 bytes."""


def _inspect() -> sa.Inspector:
    return sa.inspect(op.get_bind())
