"""Which settings are recorded: each value once, beside what ``debezium/`` configures."""

from collections.abc import Iterator, Mapping

JSON = "org.apache.kafka.connect.json.JsonConverter"

BASE: Mapping[str, str] = {
    "tasks.max": "1",
    "snapshot.mode": "initial",
    "decimal.handling.mode": "string",
    "poll.interval.ms": "10",
    "key.converter": JSON,
    "key.converter.schemas.enable": "false",
    "value.converter": JSON,
    "value.converter.schemas.enable": "false",
    "topic.creation.default.replication.factor": "1",
    "topic.creation.default.partitions": "1",
}
"""What ``debezium/`` configures, as far as it decides how a record is written."""

_KEYS_SAY = {"key.converter.schemas.enable": "true"}

# A key that comes with its schema holds in its payload what would come without one, so that
# each encoding is recorded once.
_EVERYWHERE: Mapping[str, Mapping[str, str]] = {
    "as-documented": {},
    "schemas": {**_KEYS_SAY, "value.converter.schemas.enable": "true"},
    "schemas-of-values": {"value.converter.schemas.enable": "true"},
    "times-connect": {**_KEYS_SAY, "time.precision.mode": "connect"},
    "times-isostring": {**_KEYS_SAY, "time.precision.mode": "isostring"},
    "times-microseconds": {**_KEYS_SAY, "time.precision.mode": "microseconds"},
    "times-nanoseconds": {**_KEYS_SAY, "time.precision.mode": "nanoseconds"},
    "decimals-double": {**_KEYS_SAY, "decimal.handling.mode": "double"},
    "decimals-precise": {**_KEYS_SAY, "decimal.handling.mode": "precise"},
    "decimals-numeric": {
        **_KEYS_SAY,
        "decimal.handling.mode": "precise",
        "key.converter.decimal.format": "NUMERIC",
    },
    "bytes-base64": {**_KEYS_SAY, "binary.handling.mode": "base64"},
    "bytes-base64-url-safe": {**_KEYS_SAY, "binary.handling.mode": "base64-url-safe"},
    "bytes-hex": {**_KEYS_SAY, "binary.handling.mode": "hex"},
    "everything": {
        "skipped.operations": "none",
        "provide.transaction.metadata": "true",
        "heartbeat.interval.ms": "500",
        "include.schema.changes": "true",
        "notification.enabled.channels": "sink",
        "notification.sink.topic.name": "<prefix>.notifications",
    },
    "incremental": {"signal.data.collection": "<signals>"},
}

_OF_ONE: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "postgresql": {
        "times-adaptive-microseconds": {
            **_KEYS_SAY,
            "time.precision.mode": "adaptive_time_microseconds",
        },
    },
    "mysql": {"unsigned-precise": {**_KEYS_SAY, "bigint.unsigned.handling.mode": "precise"}},
    "mariadb": {"unsigned-precise": {**_KEYS_SAY, "bigint.unsigned.handling.mode": "precise"}},
}

_UNWRAP = {
    "transforms": "unwrap",
    "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
}

_UNWRAPPED: Mapping[str, Mapping[str, str]] = {
    "unwrapped": {"delete.tombstone.handling.mode": "rewrite", "add.fields": "<added>"},
    "unwrapped-schemas": {
        "delete.tombstone.handling.mode": "rewrite-with-tombstone",
        "add.fields": "<added>",
    },
    "unwrapped-tombstones": {
        "delete.tombstone.handling.mode": "tombstone",
        "add.fields": "<added>",
    },
    "unwrapped-dropped": {"delete.tombstone.handling.mode": "drop", "add.fields": "<added>"},
    "unwrapped-prefix": {
        "delete.tombstone.handling.mode": "rewrite",
        "add.fields": "<added>",
        "add.fields.prefix": "_",
    },
    "unwrapped-words": {
        "delete.tombstone.handling.mode": "rewrite",
        "add.fields": "<added>,source.table",
        "add.fields.prefix": "cdc_",
    },
    "unwrapped-headers": {
        "delete.tombstone.handling.mode": "rewrite",
        "add.headers": "<added>,source.table",
    },
    "unwrapped-bare": {"delete.tombstone.handling.mode": "rewrite"},
}


def settings(connector: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the settings of a connector: a name, and the properties that differ from ``BASE``."""
    yield from _EVERYWHERE.items()
    yield from _OF_ONE[connector].items()
    added = "op,source.txId" if connector == "postgresql" else "op"
    for name, properties in _UNWRAPPED.items():
        unwrap = {
            f"transforms.unwrap.{key}": value.replace("<added>", added)
            for key, value in properties.items()
        }
        yield name, {**_UNWRAP, **unwrap, **(_SCHEMAS if name == "unwrapped-schemas" else {})}


_SCHEMAS = {"key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true"}
