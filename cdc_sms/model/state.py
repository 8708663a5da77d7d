"""The states of a message and the one table of legal transitions."""

from enum import StrEnum


class State(StrEnum):
    """Where a message is on its way."""

    PENDING = "pending"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    RETRYING = "retrying"
    IN_DOUBT = "in_doubt"
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Say whether nothing more happens to the message by itself."""
        return self in FINAL


FINAL = frozenset({State.SENT, State.FAILED, State.EXPIRED, State.CANCELLED})

_CLAIMED_FROM = frozenset({State.PENDING, State.SCHEDULED, State.RETRYING, State.IN_DOUBT})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset(
        {State.SCHEDULED, State.SENDING, State.EXPIRED, State.CANCELLED, State.FAILED, State.SENT}
    ),
    State.SCHEDULED: frozenset(
        {State.SENDING, State.EXPIRED, State.CANCELLED, State.FAILED, State.SENT}
    ),
    State.SENDING: _CLAIMED_FROM | {State.SENT, State.FAILED, State.CANCELLED, State.EXPIRED},
    State.RETRYING: frozenset(
        {State.SENDING, State.FAILED, State.EXPIRED, State.CANCELLED, State.SENT}
    ),
    State.IN_DOUBT: frozenset({State.SENDING, State.SENT, State.FAILED}),
    State.SENT: frozenset(),
    State.FAILED: frozenset({State.SENT}),
    State.EXPIRED: frozenset({State.SENT}),
    State.CANCELLED: frozenset({State.PENDING, State.SENT}),
}
"""From each state, where a message may go. Any state may become ``sent``: an acceptance that
came late is evidence. ``cancelled`` and pending again without an attempt is simply pending."""


class DeadLetterClass(StrEnum):
    """Why a message was given up."""

    PERMANENT = "permanent"
    EXHAUSTED = "exhausted"
    IN_DOUBT = "in_doubt"
    UNCLEAR = "unclear"
    UNDECODABLE = "undecodable"


BY_A_PERSON: dict[State, frozenset[State]] = {
    State.IN_DOUBT: frozenset({State.SENT, State.PENDING, State.FAILED}),
    State.FAILED: frozenset({State.PENDING, State.SENT}),
    State.EXPIRED: frozenset({State.PENDING}),
    State.CANCELLED: frozenset({State.PENDING}),
    State.SENT: frozenset({State.PENDING}),
}
"""Where a person's act may bring a message: see :mod:`cdc_sms.model.acts`. ``pending`` begins a
new round."""
