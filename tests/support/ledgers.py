"""A business table, the ledger and the steps that work on them, on a real database."""

import itertools
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from cdc_sms.config.settings import DeliverSettings, Sections, SourceSettings, TableSettings
from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.control import Control
from cdc_sms.databases.engine import in_transaction, open_engine
from cdc_sms.databases.history import History
from cdc_sms.databases.ledger import Ledger
from cdc_sms.databases.migrations import upgrade
from cdc_sms.deliver.claim import Claims
from cdc_sms.deliver.decide import Claim, Result
from cdc_sms.deliver.flood import FloodGuard
from cdc_sms.deliver.intake import Look
from cdc_sms.deliver.route import route
from cdc_sms.deliver.settle import Settlement, Settles
from cdc_sms.deliver.write_back import WriteBack
from cdc_sms.errors import CdcSmsError
from cdc_sms.kafka.offsets import Place
from cdc_sms.model.clock import SystemClock
from cdc_sms.model.hold import Hold
from cdc_sms.model.message import key_text
from cdc_sms.model.outcome import Outcome
from support.business.base import Business, Database, Session
from support.business.dialects import business_of
from support.factories import record

SETTINGS = DeliverSettings(
    request_deadline_s=2, lease_s=5, lease_grace_s=1, doubt_pause_s=1, shutdown_grace_s=5
)

TABLE = TableSettings.model_validate(
    {
        "name": "sms",
        "columns": {
            "key": "id",
            "recipient": "phone",
            "text": "body",
            "sender": "sender",
            "status": "status",
            "created_at": "created_at",
            "send_after": "send_after",
            "expires_at": "expires_at",
            "provider_message_id": "provider_message_id",
            "sent_at": "sent_at",
            "error_text": "error_text",
            "attempts": "attempts",
        },
        "status": {"sending": "sending"},
    }
)

_offsets = itertools.count()


@dataclass(frozen=True)
class Bench:
    """The steps that work on one database, and what a test asks of them."""

    database: Database
    engine: Engine
    table: BusinessTable
    ledger: Ledger
    claims: Claims
    settles: Settles
    settings: DeliverSettings
    name: str

    @property
    def business(self) -> Business:
        """Return the application's side of the database."""
        return business_of(self.database)

    def application(self) -> Session:
        """Open a connection of the application's, which keeps what it locks."""
        return self.business.session()

    def hold(self, hold: Hold) -> None:
        """Put a hold in force."""
        in_transaction(self.engine, lambda c: Control().hold(c, hold))

    def holds(self) -> list[Hold]:
        """Return the holds in force."""
        return in_transaction(self.engine, Control().holds)

    def look(self, *key: object, transaction_id: int | None = None, from_log: bool = False) -> Look:
        """Return a look at a key.

        Args:
            key: the primary key's values.
            transaction_id: of a record from the log, where the database counts its transactions.
            from_log: whether the row may not be visible yet.
        """
        one = record(offset=next(_offsets))
        place = Place(0, one.offset, 1)
        was_visible = transaction_id is None and not from_log
        text = key_text(self.name, key)
        return Look(one, place, key, text, transaction_id, was_visible=was_visible)

    def take(self, *looks: Look, token: str | None = None, probing: bool = False) -> list[Result]:
        """Run one claim transaction."""
        taken = self.claims.take(
            looks,
            token=token or str(uuid.uuid4()),
            lease_until_s=1e9,
            probing=probing,
        )
        return taken.results

    def claim(self, *keys: Any) -> list[Claim]:
        """Claim rows that can be claimed."""
        wanted = [self.look(*(key if isinstance(key, tuple) else (key,))) for key in keys]
        results = self.take(*wanted)
        claims = [result for result in results if isinstance(result, Claim)]
        assert len(claims) == len(keys), results
        return claims

    def settle(self, claims: Sequence[Claim], outcome: Outcome | None) -> list[Result]:
        """Settle claims that all led to the same outcome."""
        return self.settles.settle([self._settlement(claim, outcome) for claim in claims])

    def _settlement(self, claim: Claim, outcome: Outcome | None) -> Settlement:
        if outcome is None:
            return Settlement(claim, None, None)
        way = route(
            outcome,
            attempts=claim.message.attempts,
            counted=True,
            settings=self.settings,
            random_source=random.Random(1),
        )
        return Settlement(claim, outcome, way, None, 1)

    def state(self, message_id: str) -> dict[str, Any]:
        """Return one message's ledger row."""
        with self.engine.connect() as connection:
            row = connection.exec_driver_sql(
                "SELECT * FROM cdc_sms_delivery WHERE id = %s", (message_id,)
            )
            return dict(row.mappings().one())

    def insert(self, text: str = "hello", phone: str = "+48600100200") -> int:
        """Insert a row as the application does; return its key."""
        with self.business.session(commits=True) as session:
            session.insert([(phone, text)])
            [(key,)] = session.execute("SELECT max(id) FROM sms")
        return int(key)

    def row(self, key: int) -> dict[str, Any]:
        """Return one row of the plain table."""
        with self.engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT * FROM sms WHERE id = %s", (key,))
            return dict(found.mappings().one())


def source_settings(database: Database) -> SourceSettings:
    """Return settings for a database, by its superuser."""
    business = business_of(database)
    return SourceSettings.model_validate({"dsn": business.dsn, "password": business.password})


def sections_of(
    database: Database, *, table: TableSettings = TABLE, schema: str | None = None
) -> Sections:
    """Return a whole configuration for a database."""
    return Sections.model_validate(
        {
            "source": source_settings(database).model_dump(),
            "table": table.model_dump(),
            "ledger": {"lock_timeout_s": 0.3, "schema_name": schema},
            "kafka": {"bootstrap_servers": "127.0.0.1:1"},
            "providers": {"justsend": {}},
        }
    )


def bench(
    database: Database,
    *,
    create: Any = None,
    is_there: bool = False,
    table: TableSettings = TABLE,
    settings: DeliverSettings = SETTINGS,
    schema: str | None = None,
) -> Bench:
    """Make the table and the ledger, and build the steps on them.

    Args:
        database: where.
        create: the statement that makes the table; None: the usual one.
        is_there: the table is made already.
        table: its mapping.
        settings: of deliver.
        schema: of the ledger; None: as the database has it by default.
    """
    if not is_there:
        usual = business_of(database).table.replace("error_text text", "error_text varchar(40)")
        database.execute(create or usual)
    sections = sections_of(database, table=table, schema=schema)
    engine = open_engine(sections.source, sections.ledger, role="test")
    upgrade(engine, sections.ledger)
    try:
        reflected = in_transaction(engine, lambda c: BusinessTable.reflect(c, sections.table))
    except CdcSmsError:
        engine.dispose()
        raise
    ledger, write_back = Ledger(), WriteBack(reflected)
    flood = FloodGuard(control=Control(), after=settings.flood_after, clock=SystemClock())
    claims = Claims(
        engine=engine,
        table=reflected,
        ledger=ledger,
        write_back=write_back,
        flood=flood,
        account="account:justsend",
        history=History(),
        settings=settings,
    )
    settles = Settles(
        engine=engine,
        table=reflected,
        ledger=ledger,
        write_back=write_back,
        flood=flood,
        provider="justsend",
    )
    return Bench(database, engine, reflected, ledger, claims, settles, settings, table.name)
