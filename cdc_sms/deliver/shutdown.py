"""The phases of a role's end, each named in the log with its duration."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from cdc_sms.errors import CdcSmsError
from cdc_sms.model.clock import Clock

logger = logging.getLogger(__name__)


class Shutdown:
    """The phases of a role's end, within one grace; each logs its name and duration.

    Args:
        clock: measures the grace, from the construction on.
        grace_s: what all phases together may take; seconds.

    Thread: the one that ends the role.
    """

    def __init__(self, clock: Clock, *, grace_s: float) -> None:
        self._clock = clock
        self._deadline_s = clock.monotonic_s() + grace_s

    @property
    def left_s(self) -> float:
        """Return what is left of the grace, in seconds; never negative."""
        return max(0.0, self._deadline_s - self._clock.monotonic_s())

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Run one phase; an error of a server that went away is logged, and the next phase comes.

        What could not be done is left to what makes it good later: leases, redelivery.
        """
        started_s = self._clock.monotonic_s()
        trouble = None
        try:
            yield
        except CdcSmsError as error:
            trouble = error.message
        facts = {"phase": name, "lasted_s": round(self._clock.monotonic_s() - started_s, 3)}
        if trouble is None:
            logger.info("shutdown.phase_ended", extra=facts)
        else:
            logger.warning("shutdown.phase_failed", extra={**facts, "why": trouble})
