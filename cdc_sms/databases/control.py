"""What every member must know, beside the messages: one table of names and JSON values.

=======================  ==========================================================================
name                     value
=======================  ==========================================================================
``hold:<kind>[:<of>]``   a hold in force, see :class:`~cdc_sms.model.hold.Hold`
``flood``                ``run``: dead letters since the last success, over all members
``memory``               ``since``: the ledger knows every message that was created later;
                         ``let``: older ones that may still pass without a word; ``accepted``
``identity``             environment, server and Kafka cluster that this ledger belongs to
``adopted``              ``at``: when a person last said that this is the right place
``gap:<partition>``      records that the group had not read yet are gone from the outbox
``gap:log``              rows may be missing in the database's log
``first_snapshot:<s>``   the pending rows of the start are on the topic; ``s``: the slot
=======================  ==========================================================================
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, delete, or_, select, update

from cdc_sms.databases.engine import in_transaction, place_of
from cdc_sms.databases.expressions import LogReached, Now, insert_if_absent, locking
from cdc_sms.databases.history import History
from cdc_sms.databases.schema import control
from cdc_sms.model.hold import Hold

HOLD_PREFIX = "hold:"
FLOOD = "flood"
MEMORY = "memory"
IDENTITY = "identity"
ADOPTED = "adopted"
GAP_PREFIX = "gap:"

Value = dict[str, Any]


class Control:
    """The statements on the control table, each in the caller's transaction.

    Thread: any; it holds nothing.
    """

    def get(self, connection: Connection, name: str, *, lock: bool = False) -> Value | None:
        """Return a value; None where there is none.

        Args:
            connection: the caller's transaction.
            name: which.
            lock: keep others from changing it until the transaction's end.
        """
        statement = select(control.c.value).where(control.c.name == name)
        found = connection.execute(locking(statement) if lock else statement).scalar()
        return None if found is None else orjson.loads(found)

    def names(self, connection: Connection, prefix: str) -> dict[str, Value]:
        """Return the values of every name that begins so."""
        statement = select(control.c.name, control.c.value).where(
            control.c.name.startswith(prefix, autoescape=True)
        )
        return {name: orjson.loads(value) for name, value in connection.execute(statement)}

    def of_flow(self, connection: Connection) -> tuple[datetime, int | None, dict[str, Value]]:
        """Return in one look what a claim must know.

        Returns:
            The database's clock, the end of its log (None where this look can't ask for it),
            and holds, memory and flood by name.
        """
        at, end = Now().label("read_at"), LogReached().label("log_end")
        moment = select(at, end).subquery("moment")
        concerns_flow = or_(
            control.c.name.startswith(HOLD_PREFIX, autoescape=True),
            control.c.name.in_([MEMORY, FLOOD, ADOPTED]),
        )
        found = connection.execute(
            select(moment.c.read_at, moment.c.log_end, control.c.name, control.c.value).select_from(
                moment.outerjoin(control, concerns_flow)
            )
        ).all()
        named = {name: orjson.loads(value) for _, _, name, value in found if name is not None}
        return found[0][0], found[0][1], named

    def add(self, connection: Connection, name: str, value: Value) -> None:
        """Set a value; one that stands already stays as it is."""
        connection.execute(
            insert_if_absent(control).values(name=name, value=_text(value), changed_at=Now())
        )

    def put(self, connection: Connection, name: str, value: Value) -> None:
        """Set a value, whatever stood there."""
        self.add(connection, name, value)
        self._change(connection, name, value)

    def _change(self, connection: Connection, name: str, value: Value) -> None:
        connection.execute(
            update(control)
            .where(control.c.name == name)
            .values(value=_text(value), changed_at=Now())
        )

    def remove(self, connection: Connection, name: str) -> bool:
        """Remove a value; say whether it stood."""
        return connection.execute(delete(control).where(control.c.name == name)).rowcount > 0

    def holds(self, connection: Connection) -> list[Hold]:
        """Return the holds in force, by name."""
        return holds_in(self.names(connection, HOLD_PREFIX))

    def hold(self, connection: Connection, hold: Hold) -> None:
        """Put a hold in force; one of its name that stands keeps its beginning."""
        self.add(connection, HOLD_PREFIX + hold.name, hold.as_value())

    def change_hold(self, connection: Connection, hold: Hold) -> None:
        """Change what a hold that is in force lets through; one that was lifted stays lifted."""
        self._change(connection, HOLD_PREFIX + hold.name, hold.as_value())

    def lift(self, connection: Connection, name: str) -> bool:
        """Lift a hold; say whether it stood."""
        return self.remove(connection, HOLD_PREFIX + name)


class FirstSnapshotRecord:
    """Whether the pending rows of the start are on the topic, by slot.

    Thread: capture's loop.

    Args:
        engine: the database of the ledger.
        slot: the replication slot's name.
    """

    def __init__(self, engine: Engine, *, slot: str) -> None:
        self._engine = engine
        self._control = Control()
        self._name = f"first_snapshot:{slot}"

    def is_complete(self) -> bool:
        """Say whether it was recorded.

        Raises:
            DatabaseUnavailable: wait and repeat.
        """

        def work(connection: Connection) -> bool:
            return self._control.get(connection, self._name) is not None

        return in_transaction(self._engine, work)

    def mark_complete(self) -> None:
        """Record it.

        Raises:
            DatabaseUnavailable: wait and repeat.
        """

        def work(connection: Connection) -> None:
            self._control.add(connection, self._name, {})

        in_transaction(self._engine, work)

    def forget(self) -> None:
        """Take the record back: the slot was lost, and its snapshot has to be made again.

        Raises:
            DatabaseUnavailable: wait and repeat.
        """

        def work(connection: Connection) -> None:
            self._control.remove(connection, self._name)

        in_transaction(self._engine, work)


class GapRecord:
    """Gaps that deliver flagged in the outbox, or capture in the log, for capture to make good.

    Thread: capture's loop.

    Args:
        engine: the database of the ledger.
        history: is told how far the log reaches.
    """

    def __init__(self, engine: Engine, history: History) -> None:
        self._engine = engine
        self._history = history
        self._control = Control()

    def flag_log(self, why: str) -> None:
        """Flag the log: rows may be missing in it.

        Raises:
            DatabaseUnavailable: the ledger can't be asked now.
        """

        def work(connection: Connection) -> None:
            now = connection.execute(select(Now())).scalar_one()
            self._control.put(connection, f"{GAP_PREFIX}log", {"why": why, "since": str(now)})

        in_transaction(self._engine, work)

    def flagged(self) -> Mapping[str, str]:
        """Return the flags that stand, and what each says.

        Raises:
            DatabaseUnavailable: the ledger can't be asked now.
        """

        def work(connection: Connection) -> dict[str, str]:
            self._history.saw(place_of(connection)[1])
            found = self._control.names(connection, GAP_PREFIX)
            return {name: _text(value) for name, value in found.items()}

        return in_transaction(self._engine, work)

    def healed(self, flags: Mapping[str, str]) -> None:
        """Remove flags that still say the same: what was flagged anew meanwhile stays.

        Raises:
            DatabaseUnavailable: wait and repeat.
        """

        def work(connection: Connection) -> None:
            for name, said in flags.items():
                standing = self._control.get(connection, name, lock=True)
                if standing is not None and _text(standing) == said:
                    self._control.remove(connection, name)

        if flags:
            in_transaction(self._engine, work)


def holds_in(values: Mapping[str, Value]) -> list[Hold]:
    """Return the holds among control values, by name."""
    return [
        Hold.from_value(name.removeprefix(HOLD_PREFIX), values[name])
        for name in sorted(values)
        if name.startswith(HOLD_PREFIX)
    ]


def _text(value: Value) -> str:
    return orjson.dumps(value).decode()
