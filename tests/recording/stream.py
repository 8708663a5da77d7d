"""Record what a replica is sent: ``python -m recording.stream [mysql-9.7] …``."""

import secrets
import sys
from collections.abc import Sequence

from support.binlog_sources import BinlogBusiness
from support.fixtures.binlog_databases import BinlogDatabase, fresh_binlog_database

from cdc_sms.config.settings import SourceSettings
from cdc_sms.sources.binlog import replica, server
from cdc_sms.sources.binlog.connection import close, connect
from cdc_sms.sources.binlog.position import BinlogPosition
from recording.values import DATA, SERVERS

STEPS = (
    "INSERT INTO other (id, x) VALUES (1, 'before')",
    "INSERT INTO sms (id, body) VALUES (1, 'one'), (2, 'two')",
    (
        "INSERT INTO sms (id, body) VALUES (3, 'three'); INSERT INTO other (id) VALUES (2);"
        "INSERT INTO sms (id, body) VALUES (4, NULL)"
    ),
    "INSERT INTO cdc_sms_heartbeat VALUES ('reader', 1, '2026-11-24 12:00:00')",
    "UPDATE sms SET status = 'sent' WHERE id = 1",
    "DELETE FROM sms WHERE id = 2",
    "ALTER TABLE sms ADD COLUMN price int DEFAULT 7",
    "INSERT INTO sms (id, body) VALUES (5, 'five')",
)
MYSQL_STEPS = (
    (
        "SET SESSION binlog_transaction_compression = ON;"
        "INSERT INTO sms (id, body) VALUES (6, repeat('six ', 500)), (7, 'seven')"
    ),
    "SET SESSION gtid_next = 'AUTOMATIC:tag'; INSERT INTO sms (id, body) VALUES (8, 'eight')",
)
XA_STEPS = (
    "XA START 'held'",
    "INSERT INTO sms (id, body) VALUES (9, 'nine')",
    "XA END 'held'",
    "XA PREPARE 'held'",
    "XA COMMIT 'held'",
)
WAIT_S = 5.0


def main(names: Sequence[str]) -> None:
    """Record the servers."""
    for name in names or ("mysql-9.7", "mariadb-10.11"):
        recorded, _parts = SERVERS[name]
        with (
            recorded.borrowed() as address,
            fresh_binlog_database(address, secrets.token_hex(3)) as database,
        ):
            packets = _recorded(database)
        lines = [packet.hex() + "\n" for packet in packets]
        (DATA / "binlog" / f"{name}.stream.hex").write_text("".join(lines))


def _recorded(database: BinlogDatabase) -> list[bytes]:
    business = BinlogBusiness(database)
    settings = SourceSettings.model_validate(
        {"dsn": database.dsn, "password": database.server.password}
    )
    connection = connect(settings)
    try:
        asked = server.describe(connection)
        begin = server.end_of_log(connection, asked)
        assert begin is not None
        for step in (*STEPS, *(() if asked.is_mariadb else MYSQL_STEPS)):
            business.execute(step)
        with database.connect() as session, session.cursor() as cursor:
            for step in XA_STEPS:
                cursor.execute(step)
        position = BinlogPosition(asked.identity, begin.file, begin.offset)
        server_id = replica.chosen_id(connection, asked, wanted=None, name="recording")
        replica.register(connection, server_id)
        wire = replica.dump(connection, asked, position, server_id=server_id, waits=False)
        packets: list[bytes] = []
        while (packet := wire.packet(WAIT_S)) is not None and not wire.is_end(packet):
            packets.append(packet)
    finally:
        close(connection)
    return packets


if __name__ == "__main__":
    main(sys.argv[1:])
