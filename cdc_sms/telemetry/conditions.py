"""A condition that lasts: one event at its start, one at its end, and a gauge between them."""

import logging
import threading
from datetime import datetime

from prometheus_client import Gauge

from cdc_sms.model.clock import Clock

logger = logging.getLogger(__name__)


class Condition:
    """Something that is or isn't so for a while: a hold, an open breaker, owed write-backs.

    Saying again what is already known is cheap and silent, so a loop may say it each turn.

    Args:
        noun: what the events are named for: ``breaker`` logs ``breaker.started`` and
            ``breaker.ended``.
        clock: where the durations come from.
        gauge: set to the amount while it lasts, and to 0 when it ends; a child, where the
            metric has labels.
        facts: what each of its events says beside the reason, such as ``provider``.

    Thread: any.
    """

    def __init__(
        self, noun: str, *, clock: Clock, gauge: Gauge | None = None, **facts: object
    ) -> None:
        self._noun = noun
        self._clock = clock
        self._gauge = gauge
        self._facts = facts
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._since: datetime | None = None
        self._started_s = 0.0
        if gauge is not None:
            gauge.set(0)

    @property
    def is_on(self) -> bool:
        """Say whether it lasts now."""
        return self._since is not None

    @property
    def reason(self) -> str | None:
        """Return why it lasts; None while it doesn't."""
        return self._reason

    @property
    def since(self) -> datetime | None:
        """Return when it started, in UTC; None while it doesn't last."""
        return self._since

    def on(self, reason: str, *, amount: float = 1.0) -> None:
        """Say that it is so.

        Args:
            reason: why, in a few words that a person understands; another reason than before
                is one more event, ``<noun>.changed``.
            amount: what the gauge shows: how many rows are owed, say.
        """
        with self._lock:
            if self._gauge is not None:
                self._gauge.set(amount)
            if self._since is None:
                self._since = self._clock.now()
                self._started_s = self._clock.monotonic_s()
                self._log(logging.WARNING, "started", reason=reason, amount=amount)
            elif reason != self._reason:
                self._log(logging.WARNING, "changed", reason=reason, amount=amount)
            self._reason = reason

    def off(self) -> None:
        """Say that it is not so, or no longer."""
        with self._lock:
            if self._gauge is not None:
                self._gauge.set(0)
            if self._since is None:
                return
            lasted_s = round(self._clock.monotonic_s() - self._started_s, 3)
            self._log(logging.INFO, "ended", reason=self._reason, lasted_s=lasted_s)
            self._since = self._reason = None

    def _log(self, level: int, what: str, **facts: object) -> None:
        logger.log(level, "%s.%s", self._noun, what, extra={**self._facts, **facts})
