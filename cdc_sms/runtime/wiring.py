"""The composition root: the only file that knows concrete classes, one ``build_`` a thing."""

import logging
import queue
import random
import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine

from cdc_sms import __version__
from cdc_sms.capture.loop import CaptureLoop
from cdc_sms.config.settings import KafkaSettings, ProviderSettings, Sections
from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.control import FirstSnapshotRecord
from cdc_sms.databases.engine import in_transaction, open_engine
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.migrations import verify
from cdc_sms.deliver.breaker import Breaker
from cdc_sms.deliver.claim import Claims
from cdc_sms.deliver.dead_letters import DeadLetters
from cdc_sms.deliver.desk import Desk
from cdc_sms.deliver.intake import Intake
from cdc_sms.deliver.keeper import Keeper
from cdc_sms.deliver.loop import DeliverLoop
from cdc_sms.deliver.settle import Settles
from cdc_sms.deliver.write_back import WriteBack
from cdc_sms.envelope.encode import Encoder
from cdc_sms.errors import (
    BrokerUnavailable,
    CdcSmsError,
    DatabaseUnavailable,
    MappingError,
    SetupError,
    SourceUnavailable,
)
from cdc_sms.kafka.consumer import Consumer
from cdc_sms.kafka.offsets import Place
from cdc_sms.kafka.producer import Producer
from cdc_sms.kafka.topics import verify_topics
from cdc_sms.model.backoff import Backoff
from cdc_sms.model.clock import Clock, SystemClock
from cdc_sms.providers.base import Provider
from cdc_sms.providers.justsend.provider import JustSend
from cdc_sms.runtime.lifecycle import Role
from cdc_sms.sources.base import Source
from cdc_sms.sources.postgres.source import PostgresSource
from cdc_sms.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)

Result = TypeVar("Result")
Unavailable = (DatabaseUnavailable, BrokerUnavailable, SourceUnavailable)
STUCK_AFTER_S = 60.0


def build_provider(name: str, settings: ProviderSettings, clock: Clock) -> Provider:
    """Build a provider: the plug-in system is this match."""
    match settings.type:
        case "justsend":
            return JustSend(name=name, settings=settings, clock=clock)


def build_source(sections: Sections, clock: Clock) -> Source:
    """Build the reader of the database's log: the plug-in system is this match."""
    match sections.source.type:
        case "postgres":
            return PostgresSource(
                source=sections.source,
                table=sections.table,
                capture=sections.capture,
                clock=clock,
            )


def build_deliver(sections: Sections, *, metrics: Metrics) -> "DeliverRole":
    """Build the deliver role; it connects when it runs."""
    return DeliverRole(sections, metrics=metrics)


def build_capture(sections: Sections, *, metrics: Metrics) -> Role:
    """Build the capture role; it connects when it runs."""
    return CaptureRole(sections, metrics=metrics)


class Phase:
    """What a role is doing, since when and why; for ``/status``.

    Thread: the role's own writes, any reads.
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
    if len(findings) == 1:
        raise findings[0]
    if findings:
        raise SetupError(
            " ".join(error.message for error in findings),
            hint=" ".join(error.hint for error in findings),
        )


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
        self._engine = open_engine(sections.source, sections.ledger, role=self.name)
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
        return found[0]

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
        return {**self._phase.describe(), **(loop.describe() if loop is not None else {})}

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


def build_intake(sections: Sections, table: BusinessTable) -> Intake:
    """Build what reads records for the mapped table."""
    return Intake(
        table=sections.table.name,
        key_columns=table.key_columns,
        status_column=sections.table.columns.status,
        pending=sections.table.status.pending,
    )


def build_desk(
    sections: Sections,
    *,
    engine: Engine,
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
    claims = Claims(
        engine=engine, table=table, ledger=ledger, write_back=write_back, settings=settings
    )
    settles = Settles(
        engine=engine, table=table, ledger=ledger, write_back=write_back, provider=provider.name
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
    return Desk(
        engine=engine,
        ledger=ledger,
        claims=claims,
        settles=settles,
        keeper=keeper,
        breaker=breaker,
        provider=provider,
        settings=settings,
        clock=clock,
        metrics=metrics,
        random_source=random.Random(),  # noqa: S311 - jitter
        finished=finished,
    )


def check_topics(kafka: KafkaSettings) -> None:
    """Check the topics, unless the configuration says that the broker can't be asked.

    Raises:
        SetupError: what is missing or wrong.
        BrokerUnavailable: no broker answers.
    """
    if kafka.verify_topics:
        verify_topics(kafka)


class CaptureRole:
    """The reader of the database's log, from waiting for its servers to its end.

    Thread: :meth:`run` is the loop thread; the others any.
    """

    name = "capture"

    def __init__(self, sections: Sections, *, metrics: Metrics) -> None:
        self._sections = sections
        self._metrics = metrics
        self._clock = SystemClock()
        self._phase = Phase(self._clock)
        self._engine = open_engine(sections.source, sections.ledger, role=self.name)
        self._loop: CaptureLoop | None = None

    def run(self, stop: threading.Event) -> None:
        """Wait for the servers, check what is on them, and capture until told to stop.

        Raises:
            SetupError: something on a server is missing or wrong; all findings.
            CdcSmsError: something else that needs a person.
        """
        if patiently(self._check, stop=stop, phase=self._phase, doing="capture") is None:
            return
        self._loop = self._build()
        self._phase.enter("capturing")
        try:
            self._loop.run(stop)
        finally:
            self._engine.dispose()

    def _check(self) -> bool:
        def ledger(connection: Connection) -> None:
            verify(connection, self._sections.ledger)

        all_findings(
            [
                lambda: in_transaction(self._engine, ledger),
                lambda: check_topics(self._sections.kafka),
            ]
        )
        return True

    def _build(self) -> CaptureLoop:
        sections, clock = self._sections, self._clock
        return CaptureLoop(
            source=build_source(sections, clock),
            encoder=Encoder(
                name=sections.kafka.prefix,
                database=str(conninfo_to_dict(sections.source.dsn).get("dbname", "")),
                version=__version__,
                max_record_bytes=sections.capture.max_record_bytes,
            ),
            producer=Producer(settings=sections.kafka),
            topic=sections.kafka.outbox,
            first_snapshot=FirstSnapshotRecord(self._engine, slot=sections.capture.slot),
            shows_pending=sections.table.columns.status is not None,
            metrics=self._metrics,
            clock=clock,
            random_source=random.Random(),  # noqa: S311 - jitter
        )

    def status(self) -> dict[str, object]:
        """Return state, since, why, and how far the log was read."""
        return self._phase.describe() if self._loop is None else self._loop.status()

    def ready(self) -> str | None:
        """Return why nothing flows, or None."""
        if self._loop is None:
            return self._phase.why or self._phase.state
        return self._loop.ready()

    def live(self) -> bool:
        """Say whether the loop turns."""
        return self._loop is None or self._loop.live()
