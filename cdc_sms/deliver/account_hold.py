"""The hold of a provider's account: in the ledger, so that every member obeys it."""

import logging

from sqlalchemy import Connection, Engine

from cdc_sms.databases.control import Control
from cdc_sms.databases.engine import in_transaction
from cdc_sms.model.clock import Clock
from cdc_sms.model.hold import Hold, HoldKind

_log = logging.getLogger(__name__)


class AccountHold:
    """Puts the hold in force and lifts it.

    Thread: the ledger's.
    """

    def __init__(self, *, engine: Engine, provider: str, clock: Clock) -> None:
        self._engine = engine
        self._control = Control()
        self._provider = provider
        self._clock = clock

    @property
    def name(self) -> str:
        """Return what the ledger calls it."""
        return f"account:{self._provider}"

    def publish(self, code: str) -> None:
        """Put it in force for every member; one that is in force keeps its beginning.

        Raises:
            DatabaseUnavailable: repeat it.
        """
        hold = Hold(
            name=self.name,
            kind=HoldKind.ACCOUNT,
            reason=f"the provider answered {code}",
            since=self._clock.now(),
            facts={"code": code},
        )

        def work(connection: Connection) -> None:
            self._control.hold(connection, hold)

        in_transaction(self._engine, work)

    def lift(self) -> None:
        """Lift it, whoever put it in force.

        Raises:
            DatabaseUnavailable: repeat it.
        """

        def work(connection: Connection) -> bool:
            return self._control.lift(connection, self.name)

        if in_transaction(self._engine, work):
            _log.info("hold.ended", extra={"kind": "account", "provider": self._provider})
