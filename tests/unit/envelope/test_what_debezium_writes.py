"""Every record that was recorded of Debezium, and what is made of it."""

from collections.abc import Iterator, Mapping

import pytest
from recording.matrix import settings
from recording.samples import Sample, samples
from recording.tables import CONNECTORS, LAST, MESSAGES, PENDING, KeyPart, key_tables

from cdc_sms.envelope.decode import decode
from cdc_sms.envelope.row_key import NoMessage, RowKey, RowKeys
from cdc_sms.errors import EnvelopeError
from cdc_sms.model.change_event import ChangeEvent, Operation
from cdc_sms.model.encodings import ColumnKind, KeyColumn, KeyValue, decode_value

MATRIX = [(connector, name) for connector in CONNECTORS for name, _ in settings(connector)]

LOOKED_AT = "looked at"
READ = [f"1 {LOOKED_AT}", "not_pending"]
CHANGED = [f"2 {LOOKED_AT}", "not_pending", f"3 {LOOKED_AT}", "not_pending"]
AT_LAST = [f"{LAST} {LOOKED_AT}"]
DELETED: Mapping[str, list[str]] = {
    "unwrapped": ["operation"],
    "unwrapped-prefix": ["operation"],
    "unwrapped-words": ["operation"],
    "unwrapped-headers": ["operation"],
    "unwrapped-tombstones": ["tombstone"],
    "unwrapped-dropped": [],
}

# What can't be told exactly, and so is refused: by setting, whether the key has its schema, and
# the column: of both rows or one of them, of all connectors or one.
CUT = "cut off"
TWO_UNITS = "milliseconds or microseconds"
REFUSED: Mapping[tuple[str, bool], Mapping[str, str]] = {
    ("times-connect", True): {"clock": CUT, "made": CUT},
    ("times-connect", False): {
        "clock": TWO_UNITS,
        "made": TWO_UNITS,
        "mysql coarse_clock 0": TWO_UNITS,
        "mariadb coarse_clock 0": TWO_UNITS,
    },
    ("times-microseconds", False): {"postgresql coarse_clock": "out of range"},
    ("times-adaptive-microseconds", False): {"coarse_clock": "out of range"},
    ("times-nanoseconds", False): {
        "clock": "out of range",
        "coarse_clock 0": "out of range",
        "postgresql coarse_clock": "out of range",
    },
    ("decimals-double", True): {"whole 0": "above 2", "free": "isn't exact"},
    ("decimals-double", False): {"whole 0": "above 2", "free": "isn't exact"},
    ("bytes-hex", True): {"token 1": "hexadecimal or base64"},
    ("bytes-hex", False): {"token 1": "hexadecimal or base64"},
}


def _keys() -> Iterator[tuple[str, str, bool]]:
    """Yield each connector's settings with keys as they come, and as they come without a schema."""
    for connector in CONNECTORS:
        for setting, properties in settings(connector):
            if properties.get("key.converter.schemas.enable") == "true":
                yield connector, setting, True
            yield connector, setting, False


def _row_keys(connector: str) -> RowKeys:
    key = KeyColumn("id", ColumnKind.INTEGER)
    return RowKeys(MESSAGES, [key], "status", PENDING, names_transactions=connector == "postgresql")


def _read(sample: Sample) -> RowKey | NoMessage:
    return _row_keys(sample.connector).read(sample.key, sample.value, sample.headers)


def _outcome(sample: Sample) -> str:
    found = _read(sample)
    return found.why if isinstance(found, NoMessage) else f"{found.key[0]} {LOOKED_AT}"


def _of(connector: str, setting: str) -> list[Sample]:
    return [one for one in samples(connector) if one.setting == setting]


@pytest.mark.parametrize(
    ("connector", "setting"),
    [one for one in MATRIX if one[1] not in {"unwrapped-bare", "incremental"}],
)
def test_each_row_is_looked_at_unless_it_shows_that_it_carries_no_message(
    connector: str, setting: str
) -> None:
    seen = [_outcome(one) for one in _of(connector, setting) if one.is_message]

    deleted = DELETED.get(setting, ["operation", "tombstone"])
    assert sorted(seen) == sorted([*READ, *CHANGED, *deleted, *AT_LAST])


@pytest.mark.parametrize("connector", CONNECTORS)
def test_a_row_that_an_incremental_snapshot_reads_again_is_looked_at_again(connector: str) -> None:
    again = [
        one
        for one in _of(connector, "incremental")
        if one.is_message and b'"snapshot":"incremental"' in (one.value or b"")
    ]

    assert again
    assert {_outcome(one) for one in again} <= {*READ, *AT_LAST}
    assert all(found.was_visible for one in again if isinstance(found := _read(one), RowKey))


@pytest.mark.parametrize("connector", CONNECTORS)
def test_a_row_from_the_log_may_not_be_visible_yet_and_postgresql_says_its_transaction(
    connector: str,
) -> None:
    for sample in samples(connector):
        if not sample.is_message or sample.setting == "unwrapped-bare":
            continue
        found, event = _read(sample), decode(sample.key, sample.value, sample.headers)
        if not isinstance(found, RowKey):
            continue
        assert isinstance(event, ChangeEvent)
        assert found.was_visible == (event.operation is Operation.READ)
        names_it = connector == "postgresql" and not found.was_visible
        assert (found.transaction_id is not None) == names_it


@pytest.mark.parametrize("connector", CONNECTORS)
def test_an_unwrapped_row_without_its_operation_is_refused(connector: str) -> None:
    bare = [one for one in _of(connector, "unwrapped-bare") if one.is_message]

    assert bare
    for sample in bare:
        with pytest.raises(EnvelopeError, match="neither op nor __op"):
            _read(sample)


@pytest.mark.parametrize("connector", CONNECTORS)
def test_what_debezium_says_of_itself_carries_no_message(connector: str) -> None:
    told = [one for one in _of(connector, "everything") if one.table is None]

    said = {_outcome(one) for one in told}
    of_one = "operation" if connector == "postgresql" else "schema_change"
    assert said == {"heartbeat", "transaction", "notification", of_one}


@pytest.mark.parametrize("connector", CONNECTORS)
def test_truncating_a_table_carries_no_message(connector: str) -> None:
    truncated = [
        one
        for one in _of(connector, "everything")
        if one.table is not None and b'"op":"t"' in (one.value or b"")
    ]

    assert [_outcome(one) for one in truncated] == ["operation"]


@pytest.mark.parametrize("connector", CONNECTORS)
def test_a_row_of_a_table_of_our_own_carries_no_message(connector: str) -> None:
    signals = [one for one in _of(connector, "incremental") if one.table == "cdc_sms_signal"]

    assert signals
    assert {_outcome(one) for one in signals} == {"own_table"}


@pytest.mark.parametrize(("connector", "setting", "has_schema"), list(_keys()))
def test_a_key_is_decoded_as_the_database_reads_it_or_refused(
    connector: str, setting: str, has_schema: bool
) -> None:
    refused = REFUSED.get((setting, has_schema), {})

    for table, parts in key_tables(connector):
        rows = [one for one in _of(connector, setting) if one.table == table and _is_insert(one)]
        assert len(rows) == 2
        for number, sample in enumerate(rows):
            for part in parts:
                one = f"{part.name} {number}"
                names = (part.name, one, f"{connector} {part.name}", f"{connector} {one}")
                reason = next((refused[name] for name in names if name in refused), None)
                seen = _decoded(sample, part, has_schema=has_schema)
                assert _is_as_expected(seen, part.values[number], reason), (part.name, number)


def _is_insert(sample: Sample) -> bool:
    return sample.key is not None and b'"op":"t"' not in (sample.value or b"")


def _decoded(sample: Sample, part: KeyPart, *, has_schema: bool) -> KeyValue | EnvelopeError:
    key = sample.key if has_schema else sample.bare_key()
    event = decode(key, sample.value or None, [*sample.headers, ("__op", b"c")])
    assert isinstance(event, ChangeEvent)
    hint = event.key_types.get(part.name)
    assert (hint is not None) == has_schema
    try:
        return decode_value(event.key[part.name], part.column(sample.connector), hint)
    except EnvelopeError as error:
        return error


def _is_as_expected(seen: KeyValue | EnvelopeError, value: KeyValue, reason: str | None) -> bool:
    if reason is not None:
        return isinstance(seen, EnvelopeError) and reason in seen.message
    return seen == value and type(seen) is type(value)
