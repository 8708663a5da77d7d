"""One read-only look at everything: what runs, what waits and why, what a person must decide.

Each part that can't be had says so in its place; the rest is shown all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine

from cdc_sms import __version__
from cdc_sms.config.settings import Sections
from cdc_sms.databases import reading
from cdc_sms.errors import CdcSmsError, DatabaseUnavailable
from cdc_sms.model.hold import Hold
from cdc_sms.operate.roles import ask_roles

Snapshot = dict[str, Any]


def take_snapshot(sections: Sections, engine: Engine) -> Snapshot:
    """Look at the roles and the database once.

    Returns:
        A table that JSON can hold, see ``docs/commands.md``: ``at``, ``version``, ``roles``,
        ``database`` (with ``reachable`` and ``why``), ``messages``, ``oldest_unfinished``,
        ``in_doubt``, ``owed_write_backs``, ``holds``, ``dead_letters``, ``log``,
        ``slot``, ``outbox_lag``. What the database alone knows is None while it can't be read.
    """
    roles = ask_roles(sections.serve.roles)
    return {
        "at": datetime.now(UTC),
        "version": __version__,
        "roles": roles,
        "outbox_lag": outbox_lag(roles),
        "log": log_standing(roles),
        **_of_database(engine, sections),
    }


def is_anything_reachable(snapshot: Mapping[str, Any]) -> bool:
    """Say whether a role or the database answered."""
    some_role = any(role["reachable"] for role in snapshot["roles"])
    return some_role or bool(snapshot["database"]["reachable"])


def outbox_lag(roles: Sequence[Mapping[str, Any]]) -> dict[str, int] | None:
    """Return the records behind the end of the outbox, by partition.

    Args:
        roles: what :func:`ask_roles` returned; each deliver knows its own partitions.

    Returns:
        None when no deliver answered, or one doesn't know it of all its partitions now.
    """
    delivers = [role for role in roles if role.get("role") == "deliver"]
    known = [role["lag"] for role in delivers if role.get("lag") is not None]
    partial = any(
        not {str(p) for p in role.get("partitions", [])} <= {str(p) for p in role.get("lag") or {}}
        for role in delivers
    )
    if not known or partial:
        return None
    lag = {str(partition): int(records) for each in known for partition, records in each.items()}
    return dict(sorted(lag.items(), key=lambda item: int(item[0])))


def log_standing(roles: Sequence[Mapping[str, Any]]) -> Snapshot | None:
    """Return how far the log was read: ``place`` and ``behind_bytes``.

    Args:
        roles: what :func:`ask_roles` returned; captures that stand by read nothing.

    Returns:
        None when no capture that reads answered.
    """
    found = [role["log"] for role in roles if role.get("role") == "capture" and role.get("log")]
    return found[0] if found else None


_UNKNOWN: Snapshot = {
    "messages": None,
    "oldest_unfinished": None,
    "in_doubt": None,
    "owed_write_backs": None,
    "holds": None,
    "dead_letters": None,
    "slot": None,
}


def _of_database(engine: Engine, sections: Sections) -> Snapshot:
    try:
        found = reading.read_only(engine, lambda connection: _read(connection, sections))
    except CdcSmsError as error:
        reachable = not isinstance(error, DatabaseUnavailable)
        why = f"{error.message} {error.hint}"
        return {"database": {"reachable": reachable, "why": why}, **_UNKNOWN}
    return {"database": {"reachable": True, "why": None}, **found}


def _read(connection: Connection, sections: Sections) -> Snapshot:
    in_doubt, possible_doubles, owed = reading.doubts_and_owed(connection)
    slot = reading.slot(connection, sections.capture.slot)
    return {
        "messages": reading.counts_by_state(connection),
        "oldest_unfinished": [asdict(row) for row in reading.oldest_unfinished(connection)],
        "in_doubt": {"now": in_doubt, "possible_doubles": possible_doubles},
        "owed_write_backs": owed,
        "holds": [_hold(hold) for hold in reading.holds(connection)],
        "dead_letters": reading.dead_letters_by_class(connection),
        "slot": None if slot is None else asdict(slot),
    }


def _hold(hold: Hold) -> Snapshot:
    return {
        "name": hold.name,
        "kind": hold.kind,
        "since": hold.since,
        "reason": hold.reason,
        "let": hold.let,
        "way_out": hold.way_out,
    }
