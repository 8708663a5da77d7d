"""Whether the row that a record's key finds is that row: looked up by deliver's own code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Engine, MetaData, Table, inspect

from cdc_sms.config.settings import ColumnSettings, StatusSettings, TableSettings
from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.engine import dialect_of
from cdc_sms.databases.reflection import plain
from cdc_sms.envelope.row_key import RowKey, RowKeys
from cdc_sms.errors import EnvelopeError
from cdc_sms.model.business_row import Key
from cdc_sms.model.encodings import ColumnKind
from conformance.compare import ABSENT, Difference, Record

REFUSED_KINDS = frozenset({ColumnKind.OTHER, ColumnKind.FLOAT})
"""Of keys that deliver refuses at its start: they can't say exactly which row is meant."""

SOME = 200
FOUND = "row found by the key"


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
    try:
        business = _business_table(engine, table, key)
        if business is None or any(c.kind in REFUSED_KINDS for c in business.key_columns):
            return Looked(0, len(records), [])
        keys, refused = _decoded(table, business, records)
        found = _selected(engine, business, list({*keys.values()}))
    except Exception as error:  # noqa: BLE001 - whatever it is, deliver can't read the table
        reason = f"{type(error).__name__}: {error}"
        return Looked(0, 0, [Difference(".".join(table), "", FOUND, reason, "is there")])
    lost = [text for text, values in keys.items() if values not in found]
    differences = _merged(table, keys)
    if lost and not may_be_gone:
        differences += [
            Difference(".".join(table), repr(text), FOUND, ABSENT, "is there") for text in lost
        ]
    return Looked(len(keys) - len(lost), refused, differences)


def _business_table(
    engine: Engine, table: tuple[str, str], key: Sequence[str]
) -> BusinessTable | None:
    """Return the table as deliver has it, with its key alone: that is recipient and text too.

    None: deliver doesn't find a column of that name; of MySQL's none that has a backtick in it.
    """
    schema, name = table
    with engine.connect() as connection:
        described = {c["name"]: c for c in inspect(connection).get_columns(name, schema=schema)}
        has_zero_dates = dialect_of(connection).has_zero_dates
    if not described.keys() >= {*key}:
        return None
    columns = [Column(column, plain(described[column]["type"])) for column in key]
    mapped = ColumnSettings.model_construct(key=tuple(key), recipient=key[0], text=key[0])
    settings = TableSettings.model_construct(
        name=".".join(table), time_zone="UTC", columns=mapped, status=StatusSettings()
    )
    reflected = Table(name, MetaData(), *columns, schema=schema)
    return BusinessTable(reflected, settings, has_zero_dates=has_zero_dates)


def _decoded(
    table: tuple[str, str], business: BusinessTable, records: Sequence[Record]
) -> tuple[dict[bytes, Key], int]:
    rows = RowKeys(
        table=".".join(table),
        key_columns=business.key_columns,
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


def _selected(engine: Engine, business: BusinessTable, keys: Sequence[Key]) -> set[Key]:
    found: set[Key] = set()
    with engine.connect() as connection:
        for at in range(0, len(keys), SOME):
            found |= business.read(connection, keys[at : at + SOME]).rows.keys()
    return found


def _merged(table: tuple[str, str], keys: Mapping[bytes, Key]) -> list[Difference]:
    """Return the records whose keys mean one row: then one of them finds another's."""
    meant: dict[Key, bytes] = {}
    return [
        Difference(".".join(table), repr(text), FOUND, values, meant[values])
        for text, values in keys.items()
        if meant.setdefault(values, text) != text
    ]
