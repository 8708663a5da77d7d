"""One long act at a time: a lock of the database that ends with the process that took it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, exc, select

from cdc_sms.databases.engine import classified, dialect_of
from cdc_sms.databases.schema import SCHEMA
from cdc_sms.errors import ActRefused


class ActLock:
    """The lock, while it is held.

    Thread: one.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def check(self) -> None:
        """Make sure that the lock is still ours: it is gone with its connection.

        Raises:
            DatabaseUnavailable: it is gone; what is done is done, and the act may be given again.
        """
        try:
            self._connection.execute(select(1))
        except exc.SQLAlchemyError as error:
            raise classified(error) from error


@contextmanager
def only_act(engine: Engine) -> Iterator[ActLock]:
    """Hold the lock that replays and resolves of many messages share.

    It lives in a session of its own, outside any transaction, so that neither an interrupted nor
    a killed process leaves it behind.

    Raises:
        ActRefused: another process holds it.
        DatabaseUnavailable: the database can't be reached now.
    """
    schema = engine.get_execution_options()["schema_translate_map"][SCHEMA]
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if not dialect_of(connection).try_lock(connection, f"act {schema}"):
                raise ActRefused(
                    "Another replay, discard or resolve of many messages is running.",
                    hint="Wait for its end; if it was killed just now, its lock ends with it.",
                )
            try:
                yield ActLock(connection)
            finally:
                connection.invalidate()  # closes the session, and the lock with it
    except exc.SQLAlchemyError as error:
        raise classified(error) from error
