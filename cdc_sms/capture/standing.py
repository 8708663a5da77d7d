"""How capture stands: what it does or waits for, said once at each change, and asked by people."""

import logging
import random
from datetime import datetime
from enum import StrEnum

from cdc_sms.errors import BrokerError, CdcSmsError, DatabaseError
from cdc_sms.model.backoff import Backoff
from cdc_sms.model.clock import Clock
from cdc_sms.sources.base import HeldByAnother, Start
from cdc_sms.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 4.0
"""A second reader notices within this time that the log is free."""

TURN_S = 120.0
"""A loop that has not turned for so long is stuck: connecting and making a slot take less."""

SLOW_BROKER_S = 5.0
"""Records that wait longer for their acknowledgement are said to wait for Kafka."""


class State(StrEnum):
    """What capture is about."""

    STARTING = "starting"
    STANDING_BY = "standing_by"
    SNAPSHOT = "snapshot"
    STREAMING = "streaming"
    WAITING = "waiting"
    ENDED = "ended"


class Standing:
    """The state of one capture, its reason, and the pauses between tries.

    Args:
        metrics: whether the log streams is shown there.
        clock: where the present comes from.
        random_source: where the pauses' jitter comes from.

    Thread: the loop tells; any may ask.
    """

    def __init__(self, *, metrics: Metrics, clock: Clock, random_source: random.Random) -> None:
        self._connected = metrics.source_connected
        self._clock = clock
        self._backoff = Backoff(
            first_s=FIRST_PAUSE_S, limit_s=LONGEST_PAUSE_S, random_source=random_source
        )
        self._state = State.STARTING
        self._why: str | None = None
        self._since = clock.now()
        self._since_s = self._turned_s = clock.monotonic_s()
        self._broker_slow = False
        self._ledger_trouble: str | None = None
        self._records_missing = False

    # what the loop tells

    def reads(self, start: Start) -> None:
        """Take note that the log is ours and is read."""
        snapshot = start in (Start.SNAPSHOT, Start.NEW_SNAPSHOT)
        facts = {"start": start.value, "waited_s": self._lasted_s()}
        logger.info("snapshot.started" if snapshot else "stream.started", extra=facts)
        self._enter(State.SNAPSHOT if snapshot else State.STREAMING)

    def completed_snapshot(self) -> None:
        """Take note that every row of the snapshot is acknowledged."""
        logger.info("snapshot.completed", extra={"lasted_s": self._lasted_s()})
        logger.info("stream.started", extra={"start": Start.STREAM.value, "waited_s": 0.0})
        self._enter(State.STREAMING)

    def turned(self, *, oldest_s: float, progress: bool) -> None:
        """Take note of one turn of the loop.

        Args:
            oldest_s: for how long the oldest record has waited for its acknowledgement.
            progress: something was acknowledged.
        """
        self._turned_s = self._clock.monotonic_s()
        if progress:
            self._backoff.reset()
        slow = oldest_s > SLOW_BROKER_S
        if slow and not self._broker_slow:
            logger.warning("broker.awaited", extra={"oldest_s": round(oldest_s, 3)})
        elif self._broker_slow and not slow:
            logger.info("broker.reached")
        self._broker_slow = slow

    def missed_ledger(self, why: str | None) -> None:
        """Take note that the ledger can't be asked, though the log is read; None: it can again."""
        if (why is None) != (self._ledger_trouble is None):
            event = "ledger.regained" if why is None else "ledger.lost"
            logger.log(logging.INFO if why is None else logging.WARNING, event)
        self._ledger_trouble = why

    def missed_records(self, missed: bool) -> None:  # noqa: FBT001 - what is taken note of
        """Take note of a gap in the outbox that no snapshot heals: the table shows no status."""
        if missed and not self._records_missing:
            logger.error("gap.found", extra={"reason": "the table has no status column"})
        self._records_missing = missed

    def met(self, error: CdcSmsError) -> float:
        """Take note of an error that is waited for.

        Returns:
            The pause before the next try, in seconds.
        """
        stands_by = isinstance(error, HeldByAnother)
        if self._why != error.message:
            level = logging.INFO if stands_by else logging.WARNING
            logger.log(level, _event(error), extra={"reason": error.message, "hint": error.hint})
        self._enter(State.STANDING_BY if stands_by else State.WAITING, error.message)
        self._turned_s = self._clock.monotonic_s()
        return self._backoff.next_s()

    def ended(self) -> None:
        """Take note that the role ends."""
        self._enter(State.ENDED)

    # what people ask

    @property
    def state(self) -> State:
        """Return what capture is about now."""
        return self._state

    @property
    def since(self) -> datetime:
        """Return since when, in UTC."""
        return self._since

    @property
    def why(self) -> str | None:
        """Return what is in the way, in one sentence; None while nothing is."""
        if self._why is not None:
            return self._why
        if self._broker_slow:
            return "Kafka acknowledges nothing."
        if self._records_missing:
            return (
                "Records are gone from the outbox, or rows from the log, and the table has no "
                "status column that would tell which are still to be sent: look for them, then "
                "start once with "
                "'cdc-sms capture --accept-gap'."
            )
        return self._ledger_trouble

    @property
    def is_turning(self) -> bool:
        """Say whether the loop has turned lately."""
        return self._clock.monotonic_s() - self._turned_s < TURN_S

    def _enter(self, state: State, why: str | None = None) -> None:
        if state is not self._state:
            self._since = self._clock.now()
            self._since_s = self._clock.monotonic_s()
        self._state, self._why = state, why
        self._connected.set(state in (State.SNAPSHOT, State.STREAMING))

    def _lasted_s(self) -> float:
        return round(self._clock.monotonic_s() - self._since_s, 3)


def _event(error: CdcSmsError) -> str:
    match error:
        case HeldByAnother():
            return "capture.standing_by"
        case BrokerError():
            return "produce.failed"
        case DatabaseError():
            return "ledger.lost"
        case _:
            return "stream.lost"
