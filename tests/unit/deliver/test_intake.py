import orjson
import pytest
from support.factories import record

from cdc_sms.deliver.intake import Intake, Look, Skip, Undecodable
from cdc_sms.envelope.row_key import shows_another_word
from cdc_sms.kafka.offsets import Place
from cdc_sms.model.encodings import ColumnKind, KeyColumn

PLACE = Place(0, 1, 1)


@pytest.fixture
def intake() -> Intake:
    key = KeyColumn(name="id", kind=ColumnKind.INTEGER, scale=None, precision=None)
    return Intake(table="sms", key_columns=[key], status_column="status", pending="pending")


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


def test_snapshot_row_was_visible_before_and_needs_no_transaction(intake: Intake) -> None:
    look = intake.read(record(key=b'{"id":4711}', value=event(op="r")), PLACE)

    assert isinstance(look, Look)
    assert look.transaction_id is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "tombstone"),
        (event(op="u"), "operation"),
        (event(op="d", after=None), "operation"),
        (event(op="t", after=None), "operation"),
        (event(after={"id": 4711, "status": "sent"}), "not_pending"),
    ],
    ids=["tombstone", "update", "delete", "truncate", "another word"],
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
    ],
    ids=[
        "no key",
        "key no JSON",
        "value no JSON",
        "another key",
        "key of another type",
        "null key",
        "insert without its transaction",
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
