"""One message as the ledger knows it, and one request for it."""

from dataclasses import dataclass
from datetime import datetime

from cdc_sms.model.state import FINAL, DeadLetterClass, State


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as the ledger knows it; the columns of ``cdc_sms_delivery``.

    Attributes: see :mod:`cdc_sms.databases.schema`, which names and groups them.
    """

    id: str
    message_key: str
    key_values: str
    row_created_at: str | None
    state: State
    due_at: datetime
    seen_at: datetime
    changed_at: datetime
    former_state: State | None = None
    round: int = 1
    attempts: int = 0
    doubts: int = 0
    doubts_before: int = 0
    claim_token: str | None = None
    lease_until: datetime | None = None
    override: str | None = None
    content_digest: str | None = None
    segments: int | None = None
    provider: str | None = None
    provider_message_id: str | None = None
    accepted_at: datetime | None = None
    failure_class: str | None = None
    failure_code: str | None = None
    failure_text: str | None = None
    first_failed_at: datetime | None = None
    last_failed_at: datetime | None = None
    dead_letter_class: DeadLetterClass | None = None
    dlq_partition: int | None = None
    dlq_offset: int | None = None
    unclear_at: datetime | None = None
    row_word: str | None = None
    intended_word: str | None = None
    owes_write: bool = False
    next_write_at: datetime | None = None
    write_failures: int = 0
    record_partition: int | None = None
    record_offset: int | None = None
    record_key: bytes | None = None
    emitted_at: datetime | None = None

    @property
    def is_done(self) -> bool:
        """Say whether it is in a final state and owes nothing to Kafka."""
        return self.state in FINAL and not self.owes_dead_letter

    @property
    def owes_dead_letter(self) -> bool:
        """Say whether it was given up and its dead letter isn't acknowledged yet."""
        given_up = self.state is State.FAILED and self.dead_letter_class is not None
        return given_up and self.dlq_offset is None

    @property
    def round_doubts(self) -> int:
        """Return how often it was in doubt in its present round."""
        return self.doubts - self.doubts_before

    @property
    def awaits_person(self) -> bool:
        """Say whether it may have been sent and a person is to say what becomes of it."""
        return self.state is State.FAILED and self.dead_letter_class is DeadLetterClass.IN_DOUBT


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One request, as ``cdc_sms_attempt`` keeps it.

    Attributes:
        number: counted from 1 within the round.
        counted: whether it counts against the most attempts (a sick provider burns none).
        outcome: sent, transient, permanent, account or in_doubt.
    """

    claim_token: str
    message_id: str
    round: int
    number: int
    counted: bool
    started_at: datetime | None
    finished_at: datetime
    outcome: str
    code: str | None
    text: str | None
    provider: str
    provider_message_id: str | None
