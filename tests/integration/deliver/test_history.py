"""The server's log never goes back under a process, nor is it another server's."""

import pytest
from sqlalchemy import ColumnElement, Connection, literal_column, select
from support.fixtures.databases import PostgresDatabase
from support.ledgers import source_settings

from cdc_sms.config.settings import LedgerSettings
from cdc_sms.databases.control import GapRecord
from cdc_sms.databases.engine import in_transaction, open_engine
from cdc_sms.databases.expressions import LogReached
from cdc_sms.databases.history import History
from cdc_sms.databases.identity import log_end
from cdc_sms.databases.migrations import upgrade
from cdc_sms.errors import NeedsPerson


def test_a_connection_to_a_log_that_has_gone_back_is_refused(
    postgres_database: PostgresDatabase,
) -> None:
    history = History()
    engine = open_engine(source_settings(postgres_database), LedgerSettings(), history=history)
    end = in_transaction(engine, log_end)
    assert end is not None
    engine.dispose()

    history.saw(end + 10**12)

    with pytest.raises(NeedsPerson, match="a backup was restored"):
        in_transaction(engine, lambda c: c.execute(select(1)))
    engine.dispose()


def test_what_a_power_failure_may_take_without_a_loss_is_not_counted(
    postgres_database: PostgresDatabase,
) -> None:
    engine = open_engine(source_settings(postgres_database), LedgerSettings())
    flushed: ColumnElement[int] = literal_column("(pg_current_wal_flush_lsn() - '0/0')::bigint")

    def work(connection: Connection) -> list[bool]:
        connection.exec_driver_sql("CREATE TABLE large (body text)")
        seen: list[bool] = []
        for _ in range(5):
            connection.exec_driver_sql(
                "INSERT INTO large SELECT repeat('x', 1000) FROM generate_series(1, 10000)"
            )
            position, safe = connection.execute(select(LogReached(), flushed)).one()
            seen.append(position <= safe)
        return seen

    assert all(in_transaction(engine, work))
    engine.dispose()


def test_a_flag_that_was_set_anew_meanwhile_stays(postgres_database: PostgresDatabase) -> None:
    engine = open_engine(source_settings(postgres_database), LedgerSettings())
    upgrade(engine, LedgerSettings())
    gaps = GapRecord(engine, History())
    insert = "INSERT INTO cdc_sms_control VALUES (%s, %s, now())"
    postgres_database.execute(insert, "gap:0", '{"committed_offset":1}')
    postgres_database.execute(insert, "gap:1", '{"committed_offset":1}')
    seen = gaps.flagged()
    postgres_database.execute(
        "UPDATE cdc_sms_control SET value = '{\"committed_offset\":2}' WHERE name = 'gap:1'"
    )

    gaps.healed(seen)

    assert list(gaps.flagged()) == ["gap:1"]
    engine.dispose()


def test_a_log_that_is_doubted_again_while_it_heals_stays_flagged(
    postgres_database: PostgresDatabase,
) -> None:
    engine = open_engine(source_settings(postgres_database), LedgerSettings())
    upgrade(engine, LedgerSettings())
    gaps = GapRecord(engine, History())
    gaps.flag_log("a session logs statements")
    seen = gaps.flagged()
    gaps.flag_log("a session logs statements")

    gaps.healed(seen)

    assert list(gaps.flagged()) == ["gap:log"]
    gaps.healed(gaps.flagged())
    assert gaps.flagged() == {}
    engine.dispose()
