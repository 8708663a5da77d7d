"""The audit record: what a person did, when, and what came of it."""

import getpass
import os
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select, update

from cdc_sms.databases.expressions import Moment
from cdc_sms.databases.schema import act


@dataclass(frozen=True, slots=True)
class Act:
    """One act, as it is kept.

    Attributes:
        id: its own.
        act: the command.
        who: ``user@host``, or what ``CDC_SMS_OPERATOR`` says.
        target: a message id, ``dlq P:O``, or None.
        details: the command's options.
        outcome: what came of it; None: it was interrupted, or is under way.
        started_at: by the database's clock.
        finished_at: the same.
    """

    id: str
    act: str
    who: str
    target: str | None
    details: dict[str, Any]
    outcome: dict[str, Any] | None
    started_at: datetime
    finished_at: datetime | None


def operator() -> str:
    """Return who acts: ``CDC_SMS_OPERATOR`` where it is set, else user and host."""
    named = os.environ.get("CDC_SMS_OPERATOR")
    return (named or f"{getpass.getuser()}@{socket.gethostname()}")[:200]


class Acts:
    """The statements on the table of acts, each in the caller's transaction.

    Thread: any; it holds nothing.
    """

    def begin(
        self, connection: Connection, command: str, *, target: str | None, details: dict[str, Any]
    ) -> str:
        """Note that an act begins.

        Args:
            connection: where the act itself changes something, best its own transaction.
            command: such as ``dlq replay``.
            target: what it is about.
            details: its options; no message texts, numbers or secrets.

        Returns:
            The act's id, for :meth:`finish`.
        """
        one = str(uuid.uuid4())
        connection.execute(
            insert(act).values(
                id=one,
                act=command,
                who=operator(),
                target=target,
                details=orjson.dumps(details, default=str).decode(),
                started_at=Moment(),
            )
        )
        return one

    def finish(self, connection: Connection, one: str, *, outcome: dict[str, Any]) -> None:
        """Note what came of it."""
        connection.execute(
            update(act)
            .where(act.c.id == one)
            .values(
                outcome=orjson.dumps(outcome, default=str).decode(),
                finished_at=Moment(),
            )
        )

    def record(
        self,
        connection: Connection,
        command: str,
        *,
        target: str | None,
        details: dict[str, Any],
        outcome: dict[str, Any],
    ) -> None:
        """Note an act that is done in this very transaction."""
        self.finish(
            connection,
            self.begin(connection, command, target=target, details=details),
            outcome=outcome,
        )

    def record_all(
        self,
        connection: Connection,
        command: str,
        entries: Sequence[tuple[str, dict[str, Any], dict[str, Any]]],
    ) -> None:
        """Note acts that are done in this very transaction, as one set.

        Args:
            connection: the act's own transaction.
            command: such as ``dlq replay``.
            entries: target, details and outcome of each.
        """
        if not entries:
            return
        who = operator()
        rows = [
            {
                "id": str(uuid.uuid4()),
                "act": command,
                "who": who,
                "target": target,
                "details": orjson.dumps(details, default=str).decode(),
                "outcome": orjson.dumps(outcome, default=str).decode(),
            }
            for target, details, outcome in entries
        ]
        moment = {"started_at": Moment(), "finished_at": Moment()}
        connection.execute(insert(act).values(moment), rows)

    def of_targets(self, connection: Connection, targets: Sequence[str]) -> dict[str, list[Act]]:
        """Return what was done about several things, by target, the oldest first."""
        found: dict[str, list[Act]] = {}
        statement = select(act).where(act.c.target.in_(targets)).order_by(act.c.started_at)
        for row in connection.execute(statement) if targets else ():
            one = _act(tuple(row))
            found.setdefault(one.target or "", []).append(one)
        return found

    def of_target(self, connection: Connection, target: str) -> list[Act]:
        """Return what was done about one thing, the oldest first."""
        statement = select(act).where(act.c.target == target).order_by(act.c.started_at)
        return [_act(tuple(row)) for row in connection.execute(statement)]

    def latest(self, connection: Connection, *, limit: int) -> list[Act]:
        """Return the newest acts, the newest first."""
        statement = select(act).order_by(act.c.started_at.desc()).limit(limit)
        return [_act(tuple(row)) for row in connection.execute(statement)]


def _act(values: tuple[Any, ...]) -> Act:
    one, command, who, target, details, outcome, started_at, finished_at = values
    return Act(
        id=one,
        act=command,
        who=who,
        target=target,
        details=orjson.loads(details),
        outcome=None if outcome is None else orjson.loads(outcome),
        started_at=started_at,
        finished_at=finished_at,
    )
