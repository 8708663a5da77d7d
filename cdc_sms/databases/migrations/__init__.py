"""The ledger's schema, step by step, by Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.schema import CreateSchema

from cdc_sms.config.settings import LedgerSettings
from cdc_sms.databases.engine import in_transaction
from cdc_sms.errors import SetupError

VERSION_TABLE = "cdc_sms_version"


def upgrade(engine: Engine, ledger: LedgerSettings) -> tuple[str | None, str]:
    """Bring the ledger's schema to this version's.

    Returns:
        The revision before (None: there was no ledger) and the one now.

    Raises:
        DatabaseUnavailable: the database can't be reached.
        SetupError: the user may not create tables there.
    """

    def work(connection: Connection) -> tuple[str | None, str]:
        if ledger.schema_name not in inspect(connection).get_schema_names():
            connection.execute(CreateSchema(ledger.schema_name))
        before = _revision(connection, ledger)
        command.upgrade(_config(connection, ledger), "head")
        return before, head()

    return in_transaction(engine, work)


def verify(connection: Connection, ledger: LedgerSettings) -> None:
    """Check that the ledger is there and is this version's.

    Raises:
        SetupError: it isn't; roles never migrate by themselves.
    """
    revision = _revision(connection, ledger)
    if revision == head():
        return
    found = "there is none" if revision is None else f"it is of revision {revision}"
    raise SetupError(
        f"The ledger in schema {ledger.schema_name!r} must be of revision {head()}, but {found}.",
        hint="Run 'cdc-sms migrate' with a user that may create tables.",
    )


def head() -> str:
    """Return the newest revision that this version knows."""
    revision = ScriptDirectory(str(Path(__file__).parent)).get_current_head()
    assert revision is not None
    return revision


def _revision(connection: Connection, ledger: LedgerSettings) -> str | None:
    context = MigrationContext.configure(
        connection,
        opts={"version_table": VERSION_TABLE, "version_table_schema": ledger.schema_name},
    )
    return context.get_current_revision()


def _config(connection: Connection, ledger: LedgerSettings) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    config.attributes["schema"] = ledger.schema_name
    return config
