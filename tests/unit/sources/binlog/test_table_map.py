"""A TABLE_MAP with all its metadata says which character set each column has."""

import pytest

from cdc_sms.sources.binlog.table_map import parse

CHARSETS = {8: "latin1", 9: "latin2", 25: "greek", 26: "cp1250", 33: "utf8mb3", 41: "latin7",
            45: "utf8mb4", 46: "utf8mb4", 63: "binary"}  # fmt: skip

MARIADB = bytes.fromhex(
    "1408ff0dfefc100ffffefe0ffef6fe118c8dfcfc011b04f7010405000a0004fe10fe100500f8010502fe0503022d"
    "010202feff0f0101f0030c3f2e083f3f3f3f09191a293f07020102042d0269640167017901650"
    "16a01620176016c017501690177017301640163027473026374026376017802626c01740b02082d"
    "0505020178017906050201610162080100"
)
"""MariaDB 10.11, ``binlog_row_metadata=FULL``: id bigint unsigned primary key, g point, y year, e
enum('a','b') of latin1, j json, b bit(5), v varchar(10) of latin1, l linestring, u uuid, i inet6, w
varbinary(5), s set('x','y'), d decimal(5,2) unsigned, c char(5) of latin2, ts timestamp(3), ct text
compressed of greek, cv varchar(300) compressed of cp1250, x text of latin7, bl blob, t tinyint
unsigned."""


def test_mariadb_counts_a_geometry_among_the_texts() -> None:
    found = parse(MARIADB, mariadb=True)

    charsets = {found.names[at]: CHARSETS[number] for at, number in found.collations.items()}
    assert charsets == {
        "g": "binary", "e": "latin1", "j": "utf8mb4", "v": "latin1", "l": "binary", "u": "binary",
        "i": "binary", "w": "binary", "s": "utf8mb4", "c": "latin2", "ct": "greek",
        "cv": "cp1250", "x": "latin7", "bl": "binary",
    }  # fmt: skip


def test_signs_words_and_the_key_are_said_too() -> None:
    found = parse(MARIADB, mariadb=True)

    said = zip(found.names, found.unsigned, strict=True)
    assert [name for name, is_unsigned in said if is_unsigned] == ["id", "d", "t"]
    words = {found.names[at]: words for at, words in found.words.items()}
    assert words == {"e": [b"a", b"b"], "s": [b"x", b"y"]}
    assert [found.names[at] for at in found.key] == ["id"]


LONG, VARCHAR, VECTOR = 3, 15, 242
OF_EACH_COLUMN = 3
BINARY, LATIN2, UTF8MB4 = 63, 9, 255


def table_map(*collations: int) -> bytes:
    """Return an event of a number, a vector and two texts, which says these collations.

    Source: MySQL source documentation, "Table_map_event".
    """
    types = bytes([LONG, VECTOR, VARCHAR, VARCHAR])
    metadata = bytes([4, 40, 0, 40, 0])
    said = bytes([OF_EACH_COLUMN, len(collations), *collations])
    return bytes([len(types)]) + types + bytes([len(metadata)]) + metadata + b"\0" + said


def test_a_vector_is_counted_among_the_columns_with_a_collation() -> None:
    found = parse(table_map(BINARY, LATIN2, UTF8MB4), mariadb=False)

    assert (found.collations[2], found.collations[3]) == (LATIN2, UTF8MB4)


@pytest.mark.parametrize("collations", [(LATIN2, UTF8MB4), (BINARY, LATIN2, UTF8MB4, UTF8MB4)])
def test_collations_of_other_columns_than_there_are_are_not_guessed_at(
    collations: tuple[int, ...],
) -> None:
    with pytest.raises(ValueError, match="zip"):
        parse(table_map(*collations), mariadb=False)
