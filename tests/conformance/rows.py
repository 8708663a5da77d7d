"""Whether the row that a record's key finds is that row: asked as deliver asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Engine, MetaData, Table, inspect, select, tuple_

from cdc_sms.databases.business_table import key_column
from cdc_sms.envelope.row_key import RowKey, RowKeys
from cdc_sms.errors import EnvelopeError
from cdc_sms.model.business_row import Key
from cdc_sms.model.encodings import ColumnKind, KeyColumn
from conformance.compare import ABSENT, Difference, Record

REFUSED_KINDS = frozenset({ColumnKind.OTHER, ColumnKind.FLOAT})
"""Of keys that deliver refuses at its start: they can't say exactly which row is meant."""

SOME = 200


@dataclass
class Looked:
    """What looking rows up by their keys found.

    Attributes:
        found: rows that their key found.
        refused: records whose key deliver would not decode, rather than guess.
        differences: keys that find no row, or another record's.
    """

    found: int
    refused: int
    differences: list[Difference]


def look_up(
    engine: Engine,
    table: tuple[str, str],
    key: Sequence[str],
    records: Sequence[Record],
    *,
    may_be_gone: bool,
) -> Looked:
    """Look up the row of each record.

    Args:
        engine: the database, as deliver opens it.
        table: schema and name.
        key: its primary key's columns.
        records: of this table, all of them with a key.
        may_be_gone: rows may have been deleted, or got another key.
    """
    columns = _columns(engine, table, key)
    kinds = [key_column(column) for column in columns]
    if any(kind.kind in REFUSED_KINDS for kind in kinds):
        return Looked(0, len(records), [])
    keys, refused = _decoded(table, kinds, records)
    found = _selected(engine, columns, list({*keys.values()}))
    lost = [text for text, values in keys.items() if values not in found]
    differences = _merged(table, keys)
    if lost and not may_be_gone:
        differences += [
            Difference(".".join(table), repr(text), "row found by the key", ABSENT, "is there")
            for text in lost
        ]
    return Looked(len(keys) - len(lost), refused, differences)


def _columns(engine: Engine, table: tuple[str, str], key: Sequence[str]) -> list[Column[object]]:
    schema, name = table
    found = {c["name"]: c for c in inspect(engine).get_columns(name, schema=schema)}
    columns: list[Column[object]] = [Column(column, found[column]["type"]) for column in key]
    Table(name, MetaData(), *columns, schema=schema)
    return columns


def _decoded(
    table: tuple[str, str], columns: Sequence[KeyColumn], records: Sequence[Record]
) -> tuple[dict[bytes, Key], int]:
    rows = RowKeys(
        table=".".join(table),
        key_columns=columns,
        status_column=None,
        pending="",
        names_transactions=False,
    )
    keys: dict[bytes, Key] = {}
    refused = 0
    for record in records:
        try:
            asked = rows.read(record.key, _LOOK, ())
        except EnvelopeError:
            refused += 1
            continue
        assert isinstance(asked, RowKey)
        assert record.key is not None
        keys[record.key] = asked.key
    return keys, refused


_LOOK = b'{"op":"r","after":null}'
"""What of a record's value the look at a row needs: nothing."""


def _selected(engine: Engine, columns: Sequence[Column[object]], keys: Sequence[Key]) -> set[Key]:
    found: set[Key] = set()
    with engine.connect() as connection:
        for at in range(0, len(keys), SOME):
            some = keys[at : at + SOME]
            matches = (
                columns[0].in_([key[0] for key in some])
                if len(columns) == 1
                else tuple_(*columns).in_(some)
            )
            found |= {tuple(row) for row in connection.execute(select(*columns).where(matches))}
    return found


def _merged(table: tuple[str, str], keys: Mapping[bytes, Key]) -> list[Difference]:
    """Return the records whose keys mean one row: then one of them finds another's."""
    meant: dict[Key, bytes] = {}
    found = []
    for text, values in keys.items():
        if meant.setdefault(values, text) != text:
            found.append(
                Difference(
                    ".".join(table), repr(text), "row found by the key", values, meant[values]
                )
            )
    return found
