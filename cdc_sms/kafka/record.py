"""One record as it was consumed. Pure."""

from dataclasses import dataclass

from cdc_sms.kafka.headers import Header


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was consumed; nothing of it is decoded.

    Attributes:
        topic: where it lies.
        partition: where it lies.
        offset: where it lies.
        leader_epoch: of the partition's leader that wrote it; goes along into the commit.
        timestamp_ms: milliseconds since 1970; -1: the record has none.
        key: None: it has none.
        value: None: a tombstone.
        headers: name and bytes, in their order; a header without a value has no bytes.
    """

    topic: str
    partition: int
    offset: int
    leader_epoch: int | None
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
