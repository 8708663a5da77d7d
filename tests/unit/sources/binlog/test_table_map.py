"""What a TABLE_MAP event says of its columns' character sets.

The events are put together by hand: MySQL source documentation, "Table_map_event".
"""

import pytest

from cdc_sms.sources.binlog.table_map import parse

LONG, VARCHAR, VECTOR = 3, 15, 242
OF_EACH_COLUMN = 3
BINARY, LATIN2, UTF8MB4 = 63, 9, 255


def table_map(*collations: int) -> bytes:
    """Return an event of a number, a vector and two texts, which says these collations."""
    types = bytes([LONG, VECTOR, VARCHAR, VARCHAR])
    metadata = bytes([4, 40, 0, 40, 0])
    said = bytes([OF_EACH_COLUMN, len(collations), *collations])
    return bytes([len(types)]) + types + bytes([len(metadata)]) + metadata + b"\0" + said


def test_a_vector_is_counted_among_the_columns_with_a_collation() -> None:
    found = parse(table_map(BINARY, LATIN2, UTF8MB4))

    assert (found.collations[2], found.collations[3]) == (LATIN2, UTF8MB4)


@pytest.mark.parametrize("collations", [(LATIN2, UTF8MB4), (BINARY, LATIN2, UTF8MB4, UTF8MB4)])
def test_collations_of_other_columns_than_there_are_are_not_guessed_at(
    collations: tuple[int, ...],
) -> None:
    with pytest.raises(ValueError, match="zip"):
        parse(table_map(*collations))
