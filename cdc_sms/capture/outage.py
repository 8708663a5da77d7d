"""What capture waits for: said once when it begins and once when it is over, with growing pauses."""

import logging
import random

from cdc_sms.errors import CdcSmsError, PositionLost
from cdc_sms.model.backoff import Backoff
from cdc_sms.model.clock import Clock
from cdc_sms.sources.base import HeldByAnother

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
"""A second reader notices within this time that the log is free."""


class Outage:
    """A time in which capture can't read or can't write.

    Args:
        clock: measures how long it lasts.
        random_source: where the pauses' jitter comes from.

    Thread: capture's loop; :attr:`why` may be read by any.
    """

    def __init__(self, *, clock: Clock, random_source: random.Random) -> None:
        self._clock = clock
        self._backoff = Backoff(
            first_s=FIRST_PAUSE_S, limit_s=LONGEST_PAUSE_S, random_source=random_source
        )
        self._error: CdcSmsError | None = None
        self._began_s = clock.monotonic_s()

    @property
    def why(self) -> str | None:
        """Return what is in the way, in one sentence; None while nothing is."""
        error = self._error
        return None if error is None else error.message

    @property
    def stands_by(self) -> bool:
        """Say whether another reader is at work, which is no fault."""
        return isinstance(self._error, HeldByAnother)

    def met(self, error: CdcSmsError) -> float:
        """Take note of an error that is waited for.

        Returns:
            The pause before the next try, in seconds.
        """
        if self._error is None:
            self._began_s = self._clock.monotonic_s()
        if self._error is None or self._error.message != error.message:
            facts = {"reason": error.message, "hint": error.hint}
            level = logging.INFO if isinstance(error, HeldByAnother) else logging.WARNING
            logger.log(level, _event(error), extra=facts)
        self._error = error
        return self._backoff.next_s()

    def over(self) -> None:
        """Take note that the log streams."""
        waited_s = round(self._clock.monotonic_s() - self._began_s, 3)
        logger.info("stream.started", extra={"waited_s": waited_s if self._error else 0.0})
        self._error = None

    def progress(self) -> None:
        """Take note that something came through: the next pause is a short one again."""
        self._backoff.reset()


def _event(error: CdcSmsError) -> str:
    match error:
        case HeldByAnother():
            return "capture.standing_by"
        case PositionLost():
            return "slot.lost"
        case _:
            return "stream.lost"
