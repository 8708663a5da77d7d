"""A record's bytes become a change event: every form in which Debezium puts one on a topic.

Pure. Accepted are key and value in JSON, each with or without the schema wrapper; the envelope
(``before``, ``after``, ``source``, ``op``) or, unwrapped, the row with ``__op`` beside its
columns; and tombstones. What Debezium says of itself (heartbeats, transactions' begin and end,
notifications, signals, changes of the schema) is known, and belongs to no row. The row's columns
stay JSON values: what a key's column means is decided by the type of the business table's column
(``model/encodings.py``).

Source: Debezium's documentation, "Data change events" of each connector, "Transaction metadata"
and "New Record State Extraction".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from cdc_sms.errors import EnvelopeError
from cdc_sms.model.change_event import ChangeEvent, Operation

_OPERATIONS: Mapping[object, Operation] = {
    operation.value: operation for operation in Operation if operation is not Operation.OTHER
}

_KEYLESS = frozenset({"t", "m"})
"""Truncate and logical decoding message: Debezium's records that belong to no row."""

_LETTERS = tuple("crudtm")

_SOURCE_FIELDS = (
    *("txId", "ts_ms", "ts_us", "ts_ns", "connector", "name", "version", "snapshot", "sequence"),
    *("db", "schema", "table", "lsn", "file", "pos", "gtid", "server_id", "scn", "commit_lsn"),
)
"""Fields of ``source`` that people add to unwrapped rows."""

_OUR_TABLES = frozenset(
    f"cdc_sms_{name}"
    for name in ("delivery", "attempt", "act", "control", "heartbeat", "version", "signal")
)
"""The ledger's tables, and Debezium's of signals: never the business's."""

_SIGNALS = (
    *("execute-snapshot", "stop-snapshot", "pause-snapshot", "resume-snapshot"),
    *("snapshot-window-open", "snapshot-window-close", "schema-changes", "log"),
)
"""What a row of Debezium's signal table (id, type, data) asks for."""

_DECIMAL = "org.apache.kafka.connect.data.Decimal"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A record with a key and no value, which Debezium writes after a delete: it says nothing.

    Attributes:
        key: the primary key's columns by name, as JSON values.
        key_types: as in :class:`ChangeEvent`.
    """

    key: Mapping[str, object]
    key_types: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Notice:
    """A record that belongs to no row of the business table; ``what`` is from a closed set."""

    what: str


def decode(
    key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
) -> ChangeEvent | Tombstone | Notice:
    """Read a record of the outbox.

    Args:
        key: the record's key, any bytes.
        value: the record's value, any bytes.
        headers: the record's headers; of interest to unwrapped records only, whose operation
            may stand there.

    Raises:
        EnvelopeError: why it is no change event, in words that never hold the record's content.
    """
    body = None if value is None else _payload(_parsed(value, "value"))
    if not key:
        return _keyless(body)
    columns, types = _key(key)
    if body is None:
        return Tombstone(columns, types)
    if not isinstance(body, dict):
        raise _no_change_event("The value is no object")
    if (what := _notice(columns, body)) is not None:
        return Notice(what)
    if "__op" not in body and "op" in body and ("after" in body or "source" in body):
        return _enveloped(columns, types, body)
    return _unwrapped(columns, types, body, headers)


def _notice(key: Mapping[str, object], body: Mapping[str, object]) -> str | None:
    """Say what Debezium tells of itself, where a connector's topics were all routed to one."""
    if key.keys() == {"serverName"} and body.keys() == {"ts_ms"}:
        return "heartbeat"
    if (
        body.get("status") in ("BEGIN", "END")
        and {"event_count", "data_collections"} <= body.keys()
    ):
        return "transaction"
    if key.keys() == {"databaseName"} and "ddl" in body:
        return "schema_change"
    if {"aggregate_type", "additional_data"} <= body.keys() and "op" not in body:
        return "notification"
    return None


def _keyless(body: object) -> ChangeEvent:
    if isinstance(body, dict) and body.get("op") in _KEYLESS:
        return ChangeEvent(key={}, operation=Operation.OTHER)
    raise EnvelopeError(
        "The record has no key.",
        hint="The producer must write the row's primary key as the record's key.",
    )


def _parsed(text: bytes, part: str) -> object:
    try:
        parsed: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        # a zero byte and a schema's id: the schema registry's wire format
        looks_binary = text[:1] == b"\0"
        raise EnvelopeError(
            f"The {part} is {'in a binary format' if looks_binary else 'no JSON'}.",
            hint=f"Set {part}.converter=org.apache.kafka.connect.json.JsonConverter.",
        ) from error
    return parsed


def _schema_and_payload(parsed: object) -> tuple[object, object] | None:
    if (
        isinstance(parsed, dict)
        and parsed.keys() == {"schema", "payload"}
        and isinstance(parsed["schema"], dict | None)
    ):
        return parsed["schema"], parsed["payload"]
    return None


def _payload(parsed: object) -> object:
    wrapped = _schema_and_payload(parsed)
    return parsed if wrapped is None else wrapped[1]


def _key(key: bytes) -> tuple[Mapping[str, object], Mapping[str, str]]:
    parsed = _parsed(key, "key")
    wrapped = _schema_and_payload(parsed)
    schema, columns = (None, parsed) if wrapped is None else wrapped
    if not isinstance(columns, dict) or not columns:
        raise EnvelopeError(
            "The key is no object of the primary key's columns.",
            hint="Leave the key as Debezium writes it: no transform that extracts a field of it.",
        )
    return columns, _types(schema)


def _types(schema: object) -> dict[str, str]:
    """Return each field's logical name, else its plain type; a decimal's scale after a colon."""
    fields = schema.get("fields") if isinstance(schema, dict) else None
    types: dict[str, str] = {}
    for entry in fields if isinstance(fields, list) else ():
        if not isinstance(entry, dict):
            continue
        name, kind = entry.get("field"), entry.get("name") or entry.get("type")
        if isinstance(name, str) and isinstance(kind, str):
            types[name] = f"{kind}:{_scale(entry)}" if kind == _DECIMAL else kind
    return types


def _scale(entry: Mapping[str, object]) -> object:
    parameters = entry.get("parameters")
    return parameters.get("scale", "") if isinstance(parameters, dict) else ""


def _enveloped(
    columns: Mapping[str, object], types: Mapping[str, str], body: Mapping[str, object]
) -> ChangeEvent | Notice:
    source = body.get("source")
    if not isinstance(source, dict):
        source = {}
    after = body.get("after")
    if _is_ours(source.get("table")) or _is_signal(after):
        return Notice("own_table")
    return _event(
        columns,
        types,
        letter=body["op"],
        after=after,
        transaction=source.get("txId"),
        may_shift_uuids=source.get("connector") == "mariadb" and _is_debeziums(source),
    )


def _is_debeziums(source: Mapping[str, object]) -> bool:
    """Say whether Debezium wrote the record, and not our own reader: its versions end in a word."""
    return str(source.get("version")).rpartition(".")[2][:1].isalpha()


def _unwrapped(
    columns: Mapping[str, object],
    types: Mapping[str, str],
    body: Mapping[str, object],
    headers: Sequence[tuple[str, bytes]],
) -> ChangeEvent | Notice:
    """Read a row that ``ExtractNewRecordState`` left of an envelope.

    What it adds goes to the value or to the headers, as configured (``add.fields``,
    ``add.headers``), before each name a prefix. Without the operation it can't be told an insert
    from a delete that was rewritten.
    """
    told = {name: _header_value(value) for name, value in headers}
    in_value = _prefix(body)
    added = {**_added(told, _prefix(told)), **_added(body, in_value)}
    if "op" not in added:
        if "specversion" in body:
            raise EnvelopeError(
                "The value is a CloudEvent.",
                hint="Set value.converter=org.apache.kafka.connect.json.JsonConverter.",
            )
        raise _no_change_event("The value has neither op nor __op")
    after = {n: v for n, v in body.items() if not (in_value and n.startswith(in_value))}
    if _is_ours(added.get("source_table", added.get("table"))) or _is_signal(after):
        return Notice("own_table")
    return _event(
        columns,
        types,
        letter=added["op"],
        after=after,
        transaction=added.get("source_txId", added.get("txId")),
        may_shift_uuids=True,
    )


def _prefix(names: Mapping[str, object]) -> str:
    """Return what stands before each name that the transform added; two underscores by default.

    Another one is known by an operation under it: where the prefix is of signs only, or another
    of the source's fields is there as well. A business column that ends in "op" has neither.
    """
    if "__op" in names:
        return "__"
    found = [
        name.removesuffix("op")
        for name, value in names.items()
        if name.endswith("op") and value in _LETTERS and _is_prefix(name.removesuffix("op"), names)
    ]
    return found[0] if len(found) == 1 else "__"


def _is_prefix(prefix: str, names: Mapping[str, object]) -> bool:
    is_of_signs = prefix != "" and not any(sign.isalnum() for sign in prefix)
    return is_of_signs or any(f"{prefix}source_{field}" in names for field in _SOURCE_FIELDS)


def _added(names: Mapping[str, object], prefix: str) -> Mapping[str, object]:
    return {
        name.removeprefix(prefix): value for name, value in names.items() if name.startswith(prefix)
    }


def _is_ours(table: object) -> bool:
    return isinstance(table, str) and table.lower() in _OUR_TABLES


def _is_signal(after: object) -> bool:
    """Say whether it is a row of Debezium's own signal table, whatever its name."""
    return (
        isinstance(after, dict)
        and after.keys() == {"id", "type", "data"}
        and after["type"] in _SIGNALS
    )


def _header_value(value: bytes) -> object:
    """Read a header as Kafka Connect's converters write one: plain text, or JSON."""
    try:
        return _payload(orjson.loads(value))
    except orjson.JSONDecodeError:
        return value.decode(errors="replace")


def _event(
    columns: Mapping[str, object],
    types: Mapping[str, str],
    *,
    letter: object,
    after: object,
    transaction: object,
    may_shift_uuids: bool,
) -> ChangeEvent:
    operation = _OPERATIONS.get(letter) if isinstance(letter, str) else None
    if operation is None:
        return ChangeEvent(key=columns, key_types=types, operation=Operation.OTHER)
    return ChangeEvent(
        key=columns,
        key_types=types,
        operation=operation,
        # an image of another form says nothing of the status, and nothing else is asked of it
        after=after if isinstance(after, dict) and operation is not Operation.DELETE else None,
        # a snapshot's transaction is the reader's own, and says nothing of the row's
        transaction_id=None if operation is Operation.READ else _transaction_id(transaction),
        may_shift_uuids=may_shift_uuids,
    )


def _transaction_id(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value) if len(value) < 20 else None
    return None


def _no_change_event(reason: str) -> EnvelopeError:
    return EnvelopeError(
        f"{reason}: it is no change event.",
        hint=(
            "Use the connector's configuration in debezium/; with ExtractNewRecordState "
            "set add.fields=op,source.txId (on PostgreSQL; op elsewhere)."
        ),
    )
