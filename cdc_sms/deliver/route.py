"""Where a message goes after an attempt: a pure decision, which the docs can print.

==========  =====================  ==========================================================
outcome     condition              then
==========  =====================  ==========================================================
sent                               ``sent``
permanent                          ``failed``, dead letter of class permanent
account                            back to where it was, uncounted; the provider is held
transient   not counted            ``retrying`` at once: it waits for the breaker, not for time
transient   attempts left          ``retrying`` after a pause that doubles
transient   none left              ``failed``, dead letter of class exhausted
in doubt                           ``in_doubt``; after a pause the rule decides (see decide.py)
==========  =====================  ==========================================================
"""

import random
from dataclasses import dataclass

from cdc_sms.config.settings import DeliverSettings
from cdc_sms.model.backoff import delay_s
from cdc_sms.model.outcome import Failed, FailureClass, InDoubt, Outcome, Sent
from cdc_sms.model.state import DeadLetterClass, State


@dataclass(frozen=True, slots=True)
class Route:
    """What becomes of a message.

    Attributes:
        state: the next one; None: back to the state before the claim.
        counted: whether the attempt counts.
        pause_s: until it is looked at again; seconds.
        dead_letter: why it is given up, if it is.
    """

    state: State | None
    counted: bool
    pause_s: float = 0.0
    dead_letter: DeadLetterClass | None = None


def route(
    outcome: Outcome,
    *,
    attempts: int,
    counted: bool,
    settings: DeliverSettings,
    random_source: random.Random,
) -> Route:
    """Decide where a message goes.

    Args:
        outcome: what the attempt led to.
        attempts: attempts counted before this one.
        counted: whether the breaker lets this one count.
        settings: pauses and limits.
        random_source: for the jitter.
    """
    match outcome:
        case Sent():
            return Route(State.SENT, counted=True)
        case InDoubt():
            return Route(State.IN_DOUBT, counted=counted, pause_s=settings.doubt_pause_s)
        case Failed(failure_class=FailureClass.PERMANENT):
            return Route(State.FAILED, counted=True, dead_letter=DeadLetterClass.PERMANENT)
        case Failed(failure_class=FailureClass.ACCOUNT):
            return Route(None, counted=False)
        case Failed():
            return _transient(
                attempts, counted=counted, settings=settings, random_source=random_source
            )


def _transient(
    attempts: int, *, counted: bool, settings: DeliverSettings, random_source: random.Random
) -> Route:
    if not counted:
        return Route(State.RETRYING, counted=False)
    if attempts + 1 >= settings.max_attempts:
        return Route(State.FAILED, counted=True, dead_letter=DeadLetterClass.EXHAUSTED)
    pause_s = delay_s(
        attempts + 1,
        first_s=settings.first_retry_s,
        limit_s=settings.longest_retry_s,
        random_source=random_source,
    )
    return Route(State.RETRYING, counted=True, pause_s=pause_s)
