"""A business table's own character set and collation: every status reaches its row all the same."""

from typing import Any

import pytest
from sqlalchemy import Connection
from support.fixtures.binlog_databases import BinlogDatabase
from support.ledgers import sections_of

from cdc_sms.config.settings import TableSettings
from cdc_sms.databases.business_table import BusinessTable
from cdc_sms.databases.engine import in_transaction, open_engine
from cdc_sms.model.business_row import RowWrite

COLLATIONS = (
    "utf8mb4_bin",
    "utf8mb4_general_ci",
    "utf8mb4_unicode_ci",
    "utf8mb3_bin",
    "utf8mb3_general_ci",
    "utf16_bin",
    "utf16_general_ci",
    "utf32_bin",
    "ucs2_general_ci",
    "latin1_swedish_ci",
    "latin2_bin",
    "cp1250_general_ci",
    "ascii_bin",
    "sjis_japanese_ci",
)
OF_ONE_SERVER = {
    "mysql_database": ("utf8mb4_0900_ai_ci", "utf8mb4_0900_bin", "gb18030_chinese_ci"),
    "mariadb_database": ("utf8mb4_nopad_bin", "utf8mb4_uca1400_ai_ci"),
}
TABLE = """CREATE TABLE sms (
    code varchar(20) PRIMARY KEY, phone varchar(20), body varchar(20), message varchar(20),
    status enum('pending', 'sent', 'failed') NOT NULL DEFAULT 'pending',
    word varchar(20) DEFAULT 'pending',
    note varchar(20)
) CHARACTER SET {charset} COLLATE {collation}"""
CASES = [
    pytest.param(fixture, collation, marks=getattr(pytest.mark, fixture.partition("_")[0]))
    for fixture, others in OF_ONE_SERVER.items()
    for collation in (*COLLATIONS, *others)
]


@pytest.mark.parametrize("status", ["status", "word"])
@pytest.mark.parametrize(("fixture", "collation"), CASES)
def test_a_status_is_written_to_a_table_of_any_collation(
    request: pytest.FixtureRequest, fixture: str, collation: str, status: str
) -> None:
    database: BinlogDatabase = request.getfixturevalue(fixture)
    database.execute(TABLE.format(charset=collation.partition("_")[0], collation=collation))
    database.execute("INSERT INTO sms (code, phone, body) VALUES ('a', '1', 'x'), ('B', '2', 'y')")

    written = _written(database, status)

    assert len(written) == 2
    rows = database.execute(
        f"SELECT CONVERT(code USING utf8mb4), CONVERT({status} USING utf8mb4),"
        " CONVERT(message USING utf8mb4), CONVERT(note USING utf8mb4) FROM sms"
    )
    assert sorted(rows) == [("B", "pending", "m-2", None), ("a", "sent", "m-1", "bad")]


def _written(database: BinlogDatabase, status: str) -> set[Any]:
    columns = {
        "key": "code",
        "recipient": "phone",
        "text": "body",
        "status": status,
        "provider_message_id": "message",
        "error_text": "note",
    }
    mapping = TableSettings.model_validate({"name": "sms", "columns": columns})
    sections = sections_of(database, table=mapping)
    engine = open_engine(sections.source, sections.ledger)

    def write(connection: Connection) -> set[Any]:
        table = BusinessTable.reflect(connection, sections.table)
        a, b = table.keys_of(['["a"]', '["B"]'])
        return table.write(
            connection,
            [
                RowWrite(a, "sent", provider_message_id="m-1", error_text="bad"),
                RowWrite(b, "pending", provider_message_id="m-2", error_text=""),
            ],
        )

    try:
        return in_transaction(engine, write)
    finally:
        engine.dispose()
