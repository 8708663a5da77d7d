"""Every form in which Debezium puts a change event on a topic, and what is none."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress

import orjson
import pytest

from cdc_sms.envelope.decode import Notice, Tombstone, decode
from cdc_sms.errors import EnvelopeError
from cdc_sms.model.change_event import ChangeEvent, Operation

KEY = b'{"id":4711}'
ROW = {"id": 4711, "status": "pending", "msisdn": "600100200"}
SOURCE = {"connector": "postgresql", "txId": 771, "lsn": 24_023_128, "schema": "public"}
ENVELOPE: Mapping[str, object] = {
    "before": None,
    "after": ROW,
    "source": SOURCE,
    "transaction": None,
    "op": "c",
    "ts_ms": 1_795_499_231_123,
}


def _json(value: object) -> bytes:
    return orjson.dumps(value)


def _event(key: bytes | None, value: object, *headers: tuple[str, bytes]) -> ChangeEvent:
    event = decode(key, _json(value), headers)
    assert isinstance(event, ChangeEvent)
    return event


def _wrapped(payload: object, fields: list[Mapping[str, object]] | None = None) -> bytes:
    return _json({"schema": {"type": "struct", "fields": fields or []}, "payload": payload})


def test_a_record_without_schemas_is_read() -> None:
    event = _event(KEY, ENVELOPE)

    assert event == ChangeEvent(
        key={"id": 4711}, operation=Operation.CREATE, after=ROW, transaction_id=771
    )


@pytest.mark.parametrize("key", [KEY, _wrapped({"id": 4711})], ids=["plain key", "wrapped key"])
@pytest.mark.parametrize(
    "value", [_json(ENVELOPE), _wrapped(ENVELOPE)], ids=["plain value", "wrapped value"]
)
def test_key_and_value_may_each_have_the_schema_wrapper(key: bytes, value: bytes) -> None:
    event = decode(key, value, [])

    assert event == ChangeEvent(
        key={"id": 4711}, operation=Operation.CREATE, after=ROW, transaction_id=771
    )


def test_the_keys_schema_says_how_its_columns_are_encoded() -> None:
    fields: list[Mapping[str, object]] = [
        {"type": "int64", "optional": False, "field": "id"},
        {"type": "int64", "name": "io.debezium.time.MicroTimestamp", "field": "at"},
        {
            "type": "bytes",
            "name": "org.apache.kafka.connect.data.Decimal",
            "parameters": {"scale": "2", "connect.decimal.precision": "10"},
            "field": "nr",
        },
    ]
    event = decode(_wrapped({"id": 1, "at": 2, "nr": "AQ=="}, fields), _json(ENVELOPE), [])

    assert isinstance(event, ChangeEvent)
    assert event.key_types == {
        "id": "int64",
        "at": "io.debezium.time.MicroTimestamp",
        "nr": "org.apache.kafka.connect.data.Decimal:2",
    }


@pytest.mark.parametrize("fields", [None, 7, "x", [7], [{"field": 7}], [{"field": "id"}]])
def test_an_odd_schema_says_nothing(fields: object) -> None:
    key = _json({"schema": {"fields": fields}, "payload": {"id": 1}})

    event = decode(key, _json(ENVELOPE), [])

    assert isinstance(event, ChangeEvent)
    assert event.key_types == {}


def test_columns_that_are_called_schema_and_payload_are_columns() -> None:
    event = _event(_json({"schema": "public", "payload": 7}), ENVELOPE)

    assert event.key == {"schema": "public", "payload": 7}


def test_a_snapshot_row_has_no_transaction() -> None:
    event = _event(KEY, {**ENVELOPE, "op": "r"})

    assert event.operation is Operation.READ
    assert event.transaction_id is None
    assert event.was_visible


@pytest.mark.parametrize("letter", ["c", "u"])
def test_a_row_from_the_log_may_not_be_visible_yet(letter: str) -> None:
    assert not _event(KEY, {**ENVELOPE, "op": letter}).was_visible


@pytest.mark.parametrize(
    "snapshot",
    ["true", "first", "first_in_data_collection", "last_in_data_collection", "last", "incremental"],
)
def test_every_row_of_a_snapshot_was_visible(snapshot: str) -> None:
    event = _event(KEY, {**ENVELOPE, "op": "r", "source": {**SOURCE, "snapshot": snapshot}})

    assert event.was_visible
    assert event.transaction_id is None


def test_a_record_that_was_emitted_again_needs_nothing_but_its_key() -> None:
    value = {"before": None, "after": {"id": 4711}, "source": {}, "op": "r", "ts_ms": 1}

    event = _event(KEY, value, ("cdcsms.emitted", b"overdue"))

    assert event == ChangeEvent(key={"id": 4711}, operation=Operation.READ, after={"id": 4711})


def test_a_delete_has_no_image_after() -> None:
    event = _event(KEY, {**ENVELOPE, "op": "d", "before": ROW, "after": None})

    assert event.operation is Operation.DELETE
    assert event.after is None


@pytest.mark.parametrize("letter", ["t", "m", "x", "", None, 1, ["c"], {"c": 1}])
def test_an_operation_that_is_not_ours_carries_no_message(letter: object) -> None:
    assert _event(KEY, {**ENVELOPE, "op": letter}).operation is Operation.OTHER


@pytest.mark.parametrize("letter", ["t", "m"])
def test_a_truncate_and_a_logical_message_need_no_key(letter: str) -> None:
    assert _event(None, {**ENVELOPE, "op": letter}).operation is Operation.OTHER


@pytest.mark.parametrize("after", [None, "text", 7, ["x"]])
def test_an_image_of_another_form_is_no_reason_to_refuse_the_row(after: object) -> None:
    event = _event(KEY, {**ENVELOPE, "after": after})

    assert event.operation is Operation.CREATE
    assert event.after is None


@pytest.mark.parametrize(
    ("transaction", "expected"),
    [(771, 771), ("771", 771), (None, None), ("0a00b1", None), (True, None), (1.5, None)],
)
def test_the_transaction_is_read_where_the_database_counts_them(
    transaction: object, expected: int | None
) -> None:
    event = _event(KEY, {**ENVELOPE, "source": {"txId": transaction}})

    assert event.transaction_id == expected


@pytest.mark.parametrize("odd", [None, 7, True, 1.5, ["x"], {"x": 1}], ids=repr)
@pytest.mark.parametrize(
    "name", ["before", "after", "source", "op", "__op", "_op", "__table", "status", "type", "ts_ms"]
)
def test_a_field_of_an_odd_form_never_ends_the_reading(name: str, odd: object) -> None:
    for value in ({**ENVELOPE, name: odd}, {**ROW, "__op": "c", name: odd}, {**ROW, name: odd}):
        with suppress(EnvelopeError):
            decode(KEY, _json(value), [])


@pytest.mark.parametrize("source", [None, "x", 7])
def test_a_source_of_another_form_names_no_transaction(source: object) -> None:
    assert _event(KEY, {**ENVELOPE, "source": source}).transaction_id is None


@pytest.mark.parametrize("value", [None, b"null", _json({"schema": None, "payload": None})])
def test_a_key_without_a_value_is_a_tombstone(value: bytes | None) -> None:
    assert decode(KEY, value, []) == Tombstone({"id": 4711})


def test_an_unwrapped_row_is_read_by_its_added_fields() -> None:
    event = _event(KEY, {**ROW, "__op": "c", "__source_txId": 771, "__deleted": "false"})

    assert event == ChangeEvent(
        key={"id": 4711},
        operation=Operation.CREATE,
        after=ROW,
        transaction_id=771,
        may_shift_uuids=True,
    )


@pytest.mark.parametrize("written", [b"c", b'"c"', b'{"schema":{"type":"string"},"payload":"c"}'])
def test_an_unwrapped_row_may_have_them_in_its_headers(written: bytes) -> None:
    event = _event(KEY, ROW, ("__op", written), ("__source_txId", b"771"))

    assert event.operation is Operation.CREATE
    assert event.transaction_id == 771


def test_an_unwrapped_delete_carries_no_message() -> None:
    event = _event(KEY, {**ROW, "__op": "d", "__deleted": "true"})

    assert event.operation is Operation.DELETE


@pytest.mark.parametrize(
    "added",
    [
        {"_op": "c", "_source_txId": 771, "__deleted": "false"},
        {"cdc.op": "c", "cdc.source_txId": 771, "cdc.source_table": "sms"},
        {"op": "c", "source_txId": 771},
        {"$op": "c", "$source_txId": "771"},
    ],
    ids=["one underscore", "a word", "no prefix", "a sign"],
)
def test_an_unwrapped_row_may_have_them_under_another_prefix(added: Mapping[str, object]) -> None:
    event = _event(KEY, {**ROW, **added})

    assert (event.operation, event.transaction_id) == (Operation.CREATE, 771)
    assert event.after is not None
    assert event.after["status"] == "pending"


@pytest.mark.parametrize(
    "columns",
    [
        {"shop": "c"},
        {"op": "d"},
        {"op": "d", "source_of_it": 1},
        {"shop": "c", "_stop": "d"},
        {"_op": "x"},
        {"_op": ["c"]},
    ],
    ids=[
        "a name that ends so",
        "a column op",
        "another one of its source",
        "two",
        "another letter",
        "a list",
    ],
)
def test_a_business_column_is_not_taken_for_the_operation(columns: Mapping[str, object]) -> None:
    with pytest.raises(EnvelopeError, match="neither op nor __op"):
        decode(KEY, _json({**ROW, **columns}), [])


def test_an_unwrapped_snapshot_row_needs_no_transaction() -> None:
    assert _event(KEY, {**ROW, "__op": "r"}).operation is Operation.READ


def test_a_table_with_a_column_called_op_is_no_envelope() -> None:
    event = _event(KEY, {**ROW, "op": "c", "__op": "r"})

    assert event.after == {**ROW, "op": "c"}


def test_integers_up_to_64_bits_are_kept_exact() -> None:
    event = decode(b'{"id":9223372036854775807,"u":18446744073709551615}', _json(ENVELOPE), [])

    assert isinstance(event, ChangeEvent)
    assert event.key == {"id": 2**63 - 1, "u": 2**64 - 1}


def test_of_a_name_that_comes_twice_the_last_counts() -> None:
    event = decode(b'{"id":1,"id":2}', _json(ENVELOPE), [])

    assert isinstance(event, ChangeEvent)
    assert event.key == {"id": 2}


SIGNAL = {"id": "a", "type": "snapshot-window-open", "data": "{}"}


def test_a_business_table_may_begin_like_the_ledgers() -> None:
    event = _event(KEY, {**ENVELOPE, "source": {"table": "cdc_sms_queue", "txId": 7}})

    assert event.transaction_id == 7


TRANSACTION = {"status": "BEGIN", "id": "571", "event_count": None, "data_collections": None}


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ({"serverName": "shop"}, {"ts_ms": 1}, "heartbeat"),
        ({"id": "571"}, TRANSACTION, "transaction"),
        ({"id": "571"}, {**TRANSACTION, "status": "END", "event_count": 2}, "transaction"),
        ({"databaseName": "shop"}, {"source": {}, "ddl": "DROP TABLE t"}, "schema_change"),
        ({"id": 1}, {**ENVELOPE, "source": {"table": "cdc_sms_heartbeat"}}, "own_table"),
        ({"ID": 1}, {**ENVELOPE, "source": {"table": "CDC_SMS_SIGNAL"}}, "own_table"),
        ({"id": 1}, {"id": 1, "__op": "c", "__source_table": "cdc_sms_signal"}, "own_table"),
        ({"id": 1}, {"id": 1, "__op": "c", "__table": "cdc_sms_signal"}, "own_table"),
        ({"id": "a"}, {**ENVELOPE, "after": SIGNAL}, "own_table"),
        ({"id": "a"}, {**SIGNAL, "__op": "c", "__deleted": "false"}, "own_table"),
        ({"id": "a"}, {"id": "a", "aggregate_type": "x", "additional_data": {}}, "notification"),
    ],
    ids=lambda one: one if isinstance(one, str) else None,
)
@pytest.mark.parametrize("wrap", [_json, _wrapped], ids=["plain", "wrapped"])
def test_what_belongs_to_no_row_is_told_by_what_it_is(
    key: object, value: object, what: str, wrap: Callable[[object], bytes]
) -> None:
    assert decode(wrap(key), wrap(value), []) == Notice(what)


@pytest.mark.parametrize(
    "key", [{"serverName": "shop"}, {"databaseName": "shop"}], ids=["serverName", "databaseName"]
)
def test_a_table_may_have_a_key_that_is_called_as_debezium_calls_its_own(key: object) -> None:
    assert isinstance(decode(_json(key), _json(ENVELOPE), []), ChangeEvent)


@pytest.mark.parametrize(
    "row", [{"id": 1, "type": "log"}, {"id": 1, "type": "sms", "data": "{}"}], ids=repr
)
def test_a_business_row_is_not_taken_for_a_signal(row: Mapping[str, object]) -> None:
    assert _event(KEY, {**ENVELOPE, "after": row}).after == row


def test_a_row_may_have_a_status_of_begin() -> None:
    event = _event(KEY, {**ENVELOPE, "after": {"id": 4711, "status": "BEGIN"}})

    assert event.after == {"id": 4711, "status": "BEGIN"}


def test_a_cloud_event_is_refused_by_its_name() -> None:
    value = {"id": "1", "source": "/debezium", "specversion": "1.0", "type": "t", "data": {}}

    with pytest.raises(EnvelopeError, match="CloudEvent") as caught:
        decode(KEY, _json(value), [])

    assert "JsonConverter" in caught.value.hint


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        pytest.param(None, _json(ENVELOPE), "no key", id="no key"),
        pytest.param(b"", _json(ENVELOPE), "no key", id="an empty key"),
        pytest.param(None, None, "no key", id="nothing at all"),
        pytest.param(b"4711", _json(ENVELOPE), "key is no object", id="a key without a name"),
        pytest.param(b"{}", _json(ENVELOPE), "key is no object", id="a key without columns"),
        pytest.param(b"id=4711", _json(ENVELOPE), "key is no JSON", id="a key that is no JSON"),
        pytest.param(KEY, b"secret", "value is no JSON", id="a value that is no JSON"),
        pytest.param(KEY, b"", "value is no JSON", id="an empty value"),
        pytest.param(KEY, b'{"op":"c"', "value is no JSON", id="a value cut short"),
        pytest.param(KEY, b'{"a":"\xff"}', "value is no JSON", id="a value that is no UTF-8"),
        pytest.param(KEY, b'{"a":NaN}', "value is no JSON", id="not a number"),
        pytest.param(KEY, b"[" * 1_000_000, "value is no JSON", id="a value nested without end"),
        pytest.param(KEY, b"\0\0\0\0\7abc", "value is in a binary format", id="an avro value"),
        pytest.param(b"\0\0\0\0\7x", _json(ENVELOPE), "key is in a binary", id="an avro key"),
        pytest.param(KEY, b"[1]", "value is no object", id="a value that is a list"),
        pytest.param(KEY, b'"secret"', "value is no object", id="a value that is a text"),
        pytest.param(KEY, _json(ROW), "neither op nor __op", id="a bare row"),
        pytest.param(KEY, b'{"op":"c"}', "neither op nor __op", id="an operation without a row"),
    ],
)
def test_what_is_no_change_event_is_refused_with_a_reason(
    key: bytes | None, value: bytes | None, reason: str
) -> None:
    with pytest.raises(EnvelopeError, match=reason) as caught:
        decode(key, value, [])

    assert caught.value.hint


@pytest.mark.parametrize(
    "value", [b"secret 600100200", b'"secret 600100200"', b'{"text":"secret 600100200"}']
)
def test_a_refusal_never_tells_the_content(value: bytes) -> None:
    with pytest.raises(EnvelopeError) as caught:
        decode(KEY, value, [])

    assert "600100200" not in caught.value.message + caught.value.hint


def test_a_value_as_large_as_the_outbox_takes_is_read() -> None:
    value = json.dumps({**ENVELOPE, "after": {**ROW, "text": "ż" * 2_000_000}}).encode()

    assert isinstance(decode(KEY, value, []), ChangeEvent)
