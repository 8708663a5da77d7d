"""A position is kept in full, and orders along the log."""

import pytest

from cdc_sms.sources.binlog.dictionary import Declared, Dictionary
from cdc_sms.sources.binlog.position import BinlogPosition, coordinate

TABLE = Dictionary(
    (
        Declared("id", "bigint", unsigned=True, nullable=False),
        Declared("state", "enum", charset="utf8mb4", words=("new", "it's"), default="new"),
        Declared("price", "decimal", size=10, scale=2),
    ),
    ("id",),
)


def test_a_position_is_read_as_it_was_kept() -> None:
    position = BinlogPosition(
        server="a", file="binlog.000012", offset=345, created=1, gtids="x:1-5",
        prepared=("X'61',X'',1",), table=TABLE,
    )  # fmt: skip

    found = BinlogPosition.from_text(position.to_text())

    assert found == position
    assert found.table == TABLE


def test_a_place_orders_by_file_and_offset() -> None:
    places = [("binlog.000009", 900), ("binlog.000010", 4), ("binlog.1000000", 4)]

    assert [coordinate(*place) for place in places] == sorted(coordinate(*p) for p in places)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"server": "a"}'])
def test_other_texts_are_no_positions(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        BinlogPosition.from_text(text)
