"""The circuit breaker of a provider: closed, open, one probe; and the hold of its account.

pybreaker keeps the state and the count of failures in a row. The pause, the single probe and
the hold are ours: pybreaker's own half-open state runs the guarded call under its lock.

========  ===================================  =================================================
state     what may be sent                     what ends it
========  ===================================  =================================================
closed    everything                           failures in a row, or an answer that names a pause
open      nothing                              the pause is over: the balance is asked for
held      nothing; every member's, by ledger   a balance that answers (with points left)
probing   one message                          accepted or refused for good: closed; else open
========  ===================================  =================================================
"""

import threading
from enum import StrEnum

import pybreaker

from cdc_sms.model.clock import Clock
from cdc_sms.model.outcome import Failed, FailureClass, InDoubt, Outcome, Sent

_NEVER_BY_ITSELF_S = 10**9


class BreakerState(StrEnum):
    """What the breaker lets through."""

    CLOSED = "closed"
    OPEN = "open"
    HELD = "held"
    PROBING = "probing"


class _ProviderFailed(Exception):  # noqa: N818 - only ever counted
    """What pybreaker counts."""


def _fail() -> None:
    raise _ProviderFailed


def _succeed() -> None:
    return None


class Breaker:
    """One member's breaker for one provider.

    Thread: any; the ledger thread changes it, senders ask it.

    Args:
        failures: failures in a row that open it.
        pause_s: how long it stays open before a probe; seconds.
        clock: monotonic time.
    """

    def __init__(self, *, failures: int, pause_s: float, clock: Clock) -> None:
        self._count = pybreaker.CircuitBreaker(fail_max=failures, reset_timeout=_NEVER_BY_ITSELF_S)
        self._pause_s = pause_s
        self._clock = clock
        self._lock = threading.Lock()
        self._state = BreakerState.CLOSED
        self._reason = ""
        self._probe_at = 0.0

    @property
    def state(self) -> BreakerState:
        """Return the present state."""
        with self._lock:
            return self._state

    @property
    def reason(self) -> str:
        """Return why it isn't closed: the provider's code."""
        with self._lock:
            return self._reason

    def probe_in_s(self) -> float | None:
        """Return the seconds until the balance may be asked for; None unless open or held."""
        with self._lock:
            if self._state not in {BreakerState.OPEN, BreakerState.HELD}:
                return None
            return max(0.0, self._probe_at - self._clock.monotonic_s())

    def note(self, outcome: Outcome, *, probe: bool) -> bool:
        """Take notice of what one request led to.

        Args:
            outcome: of a message.
            probe: the message was the probe.

        Returns:
            Whether the attempt counts: not when its failure trips the breaker, keeps it
            open, or concerns the account.
        """
        with self._lock:
            match outcome:
                case Sent():
                    self._succeeded(probe=probe)
                    return True
                case Failed(failure_class=FailureClass.PERMANENT):
                    if probe:
                        self._close()
                    return True
                case Failed(failure_class=FailureClass.ACCOUNT, code=code):
                    self._block(BreakerState.HELD, code, self._pause_s)
                    return False
                case Failed(code=code, retry_after_s=float(pause_s)):
                    self._open(code, max(pause_s, 1.0))
                    return False
                case Failed() | InDoubt():
                    return self._failed(outcome.code)

    def balance_answered(self, *, points: int | None) -> bool:
        """Take notice that the probe of the balance answered; let one message through.

        Args:
            points: what is left; None where the provider has no balance to ask for.

        Returns:
            False where a held account has nothing left: it stays held.
        """
        with self._lock:
            if self._state is BreakerState.HELD and points is not None and points <= 0:
                self._probe_at = self._clock.monotonic_s() + self._pause_s
                return False
            if self._state in {BreakerState.OPEN, BreakerState.HELD}:
                self._state = BreakerState.PROBING
            return True

    def probe_failed(self, failure: Failed) -> None:
        """Take notice that the balance could not be had: wait again."""
        with self._lock:
            pause_s = failure.retry_after_s or self._pause_s
            if failure.failure_class is FailureClass.ACCOUNT:
                self._block(BreakerState.HELD, failure.code, pause_s)
            else:
                self._block(self._blocked_state(), failure.code, pause_s)

    def probe_begun(self) -> None:
        """Put the next probe off while one is under way."""
        with self._lock:
            self._probe_at = self._clock.monotonic_s() + _NEVER_BY_ITSELF_S

    def hold(self, reason: str) -> None:
        """Take over a hold that another member, or an earlier run, put in force."""
        with self._lock:
            if self._state is not BreakerState.HELD:
                self._block(BreakerState.HELD, reason, self._pause_s)

    def _succeeded(self, *, probe: bool) -> None:
        if self._state is BreakerState.CLOSED:
            self._count.call(_succeed)
        elif probe:
            self._close()

    def _failed(self, code: str) -> bool:
        if self._state is not BreakerState.CLOSED:
            self._block(self._blocked_state(), code, self._pause_s)
            return False
        try:
            self._count.call(_fail)
        except pybreaker.CircuitBreakerError:
            self._open(code, self._pause_s)
            return False
        except _ProviderFailed:
            pass
        return True

    def _blocked_state(self) -> BreakerState:
        return BreakerState.HELD if self._state is BreakerState.HELD else BreakerState.OPEN

    def _open(self, code: str, pause_s: float) -> None:
        self._count.open()
        self._block(self._blocked_state(), code, pause_s)

    def _block(self, state: BreakerState, reason: str, pause_s: float) -> None:
        self._state = state
        self._reason = reason
        self._probe_at = self._clock.monotonic_s() + pause_s

    def _close(self) -> None:
        self._count.close()
        self._state = BreakerState.CLOSED
        self._reason = ""
