"""What a statement that stands in the binlog means to a reader of one table. Pure.

Rows come as rows; a statement stands there where the schema changes, where a transaction begins
and ends, and where a session logs statements instead of rows.
"""

import re
from dataclasses import dataclass
from enum import Enum


class Meaning(Enum):
    """What a statement means to the reader."""

    NOTHING = "nothing"
    """Nothing of ours."""
    BEGINS = "begins"
    """A transaction begins."""
    ENDS = "ends"
    """A transaction ends: committed, or rolled back but for what can't be."""
    XA_BEGINS = "xa_begins"
    """A distributed transaction begins."""
    XA_COMMITS = "xa_commits"
    """A prepared one is committed."""
    XA_ROLLS_BACK = "xa_rolls_back"
    """A prepared one is rolled back."""
    CHANGES_TABLE = "changes_table"
    """The table may be another one from here on."""
    WRITES_TABLE = "writes_table"
    """Rows of the table are written, and the log doesn't show them."""
    WRITES_SOMETHING = "writes_something"
    """The same of others; a trigger, a view or a function may have written ours along with it."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's meaning.

    Attributes:
        meaning: to the reader.
        xid: of a distributed transaction: its id as the server writes it.
    """

    meaning: Meaning
    xid: str = ""


_COMMENTS = re.compile(r"/\*(?!!|M!).*?\*/|(?:--[ \t]|#)[^\n]*|/\*M?!\d*|\*/", re.DOTALL)
"""Comments; of the executable ones only the marks, for what stands in them is run."""

_NAME = r"(?:`(?:[^`]|``)+`|\"(?:[^\"]|\"\")+\"|[\w$\u0080-\uffff]+)"
_QUALIFIED = re.compile(rf"\s*({_NAME})(?:\s*\.\s*({_NAME}))?", re.ASCII)

_PREFIX = re.compile(
    r"SET\s+STATEMENT\s(?:[^'\"`]|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`)*?\sFOR\s+",
    re.IGNORECASE | re.DOTALL,
)
"""MariaDB's variables for one statement, which the log keeps before it."""

_IF = r"(?:\s+IF\s+(?:NOT\s+)?EXISTS)?"
_TABLE_CHANGES = re.compile(
    r"(?:ALTER\s+(?:ONLINE\s+|IGNORE\s+|OFFLINE\s+)*TABLE"
    r"|CREATE\s+(?:OR\s+REPLACE\s+)?TABLE|DROP\s+TABLE|RENAME\s+TABLES?)" + _IF + r"(?=[\s`\"])",
    re.IGNORECASE,
)
_DATABASE_CHANGES = re.compile(r"DROP\s+(?:DATABASE|SCHEMA)" + _IF + r"(?=[\s`\"])", re.IGNORECASE)
_WRITES = re.compile(
    r"(?:(?:INSERT|REPLACE)(?:\s+(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE))*(?:\s+INTO)?"
    r"|LOAD\s+(?:DATA|XML)\b.*?\bINTO\s+TABLE)(?=[\s`\"])",
    re.IGNORECASE | re.DOTALL,
)
_ANY_WRITE = re.compile(r"(?:INSERT|REPLACE|UPDATE|DELETE|LOAD|WITH|SELECT|DO)\b", re.IGNORECASE)
_UPDATES = re.compile(r"UPDATE(?:\s+LOW_PRIORITY)?(?:\s+IGNORE)?(?=[\s`\"])", re.IGNORECASE)
_XA = re.compile(
    r"XA\s+(START|BEGIN|COMMIT|ROLLBACK)\s+(.*?)(?:\s+ONE\s+PHASE)?\s*$", re.IGNORECASE | re.DOTALL
)
_XA_MEANINGS = {
    "START": Meaning.XA_BEGINS,
    "BEGIN": Meaning.XA_BEGINS,
    "COMMIT": Meaning.XA_COMMITS,
    "ROLLBACK": Meaning.XA_ROLLS_BACK,
}
_WORDS = {
    "BEGIN": Meaning.BEGINS,
    "START TRANSACTION": Meaning.BEGINS,
    "COMMIT": Meaning.ENDS,
    "ROLLBACK": Meaning.ENDS,
}


class Reader:
    """Reads statements for one table.

    Args:
        schema: the table's database.
        name: its name.
        reads_updates: whether an UPDATE of it matters.
    """

    def __init__(self, schema: str, name: str, *, reads_updates: bool) -> None:
        self._ours = (schema.lower(), name.lower())
        self._reads_updates = reads_updates

    def read(self, database: str, text: str) -> Statement:
        """Say what a statement means.

        Args:
            database: the one it was run in.
            text: of the statement.
        """
        text = _PREFIX.sub("", _COMMENTS.sub(" ", text).strip(), count=1)
        meaning = _WORDS.get(text[:20].upper())
        if meaning is not None:
            return Statement(meaning)
        if found := _XA.match(text):
            return Statement(_XA_MEANINGS[found[1].upper()], "".join(found[2].split()))
        return Statement(self._meaning(database.lower(), text))

    def _meaning(self, database: str, text: str) -> Meaning:
        meaning = self._of_ours(database, text)
        if meaning is Meaning.NOTHING and _ANY_WRITE.match(text):
            return Meaning.WRITES_SOMETHING
        return meaning

    def _of_ours(self, database: str, text: str) -> Meaning:
        if self._ours[1] not in text.lower() and self._ours[0] not in text.lower():
            return Meaning.NOTHING
        if found := _DATABASE_CHANGES.match(text):
            named = _names(text, found.end(), "")
            is_ours = any(name == self._ours[0] for _database, name in named)
            return Meaning.CHANGES_TABLE if is_ours else Meaning.NOTHING
        if (found := _TABLE_CHANGES.match(text)) and self._ours in _names(
            text, found.end(), database
        ):
            return Meaning.CHANGES_TABLE
        if (found := _WRITES.match(text)) and self._is_first(text, found.end(), database):
            return Meaning.WRITES_TABLE
        updates = self._reads_updates and _UPDATES.match(text)
        if updates and self._is_first(text, updates.end(), database):
            return Meaning.WRITES_TABLE
        return Meaning.NOTHING

    def _is_first(self, text: str, at: int, database: str) -> bool:
        found = _QUALIFIED.match(text, at)
        return found is not None and _qualified(found, database) == self._ours


_NEXT = re.compile(
    r"\s*(?:,|TO(?=[\s`\"])|(?:WAIT\s+\d+|NOWAIT)\s*(?:,|TO(?=[\s`\"])))", re.IGNORECASE
)
_RENAMED = re.compile(r"\bRENAME\s+(?:TO\s+|AS\s+|=\s*)?(?!COLUMN\b|INDEX\b|KEY\b)", re.IGNORECASE)


def _names(text: str, at: int, database: str) -> list[tuple[str, str]]:
    """Return the tables that a list of tables names, and what they are renamed to."""
    named: list[tuple[str, str]] = []
    position: int | None = at
    while position is not None and (found := _QUALIFIED.match(text, position)):
        named.append(_qualified(found, database))
        following = _NEXT.match(text, found.end())
        position = following.end() if following else None
    renamed = (_QUALIFIED.match(text, found.end()) for found in _RENAMED.finditer(text, at))
    return named + [_qualified(found, database) for found in renamed if found]


def _qualified(found: re.Match[str], database: str) -> tuple[str, str]:
    first, second = found[1], found[2]
    return (database, _bare(first)) if second is None else (_bare(first), _bare(second))


def _bare(name: str) -> str:
    quote = name[0]
    if quote in '`"':
        name = name[1:-1].replace(quote * 2, quote)
    return name.lower()
