"""``status``: one look at everything."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from cdc_sms.cli.shared import (
    UNREACHABLE,
    bytes_text,
    config_option,
    duration_text,
    environment,
    json_option,
    print_json,
    print_table,
    time_text,
    wait_option,
)
from cdc_sms.config.load import load
from cdc_sms.config.settings import Sections
from cdc_sms.databases.engine import open_engine
from cdc_sms.operate.status import Snapshot, is_anything_reachable, take_snapshot

_PAUSE_S = 0.5


@click.command()
@config_option
@wait_option
@json_option
@click.pass_context
def status(context: click.Context, config: Path | None, *, wait_s: float, as_json: bool) -> None:
    """Show what runs, what waits and why.

    It asks the roles (serve.roles) and reads the ledger; what can't be reached is named, and
    the rest is shown all the same. Exit code 6: neither a role nor the database answered.

    Example: cdc-sms status --json | jq .in_doubt

    Next: 'cdc-sms dlq list' for what was given up, 'cdc-sms in-doubt list' for what may have
    been sent.
    """
    sections = load(config, environment())
    snapshot = _reachable_snapshot(sections, wait_s)
    if as_json:
        print_json(snapshot)
    else:
        shown = orjson.loads(orjson.dumps(snapshot, default=str, option=orjson.OPT_UTC_Z))
        _print(shown, has_slots=sections.source.kind == "postgres")
    if not is_anything_reachable(snapshot):
        context.exit(UNREACHABLE)


def _reachable_snapshot(sections: Sections, wait_s: float) -> Snapshot:
    """Look again until something answers or the time is over; return the last look."""
    deadline_s = time.monotonic() + wait_s
    engine = open_engine(sections.source, sections.ledger)
    try:
        while True:
            snapshot = take_snapshot(sections, engine)
            is_late = time.monotonic() + _PAUSE_S > deadline_s
            if is_late or is_anything_reachable(snapshot):
                return snapshot
            time.sleep(_PAUSE_S)
    finally:
        engine.dispose()


def _print(snapshot: Mapping[str, Any], *, has_slots: bool) -> None:
    click.echo(f"cdc-sms {snapshot['version']}, {time_text(snapshot['at'])}\n")
    columns = ("role", "state", "since", "why", "address")
    roles = [{**role, "since": time_text(role.get("since"))} for role in snapshot["roles"]]
    print_table(columns, [[role.get(name) for name in columns] for role in roles])
    click.echo()
    database = snapshot["database"]
    if database["why"]:
        state = "can't be read" if database["reachable"] else "is unreachable"
        click.echo(f"The database {state}: {database['why']}")
        return
    _print_messages(snapshot["messages"], snapshot["oldest_unfinished"])
    for line in _lines(snapshot, has_slots=has_slots):
        click.echo(line)
    _print_holds(snapshot["holds"])


def _print_messages(counts: Mapping[str, int], oldest: Sequence[Mapping[str, Any]]) -> None:
    first = {row["state"]: row for row in oldest}
    rows = []
    for state, count in sorted(counts.items(), key=lambda item: (item[0] not in first, item[0])):
        row = first.get(state)
        age = duration_text(row["age_s"]) if row else None
        rows.append((state, count, age, row and row["message_id"]))
    if rows:
        print_table(("state", "messages", "oldest", "which"), rows)
    else:
        click.echo("The ledger knows no message yet.")
    click.echo()


def _lines(snapshot: Mapping[str, Any], *, has_slots: bool) -> list[str]:
    doubt, letters = snapshot["in_doubt"], snapshot["dead_letters"]
    letters_text = ", ".join(f"{count} {name}" for name, count in sorted(letters.items()))
    return [
        f"In doubt      {doubt['now']} now, {doubt['possible_doubles']} possible doubles ever",
        f"Owed          {snapshot['owed_write_backs']} rows wait for their status",
        f"Dead letters  {letters_text or 'none'}",
        f"Outbox lag    {_lag_text(snapshot['outbox_lag'])}",
        f"Log           {_log_text(snapshot['log'])}",
        *([f"Slot          {_slot_text(snapshot['slot'])}"] if has_slots else []),
    ]


def _lag_text(lag: Mapping[str, int] | None) -> str:
    if lag is None:
        return "unknown: no deliver answers"
    behind = [f"{partition}: {records}" for partition, records in lag.items() if records]
    return f"{sum(lag.values())} records" + (f" (partition {', '.join(behind)})" if behind else "")


def _log_text(log: Mapping[str, Any] | None) -> str:
    if log is None:
        return "unknown: no capture that reads it answers"
    behind = "unknown" if log["behind_bytes"] is None else bytes_text(log["behind_bytes"])
    return f"confirmed up to {log['place'] or '-'}, {behind} behind"


def _slot_text(slot: Mapping[str, Any] | None) -> str:
    if slot is None:
        return "none: capture has not made it yet"
    return (
        f"{slot['name']} {'active' if slot['active'] else 'NOT ACTIVE'}, "
        f"confirmed {slot['confirmed_lsn'] or '-'}, "
        f"{bytes_text(slot['unconfirmed_bytes'])} behind, "
        f"{bytes_text(slot['retained_bytes'])} of log kept, {slot['wal_status'] or '-'}"
    )


def _print_holds(holds: Sequence[Mapping[str, Any]]) -> None:
    if not holds:
        click.echo("Holds         none")
        return
    click.echo()
    print_table(
        ("hold", "since", "why", "way out"),
        [(h["name"], time_text(h["since"]), h["reason"], h["way_out"]) for h in holds],
    )
