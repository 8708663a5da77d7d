"""Where the row is, in whichever form a record has."""

import orjson
import pytest

from cdc_sms.operate.dead_letters import row_of

ROW = {"id": 1, "phone": "600100200"}


@pytest.mark.parametrize(
    ("value", "row"),
    [
        ({"before": None, "after": ROW, "op": "c"}, ROW),
        ({"schema": {}, "payload": {"before": None, "after": ROW, "op": "c"}}, ROW),
        ({"schema": {}, "payload": ROW}, ROW),
        (ROW, ROW),
        ({"before": ROW, "after": None, "op": "d"}, ROW),
        ({"before": None, "after": None, "op": "t"}, None),
        ([1], None),
        (None, None),
    ],
    ids=["event", "with schema", "flat with schema", "flat", "delete", "truncate", "list", "null"],
)
def test_row_is_found_in_every_form_of_debezium_s(value: object, row: object) -> None:
    assert row_of(orjson.dumps(value)) == row


@pytest.mark.parametrize("value", [None, b"", b"\xff"], ids=["tombstone", "empty", "bytes"])
def test_record_that_is_no_json_has_no_row(value: bytes | None) -> None:
    assert row_of(value) is None
