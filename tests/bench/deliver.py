"""One deliver process against the simulated provider: one that answers at once, and a slow one."""

from support.flow import Flow

from bench.figures import Values
from bench.site import Outbox, Site, capture_all, insert, stop
from bench.watching import Speed, watch

SENDERS = 16
SLOW_ANSWER_S = 0.05
WITHIN_S = 120.0


class Deliver:
    """The benchmark; the records are on the outbox before deliver starts.

    Args:
        site: to work on.
        messages: to the quick provider, a round.
        slow_messages: to the slow one, a round.
    """

    def __init__(self, site: Site, *, messages: int, slow_messages: int) -> None:
        self._quick = _Installation(site, messages, answer_s=0.0)
        self._slow = _Installation(site, slow_messages, answer_s=SLOW_ANSWER_S)

    def round(self) -> Values:
        """Measure; messages a second, milliseconds of deliver's processor time a message."""
        return {
            **_told("deliver", self._quick.send()),
            **_told("deliver_50ms", self._slow.send()),
        }


class _Installation:
    """One provider's, and what was sent so far."""

    def __init__(self, site: Site, messages: int, *, answer_s: float) -> None:
        self._messages = messages
        self._flow: Flow = site.flow(answer_s=answer_s)
        self._outbox: Outbox = site.outbox(self._flow)

    def send(self) -> Speed:
        """Have one round's messages sent."""
        before = self._flow.provider.requests().accepted
        insert(self._flow, self._messages, rows=1)
        capture_all(self._flow, self._outbox, total=before + self._messages)
        deliver = self._flow.start("deliver", ready=False, CDC_SMS_DELIVER__SENDERS=str(SENDERS))
        speed = watch(
            deliver,
            lambda: self._flow.provider.requests().accepted - before,
            total=self._messages,
            within_s=WITHIN_S,
        )
        self._flow.await_rest()
        stop(deliver)
        return speed


def _told(name: str, speed: Speed) -> Values:
    return {
        f"{name}_messages_per_s": speed.per_s,
        f"{name}_cpu_ms_per_message": speed.cpu_s_each * 1000,
    }
