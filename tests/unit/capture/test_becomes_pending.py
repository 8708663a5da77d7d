from cdc_sms.capture.becomes_pending import forwarded
from cdc_sms.model.captured_row import CapturedRow, CapturedTable, Transaction
from cdc_sms.model.change_event import Operation

TABLE = CapturedTable("public", "sms", ("id", "status"), ("id",))


def row(operation: Operation, *values: object, before: list[object] | None = None) -> CapturedRow:
    return CapturedRow(
        TABLE, list(values), operation, 300, Transaction(7, 1_000_000, None), before=before
    )


def kept(*rows: CapturedRow) -> list[tuple[str, object]]:
    found = forwarded(rows, status_column="status", pending="pending")
    return [(r.operation.value, r.values[0]) for r in found]


def test_an_update_that_leaves_a_row_pending_goes_on() -> None:
    assert kept(row(Operation.UPDATE, 1, "pending")) == [("u", 1)]


def test_an_update_to_any_other_word_is_held_back() -> None:
    assert kept(row(Operation.UPDATE, 1, "sent"), row(Operation.UPDATE, 2, "draft")) == []


def test_inserted_rows_and_those_of_a_snapshot_go_on_whatever_they_say() -> None:
    assert kept(row(Operation.CREATE, 1, "draft"), row(Operation.READ, 2, "sent")) == [
        ("c", 1),
        ("r", 2),
    ]


def test_an_update_of_the_key_is_a_row_that_was_created() -> None:
    (found,) = forwarded(
        [row(Operation.UPDATE, 2, "pending", before=[1, "pending"])],
        status_column="status",
        pending="pending",
    )

    assert (found.operation, found.values, found.before) == (Operation.CREATE, [2, "pending"], None)
