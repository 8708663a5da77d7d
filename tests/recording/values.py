"""Record rows of every type of MySQL and MariaDB: ``python -m recording.values [mysql-9.7] …``.

For each server: the log's events of the rows, what Debezium writes for them, how the data
dictionary describes their columns, and what a SELECT of the snapshot shows of them.
"""

import json
import re
import secrets
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from confluent_kafka import Consumer, TopicPartition
from pymysql.constants import COMMAND
from support.fixtures.binlog_databases import BinlogDatabase, fresh_binlog_database
from support.servers.connect import CONNECT, ConnectAddress
from support.servers.mariadb import MARIADB, MARIADB118
from support.servers.mysql import MYSQL, BinlogServer
from support.waiting import until

from cdc_sms.sources.binlog.column import Column
from cdc_sms.sources.binlog.texts import selected

DATA = Path(__file__).parents[1] / "data"
SERVERS: Mapping[str, tuple[BinlogServer, Sequence[str]]] = {
    "mysql-9.7": (MYSQL, ("", "-mysql")),
    "mariadb-10.11": (MARIADB, ("", "-mariadb")),
    "mariadb-11.8": (MARIADB118, ("", "-mariadb", "-mariadb-11.8")),
}
PARTITIONS = 12
TABLE_MAP, WRITE_ROWS_1, WRITE_ROWS_2 = 19, 23, 30
CHECKSUM_BYTES = 4
MARK = "mark"
"""A table of the recording's own: the row in it comes last."""

WITHIN_S = 120


def main(names: Sequence[str]) -> None:
    """Record the servers."""
    with CONNECT.borrowed() as connect:
        for name in names or SERVERS:
            server, parts = SERVERS[name]
            with (
                server.borrowed() as address,
                fresh_binlog_database(address, secrets.token_hex(3)) as database,
            ):
                _Recording(name, connect, database, parts).run()


@dataclass(frozen=True)
class _Recording:
    name: str
    connect: ConnectAddress
    database: BinlogDatabase
    parts: Sequence[str]

    def run(self) -> None:
        self.database.execute("ALTER DATABASE CHARACTER SET utf8mb4")
        self.database.execute(f"CREATE TABLE {MARK} (id INT PRIMARY KEY)")
        for statement in self._statements("tables"):
            self.database.execute(statement)
        with self._connector():
            file, position = self._end_of_log()
            with closing(self.database.connect()) as connection, connection.cursor() as cursor:
                for statement in self._statements("rows"):
                    cursor.execute(statement)
                cursor.execute(f"INSERT INTO {MARK} VALUES (1)")
            self._write("debezium", "jsonl", map(json.dumps, self._records()))
        self._write("binlog", "hex", (event.hex() for event in self._events(file, position)))
        columns = list(self._columns())
        self._write("binlog", "columns.jsonl", map(json.dumps, columns))
        self._write("binlog", "selected.jsonl", map(json.dumps, self._selected(columns)))

    def _write(self, folder: str, suffix: str, lines: Iterator[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        (DATA / folder / f"{self.name}.{suffix}").write_text(text, encoding="utf-8")

    def _statements(self, kind: str) -> Iterator[str]:
        for part in self.parts:
            text = (DATA / "binlog" / f"{kind}{part}.sql").read_text(encoding="utf-8")
            yield from (statement for statement in re.split(r";\n", text) if statement.strip())

    # Debezium

    @contextmanager
    def _connector(self) -> Iterator[None]:
        url = f"{self.connect.url}/connectors/{self.database.name}"
        requests.put(f"{url}/config", json=self._configuration(), timeout=30).raise_for_status()
        try:
            self.database.execute(f"INSERT INTO {MARK} VALUES (0)")
            self._read_to(0)
            yield
        finally:
            requests.delete(url, timeout=30).raise_for_status()

    def _configuration(self) -> Mapping[str, str]:
        address, name = self.database.server, self.database.name
        is_mysql = address.scheme == "mysql"
        own = {"database.ssl.mode": "disable"}
        if is_mysql:
            own = {"database.ssl.mode": "disabled", "driver.allowPublicKeyRetrieval": "true"}
        kind = "mysql.MySql" if is_mysql else "mariadb.MariaDb"
        converters = {
            f"{part}.converter{setting}": value
            for part in ("key", "value")
            for setting, value in _CONVERTER.items()
        }
        return {
            **own,
            **converters,
            "connector.class": f"io.debezium.connector.{kind}Connector",
            "database.hostname": address.host,
            "database.port": str(address.port),
            "database.user": address.user,
            "database.password": address.password,
            "database.server.id": "57301",
            "database.include.list": name,
            "schema.history.internal.kafka.topic": f"{name}.history",
            "schema.history.internal.kafka.bootstrap.servers": self.connect.bootstrap,
            "topic.prefix": name,
            "transforms": "all",
            "transforms.all.type": "org.apache.kafka.connect.transforms.RegexRouter",
            "transforms.all.regex": ".*",
            "transforms.all.replacement": self._topic,
            "include.schema.changes": "false",
            "decimal.handling.mode": "string",
            "poll.interval.ms": "10",
            "topic.creation.default.partitions": str(PARTITIONS),
            "topic.creation.default.replication.factor": "1",
        }

    @property
    def _topic(self) -> str:
        return f"{self.database.name}.outbox"

    def _records(self) -> list[Mapping[str, object]]:
        """Return the records in the log's order."""
        records = [(json.loads(one["value"]), one) for one in self._read_to(1)]
        sources = [(value["source"], one) for value, one in records]
        sources.sort(key=lambda pair: (pair[0]["pos"], pair[0]["row"]))
        return [{"table": source["table"], **one} for source, one in sources]

    def _read_to(self, mark: int) -> list[dict[str, Any]]:
        """Return everything that is there once a mark is; without the marks."""
        found: list[dict[str, Any]] = []
        with closing(
            Consumer({"bootstrap.servers": self.connect.bootstrap, "group.id": self._topic})
        ) as consumer:
            until(
                lambda: consumer.list_topics(self._topic, timeout=5).topics[self._topic].partitions,
                within_s=WITHIN_S,
                what="Debezium to write",
            )
            consumer.assign([TopicPartition(self._topic, part, 0) for part in range(PARTITIONS)])

            def read() -> bool:
                message = consumer.poll(1)
                if message is not None and message.error() is None:
                    key, value = message.key() or b"", message.value() or b""
                    one = {"key": key.decode(), "value": value.decode()}
                    found.append({"partition": message.partition(), **one})
                # nothing for a second, and the mark was there: other partitions are read too
                return message is None and any(_is_mark(one, mark) for one in found)

            until(read, within_s=WITHIN_S, what=f"mark {mark}", every_s=0)
        return [one for one in found if f'"table":"{MARK}"' not in one["value"]]

    # The server

    def _end_of_log(self) -> tuple[str, int]:
        is_mysql = self.database.server.scheme == "mysql"
        asked = "SHOW BINARY LOG STATUS" if is_mysql else "SHOW MASTER STATUS"
        file, position, *_ = self.database.execute(asked)[0]
        return file, position

    def _events(self, file: str, position: int) -> Iterator[bytes]:
        """Return the log's descriptions of tables and rows of this database, without checksums."""
        with closing(self.database.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SET @master_binlog_checksum = 'CRC32', @mariadb_slave_capability = 4")
            request = struct.pack("<IHI", position, 1, 57_302) + file.encode()
            # the protocol below what the driver offers
            below: Any = connection
            below._execute_command(COMMAND.COM_BINLOG_DUMP, request)
            is_ours = False
            while (packet := below._read_packet().get_all_data())[0] == 0:
                event = packet[1:-CHECKSUM_BYTES]
                if event[4] == TABLE_MAP:
                    names = event[27:].split(b"\0")
                    is_ours = names[0][1:] == self.database.name.encode() and (
                        names[1][1:] != MARK.encode()
                    )
                if is_ours and event[4] in (TABLE_MAP, WRITE_ROWS_1, WRITE_ROWS_2):
                    yield event

    def _columns(self) -> Iterator[dict[str, Any]]:
        for row in self.database.execute(_COLUMNS, self.database.name):
            yield dict(zip(_COLUMN_NAMES, row, strict=True))

    def _selected(self, columns: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, object]]:
        """Return each row as the text protocol has it."""
        tables: dict[str, list[str]] = {}
        for column in columns:
            shown = selected(Column("", 0, 0, column["declared"]), f"`{column['name']}`")
            tables.setdefault(column["table"], []).append(shown)
        with closing(self.database.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00', character_set_results = NULL")
            for table, expressions in tables.items():
                for values in _raw(connection, f"SELECT {', '.join(expressions)} FROM {table}"):
                    yield {"table": table, "row": values}


def _raw(connection: Any, query: str) -> Iterator[list[str | None]]:
    """Run a query; the values in hexadecimal, as the server sends them."""
    connection._execute_command(COMMAND.COM_QUERY, query)
    count = connection._read_packet().read_length_encoded_integer()
    for _ in range(count + 1):
        connection._read_packet()
    while not (packet := connection._read_packet()).is_eof_packet():
        values = [packet.read_length_coded_string() for _ in range(count)]
        yield [None if value is None else value.hex() for value in values]


def _is_mark(one: Mapping[str, Any], mark: int) -> bool:
    value = json.loads(one["value"])
    return bool(value["source"]["table"] == MARK and value["after"]["id"] == mark)


_CONVERTER = {
    "": "org.apache.kafka.connect.json.JsonConverter",
    ".schemas.enable": "false",
    ".replace.null.with.default": "false",
}
_COLUMN_NAMES = (
    "table",
    "name",
    "declared",
    "type",
    "charset",
    "nullable",
    "default",
    "scale",
    "digits",
    "precision",
    "is_key",
)
_COLUMNS = f"""
    SELECT table_name, column_name, data_type, column_type, character_set_name,
        is_nullable, column_default, numeric_scale, datetime_precision, numeric_precision,
        column_key = 'PRI'
    FROM information_schema.columns
    WHERE table_schema = %s AND table_name <> '{MARK}'
    ORDER BY table_name, ordinal_position
"""


if __name__ == "__main__":
    main(sys.argv[1:])
