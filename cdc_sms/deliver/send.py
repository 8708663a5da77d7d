"""Sender threads: one claim at a time, one request, one outcome."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cdc_sms.deliver.breaker import Breaker, BreakerState
from cdc_sms.deliver.decide import Claim
from cdc_sms.model.clock import Clock
from cdc_sms.model.message import Message
from cdc_sms.model.outcome import Failed, FailureClass, Outcome
from cdc_sms.model.recipient import InvalidRecipient, Recipient, SmsText
from cdc_sms.model.trace import trace_id
from cdc_sms.providers.base import Balance, Provider, Session
from cdc_sms.telemetry.logs import about
from cdc_sms.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Returned:
    """A claim that a sender is done with.

    Attributes:
        outcome: None: nothing was sent, the claim is to be given back.
        asked: whether a request was made; a message that we refuse ourselves asks nobody.
        started_at: when.
        took_s: the request's time; seconds.
    """

    claim: Claim
    outcome: Outcome | None
    asked: bool = False
    started_at: datetime | None = None
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class BalanceAnswer:
    """What the probe of the balance led to."""

    answer: Balance | Failed


@dataclass(frozen=True, slots=True)
class _Job:
    claim: Claim
    is_probe: bool


class Senders:
    """The threads that talk to the provider; they touch nothing else.

    Thread: :meth:`send`, :meth:`probe` and :meth:`close` are the ledger thread's; results come
    back by ``returned``, which any thread may call.

    Args:
        provider: as configured.
        count: threads, and so requests in flight at most.
        deadline_s: the total time of one request.
        region: of numbers without a country prefix.
        breaker: asked right before the first byte.
        returned: takes what a sender is done with.
    """

    def __init__(
        self,
        *,
        provider: Provider,
        count: int,
        deadline_s: float,
        region: str,
        breaker: Breaker,
        clock: Clock,
        metrics: Metrics,
        returned: Callable[[Returned | BalanceAnswer | BaseException], None],
    ) -> None:
        self._provider = provider
        self._deadline_s = deadline_s
        self._region = region
        self._breaker = breaker
        self._clock = clock
        self._metrics = metrics
        self._returned = returned
        self._jobs: queue.SimpleQueue[_Job | str | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"sender-{n}", daemon=True)
            for n in range(count)
        ]

    @property
    def count(self) -> int:
        """Return how many threads there are."""
        return len(self._threads)

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def send(self, claim: Claim, *, is_probe: bool) -> None:
        """Hand one claim to a free sender."""
        self._jobs.put(_Job(claim, is_probe))

    def probe(self) -> None:
        """Have the balance asked for."""
        self._jobs.put("balance")

    def close(self) -> None:
        """End the threads; each finishes the request that it is in.

        The caller has waited for what is in flight, as long as its grace allows.
        """
        for _thread in self._threads:
            self._jobs.put(None)

    def _run(self) -> None:
        try:
            session = self._provider.session()
            while (job := self._jobs.get()) is not None:
                if isinstance(job, _Job):
                    with about(job.claim.message.id):
                        self._returned(self._one(session, job))
                else:
                    self._returned(BalanceAnswer(session.balance(deadline_s=self._deadline_s)))
            session.close()
        except Exception as error:  # noqa: BLE001 - the top of a thread: the role ends with it
            self._returned(error)

    def _one(self, session: Session, job: _Job) -> Returned:
        claim = job.claim
        message = compose(claim, region=self._region)
        refusal = message if isinstance(message, Failed) else self._provider.check(message)
        if refusal is not None or isinstance(message, Failed):
            return Returned(claim, refusal, started_at=self._clock.now())
        why = self._why_not(job)
        if why is not None:
            _log.info("claim.given_back", extra={"why": why})
            return Returned(claim, None)
        return self._request(session, claim, message)

    def _request(self, session: Session, claim: Claim, message: Message) -> Returned:
        started_at, started = self._clock.now(), time.monotonic()
        with self._metrics.in_flight.track_inprogress():
            outcome = session.send(message, deadline_s=self._deadline_s)
        took_s = time.monotonic() - started
        return Returned(claim, outcome, asked=True, started_at=started_at, took_s=took_s)

    def _why_not(self, job: _Job) -> str | None:
        """Say why the first byte must not be written any more: the last look before it."""
        claim = job.claim
        if self._clock.monotonic_s() + self._deadline_s > claim.lease_until_s:
            return "lease"
        if claim.row.expires_at is not None and claim.row.expires_at <= self._clock.now():
            return "expired"
        state = self._breaker.state
        if state is BreakerState.CLOSED or (state is BreakerState.PROBING and job.is_probe):
            return None
        return state.value


def compose(claim: Claim, *, region: str) -> Message | Failed:
    """Make the message from the row as it stood under the lock, or say why there is none.

    Returns:
        A permanent failure, in words for the people who fill the table, where the row has no
        recipient, no text, or no valid number.
    """
    row = claim.row
    try:
        if not row.recipient.strip():
            return _refused("no_recipient", "the row has no recipient")
        if not row.text:
            return _refused("no_text", "the row has no text")
        recipient = Recipient.parse(row.recipient, region=region)
    except InvalidRecipient as error:
        return _refused("invalid_recipient", str(error))
    return Message(
        id=claim.message.id,
        recipient=recipient,
        text=SmsText(row.text),
        sender=row.sender,
        attempt=claim.message.attempts + 1,
        trace_id=trace_id(claim.message.id),
    )


def _refused(code: str, text: str) -> Failed:
    return Failed(FailureClass.PERMANENT, code, text)
