"""Which columns Debezium takes for a table's key, as its definition changes. Pure.

The primary key, else the first index in the definition that is unique and has no column that may be
NULL. A connector that sees the changes pass by doesn't look at the whole again: a key that was
taken stays when its index goes, one that goes is not replaced by an index that was there before,
and what CREATE UNIQUE INDEX brings counts from the table's next change on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_CREATES_INDEX = re.compile(r"\s*create\s+(?:or\s+replace\s+)?(?:unique\s+)?index\b", re.IGNORECASE)
_DROPS_INDEX = re.compile(r"\s*drop\s+index\b", re.IGNORECASE)


@dataclass(frozen=True)
class Indexes:
    """The indexes of a table by which a row can be told from all others.

    Attributes:
        primary: the primary key's columns; empty where there is none.
        unique: the columns of each other one by its name, in the definition's order.
        others: the names of all indexes that don't tell rows apart.
    """

    primary: tuple[str, ...]
    unique: Mapping[str, tuple[str, ...]]
    others: frozenset[str] = frozenset()

    @property
    def first(self) -> tuple[str, ...]:
        """Return the key of a table that is seen as a whole; empty: it has none."""
        return self.primary or next(iter(self.unique.values()), ())


class Keys:
    """The keys of the tables of one run."""

    def __init__(self) -> None:
        self._indexes: dict[str, Indexes] = {}
        self._known: dict[str, tuple[str, ...]] = {}
        self._used: dict[str, tuple[str, ...]] = {}

    def of(self, table: str) -> tuple[str, ...] | None:
        """Return a table's key; empty: it has none; None: the table was not seen yet."""
        return self._used.get(table)

    def forget(self, table: str) -> None:
        """Take note that a table is gone."""
        for kept in (self._indexes, self._known, self._used):
            kept.pop(table, None)

    def note(self, table: str, indexes: Indexes, statement: str) -> None:
        """Take note of what a table has after a statement that makes or changes it.

        Args:
            table: its full name.
            indexes: those that are there now.
            statement: without the comments before it.
        """
        before = self._indexes.get(table)
        self._indexes[table] = indexes
        if before is None:
            self._known[table] = self._used[table] = indexes.first
            return
        if _DROPS_INDEX.match(statement):
            return
        self._known[table] = _changed(self._known[table], before, indexes)
        if not _CREATES_INDEX.match(statement):
            self._used[table] = self._known[table]


def _changed(key: tuple[str, ...], before: Indexes, now: Indexes) -> tuple[str, ...]:
    if now.primary:
        return now.primary
    if key and not before.primary:
        kept = (now.unique[n] for n, old in before.unique.items() if old == key and n in now.unique)
        return next(kept, key)  # its columns may have other names
    added = now.unique.keys() - before.unique.keys() - before.others
    return next((columns for name, columns in now.unique.items() if name in added), ())
