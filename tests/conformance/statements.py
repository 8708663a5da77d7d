"""A SQL file becomes single statements, cut where its server's own client would cut. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_ROWS = frozenset(
    (
        "insert", "update", "delete", "merge", "replace", "copy", "load", "select", "with",
        "values", "table", "begin", "start", "commit", "end", "rollback", "abort", "savepoint",
        "release", "set", "reset", "show", "explain", "declare", "fetch", "move", "close",
        "lock", "unlock", "listen", "notify", "use", "xa", "prepare", "deallocate",
    )
)  # fmt: skip
"""What a statement may begin with that makes and changes no table."""


_QUIET = frozenset(
    (
        "begin", "start", "set", "reset", "show", "savepoint", "release", "rollback", "abort",
        "declare", "fetch", "move", "close", "lock", "unlock", "listen", "notify", "use",
        "prepare", "deallocate", "comment", "grant", "revoke",
    )
)  # fmt: skip
"""What a statement may begin with that writes no row."""


@dataclass(frozen=True)
class Statement:
    """One statement of a file.

    Attributes:
        number: counted from 1.
        line: where it begins in the file, from 1.
        text: without its delimiter.
        data: the lines that follow a ``COPY … FROM STDIN``.
    """

    number: int
    line: int
    text: str
    data: str | None = None

    @property
    def first_word(self) -> str:
        """Return the word it begins with, in small letters."""
        found = re.match(r"(?:/\*M?!\d*|[(\s])*(\w+)", without_comments(self.text))
        return found[1].lower() if found else ""

    @property
    def _is_block(self) -> bool:
        """Say whether it is a block of MariaDB's, which may do anything."""
        return bool(re.match(r"begin\s+not\s+atomic\b", without_comments(self.text), re.IGNORECASE))

    @property
    def may_write(self) -> bool:
        """Say whether it may write rows, or commit some."""
        if self._is_block or (self.first_word == "set" and "(" in self.text):  # of a function
            return True
        if self.first_word in {"create", "alter"}:
            return bool(re.search(r"\b(?:as|select|table)\b", self.text, re.IGNORECASE))
        return self.first_word not in _QUIET

    @property
    def may_remove(self) -> bool:
        """Say whether it may delete rows, or change their keys."""
        if self.first_word == "insert":
            return bool(re.search(r"\bon\s+(?:conflict|duplicate)\b", self.text, re.IGNORECASE))
        if self._is_block:
            return True
        return self.first_word not in _QUIET | {"copy", "create", "alter", "commit", "end", "load"}

    @property
    def makes_routine(self) -> bool:
        """Say whether it makes a function, which a later SELECT may call."""
        return bool(_MAKES_ROUTINE.match(without_comments(self.text)))

    @property
    def copies_out(self) -> bool:
        """Say whether it sends rows to the client."""
        return self.first_word == "copy" and bool(_COPY_OUT.search(self.text))

    @property
    def begins(self) -> bool:
        """Say whether it begins a transaction."""
        return self.first_word in {"begin", "start"}

    @property
    def ends(self) -> bool:
        """Say whether it ends a transaction."""
        return self.first_word in {"commit", "end", "rollback", "abort"} and not re.search(
            r"\bto\b", self.text, re.IGNORECASE
        )

    @property
    def calls(self) -> bool:
        """Say whether it may call a function of the file's, which may do anything."""
        return self.first_word in {"select", "with", "values", "execute", "explain", "fetch"}

    @property
    def may_change_tables(self) -> bool:
        """Say whether it may make, change or drop a table, by itself."""
        if self._is_block:
            return True
        return self.first_word not in _ROWS or bool(
            re.search(r"\binto\b", self.text, re.IGNORECASE)
            and self.first_word in {"select", "with"}
        )


_MAKES_ROUTINE = re.compile(
    r"create\s+(?:or\s+replace\s+)?(?:function|procedure|aggregate|operator|cast)\b", re.IGNORECASE
)


_COPY_OUT = re.compile(r"\bto\s+stdout\b", re.IGNORECASE)


def without_comments(text: str) -> str:
    """Return a statement without the comments that it begins with."""
    while True:
        text = text.lstrip()
        if text.startswith(("--", "#")):
            text = text.partition("\n")[2]
        elif text.startswith("/*") and not text.startswith(("/*!", "/*M!")):
            text = text[_comment_end(text, 0, nested=False) :]
        else:
            return text


def split(text: str, *, mysql: bool) -> Iterator[Statement]:
    """Cut a file into statements.

    Args:
        text: the file.
        mysql: its dialect is MySQL's or MariaDB's: ``DELIMITER``, ``#`` comments, backslashes in
            quotes. Otherwise PostgreSQL's: dollar quotes, ``E''``, nested comments, ``COPY`` data.
    """
    cutter = _MySql(text) if mysql else _Postgres(text)
    number = 0
    for start, end, data in cutter.pieces():
        statement = text[start:end].strip()
        if without_comments(statement):
            number += 1
            lead = len(text[start:end]) - len(text[start:end].lstrip())
            yield Statement(number, text.count("\n", 0, start + lead) + 1, statement, data)


Piece = tuple[int, int, str | None]


class _Postgres:
    """psql's rules: a semicolon ends a statement outside of quotes, brackets and bodies."""

    _DOLLAR = re.compile(r"\$(?:[^\W\d]\w*)?\$")
    _WORD = re.compile(r"[^\W\d][\w$]*")
    _COPY_IN = re.compile(r"copy\b(?!\s*\().*\bfrom\s+stdin\b", re.IGNORECASE | re.DOTALL)
    _BACKSLASHES = re.compile(
        r"set\s+(?:session\s+|(?P<local>local)\s+)?standard_conforming_strings\s*(?:=|\bto\b)"
        r"\s*'?(?P<value>\w+)|reset\s+(?:all|standard_conforming_strings)\b|discard\s+all\b",
        re.IGNORECASE,
    )

    def __init__(self, text: str) -> None:
        self._text = text
        self._backslashes = False  # whether they mean something in every quoted text
        self._is_local = False  # … until the transaction ends

    def pieces(self) -> Iterator[Piece]:
        text, at, start, brackets, bodies = self._text, 0, 0, 0, 0
        begun = False  # whether anything but space and comments was met
        words: list[str] = []  # the statement's first ones
        while at < len(text):
            character = text[at]
            if character == "\\" and not begun:
                at = start = _line_end(text, at)  # a command of psql's own
            elif character == ";" and brackets <= 0 and bodies == 0:
                data, after = self._copied(start, at + 1)
                yield start, at, data
                self._set(text[start:at], words)
                at = start = after
                brackets, begun, words = 0, False, []
            elif (comment := self._comment_end(at)) is not None:
                at = comment
            elif (quoted := self._quoted_end(at)) is not None:
                at, begun = quoted, True
            elif word := self._WORD.match(text, at):
                if len(words) < _FIRST_WORDS:
                    words.append(word[0].lower())
                bodies = self._bodies(word[0].lower(), bodies, words)
                at, begun = word.end(), True
            else:
                brackets += (character in "([") - (character in ")]")
                at, begun = at + 1, begun or not character.isspace()
        yield start, len(text), None

    def _comment_end(self, at: int) -> int | None:
        if self._text.startswith("--", at):
            return _line_end(self._text, at)
        if self._text.startswith("/*", at):
            return _comment_end(self._text, at, nested=True)
        return None

    def _quoted_end(self, at: int) -> int | None:
        """Return where the quotes that begin here end; None where none begin."""
        text = self._text
        if text[at] in "'\"":
            return _quote_end(text, at, backslashes=self._backslashes and text[at] == "'")
        if text[at] in "eE" and text.startswith("'", at + 1):
            return _quote_end(text, at + 1, backslashes=True)
        if text[at] == "$" and (tag := self._DOLLAR.match(text, at)):
            end = text.find(tag[0], tag.end())
            return len(text) if end < 0 else end + len(tag[0])
        return None

    def _bodies(self, word: str, bodies: int, words: Sequence[str]) -> int:
        """Count the BEGIN ATOMIC … END and CASE … END that are open."""
        if word not in {"begin", "case", "end"}:
            return bodies
        made = [word for word in words if word not in {"or", "replace"}][:2]
        if made not in (["create", "function"], ["create", "procedure"]):
            return 0
        if word == "begin" or (word == "case" and bodies):
            return bodies + 1
        return bodies - 1 if word == "end" and bodies else bodies

    def _set(self, statement: str, words: Sequence[str]) -> None:
        """Follow what the session makes of backslashes, as psql does."""
        first = words[0] if words else ""
        if self._is_local and first in {"commit", "end", "rollback", "abort"}:
            self._backslashes = self._is_local = False
        if first in {"set", "reset", "discard"}:
            found = self._BACKSLASHES.match(without_comments(statement))
            if found is not None:
                value = (found["value"] or "on").lower()
                self._backslashes = value in {"off", "false", "no", "0"}
                self._is_local = self._backslashes and found["local"] is not None

    def _copied(self, start: int, end: int) -> tuple[str | None, int]:
        if not self._COPY_IN.match(without_comments(self._text[start:end])):
            return None, end
        first = _line_end(self._text, end)
        last = re.compile(r"^\\\.\s*$", re.MULTILINE).search(self._text, first)
        if last is None:
            return self._text[first:], len(self._text)
        return self._text[first : last.start()], _line_end(self._text, last.end())


_FIRST_WORDS = 4  # CREATE OR REPLACE FUNCTION


class _MySql:
    """The mysql client's rules: DELIMITER lines, backslashes in quotes, comments that are code."""

    _DELIMITER = re.compile(r"delimiter[ \t]+(\S+)[^\n]*", re.IGNORECASE)
    _USE = re.compile(r"use[ \t]+\S+[ \t]*$", re.IGNORECASE | re.MULTILINE)
    _DASHES = re.compile(r"--(?=\s|$)")
    _MODE = re.compile(r"(?:/\*M?!\d*\s*)?set\b.*\bsql_mode\s*:?=(.*)", re.IGNORECASE | re.DOTALL)
    _VERTICAL = re.compile(r"\\[gG]")

    def __init__(self, text: str) -> None:
        self._text = text

    def pieces(self) -> Iterator[Piece]:
        text, at, start, delimiter = self._text, 0, 0, ";"
        begun = False  # whether anything but space and comments was met
        has_escapes = True
        while at < len(text):
            if not begun and (given := self._DELIMITER.match(text, at)):
                delimiter = given[1]
                at = start = given.end()
            elif not begun and (used := self._USE.match(text, at)) and delimiter not in used[0]:
                yield at, used.end(), None  # a line of the client's own needs no end
                at = start = used.end()
            elif text.startswith(delimiter, at) or self._VERTICAL.match(text, at):
                yield start, at, None
                if mode := self._MODE.match(without_comments(text[start:at])):
                    has_escapes = "no_backslash_escapes" not in mode[1].lower()
                at = start = at + (2 if text[at] == "\\" else len(delimiter))
                begun = False
            elif text[at] in "'\"`":
                backslashes = has_escapes and text[at] != "`"
                at, begun = _quote_end(text, at, backslashes=backslashes), True
            elif text[at] == "#" or self._DASHES.match(text, at):
                at = _line_end(text, at)
            elif text.startswith("/*", at):
                begun = begun or text.startswith(("/*!", "/*M!"), at)
                at = _comment_end(text, at, nested=False)
            else:
                at, begun = at + 1, begun or not text[at].isspace()
        yield start, len(text), None


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _comment_end(text: str, at: int, *, nested: bool) -> int:
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(text, at):
        if mark[0] == "*/":
            depth -= 1
            if depth == 0:
                return mark.end()
        elif nested or depth == 0:
            depth += 1
    return len(text)


def _quote_end(text: str, at: int, *, backslashes: bool) -> int:
    quote = text[at]
    at += 1
    while at < len(text):
        if backslashes and text[at] == "\\":
            at += 2
        elif text[at] == quote:
            if not text.startswith(quote, at + 1):
                return at + 1
            at += 2
        else:
            at += 1
    return len(text)
