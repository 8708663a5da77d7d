"""``adopt``: a person says that this is the right place, and what becomes of what lies before."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Engine

from cdc_sms.config.settings import Sections
from cdc_sms.databases.acts import Acts
from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.control import ADOPTED, HOLD_PREFIX, MEMORY, Control
from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.identity import adopt_identity, known_identity, server_identifier
from cdc_sms.databases.ledger import Ledger
from cdc_sms.kafka.connection import cluster_id
from cdc_sms.model.hold import Hold, HoldKind
from cdc_sms.model.identity import Identity, differences
from cdc_sms.model.memory import Memory

Fate = Literal["hold", "send", "skip"]
"""Of messages that were created before now and that the ledger doesn't know as sent."""


@dataclass(frozen=True, slots=True)
class Place:
    """What ``adopt`` would change.

    Attributes:
        known: where the ledger belonged so far; None: nowhere yet.
        here: where it would belong.
        differences: in words.
    """

    known: Identity | None
    here: Identity
    differences: Sequence[str]

    def as_value(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        known = None if self.known is None else asdict(self.known)
        return {"known": known, "here": asdict(self.here), "differences": list(self.differences)}


def look_at_place(engine: Engine, sections: Sections) -> Place:
    """Compare this place with the one that the ledger belongs to; change nothing.

    Raises:
        DatabaseUnavailable: the database can't be reached.
        BrokerUnavailable: no broker answers.
        MappingError: the table isn't as the configuration maps it.
    """
    kafka = cluster_id(sections.kafka) if sections.kafka.verify_topics else None

    def work(connection: Connection) -> Place:
        here = Identity(
            environment=sections.ledger.environment,
            server=server_identifier(connection),
            kafka=kafka,
            mapping=BusinessTable.reflect(connection, sections.table).mapping,
        )
        known = known_identity(connection)
        return Place(known, here, () if known is None else differences(known, here))

    return in_transaction(engine, work)


def adopt(engine: Engine, place: Place, *, before: Fate) -> None:
    """Make this the place that the ledger belongs to.

    Args:
        engine: the database of the ledger.
        place: as it was looked at.
        before: what becomes of messages created before now that were never tried: they may
            have been sent from the other place, or by a history that a backup has undone.

    Raises:
        DatabaseUnavailable: nothing was changed, or all of it: give it again.
    """

    def work(connection: Connection) -> None:
        control = Control()
        now = Ledger().now(connection)
        adopt_identity(connection, place.here)
        control.put(connection, ADOPTED, {"at": now.isoformat()})
        control.put(connection, MEMORY, _memory(now, before).as_value())
        control.remove(connection, HOLD_PREFIX + HoldKind.BACKLOG)
        control.remove(connection, HOLD_PREFIX + HoldKind.HISTORY)
        if before == "skip":
            control.hold(connection, _giving_up(now))
        Acts().record(
            connection,
            "adopt",
            target=None,
            details={"before": before, "differences": list(place.differences)},
            outcome={"adopted": True},
        )

    in_transaction(engine, work)


def _memory(now: datetime, before: Fate) -> Memory:
    memory = Memory(since=now, kind=HoldKind.HISTORY, margin_s=0.0)
    return replace(memory, accepted=before == "send")


def _giving_up(now: datetime) -> Hold:
    """Return a hold that dead-letters every message from before, wherever its record lies."""
    return Hold(
        name=HoldKind.HISTORY.value,
        kind=HoldKind.HISTORY,
        reason="adopt --skip: messages from before are dead-lettered",
        since=now,
        gives_all_up=True,
    )
