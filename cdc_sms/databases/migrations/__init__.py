"""The ledger's schema, step by step, by Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.schema import CreateSchema

from cdc_sms.config.settings import LedgerSettings
from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.version import HEAD, revision_of


def upgrade(engine: Engine, ledger: LedgerSettings) -> tuple[str | None, str]:
    """Bring the ledger's schema to this version's.

    Returns:
        The revision before (None: there was no ledger) and the one now.

    Raises:
        DatabaseUnavailable: the database can't be reached.
        SetupError: the user may not create tables there.
    """

    def work(connection: Connection) -> tuple[str | None, str]:
        if ledger.ledger_schema not in inspect(connection).get_schema_names():
            connection.execute(CreateSchema(ledger.ledger_schema))
        before = revision_of(connection, ledger)
        command.upgrade(_config(connection, ledger), "head")
        return before, HEAD

    return in_transaction(engine, work)


def _config(connection: Connection, ledger: LedgerSettings) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    config.attributes["schema"] = ledger.ledger_schema
    return config
