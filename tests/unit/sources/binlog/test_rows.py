"""Rows are read out of their events, whichever columns an image holds."""

import pytest

from cdc_sms.errors import LogDecodeError
from cdc_sms.model.captured_row import BinlogTransaction, CapturedRow, Undecodable
from cdc_sms.model.change_event import Operation
from cdc_sms.sources.binlog.column import Column
from cdc_sms.sources.binlog.rows import Images

TINY, TIMESTAMP2 = 1, 17
COLUMNS = [Column(name, TINY, 0, "tinyint") for name in ("id", "a", "b")]
TRANSACTION = BinlogTransaction("binlog.000001", None, 1, 0, None)


def images(**changes: int) -> Images:
    return Images("shop", "sms", COLUMNS, ("id",), mariadb=False, **changes)


def inserted(content: bytes) -> list[CapturedRow]:
    found: list[CapturedRow] = []
    images().inserted(content, 0, len(content), 5, TRANSACTION, found)
    return found


def test_each_row_of_an_event_comes_in_its_order() -> None:
    one, two = inserted(bytes([3, 0b111, 0, 1, 10, 20, 0b100, 2, 11]))

    assert (one.values, one.ordinal) == ([1, 10, 20], 0)
    assert (two.values, two.ordinal) == ([2, 11, None], 1)
    assert (one.table.columns, one.table.key) == (("id", "a", "b"), ("id",))
    assert (one.operation, one.position, one.transaction) == (Operation.CREATE, 5, TRANSACTION)


def test_columns_that_an_image_leaves_out_are_marked() -> None:
    (row,) = inserted(bytes([3, 0b101, 0, 1, 20]))

    assert row.values == [1, Undecodable(b""), 20]


def test_a_key_that_a_minimal_image_leaves_out_is_the_one_before() -> None:
    content = bytes([3, 0b001, 0b010, 0, 1, 0, 10])
    found: list[CapturedRow] = []

    images().updated(content, 0, len(content), 5, TRANSACTION, found)

    (row,) = found
    assert row.values == [1, 10, Undecodable(b"")]


def test_an_update_has_both_images() -> None:
    content = bytes([3, 0b001, 0b111, 0, 1, 0, 1, 10, 20])
    found: list[CapturedRow] = []

    images().updated(content, 0, len(content), 5, TRANSACTION, found)

    (row,) = found
    assert row.operation is Operation.UPDATE
    assert (row.values, row.before) == ([1, 10, 20], [1, Undecodable(b""), Undecodable(b"")])


def test_an_event_of_another_number_of_columns_is_not_understood() -> None:
    with pytest.raises(LogDecodeError, match="rows of 4 columns, and its table has 3"):
        inserted(bytes([4, 0b1111, 0, 1, 10, 20, 30]))


def test_an_event_that_ends_amid_a_row_is_not_understood() -> None:
    with pytest.raises(LogDecodeError):
        inserted(bytes([3, 0b111, 0, 1, 10]))


def test_a_former_version_of_a_row_is_no_row() -> None:
    versions = [Column(name, TIMESTAMP2, 0, "timestamp") for name in ("row_start", "row_end")]
    versioned = Images("shop", "sms", [*COLUMNS[:1], *versions], ("id",), mariadb=True, hidden=2)
    present, past = (0x7FFFFFFF).to_bytes(4, "big"), (1_700_000_000).to_bytes(4, "big")
    content = bytes([3, 0b111, 0, 1]) + past + present + bytes([0, 2]) + past + past
    found: list[CapturedRow] = []

    versioned.inserted(content, 0, len(content), 5, TRANSACTION, found)

    assert [(row.table.columns, row.values) for row in found] == [(("id",), [1])]
