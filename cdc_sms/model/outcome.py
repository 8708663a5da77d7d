"""What one attempt to send led to: a value, matched to its end, never an exception."""

from dataclasses import dataclass
from enum import StrEnum


class FailureClass(StrEnum):
    """Whom a failure concerns; *in doubt* is an outcome of its own, not a failure."""

    TRANSIENT = "transient"
    """Certainly not accepted; the same message may be sent again later."""
    PERMANENT = "permanent"
    """This message alone will never be accepted as it stands."""
    ACCOUNT = "account"
    """Every message would fail: key, right, account state, funds."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider accepted the message.

    Attributes:
        provider_message_id: the provider's id, where it gives one.
    """

    provider_message_id: str | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The provider certainly did not accept the message.

    Attributes:
        failure_class: whom it concerns.
        code: the provider's code, or ours in lower case (``connect_failed``); a closed set.
        text: one sentence for a person; no number, no message text.
        retry_after_s: how long the provider asked us to stay away, in seconds; it concerns
            the whole provider, not this message alone.
    """

    failure_class: FailureClass
    code: str
    text: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The request was written; whether it was accepted is not known.

    Attributes:
        code: what happened (``timeout``, ``connection_reset``, ``http_500``).
        text: one sentence for a person.
    """

    code: str
    text: str


Outcome = Sent | Failed | InDoubt
