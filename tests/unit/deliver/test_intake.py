import orjson
import pytest
from support.factories import record

from cdc_sms.deliver.intake import Intake, Look, Skip, Undecodable
from cdc_sms.envelope.row_key import shows_another_word
from cdc_sms.kafka.offsets import Place
from cdc_sms.model.encodings import ColumnKind, KeyColumn

PLACE = Place(0, 1, 1)


KEY = KeyColumn(name="id", kind=ColumnKind.INTEGER)


def an_intake(*, status_column: str | None = "status", names_transactions: bool = True) -> Intake:
    return Intake(
        table="sms",
        key_columns=[KEY],
        status_column=status_column,
        pending="pending",
        names_transactions=names_transactions,
    )


@pytest.fixture
def intake() -> Intake:
    return an_intake()


def event(**changes: object) -> bytes:
    plain: dict[str, object] = {
        "before": None,
        "after": {"id": 4711, "status": "pending"},
        "source": {"txId": 780},
        "op": "c",
    }
    return orjson.dumps({**plain, **changes})


def test_insert_asks_for_a_look_at_its_key_and_names_its_transaction(intake: Intake) -> None:
    look = intake.read(record(key=b'{"id":4711}', value=event()), PLACE)

    assert isinstance(look, Look)
    assert (look.key, look.key_text, look.transaction_id) == ((4711,), "sms/4711", 780)
    assert not look.was_visible
    assert not look.is_snapshot


def test_snapshot_row_was_visible_before_and_needs_no_transaction(intake: Intake) -> None:
    look = intake.read(record(key=b'{"id":4711}', value=event(op="r")), PLACE)

    assert isinstance(look, Look)
    assert look.transaction_id is None
    assert look.was_visible
    assert look.is_snapshot


def test_record_that_was_emitted_again_was_visible_and_is_no_snapshot(intake: Intake) -> None:
    again = record(
        key=b'{"id":4711}', value=event(op="r"), headers=(("cdcsms.emitted", b"overdue"),)
    )

    look = intake.read(again, PLACE)

    assert isinstance(look, Look)
    assert look.was_visible
    assert not look.is_snapshot


@pytest.mark.parametrize("source", [{}, {"txId": 780}, {"txId": "5.6.641"}], ids=str)
def test_database_that_names_no_transactions_needs_none(source: object) -> None:
    intake = an_intake(names_transactions=False)

    look = intake.read(record(key=b'{"id":4711}', value=event(source=source)), PLACE)

    assert isinstance(look, Look)
    assert (look.transaction_id, look.was_visible) == (None, False)


def test_update_that_shows_the_pending_word_asks_for_a_look_like_an_insert(intake: Intake) -> None:
    look = intake.read(record(key=b'{"id":4711}', value=event(op="u")), PLACE)

    assert isinstance(look, Look)
    assert (look.transaction_id, look.was_visible) == (780, False)


def test_update_that_shows_another_word_needs_no_transaction(intake: Intake) -> None:
    written_back = event(op="u", after={"id": 4711, "status": "sent"}, source={})

    assert intake.read(record(key=b'{"id":4711}', value=written_back), PLACE) == Skip("not_pending")


def test_update_of_a_table_without_a_status_carries_no_message() -> None:
    intake = an_intake(status_column=None)

    assert intake.read(record(key=b'{"id":4711}', value=event(op="u")), PLACE) == Skip("operation")


def test_column_is_found_whatever_letters_its_name_has(intake: Intake) -> None:
    sent = event(after={"ID": 4711, "STATUS": "sent"})
    pending = event(after={"ID": 4711, "STATUS": "pending"})

    assert intake.read(record(key=b'{"ID":4711}', value=sent), PLACE) == Skip("not_pending")
    assert isinstance(intake.read(record(key=b'{"ID":4711}', value=pending), PLACE), Look)


def test_column_of_exactly_that_name_comes_first(intake: Intake) -> None:
    look = intake.read(record(key=b'{"ID":1,"id":4711,"Id":2}', value=event()), PLACE)

    assert isinstance(look, Look)
    assert look.key == (4711,)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "tombstone"),
        (event(op="u", after={"id": 4711, "status": "sent"}), "not_pending"),
        (event(op="m", after=None), "operation"),
        (event(source={"table": "cdc_sms_heartbeat"}), "own_table"),
        (event(op="d", after=None), "operation"),
        (event(op="t", after=None), "operation"),
        (event(after={"id": 4711, "status": "sent"}), "not_pending"),
    ],
    ids=[
        "tombstone",
        "update to another word",
        "logical message",
        "our own table",
        "delete",
        "truncate",
        "another word",
    ],
)
def test_record_that_carries_no_message_is_skipped(
    intake: Intake, value: bytes | None, why: str
) -> None:
    assert intake.read(record(key=b'{"id":4711}', value=value), PLACE) == Skip(why)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, event()),
        (b"\xff\xfe", event()),
        (b'{"id":4711}', b"<html>"),
        (b'{"number":1}', event()),
        (b'{"id":"x"}', event()),
        (b'{"id":null}', event()),
        (b'{"id":4711}', event(source={})),
        (b'{"id":4711}', event(source={}, op="u")),
        (b'{"ID":4711,"Id":4711}', event()),
        (b'{"id":4711}', b'{"id":4711,"status":"pending","__op":"c"}'),
    ],
    ids=[
        "no key",
        "key no JSON",
        "value no JSON",
        "another key",
        "key of another type",
        "null key",
        "insert without its transaction",
        "update without its transaction",
        "key of two names that differ in letters",
        "unwrapped insert without its transaction",
    ],
)
def test_record_that_cannot_be_understood_is_a_dead_letter(
    intake: Intake, key: bytes | None, value: bytes
) -> None:
    read = intake.read(record(key=key, value=value), PLACE)

    assert isinstance(read, Undecodable)
    assert "4711" not in read.why


def test_another_column_never_stops_a_record(intake: Intake) -> None:
    odd = event(after={"id": 4711, "status": "pending", "body": {"deep": [1, None]}, "x": 1e300})

    assert isinstance(intake.read(record(key=b'{"id":4711}', value=odd), PLACE), Look)


@pytest.mark.parametrize(
    ("word", "pending", "shows"),
    [
        ("sent", "pending", True),
        ("N ", "N", False),
        (False, "false", False),
        (True, "false", True),
        (1, "0", True),
        (0, "0", False),
        ("AA==", "0", False),
        (None, "pending", False),
        ({"scale": 0, "value": "AA=="}, "0", False),
    ],
    ids=str,
)
def test_only_a_word_that_is_certainly_another_is_skipped(
    word: object, pending: str, shows: bool
) -> None:
    assert shows_another_word(word, pending) is shows
