"""The capture role, put together: with its twin, the only files that know concrete classes."""

import random
import threading
from contextlib import suppress

from sqlalchemy import Connection

from cdc_sms import __version__
from cdc_sms.capture.heartbeat import HeartbeatTopic
from cdc_sms.capture.loop import CaptureLoop
from cdc_sms.config.settings import Sections
from cdc_sms.databases.control import FirstSnapshotRecord, GapRecord
from cdc_sms.databases.engine import in_transaction, open_engine
from cdc_sms.databases.history import History
from cdc_sms.databases.version import verify
from cdc_sms.envelope.encode import Encoder
from cdc_sms.envelope.source_block import BinlogBlock, PostgresBlock, SourceBlock
from cdc_sms.errors import NeedsPerson
from cdc_sms.kafka.positions import PositionTopic
from cdc_sms.kafka.producer import Producer
from cdc_sms.model.clock import Clock, SystemClock
from cdc_sms.runtime.place import check_history, check_place
from cdc_sms.runtime.start import Phase, all_findings, check_topics, patiently
from cdc_sms.sources.base import HeldByAnother, Positions, Source
from cdc_sms.telemetry.metrics import Metrics


def build_source(sections: Sections, clock: Clock, positions: Positions) -> Source:
    """Build the reader of the database's log: the plug-in system is this match.

    Each is imported where it is chosen: the other's driver would take ten megabytes of memory.

    Args:
        sections: the configuration.
        clock: times what is sent to the server.
        positions: where a reader's position is kept whose server keeps none.
    """
    match sections.source.kind:
        case "postgres":
            from cdc_sms.sources.postgres.source import PostgresSource  # noqa: PLC0415

            return PostgresSource(
                source=sections.source,
                table=sections.table,
                capture=sections.capture,
                clock=clock,
            )
        case "mysql" | "mariadb":
            from cdc_sms.sources.binlog.source import BinlogSource  # noqa: PLC0415

            return BinlogSource(
                source=sections.source,
                table=sections.table,
                capture=sections.capture,
                ledger_schema=sections.ledger.ledger_schema,
                positions=positions,
                clock=clock,
            )


def build_source_block(sections: Sections) -> SourceBlock:
    """Build how records say where a row was read."""
    name, kind = sections.kafka.prefix, sections.source.kind
    match kind:
        case "postgres":
            database = sections.source.database
            return PostgresBlock(name=name, database=database, version=__version__)
        case "mysql" | "mariadb":
            return BinlogBlock(connector=kind, name=name, version=__version__)


class CaptureRole:
    """The reader of the database's log, from waiting for its servers to its end.

    Thread: :meth:`run` is the loop thread; the others any.
    """

    name = "capture"

    def __init__(self, sections: Sections, *, metrics: Metrics, accept_gap: bool = False) -> None:
        self._sections = sections
        self._metrics = metrics
        self._clock = SystemClock()
        self._phase = Phase(self._clock)
        self._history = History()
        self._engine = open_engine(
            sections.source, sections.ledger, role=self.name, history=self._history
        )
        self._accept_gap = accept_gap
        self._producer = Producer(settings=sections.kafka)
        self._positions = PositionTopic(
            settings=sections.kafka, producer=self._producer, name=sections.capture.slot
        )
        self._loop: CaptureLoop | None = None

    def run(self, stop: threading.Event) -> None:
        """Wait for the servers, check what is on them, and capture until told to stop.

        Raises:
            SetupError: something on a server is missing or wrong; all findings.
            CdcSmsError: something else that needs a person.
        """
        if patiently(self._check, stop=stop, phase=self._phase, doing="capture") is None:
            self._producer.close()
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

        def source() -> None:
            # it is looked at again when that one ends
            accepted = (HeldByAnother, NeedsPerson) if self._accept_gap else (HeldByAnother,)
            with suppress(*accepted):
                build_source(self._sections, self._clock, self._positions).inspect()

        all_findings(
            [
                lambda: in_transaction(self._engine, ledger),
                lambda: check_topics(self._sections.kafka),
                source,
            ]
        )
        check_place(self._engine, self._sections)
        check_history(self._engine, self._sections)
        return True

    def _build(self) -> CaptureLoop:
        sections, clock, producer = self._sections, self._clock, self._producer
        return CaptureLoop(
            source=build_source(sections, clock, self._positions),
            encoder=Encoder(
                source=build_source_block(sections),
                max_record_bytes=sections.capture.max_record_bytes,
            ),
            producer=producer,
            topic=sections.kafka.outbox,
            heartbeats=HeartbeatTopic(
                producer=producer,
                topic=sections.kafka.heartbeat,
                slot=sections.capture.slot,
                clock=clock,
            ),
            first_snapshot=FirstSnapshotRecord(self._engine, slot=sections.capture.slot),
            gaps=GapRecord(self._engine, self._history),
            accept_gap=self._accept_gap,
            status_column=sections.table.columns.status,
            pending=sections.table.status.pending,
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
