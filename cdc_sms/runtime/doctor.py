"""The doctor: examines database, log, ledger and topics for real; every finding at once.

Nothing is left behind but two records on the topic of heartbeats, which nobody takes for one.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection

from cdc_sms.config.settings import Sections
from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.engine import in_transaction, open_engine
from cdc_sms.databases.identity import known_identity, log_end, server_identifier
from cdc_sms.databases.rights import missing_rights
from cdc_sms.databases.version import VERSION_TABLE, verify
from cdc_sms.errors import (
    BrokerError,
    CdcSmsError,
    DatabaseUnavailable,
    MappingError,
    NeedsPerson,
    SetupError,
)
from cdc_sms.kafka.connection import cluster_id
from cdc_sms.kafka.round_trip import RoundTrip, round_trip
from cdc_sms.kafka.standing import standing_of
from cdc_sms.kafka.topics import MISSING, check_topics
from cdc_sms.model.identity import Identity, differences
from cdc_sms.runtime.place import check_history
from cdc_sms.sources.binlog.checkup import BinlogCheckup
from cdc_sms.sources.checkup import (
    Ailment,
    Catalogue,
    Checkup,
    Examined,
    Severity,
    finder,
)
from cdc_sms.sources.postgres.checkup import PostgresCheckup

Step = Callable[[], Examined]
Patiently = Callable[[Step], Examined]

UNREACHABLE = DatabaseUnavailable.exit_code
FOUND = 10

_STEP_S = 10.0
_E = Severity.ERROR

AILMENTS: Catalogue = {
    "unreachable": Ailment(
        _E,
        "Roles wait for it; nothing of it could be examined.",
        "Check the address and that the server runs.",
        "Check the service's firewall (security group, authorized networks) as well.",
    ),
    "refused": Ailment(
        _E, "A role would end with exit code 3.", "What the server's sentence says."
    ),
    "not-migrated": Ailment(_E, "No role starts.", "cdc-sms migrate"),
    "mapping": Ailment(
        _E, "Deliver does not start.", "Correct [table] and [table.columns]; see the sentence."
    ),
    "missing-right": Ailment(
        _E, "A role stops at the first statement that needs it.", "The GRANT that it names."
    ),
    "another-place": Ailment(
        _E,
        "The ledger belongs to another environment, server or cluster: a copy must not send.",
        "Point it elsewhere; if this is the right place: cdc-sms adopt.",
    ),
    "other-history": Ailment(
        _E,
        "The database was restored to an earlier time, or is another server.",
        "Stop all roles; cdc-sms adopt says what becomes of messages from before.",
    ),
    "history-unseen": Ailment(
        Severity.WARNING,
        "A restored backup is not noticed: messages that were sent since could be sent again.",
        "GRANT REPLICATION CLIENT ON *.* TO the user (MariaDB: BINLOG MONITOR).",
    ),
    "topic": Ailment(
        _E, "Records could be lost or refused: no role starts.", "cdc-sms topics, or --alter."
    ),
    "no-heartbeat": Ailment(
        _E, "A record does not come round through Kafka.", "What the broker's sentence says."
    ),
}


@dataclass(slots=True)
class Report(Examined):
    """All that was found.

    Attributes:
        is_reachable: both servers answered.
    """

    is_reachable: bool = True

    @property
    def exit_code(self) -> int:
        """Return the command's: notes alone are nothing that has to be mended."""
        if not self.is_reachable:
            return UNREACHABLE
        worse = any(finding.severity is not Severity.NOTE for finding in self.findings)
        return FOUND if worse else 0

    def take(self, examined: Examined) -> None:
        """Add what one examination brought; the same sentence is told once."""
        said = {finding.said for finding in self.findings}
        self.findings += [found for found in examined.findings if found.said not in said]
        self.facts |= examined.facts
        self.measured |= examined.measured
        self.left_out += examined.left_out


@dataclass(frozen=True, slots=True)
class Scope:
    """What to examine for.

    Attributes:
        captures: the user of the configuration reads the log.
        delivers: it writes to table and ledger.
        outage_s: how long everything may be away without a loss; seconds.
    """

    captures: bool = True
    delivers: bool = True
    outage_s: float = 86_400.0


def build_checkup(sections: Sections) -> Checkup:
    """Build the check-up of the database's log."""
    match sections.source.kind:
        case "postgres":
            return PostgresCheckup(
                source=sections.source, table=sections.table, capture=sections.capture
            )
        case "mysql" | "mariadb":
            return BinlogCheckup(
                source=sections.source,
                table=sections.table,
                capture=sections.capture,
                ledger=sections.ledger,
            )


class Doctor:
    """One examination of everything that an installation needs.

    Args:
        sections: the configuration.
        scope: what to examine for.
        patiently: repeats a step while the server that it needs can't be reached, for as long as
            a person wants to wait.

    Thread: one owner.
    """

    def __init__(self, sections: Sections, scope: Scope, *, patiently: Patiently) -> None:
        self._sections = sections
        self._scope = scope
        self._patiently = patiently
        self._found = finder(AILMENTS)
        self._report = Report()
        self._missing_topics: set[str] = set()
        self._engine = open_engine(sections.source, sections.ledger, role="doctor")

    def examine(self) -> Report:
        """Examine everything; what can't be examined is said, and the rest is all the same."""
        try:
            database = self._all_of("The database", self._of_database())
            kafka = self._all_of("Kafka", self._of_kafka())
            if database and kafka and self._sections.kafka.verify_topics:
                self._all_of("The place", iter([self._place]))
        finally:
            self._engine.dispose()
        order = list(Severity)
        self._report.findings.sort(key=lambda finding: order.index(finding.severity))
        return self._report

    def _of_database(self) -> Iterator[Step]:
        if self._scope.captures:
            checkup = build_checkup(self._sections)
            yield lambda: checkup.look(outage_s=self._scope.outage_s)
            yield checkup.try_log
        yield self._rights
        yield self._ledger
        if self._scope.delivers:
            yield self._mapping

    def _of_kafka(self) -> Iterator[Step]:
        if self._sections.kafka.verify_topics:
            yield self._topics
        else:
            self._report.left_out.append("Topics were not compared: kafka.verify_topics is off.")
        if self._scope.delivers:
            yield self._group
        yield self._heartbeat

    def _all_of(self, server: str, steps: Iterator[Step]) -> bool:
        """Take all steps on one server; False: it can't be reached, and the rest is left out."""
        for step in steps:
            try:
                self._report.take(self._patiently(step))
            except CdcSmsError as error:
                is_away = error.exit_code == UNREACHABLE
                name = "unreachable" if is_away else "refused"
                finding = self._found(name, error.message, remedy=error.hint)
                self._report.take(Examined([finding]))
                if is_away:
                    self._report.is_reachable = False
                    self._report.left_out.append(f"{server} was not examined further.")
                    return False
        return True

    # ---- the database -------------------------------------------------------------------------

    def _ledger(self) -> Examined:
        def work(connection: Connection) -> None:
            verify(connection, self._sections.ledger)

        if any(VERSION_TABLE in finding.remedy for finding in self._report.findings):
            return Examined(left_out=["The ledger's version was not read: a right is missing."])
        try:
            in_transaction(self._engine, work)
        except SetupError as error:
            return Examined([self._found("not-migrated", error.message, remedy=error.hint)])
        return Examined()

    def _mapping(self) -> Examined:
        try:
            self._reflected()
        except MappingError as error:
            return Examined([self._found("mapping", error.message, remedy=error.hint)])
        return Examined()

    def _reflected(self) -> BusinessTable:
        table = self._sections.table
        return in_transaction(self._engine, lambda c: BusinessTable.reflect(c, table))

    def _rights(self) -> Examined:
        missing = missing_rights(
            self._engine,
            table_settings=self._sections.table,
            ledger=self._sections.ledger,
            captures=self._scope.captures and self._sections.capture.reader == "builtin",
            delivers=self._scope.delivers,
        )
        return Examined(
            [
                self._found("missing-right", f"The user lacks {one.right}.", remedy=one.grant)
                for one in missing
            ]
        )

    # ---- Kafka --------------------------------------------------------------------------------

    def _topics(self) -> Examined:
        differing = check_topics(self._sections.kafka)
        self._missing_topics = {found.topic for found in differing if found.what == MISSING}
        return Examined(
            [
                self._found("topic", f"{found.topic} {found.what}.", remedy=found.remedy)
                for found in differing
            ]
        )

    def _group(self) -> Examined:
        kafka = self._sections.kafka
        if kafka.outbox in self._missing_topics:
            return Examined(left_out=["The group's place was not looked at: there is no outbox."])
        standing = standing_of(kafka, kafka.outbox, wait_s=_STEP_S)
        open_records = sum(partition.open_records for partition in standing.values())
        facts = {"group": kafka.deliver_group, "open_records": open_records}
        return Examined(facts={"kafka": facts})

    def _heartbeat(self) -> Examined:
        kafka = self._sections.kafka
        if kafka.heartbeat in self._missing_topics:
            return Examined(left_out=["No record was sent round: there is no heartbeat topic."])
        try:
            self._round()  # makes the connections and the producer's session
            took = self._round()
        except (BrokerError, SetupError) as error:
            if error.exit_code == UNREACHABLE:
                raise
            return Examined([self._found("no-heartbeat", error.message, remedy=error.hint)])
        return Examined(
            measured={
                "produce_to_acknowledged_ms": took.acknowledged_ms,
                "produce_to_consumed_ms": took.consumed_ms,
            }
        )

    def _round(self) -> RoundTrip:
        kafka = self._sections.kafka
        value = {"ts_ms": int(time.time() * 1000), "doctor": secrets.token_hex(8)}
        return round_trip(
            kafka,
            kafka.heartbeat,
            # no slot is called so: neither capture nor a start takes it for a heartbeat
            key=f"doctor:{self._sections.capture.slot}".encode(),
            value=orjson.dumps(value),
            wait_s=_STEP_S,
        )

    # ---- both ---------------------------------------------------------------------------------

    def _place(self) -> Examined:
        if any(f.name in ("not-migrated", "missing-right") for f in self._report.findings):
            return Examined(left_out=["The place was not compared: the ledger can't be read."])
        here = Identity(
            environment=self._sections.ledger.environment,
            server=in_transaction(self._engine, server_identifier),
            kafka=cluster_id(self._sections.kafka),
            mapping=self._mapping_of_ids(),
        )
        known = in_transaction(self._engine, known_identity)
        differing = [] if known is None else differences(known, here)
        examined = Examined(
            [self._found("another-place", f"In this place {words}.") for words in differing],
            {"place": {"environment": here.environment, "known": known is not None}},
        )
        try:
            check_history(self._engine, self._sections)
        except NeedsPerson as error:
            finding = self._found("other-history", error.message, remedy=error.hint)
            examined.findings.append(finding)
        if self._sections.source.kind != "postgres" and self._log_end() is None:
            said = "The user may not ask where the log ends."
            examined.findings.append(self._found("history-unseen", said))
        return examined

    def _log_end(self) -> int | None:
        return in_transaction(self._engine, log_end)

    def _mapping_of_ids(self) -> str | None:
        try:
            return self._reflected().mapping
        except MappingError:
            return None  # told by itself
