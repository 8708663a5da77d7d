"""Reads the samples that were recorded."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson

from recording.tables import MESSAGES

DATA = Path(__file__).parents[1] / "data" / "debezium"


@dataclass(frozen=True)
class Sample:
    """One record as Debezium wrote it, under one setting."""

    connector: str
    setting: str
    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def table(self) -> str | None:
        """Return the table that it is of; None for what Debezium says of itself."""
        parts = self.topic.split(".")
        return parts[2] if len(parts) == 3 and parts[0] == "recording" else None

    @property
    def is_message(self) -> bool:
        """Say whether it is of the messages' table."""
        return self.table == MESSAGES

    def bare_key(self) -> bytes | None:
        """Return the key as it would be without its schema."""
        parsed = orjson.loads(self.key or b"null")
        is_wrapped = isinstance(parsed, dict) and parsed.keys() == {"schema", "payload"}
        return orjson.dumps(parsed["payload"]) if is_wrapped else self.key


@cache
def samples(connector: str) -> tuple[Sample, ...]:
    """Return a connector's samples, in the order in which they lay on their topics."""
    return tuple(_read(DATA / f"settings-{connector}.jsonl"))


def _read(path: Path) -> Iterator[Sample]:
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not line:
            continue
        one = json.loads(line)
        yield Sample(
            connector=one["connector"],
            setting=one["setting"],
            topic=one["topic"],
            key=None if one["key"] is None else one["key"].encode(),
            value=None if one["value"] is None else one["value"].encode(),
            headers=tuple((name, value.encode()) for name, value in one["headers"]),
        )
