"""Deliver, killed between any two steps of claim, settle, dead letter and commit."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from support.business.base import Session
from support.flow import Flow
from support.tcp_proxy import Mode, TcpProxy

from faults.moments import OFFSET_COMMIT, PRODUCE, asked, said
from faults.site import Site

GOOD, BAD = 5, 2
COMMIT = said(b"COMMIT")
CLAIMS = said(b"INSERT ", b"cdc_sms_delivery")
SETTLES = said(b"INSERT ", b"cdc_sms_attempt")
IN_DOUBT = "SELECT count(*) FROM cdc_sms_delivery WHERE doubts > 0"
SETTLED_TEXTS = (
    "SELECT s.body FROM sms s JOIN cdc_sms_delivery d ON d.message_key = concat('sms/', s.id)"
    " WHERE d.state = 'sent'"
)


@dataclass
class Stage:
    """One process of deliver, with a proxy before each server, and an application's session.

    Attributes:
        site: the case's.
        flow: its.
        database: the proxy before the database.
        broker: the proxy before Kafka.
        application: a session that can hold locks.
    """

    site: Site
    flow: Flow
    database: TcpProxy
    broker: TcpProxy
    application: Session

    def struck(self, proxy: TcpProxy, what: str) -> None:
        """Wait until a proxy has met its moment."""
        self.site.until(lambda: proxy.has_struck, what=what, within_s=30)

    def blocked(self, what: str) -> None:
        """Wait until deliver waits for the application's lock."""
        self.site.until(self.flow.business.waits, what=what, within_s=30)


Moment = Callable[[Stage], Callable[[], None]]
"""Sets the trap; what it returns waits until the trap has closed."""


def claim_unanswered(stage: Stage) -> Callable[[], None]:
    """The claim is committed; its COMMIT was never answered."""
    stage.database.strike(CLAIMS, COMMIT, then=Mode.MUTE)
    return lambda: stage.struck(stage.database, "the claim's COMMIT")


def settle_not_begun(stage: Stage) -> Callable[[], None]:
    """The provider has accepted; the settle has begun, and waits for a lock."""

    def closed() -> None:
        accepted = len(stage.flow.provider.accepted())
        stage.site.until(
            lambda: len(stage.flow.provider.accepted()) > accepted, what="an acceptance"
        )
        stage.blocked("the settle to wait")

    stage.flow.provider.set_rules()
    stage.application.execute(stage.flow.business.lock_table.format("cdc_sms_attempt"))
    return closed


def settle_uncommitted(stage: Stage) -> Callable[[], None]:
    """The settle has written everything; its COMMIT never reaches the server."""
    stage.database.strike(SETTLES, COMMIT, then=Mode.DEAF)
    return lambda: stage.struck(stage.database, "the settle's COMMIT")


def settle_unanswered(stage: Stage) -> Callable[[], None]:
    """The settle is committed; its COMMIT was never answered."""
    stage.database.strike(SETTLES, COMMIT, then=Mode.MUTE)
    return lambda: stage.struck(stage.database, "the settle's COMMIT")


def letter_unheard(stage: Stage) -> Callable[[], None]:
    """A message was given up; the broker never heard its dead letter."""
    stage.broker.strike(asked(PRODUCE), then=Mode.DEAF)
    return lambda: stage.struck(stage.broker, "a dead letter")


def letter_unanswered(stage: Stage) -> Callable[[], None]:
    """The broker has the dead letter; its acknowledgement was never received."""
    stage.broker.strike(asked(PRODUCE), then=Mode.MUTE)
    return lambda: stage.struck(stage.broker, "a dead letter")


def letter_not_noted(stage: Stage) -> Callable[[], None]:
    """The dead letter is acknowledged; the ledger could not take note of it."""
    stage.broker.strike(asked(PRODUCE), then=Mode.MUTE)

    def closed() -> None:
        stage.struck(stage.broker, "a dead letter")
        stage.application.execute(
            "SELECT * FROM cdc_sms_delivery WHERE state = 'failed' FOR UPDATE"
        )
        stage.broker.restore()
        stage.blocked("the note to wait")

    return closed


def commit_unheard(stage: Stage) -> Callable[[], None]:
    """Everything is settled; the broker never heard of the offset."""
    stage.broker.strike(asked(OFFSET_COMMIT), then=Mode.DEAF)
    return lambda: stage.struck(stage.broker, "an offset's commit")


def commit_unanswered(stage: Stage) -> Callable[[], None]:
    """The broker has the offset; its answer was never received."""
    stage.broker.strike(asked(OFFSET_COMMIT), then=Mode.MUTE)
    return lambda: stage.struck(stage.broker, "an offset's commit")


MOMENTS: Sequence[Moment] = (
    claim_unanswered,
    settle_not_begun,
    settle_uncommitted,
    settle_unanswered,
    letter_unheard,
    letter_unanswered,
    letter_not_noted,
    commit_unheard,
    commit_unanswered,
)


def kill_between(site: Site) -> None:
    """Kill deliver between claim, request, settle, dead letter and offset, at each of nine moments.

    Made from outside: a proxy that swallows a COMMIT, an acknowledgement or an offset's commit,
    or a lock that the settle waits for; then kill -9. Before the settle is committed the
    messages are in doubt and resent once; after it none is doubled; no dead letter is missing.
    Guarantees 1 to 4. Ends within 240 s.
    """
    flow = site.flow(rows="SELECT * FROM sms")
    site.capture(flow)
    moments = list(MOMENTS)
    site.random.shuffle(moments)
    for moment in moments:
        _killed_at(site, flow, moment)
    site.healed()
    flow.start("deliver")
    site.rest()
    accepted = flow.accepted()
    sent = {text for text in accepted if int(text.rpartition(" ")[2]) <= GOOD}
    if site.plan.doubt == "resend":
        site.promise("every good row is sent", len(sent) == GOOD * len(moments), seen=len(sent))
    site.promise("a doubt is resent once at most", max(accepted.values()) <= 2)


def _killed_at(site: Site, flow: Flow, moment: Moment) -> None:
    doubts, twice = flow.ledger(IN_DOUBT), len(_twice(flow))
    with ExitStack() as stack:
        database, to_database = stack.enter_context(site.database_proxy(flow))
        broker, to_broker = stack.enter_context(site.kafka_proxy())
        application = stack.enter_context(flow.business.session())
        deliver = site.member(flow, **to_database, **to_broker)
        closed = moment(Stage(site, flow, database, broker, application))
        flow.business.insert(
            ("+48600100200" if number <= GOOD else "12", f"{moment.__name__} {number}")
            for number in range(1, GOOD + BAD + 1)
        )
        closed()
        deliver.kill()
        for proxy in (database, broker):
            proxy.drop_connections()
    settled = {text for (text,) in flow.database.execute(SETTLED_TEXTS)}
    survivor = site.member(flow)
    site.rest()
    survivor.kill()
    about = (moment.__doc__ or "").strip()
    new_doubts = flow.ledger(IN_DOUBT) - doubts
    site.say(f"killed when: {about} {new_doubts} in doubt, {len(_twice(flow)) - twice} sent twice")
    wrong = {text for text in settled & _twice(flow) if text.startswith(moment.__name__)}
    site.promise(f"what was settled is not sent again when: {about}", not wrong, seen=wrong)


def _twice(flow: Flow) -> set[str]:
    return {text for text, count in flow.accepted().items() if count > 1}
