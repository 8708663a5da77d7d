"""Which updates go on to the outbox: those that leave a row pending. Pure.

The rule is the one that deliver reads records by, so that what is held back here would have
carried no message there either: our own write-backs, and the application's other changes.
"""

from collections.abc import Sequence

from cdc_sms.envelope.row_key import shows_another_word
from cdc_sms.model.captured_row import CapturedRow
from cdc_sms.model.change_event import Operation


def forwarded(
    rows: Sequence[CapturedRow], *, status_column: str, pending: str
) -> list[CapturedRow]:
    """Return the rows without the updates that left them with another status word.

    An update that changed the key is another row that was created, as Debezium has it.

    Args:
        rows: as they were read.
        status_column: the column of the word; a row whose image lacks it is kept.
        pending: the word of a row that is to be sent.
    """
    return [
        _created(row) if _has_another_key(row) else row
        for row in rows
        if row.operation is not Operation.UPDATE
        or not shows_another_word(_word(row, status_column), pending)
    ]


def _has_another_key(row: CapturedRow) -> bool:
    if row.before is None:
        return False
    places = [row.table.columns.index(name) for name in row.table.key]
    return any(row.before[at] != row.values[at] for at in places)


def _created(row: CapturedRow) -> CapturedRow:
    return row._replace(operation=Operation.CREATE, before=None)


def _word(row: CapturedRow, status_column: str) -> object:
    columns = row.table.columns
    return row.values[columns.index(status_column)] if status_column in columns else None
