"""Rows are read whole, whatever is NULL in them, and one bad value costs that value only."""

import struct
from collections.abc import Sequence

import pytest

from cdc_sms.errors import LogDecodeError
from cdc_sms.model.captured_row import Undecodable
from cdc_sms.sources.binlog.column import Column
from cdc_sms.sources.binlog.row import row_decoder

ENUM_OF_ONE_BYTE = 247 << 8 | 1
COLUMNS = (
    Column("id", 8, 0, "bigint"),
    Column("recipient", 15, 80, "varchar", charset="utf8mb4"),
    Column("text", 252, 2, "text", charset="utf8mb4"),
    Column("status", 254, ENUM_OF_ONE_BYTE, "enum", words=("pending", "sent")),
    Column("attempts", 1, 0, "tinyint", unsigned=True),
    Column("day", 10, 0, "date"),
)
WIDTHS = {"id": 8, "status": 1, "attempts": 1, "day": 3}


def image(
    *, nulls: Sequence[int] = (), status: int = 1, day: bytes = b"\x78\xd5\x0f", text: str = "hé"
) -> bytes:
    """Return a row image of all the columns; those whose places are given are NULL."""
    encoded = text.encode()
    parts = [
        struct.pack("<q", -4711),
        b"\x0b48600700800",
        struct.pack("<H", len(encoded)) + encoded,
        bytes([status]),
        b"\xff",
        day,
    ]
    bitmap = sum(1 << place for place in nulls)
    return bytes([bitmap]) + b"".join(p for place, p in enumerate(parts) if place not in nulls)


WHOLE: Sequence[object] = (-4711, "48600700800", "hé", "pending", 255, 20_781)


@pytest.mark.parametrize("nulls", [(), (0,), (1,), (2, 3), (0, 1, 2, 3, 4, 5), (4, 5), (1, 3, 5)])
def test_decoder_reads_every_value_whatever_is_null(nulls: Sequence[int]) -> None:
    decode = row_decoder(COLUMNS, mariadb=False)
    row = image(nulls=nulls)

    values, end = decode(b"before" + row + b"behind", 6)

    assert values == [None if place in nulls else v for place, v in enumerate(WHOLE)]
    assert end == 6 + len(row)


def test_decoder_reads_rows_one_after_the_other() -> None:
    decode = row_decoder(COLUMNS, mariadb=False)
    rows = image(text="one") + image(nulls=(1,), text="two")

    first, between = decode(rows, 0)
    second, end = decode(rows, between)

    assert (first[2], second[2], end) == ("one", "two", len(rows))


def test_decoder_reads_every_set_of_nulls_of_a_wide_table() -> None:
    columns = [Column(f"c{place}", 1, 0, "tinyint") for place in range(9)]
    decode = row_decoder(columns, mariadb=False)

    for bitmap in range(1 << 9):
        row = bitmap.to_bytes(2, "little") + bytes(9 - bitmap.bit_count())
        expected = [None if bitmap >> place & 1 else 0 for place in range(9)]
        assert decode(row, 0) == (expected, len(row))


def test_a_value_that_cannot_be_decoded_costs_that_value_only() -> None:
    decode = row_decoder(COLUMNS, mariadb=False)
    no_such_day = (2026 << 9 | 2 << 5 | 31).to_bytes(3, "little")
    row = image(status=3, day=no_such_day)

    values, end = decode(row, 0)

    assert values == [*WHOLE[:3], Undecodable(b"\x03"), 255, Undecodable(no_such_day)]
    assert end == len(row)


@pytest.mark.parametrize("length", [1, 5, 9, 12, 22])
def test_a_row_that_is_cut_is_refused_or_ends_behind_the_buffer(length: int) -> None:
    decode = row_decoder(COLUMNS, mariadb=False)
    cut = image()[:length]

    try:
        _, end = decode(cut, 0)
    except LogDecodeError:
        return
    assert end > len(cut)


def test_a_column_of_an_unknown_type_is_named_and_refused() -> None:
    with pytest.raises(LogDecodeError, match="odd has the log's type 99"):
        row_decoder([Column("odd", 99, 0, "odd")], mariadb=False)
