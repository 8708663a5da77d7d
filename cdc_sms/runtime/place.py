"""Whether this is the place that the ledger belongs to: asked at every start of a role."""

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Engine

from cdc_sms.config.settings import Sections
from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.history import gone_back
from cdc_sms.databases.identity import (
    adopted_at,
    check_identity,
    log_end,
    server_identifier,
)
from cdc_sms.errors import NeedsPerson
from cdc_sms.kafka.connection import cluster_id
from cdc_sms.kafka.reading import last_of_key
from cdc_sms.model.identity import Identity

_WAIT_S = 5.0


def check_place(engine: Engine, sections: Sections, *, mapping: str | None = None) -> None:
    """Check environment, server, Kafka cluster and mapping against what the ledger knows.

    Args:
        engine: the database of the ledger.
        sections: the configuration.
        mapping: what message ids are made of; None: this role doesn't know.

    Raises:
        NeedsPerson: this is another place.
        DatabaseUnavailable: wait and repeat.
        BrokerUnavailable: the same.
    """
    kafka = cluster_id(sections.kafka) if sections.kafka.verify_topics else None

    def work(connection: Connection) -> None:
        here = Identity(
            environment=sections.ledger.environment,
            server=server_identifier(connection),
            kafka=kafka,
            mapping=mapping,
        )
        check_identity(connection, here)

    in_transaction(engine, work)


def check_history(engine: Engine, sections: Sections) -> None:
    """Check that the server's log is not behind the last heartbeat that we read from it.

    It is after a backup was restored: what was committed, sent and written since is undone in the
    database, and not in the world.

    Raises:
        NeedsPerson: the log is of another history.
        DatabaseUnavailable: wait and repeat.
        BrokerUnavailable: the same.
    """
    if not sections.kafka.verify_topics:
        return
    beat = _last_heartbeat(sections)
    if beat is None:
        return

    def work(connection: Connection) -> tuple[str, int | None, datetime | None]:
        return server_identifier(connection), log_end(connection), adopted_at(connection)

    server, position, adopted = in_transaction(engine, work)
    was_adopted = adopted is not None and adopted.timestamp() * 1000 > beat["ts_ms"]
    if was_adopted or position is None:
        return
    if server != beat["server"]:
        raise NeedsPerson(
            f"The database is another server: the last heartbeat came from {beat['server']}, and "
            f"this is {server}.",
            hint="Stop all roles; cdc-sms adopt says what becomes of messages from before.",
        )
    if position < beat["position"]:
        raise gone_back(position, beat["position"])


def _last_heartbeat(sections: Sections) -> dict[str, Any] | None:
    """Return what the last heartbeat of our slot says; None: there is none that is kept."""
    kafka = sections.kafka
    found = last_of_key(kafka, kafka.heartbeat, sections.capture.slot.encode(), wait_s=_WAIT_S)
    return None if found is None else orjson.loads(found.value or b"{}")
