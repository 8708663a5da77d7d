"""What a provider promises to the steps of deliver."""

from dataclasses import dataclass
from typing import Protocol

from cdc_sms.model.message import Message
from cdc_sms.model.outcome import Failed, Outcome


@dataclass(frozen=True, slots=True)
class Balance:
    """What the provider says of the account when asked.

    Attributes:
        points: what is left, in the provider's own unit.
    """

    points: int


class Session(Protocol):
    """One sender's connection to a provider.

    Thread: one sender thread; a session is never shared.
    """

    def send(self, message: Message, *, deadline_s: float) -> Outcome:
        """Send one message and say what became of it; never raises for what the wire did.

        Args:
            message: already checked by :meth:`Provider.check`.
            deadline_s: the total time for it, connecting included; seconds.
        """
        ...

    def balance(self, *, deadline_s: float) -> Balance | Failed:
        """Ask for the account's balance: the probe that costs nothing.

        Returns:
            The balance, or why there is none (transient or account).
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Provider(Protocol):
    """A provider as configured: makes sessions and checks messages before they cost a request.

    Thread: any; it holds nothing that changes but its key.
    """

    name: str
    has_balance: bool

    def check(self, message: Message) -> Failed | None:
        """Say why this message would certainly be refused, or None.

        Returns:
            A permanent :class:`Failed` for what the contract rules out (sender, length,
            characters), found before a request is spent on it.
        """
        ...

    def session(self) -> Session:
        """Open a session for one sender thread."""
        ...

    def reload(self) -> None:
        """Read again what may have changed under the running role: the key, as after SIGHUP."""
        ...
