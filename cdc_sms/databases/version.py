"""Which revision the ledger in a database is of; reading it needs no migration tool."""

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from cdc_sms.config.settings import LedgerSettings
from cdc_sms.errors import SetupError

VERSION_TABLE = "cdc_sms_version"
HEAD = "0003"
"""The newest revision that this version knows; ``migrations/versions`` ends with it."""


def revision_of(connection: Connection, ledger: LedgerSettings) -> str | None:
    """Return the revision of the ledger in this database; None where there is none."""
    if not inspect(connection).has_table(VERSION_TABLE, schema=ledger.ledger_schema):
        return None
    table = Table(
        VERSION_TABLE,
        MetaData(),
        Column("version_num", String(32)),
        schema=ledger.ledger_schema,
    )
    return connection.execute(select(table.c.version_num)).scalar_one_or_none()


def verify(connection: Connection, ledger: LedgerSettings) -> None:
    """Check that the ledger is there and is this version's.

    Raises:
        SetupError: it isn't; roles never migrate by themselves.
    """
    revision = revision_of(connection, ledger)
    if revision == HEAD:
        return
    found = "there is none" if revision is None else f"it is of revision {revision}"
    raise SetupError(
        f"The ledger in schema {ledger.ledger_schema!r} must be of revision {HEAD}, but {found}.",
        hint="Run 'cdc-sms migrate' with a user that may create tables.",
    )
