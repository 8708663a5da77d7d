"""How a dead letter stands: whether it still waits for a person, or what became of it.

The topic only grows; what became of a letter, the ledger and the audit records know. A message
has one present letter: the one that its last giving up led to. Older ones of it were replayed,
or were written twice by a crash, and are no way to open it again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, Engine

from cdc_sms.databases.acts import Act, Acts
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.lookup import messages_by_id
from cdc_sms.databases.reading import read_only
from cdc_sms.errors import CdcSmsError
from cdc_sms.kafka.headers import parse
from cdc_sms.kafka.reading import FoundRecord
from cdc_sms.model.acts import DROPPED
from cdc_sms.model.delivery import Delivery
from cdc_sms.model.state import DeadLetterClass, State

REPLAY = "dlq replay"
DISCARD = "dlq discard"
EDIT = "dlq edit"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Standing(StrEnum):
    """What became of a dead letter."""

    OPEN = "open"
    """It waits for a person."""
    EDITED = "edited"
    """It was corrected, and waits to be replayed."""
    REPLAYED = "replayed"
    """A person had it sent again; its message is on its way, or was given up anew."""
    SENT = "sent"
    """Its message was sent since."""
    DISCARDED = "discarded"
    """A person settled it."""
    DROPPED = "dropped"
    """A person gave its message up, which was in doubt."""
    SUPERSEDED = "superseded"
    """Another letter stands for the same giving up: a crash had it written twice."""
    UNKNOWN = "unknown"
    """The ledger doesn't know its message."""
    FOREIGN = "foreign"
    """It is no dead letter of ours."""

    @property
    def is_settled(self) -> bool:
        """Say whether nothing is left to be done about it."""
        return self not in {
            Standing.OPEN,
            Standing.EDITED,
            Standing.UNKNOWN,
            Standing.FOREIGN,
        }


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: where it lies and what an act must know of it.

    Attributes:
        partition: where it is.
        offset: where it is.
        at: when it was written.
        dead_letter_class: why; None: it is no dead letter of ours.
        code: the failure's.
        message_id: whose; None: nothing could be read in it.
    """

    partition: int
    offset: int
    at: datetime
    dead_letter_class: DeadLetterClass | None
    code: str | None = None
    message_id: str | None = None

    @classmethod
    def of(cls, record: FoundRecord) -> "Letter":
        """Return the letter that a record is."""
        at = _EPOCH + timedelta(milliseconds=record.timestamp_ms)
        said = parse(record.headers)
        if said is None:
            return cls(record.partition, record.offset, at, None)
        return cls(
            record.partition, record.offset, at, said.dead_letter_class, said.code, said.message_id
        )

    @property
    def name(self) -> str:
        """Return what people call it: ``P:O``."""
        return f"{self.partition}:{self.offset}"

    @property
    def target(self) -> str:
        """Return what audit records call it, where it has no message."""
        return f"dlq {self.name}"

    @property
    def is_unclear(self) -> bool:
        """Say whether its message was done when its row read pending again."""
        return self.dead_letter_class is DeadLetterClass.UNCLEAR

    def is_present(self, message: Delivery) -> bool:
        """Say whether it is the one that its message's last giving up led to."""
        if self.is_unclear:
            return message.unclear_at is not None
        return (message.dlq_partition, message.dlq_offset) == (self.partition, self.offset)


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger and the audit records know of a letter.

    Attributes:
        message: None: unknown, or the letter has none.
        done: the last replay or discard of this very letter; None: there was none.
        edited: it was corrected since it was written.
    """

    message: Delivery | None = None
    done: Act | None = None
    edited: bool = False


def standing(letter: Letter, known: Known) -> Standing:
    """Say what became of a letter; pure."""
    if letter.dead_letter_class is None:
        return Standing.FOREIGN
    if letter.message_id is None or letter.is_unclear:
        if known.done is not None:
            return Standing.REPLAYED if known.done.act == REPLAY else Standing.DISCARDED
        if letter.message_id is None:
            return Standing.OPEN
    message = known.message
    if message is None:
        return Standing.UNKNOWN
    if letter.is_present(message):
        return Standing.OPEN if letter.is_unclear else _of_present(message, known)
    if message.state is State.SENT:
        return Standing.SENT
    if message.round == 1 and message.dlq_offset is not None:
        return Standing.SUPERSEDED
    return Standing.REPLAYED


def _of_present(message: Delivery, known: Known) -> Standing:
    if message.state is State.SENT:
        return Standing.SENT
    if message.dead_letter_class is None:
        dropped = message.failure_code == DROPPED
        return Standing.DROPPED if dropped else Standing.DISCARDED
    return Standing.EDITED if known.edited else Standing.OPEN


def look_up(connection: Connection, letters: Sequence[Letter]) -> list[Known]:
    """Return what is known of some hundred letters, in their order: two or three statements."""
    ids = {letter.message_id for letter in letters} - {None}
    messages = messages_by_id(connection, Ledger(), sorted(i for i in ids if i is not None))
    known = [(letter, messages.get(letter.message_id or "")) for letter in letters]
    targets = {target for one in known if (target := _target(*one)) is not None}
    acts = Acts().of_targets(connection, sorted(targets))
    return [
        _known(letter, message, acts.get(_target(letter, message) or "", ()))
        for letter, message in known
    ]


class Standings:
    """Asks the ledger how letters stand, by pages; where it can't be asked, nobody knows.

    Attributes:
        why_unknown: why it can't; None so far.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.why_unknown: str | None = None

    def of(self, letters: Sequence[Letter]) -> list[Standing | None]:
        """Return how some hundred letters stand, in their order; None: not known."""
        if self.why_unknown is not None:
            return [None] * len(letters)
        try:
            known = read_only(self._engine, lambda connection: look_up(connection, letters))
        except CdcSmsError as error:
            self.why_unknown = error.message
            return [None] * len(letters)
        return [standing(letter, one) for letter, one in zip(letters, known, strict=True)]


def _target(letter: Letter, message: Delivery | None) -> str | None:
    """Return what the audit records of this letter are about; None: the ledger is enough."""
    if letter.dead_letter_class is None:
        return None
    if letter.message_id is None:
        return letter.target
    was_edited = message is not None and message.override is not None
    return letter.message_id if letter.is_unclear or was_edited else None


def _known(letter: Letter, message: Delivery | None, acts: Iterable[Act]) -> Known:
    own = [
        act for act in acts if act.outcome is not None and act.details.get("letter") == letter.name
    ]
    done = [act for act in own if act.act in {REPLAY, DISCARD}]
    return Known(message, done[-1] if done else None, any(act.act == EDIT for act in own))
