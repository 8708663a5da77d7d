"""How a role starts: it waits for its servers, and reports all that is wrong on them at once."""

import logging
import random
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.errors import (
    BrokerUnavailable,
    CdcSmsError,
    DatabaseUnavailable,
    MappingError,
    SetupError,
    SourceUnavailable,
)
from cdc_sms.kafka.topics import verify_topics
from cdc_sms.model.backoff import Backoff
from cdc_sms.model.clock import Clock

_log = logging.getLogger(__name__)

Result = TypeVar("Result")
Unavailable = (DatabaseUnavailable, BrokerUnavailable, SourceUnavailable)
STUCK_AFTER_S = 60.0
"""A loop that has not turned for so long is not alive; seconds."""


class Phase:
    """What a role is doing, since when and why; for ``/status``.

    Thread: any; the present is one value, which is replaced at once.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now: tuple[str, datetime, str] = ("starting", clock.now(), "")

    def enter(self, state: str, why: str = "") -> None:
        """Enter a state, unless it is the present one for the same reason."""
        if (state, why) != (self._now[0], self._now[2]):
            self._now = (state, self._clock.now(), why)

    @property
    def state(self) -> str:
        """Return the present state."""
        return self._now[0]

    @property
    def why(self) -> str:
        """Return why."""
        return self._now[2]

    def describe(self) -> dict[str, object]:
        """Return state, since and why."""
        state, since, why = self._now
        return {"state": state, "since": since, "why": why}


def patiently(
    step: Callable[[], Result], *, stop: threading.Event, phase: Phase, doing: str
) -> Result | None:
    """Repeat a step until the server that it needs answers.

    Args:
        step: may raise what is waited for.
        stop: ends the waiting.
        phase: says what is waited for.
        doing: what the step does, for the log.

    Returns:
        The step's result; None when told to stop first.

    Raises:
        CdcSmsError: anything that waiting doesn't heal.
    """
    backoff = Backoff(first_s=0.2, limit_s=5.0, random_source=random.Random())  # noqa: S311
    said = ""
    while not stop.is_set():
        try:
            return step()
        except Unavailable as error:
            phase.enter("waiting", error.message)
            if said != error.message:
                said = error.message
                _log.warning("server.awaited", extra={"doing": doing, "why": error.message})
            stop.wait(backoff.next_s())
    return None


def all_findings(checks: list[Callable[[], None]]) -> None:
    """Run checks and report all that is wrong at once.

    Raises:
        SetupError: what they found, one sentence each.
        CdcSmsError: a server can't be reached, at once.
    """
    findings: list[CdcSmsError] = []
    for check in checks:
        try:
            check()
        except (SetupError, MappingError) as error:
            findings.append(error)
    if len({error.message for error in findings}) == 1:
        raise findings[0]
    if findings:
        raise SetupError(
            " ".join(dict.fromkeys(error.message for error in findings)),
            hint=" ".join(dict.fromkeys(error.hint for error in findings)),
        )


def check_topics(kafka: KafkaSettings) -> None:
    """Check the topics, unless the configuration says that the broker can't be asked.

    Raises:
        SetupError: what is missing or wrong.
        BrokerUnavailable: no broker answers.
    """
    if kafka.verify_topics:
        verify_topics(kafka)
