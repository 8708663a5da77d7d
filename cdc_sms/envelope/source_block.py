"""The ``source`` field of a record, as each of Debezium's connectors writes it. Pure.

It says where a row was read, and nothing of the row: for people, and for tools that order records
by it. Fields that say other things than Debezium's: ``version`` and ``name`` say who we are; of a
snapshot's rows ``snapshot`` is ``true`` for every one, the first and the last included.

Source: Debezium's documentation, "Data change events" of the PostgreSQL, MySQL and MariaDB
connectors; the golden records in ``tests/data/debezium``.
"""

from typing import Protocol

import orjson

from cdc_sms.model.captured_row import BinlogTransaction, CapturedRow, CapturedTable, Transaction
from cdc_sms.model.change_event import Operation


class SourceBlock(Protocol):
    """How one connector's ``source`` is written: a template for a table, filled for each row."""

    def template(self, table: CapturedTable) -> bytes:
        """Return the JSON object with a place (``%b``, ``%d``) for each part of :meth:`fill`."""
        ...

    def fill(self, row: CapturedRow) -> tuple[object, ...]:
        """Return what goes into the template's places, in their order."""
        ...


class PostgresBlock:
    """``source`` of the PostgreSQL connector.

    ``sequence`` begins with the end of the transaction before; of a snapshot's rows ``txId`` is
    null.

    Args:
        name: what the records say as their source's name: the topics' prefix.
        database: the database's name.
        version: of this program.
    """

    def __init__(self, *, name: str, database: str, version: str) -> None:
        self._name = name
        self._database = database
        self._version = version

    def template(self, table: CapturedTable) -> bytes:
        """Return the object with its places; see :class:`SourceBlock`."""
        version, name, database, schema, table_name = map(
            _literal, (self._version, self._name, self._database, table.schema, table.name)
        )
        return (
            b'{"version":' + version
            + b',"connector":"postgresql","name":' + name
            + b',"ts_ms":%d,"snapshot":"%b","db":' + database
            + b',"sequence":"[%b,\\"%d\\"]","ts_us":%d,"ts_ns":%d000,"schema":' + schema
            + b',"table":' + table_name
            + b',"txId":%b,"lsn":%d,"xmin":null,"origin":%b,"origin_lsn":%b}'
        )  # fmt: skip

    def fill(self, row: CapturedRow) -> tuple[object, ...]:
        """Return the places' content; see :class:`SourceBlock`."""
        transaction, position = row.transaction, row.position
        assert isinstance(transaction, Transaction)
        committed_us = transaction.committed_us
        former, origin = transaction.former_position, transaction.origin
        return (
            committed_us // 1000,
            _snapshot(row),
            b"null" if former is None else b'\\"%d\\"' % former,
            position,
            committed_us,
            committed_us,
            b"null" if transaction.id is None else b"%d" % transaction.id,
            position,
            b"null" if origin is None else orjson.dumps(origin[0]),
            b"null" if origin is None else b"%d" % origin[1],
        )


class BinlogBlock:
    """``source`` of the MySQL and the MariaDB connector.

    Args:
        connector: ``mysql`` or ``mariadb``.
        name: what the records say as their source's name: the topics' prefix.
        version: of this program.
    """

    def __init__(self, *, connector: str, name: str, version: str) -> None:
        self._connector = connector
        self._name = name
        self._version = version

    def template(self, table: CapturedTable) -> bytes:
        """Return the object with its places; see :class:`SourceBlock`."""
        version, connector, name, database, table_name = map(
            _literal, (self._version, self._connector, self._name, table.schema, table.name)
        )
        return (
            b'{"version":' + version
            + b',"connector":' + connector
            + b',"name":' + name
            + b',"ts_ms":%d,"snapshot":"%b","db":' + database
            + b',"sequence":null,"ts_us":%d,"ts_ns":%d000,"table":' + table_name
            + b',"server_id":%d,"gtid":%b,"file":%b,"pos":%d,"row":%d,"thread":%b,"query":null}'
        )  # fmt: skip

    def fill(self, row: CapturedRow) -> tuple[object, ...]:
        """Return the places' content; see :class:`SourceBlock`."""
        transaction = row.transaction
        assert isinstance(transaction, BinlogTransaction)
        committed_us = transaction.committed_us
        return (
            committed_us // 1000,
            _snapshot(row),
            committed_us,
            committed_us,
            transaction.server_id,
            orjson.dumps(transaction.gtid),
            orjson.dumps(transaction.file),
            row.position,
            row.ordinal,
            b"null" if transaction.thread is None else b"%d" % transaction.thread,
        )


def _literal(text: str) -> bytes:
    return orjson.dumps(text).replace(b"%", b"%%")


def _snapshot(row: CapturedRow) -> bytes:
    return b"true" if row.operation is Operation.READ else b"false"
