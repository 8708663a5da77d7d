"""The deliver role, put together: with its twin, the only files that know concrete classes."""

import queue
import random
import threading
from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection, Engine

from cdc_sms.config.settings import ProviderSettings, Sections
from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.control import MEMORY, Control
from cdc_sms.databases.engine import in_transaction, open_engine
from cdc_sms.databases.history import History
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.version import verify
from cdc_sms.deliver.account_hold import AccountHold
from cdc_sms.deliver.breaker import Breaker
from cdc_sms.deliver.claim import Claims
from cdc_sms.deliver.dead_letters import DeadLetters
from cdc_sms.deliver.desk import Desk
from cdc_sms.deliver.flood import FloodGuard
from cdc_sms.deliver.gaps import Gaps
from cdc_sms.deliver.intake import Intake
from cdc_sms.deliver.keeper import Keeper
from cdc_sms.deliver.loop import DeliverLoop
from cdc_sms.deliver.pace import Pace
from cdc_sms.deliver.permit import Permit
from cdc_sms.deliver.settle import Settles
from cdc_sms.deliver.tell import Tell
from cdc_sms.deliver.write_back import WriteBack
from cdc_sms.kafka.consumer import Consumer
from cdc_sms.kafka.offsets import Place
from cdc_sms.kafka.producer import Producer
from cdc_sms.model.clock import Clock, SystemClock
from cdc_sms.model.memory import Memory
from cdc_sms.providers.base import Provider
from cdc_sms.providers.justsend.provider import JustSend
from cdc_sms.runtime.place import check_history, check_place
from cdc_sms.runtime.start import STUCK_AFTER_S, Phase, all_findings, check_topics, patiently
from cdc_sms.telemetry.metrics import Metrics


def build_provider(name: str, settings: ProviderSettings, clock: Clock) -> Provider:
    """Build a provider: the plug-in system is this match."""
    match settings.type:
        case "justsend":
            return JustSend(name=name, settings=settings, clock=clock)


class DeliverRole:
    """A member of the consumer group, from waiting for its servers to leaving the group.

    Thread: :meth:`run` is the loop thread; the others any.
    """

    name = "deliver"

    def __init__(self, sections: Sections, *, metrics: Metrics) -> None:
        self._sections = sections
        self._metrics = metrics
        self._clock = SystemClock()
        self._phase = Phase(self._clock)
        self._history = History()
        self._engine = open_engine(
            sections.source, sections.ledger, role=self.name, history=self._history
        )
        self._loop: DeliverLoop | None = None
        self._provider: Provider | None = None

    def reload(self) -> None:
        """Read the provider's key again."""
        if self._provider is not None:
            self._provider.reload()

    def run(self, stop: threading.Event) -> None:
        """Wait for the servers, check what is on them, and deliver until told to stop.

        Raises:
            SetupError: something on a server is missing or wrong; all findings.
            CdcSmsError: something else that needs a person.
        """
        table = patiently(self._checked_table, stop=stop, phase=self._phase, doing="deliver")
        if table is None:
            return
        self._loop = self._build(table)
        self._phase.enter("delivering")
        try:
            self._loop.run(stop)
        finally:
            self._engine.dispose()

    def _checked_table(self) -> BusinessTable:
        found: list[BusinessTable] = []

        def ledger() -> None:
            in_transaction(self._engine, lambda c: verify(c, self._sections.ledger))

        def table() -> None:
            found.append(
                in_transaction(
                    self._engine, lambda c: BusinessTable.reflect(c, self._sections.table)
                )
            )

        all_findings([ledger, table, lambda: check_topics(self._sections.kafka)])
        check_place(self._engine, self._sections, mapping=found[0].mapping)
        check_history(self._engine, self._sections)
        self._begin_memory()
        return found[0]

    def _begin_memory(self) -> None:
        """Note, at the first start, since when the ledger knows every message."""
        let = self._sections.deliver.backlog_messages
        in_transaction(self._engine, lambda connection: begin_memory(connection, let=let))

    def _build(self, table: BusinessTable) -> DeliverLoop:
        sections, clock, metrics = self._sections, self._clock, self._metrics
        name = sections.deliver.providers[0]
        provider = build_provider(name, sections.providers[name], clock)
        self._provider = provider
        finished: queue.SimpleQueue[Place] = queue.SimpleQueue()
        producer = Producer(settings=sections.kafka)
        desk = build_desk(
            sections,
            engine=self._engine,
            history=self._history,
            table=table,
            provider=provider,
            producer=producer,
            finished=finished.put,
            clock=clock,
            metrics=metrics,
        )
        letters = DeadLetters(
            producer=producer,
            topic=sections.kafka.dlq,
            provider=name,
            clock=clock,
            metrics=metrics,
            answered=desk.answered,
        )
        return DeliverLoop(
            join=partial(Consumer, settings=sections.kafka),
            producer=producer,
            intake=build_intake(sections, table),
            desk=desk,
            letters=letters,
            finished=finished,
            settings=sections.deliver,
            clock=clock,
            metrics=metrics,
        )

    def status(self) -> dict[str, object]:
        """Return state, since, why, and what the loop has in hand."""
        loop = self._loop
        if loop is None:
            return self._phase.describe()
        trouble = loop.trouble()
        if trouble is None:
            self._phase.enter("delivering")
        else:
            self._phase.enter("waiting", trouble)
        return {**self._phase.describe(), **loop.describe()}

    def ready(self) -> str | None:
        """Return why nothing flows, or None."""
        loop = self._loop
        if loop is None:
            return self._phase.why or self._phase.state
        return loop.trouble()

    def live(self) -> bool:
        """Say whether the loop turns."""
        loop = self._loop
        return loop is None or loop.live_s() < STUCK_AFTER_S


def begin_memory(connection: Connection, *, let: int) -> None:
    """Note since when the ledger knows every message, unless that is known.

    A ledger from before there was a memory has it since its first message.

    Args:
        connection: the caller's transaction.
        let: how many older messages may pass.
    """
    if Control().get(connection, MEMORY) is not None:
        return
    since = Ledger().first_seen(connection) or Ledger().now(connection)
    Control().add(connection, MEMORY, Memory(since=since, let=let).as_value())


def build_intake(sections: Sections, table: BusinessTable) -> Intake:
    """Build what reads records for the mapped table."""
    return Intake(
        table=sections.table.name,
        key_columns=table.key_columns,
        status_column=sections.table.columns.status,
        pending=sections.table.status.pending,
        names_transactions=sections.source.kind == "postgres",
    )


def build_desk(
    sections: Sections,
    *,
    engine: Engine,
    history: History,
    table: BusinessTable,
    provider: Provider,
    producer: Producer,
    finished: Callable[[Place], None],
    clock: Clock,
    metrics: Metrics,
) -> Desk:
    """Build the ledger thread with all its steps."""
    settings = sections.deliver
    ledger = Ledger()
    write_back = WriteBack(table)
    hold = AccountHold(engine=engine, provider=provider.name, clock=clock)
    flood = FloodGuard(control=Control(), after=settings.flood_after, clock=clock)
    claims = Claims(
        engine=engine,
        table=table,
        ledger=ledger,
        write_back=write_back,
        flood=flood,
        account=hold.name,
        history=history,
        settings=settings,
    )
    settles = Settles(
        engine=engine,
        table=table,
        ledger=ledger,
        write_back=write_back,
        flood=flood,
        provider=provider.name,
    )
    keeper = Keeper(
        engine=engine,
        ledger=ledger,
        settles=settles,
        producer=producer,
        outbox=sections.kafka.outbox,
        overdue_s=settings.overdue_s,
        metrics=metrics,
    )
    breaker = Breaker(
        failures=settings.breaker_failures, pause_s=settings.breaker_pause_s, clock=clock
    )
    tell = Tell(provider=provider.name, clock=clock, metrics=metrics)
    permit = Permit(
        claims=claims,
        hold=hold,
        breaker=breaker,
        pace=Pace(messages_per_s=settings.messages_per_s, senders=settings.senders),
        has_balance=provider.has_balance,
        clock=clock,
        tell=tell,
    )
    return Desk(
        claims=claims,
        settles=settles,
        keeper=keeper,
        gaps=Gaps(engine=engine, clock=clock),
        permit=permit,
        breaker=breaker,
        provider=provider,
        tell=tell,
        settings=settings,
        clock=clock,
        metrics=metrics,
        random_source=random.Random(),  # noqa: S311 - jitter
        finished=finished,
    )
