"""The headers of records: of dead letters, both ways, and the names of the others.

Pure. Values are text, so that any viewer shows them. Ours are named ``cdcsms.*``; a few of Kafka
Connect's ``__connect.errors.*`` say the same again, for the tools that people already use.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cdc_sms.model.state import DeadLetterClass

Header = tuple[str, bytes]

PREFIX = "cdcsms."

EMITTED = "cdcsms.emitted"
"""On a record that was emitted again to the outbox: the reason, in a word."""

REPLAYED = "cdcsms.replayed"
"""On a record that ``replay`` produced again: where it lay, ``P:O``."""

TRIMMED = "cdcsms.trimmed"
"""On a record that holds its key and only what fits of the row: the reason, in a word."""

MESSAGE_ID = "cdcsms.message_id"
TRACE_ID = "cdcsms.trace_id"
CLASS = "cdcsms.class"
CODE = "cdcsms.code"
TEXT = "cdcsms.text"
PROVIDER = "cdcsms.provider"
ATTEMPT = "cdcsms.attempt"
FIRST_FAILURE_AT = "cdcsms.first_failure_at"
LAST_FAILURE_AT = "cdcsms.last_failure_at"
ORIGINAL_TOPIC = "cdcsms.original_topic"
ORIGINAL_PARTITION = "cdcsms.original_partition"
ORIGINAL_OFFSET = "cdcsms.original_offset"
ORIGINAL_TIMESTAMP = "cdcsms.original_timestamp"
REDRIVES = "cdcsms.redrives"

CONNECT_TOPIC = "__connect.errors.topic"
CONNECT_PARTITION = "__connect.errors.partition"
CONNECT_OFFSET = "__connect.errors.offset"
CONNECT_CLASS = "__connect.errors.exception.class.name"
CONNECT_MESSAGE = "__connect.errors.exception.message"

_CONNECT = frozenset(
    {CONNECT_TOPIC, CONNECT_PARTITION, CONNECT_OFFSET, CONNECT_CLASS, CONNECT_MESSAGE}
)

_LONGEST_TEXT = 2000
"""Characters: a dead letter may be 64 KiB larger than its original, whatever a provider says."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a record was given up, and where it came from: everything its headers say.

    Attributes:
        dead_letter_class: why, in a word.
        code: the failure's code; a closed set.
        text: the failure in one sentence for a person; no number, no message text.
        original_topic: where the record was.
        original_partition: the same.
        original_offset: the same.
        original_timestamp_ms: when it was produced there, in milliseconds since 1970.
        first_failure_at: when the message failed first; aware.
        last_failure_at: when it was given up; aware.
        message_id: which message; None where the record could not be decoded so far.
        trace_id: what names the message in logs; None as above.
        provider: the configured name of who refused it; None where none was asked.
        attempt: how often it was tried; 0: never.
        redrives: how often a person had it sent again.
    """

    dead_letter_class: DeadLetterClass
    code: str
    text: str
    original_topic: str
    original_partition: int
    original_offset: int
    original_timestamp_ms: int
    first_failure_at: datetime
    last_failure_at: datetime
    message_id: str | None = None
    trace_id: str | None = None
    provider: str | None = None
    attempt: int = 0
    redrives: int = 0


def dead_letter_headers(letter: DeadLetter, original: Iterable[Header]) -> list[Header]:
    """Return the headers of a dead letter: the record's own, then ours.

    Args:
        letter: what they say.
        original: the record's headers; those that we write are replaced, never doubled.
    """
    text = letter.text[:_LONGEST_TEXT]
    said: dict[str, str | None] = {
        MESSAGE_ID: letter.message_id,
        TRACE_ID: letter.trace_id,
        CLASS: letter.dead_letter_class.value,
        CODE: letter.code,
        TEXT: text,
        PROVIDER: letter.provider,
        ATTEMPT: str(letter.attempt),
        FIRST_FAILURE_AT: _time_text(letter.first_failure_at),
        LAST_FAILURE_AT: _time_text(letter.last_failure_at),
        ORIGINAL_TOPIC: letter.original_topic,
        ORIGINAL_PARTITION: str(letter.original_partition),
        ORIGINAL_OFFSET: str(letter.original_offset),
        ORIGINAL_TIMESTAMP: _time_text(
            _EPOCH + timedelta(milliseconds=letter.original_timestamp_ms)
        ),
        REDRIVES: str(letter.redrives),
        CONNECT_TOPIC: letter.original_topic,
        CONNECT_PARTITION: str(letter.original_partition),
        CONNECT_OFFSET: str(letter.original_offset),
        CONNECT_CLASS: f"cdc_sms.{letter.dead_letter_class.value}.{letter.code}",
        CONNECT_MESSAGE: text,
    }
    return [
        *without_ours(original),
        *((name, value.encode()) for name, value in said.items() if value is not None),
    ]


def without_ours(headers: Iterable[Header]) -> list[Header]:
    """Return a record's headers without those that we write: what a replay takes along."""
    return [
        (name, value)
        for name, value in headers
        if not name.startswith(PREFIX) and name not in _CONNECT
    ]


def parse(headers: Sequence[Header]) -> DeadLetter | None:
    """Read a dead letter's headers back.

    Returns:
        What they say; None where they are not, or not wholly, ours: somebody else's record.
    """
    said = texts(headers)
    try:
        return DeadLetter(
            dead_letter_class=DeadLetterClass(said[CLASS]),
            code=said[CODE],
            text=said[TEXT],
            original_topic=said[ORIGINAL_TOPIC],
            original_partition=int(said[ORIGINAL_PARTITION]),
            original_offset=int(said[ORIGINAL_OFFSET]),
            original_timestamp_ms=_milliseconds(said[ORIGINAL_TIMESTAMP]),
            first_failure_at=datetime.fromisoformat(said[FIRST_FAILURE_AT]),
            last_failure_at=datetime.fromisoformat(said[LAST_FAILURE_AT]),
            message_id=said.get(MESSAGE_ID),
            trace_id=said.get(TRACE_ID),
            provider=said.get(PROVIDER),
            attempt=int(said[ATTEMPT]),
            redrives=int(said[REDRIVES]),
        )
    except (KeyError, ValueError):
        return None


def redrives_of(headers: Iterable[Header]) -> int:
    """Return how often a person had a record produced again; 0 where nothing says so."""
    said = texts(headers).get(REDRIVES, "")
    return int(said) if said.isdecimal() else 0


def texts(headers: Iterable[Header]) -> Mapping[str, str]:
    """Return headers by name, as text; of a name that comes twice the last."""
    return {name: value.decode(errors="replace") for name, value in headers}


def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _milliseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
