"""The place that a ledger belongs to: asked of the server, kept in the control table."""

from datetime import datetime

from sqlalchemy import Connection

from cdc_sms.databases.control import ADOPTED, IDENTITY, Control
from cdc_sms.databases.engine import place_of
from cdc_sms.errors import NeedsPerson
from cdc_sms.model.identity import Identity, differences


def server_identifier(connection: Connection) -> str:
    """Return what the database server calls itself; a copy of its files calls itself the same."""
    return place_of(connection)[0]


def log_end(connection: Connection) -> int | None:
    """Return how far the server's log is on its disk; None where it writes none, or won't say."""
    return place_of(connection)[1]


def adopted_at(connection: Connection) -> datetime | None:
    """Return when a person last said that this is the right place."""
    value = Control().get(connection, ADOPTED)
    return None if value is None else datetime.fromisoformat(value["at"])


def known_identity(connection: Connection) -> Identity | None:
    """Return the place that this ledger belongs to; None before the first start."""
    value = Control().get(connection, IDENTITY)
    return None if value is None else Identity.from_value(value)


def check_identity(connection: Connection, here: Identity) -> None:
    """Check that this is the place that the ledger belongs to; the first start decides.

    Raises:
        NeedsPerson: it is another one; all differences.
    """
    Control().add(connection, IDENTITY, dict(here.as_value()))
    known = known_identity(connection)  # ours, or another role's that was first
    assert known is not None
    found = differences(known, here)
    if found:
        raise NeedsPerson(
            f"This ledger belongs to another place: {'; '.join(found)}.",
            hint="A copy must not send: point it elsewhere. If this is the right place: "
            "cdc-sms adopt.",
        )
    completed = known.completed_by(here)
    if completed != known:
        Control().put(connection, IDENTITY, dict(completed.as_value()))


def adopt_identity(connection: Connection, here: Identity) -> None:
    """Say that the ledger belongs here from now on."""
    Control().put(connection, IDENTITY, dict(here.as_value()))
