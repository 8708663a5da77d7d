"""The demo's connection to its business database, and what differs between the three."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymysql
from sqlalchemy import Connection, Engine, create_engine, exc, text

from cdc_sms.config import mysql_dsn
from cdc_sms.config.settings import SCHEMES, Kind

_CONNECT_TIMEOUT_S = 10
_DROPPED_WITHIN_S = 30.0
_LOOKS_AGAIN_AFTER_S = 0.1

_END_READERS = text(
    "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
    " WHERE database = :database AND active_pid IS NOT NULL"
)


def kind_of(dsn: str) -> Kind:
    """Return the database's kind by its address, which has one of ``SCHEMES``."""
    return SCHEMES[urlsplit(dsn).scheme]


def open_engine(dsn: str, password: str) -> Engine:
    """Return the way to the database, in UTC; nothing is connected yet.

    Args:
        dsn: its address, without the password.
        password: its user's.
    """
    if kind_of(dsn) == "postgres":
        return create_engine(
            "postgresql+psycopg://", creator=lambda: psycopg.connect(dsn, password=password)
        )
    return create_engine("mysql+pymysql://", creator=lambda: _mysql(dsn, password))


def create_database(dsn: str, password: str, name: str) -> None:
    """Make a database on the server.

    Args:
        dsn: another database there, whose user may do so; on MySQL and MariaDB it may name none.
        password: the user's.
        name: letters, digits and underscores.
    """
    with _committing(dsn, password) as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))


def drop_database(dsn: str, password: str, name: str) -> None:
    """Drop it; of PostgreSQL with its slots, once nobody reads them."""
    with _committing(dsn, password) as connection:
        if kind_of(dsn) == "postgres":
            _drop_with_slots(connection, name)
        else:
            connection.execute(text(f"DROP DATABASE {name}"))


def publish(dsn: str, password: str, *, publication: str, table: str) -> None:
    """Make what Debezium reads, where its connector doesn't: PostgreSQL's publication."""
    if kind_of(dsn) == "postgres":
        with _committing(dsn, password) as connection:
            connection.execute(
                text(
                    f"CREATE PUBLICATION {publication} FOR TABLE {table} WITH (publish = 'insert')"
                )
            )


def _drop_with_slots(connection: Connection, name: str) -> None:
    deadline_s = time.monotonic() + _DROPPED_WITHIN_S
    while True:
        connection.execute(_END_READERS, {"database": name})
        try:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        except exc.OperationalError:  # in use
            if time.monotonic() > deadline_s:
                raise
            time.sleep(_LOOKS_AGAIN_AFTER_S)
        else:
            return


@contextmanager
def _committing(dsn: str, password: str) -> Iterator[Connection]:
    """Have a connection on which each statement commits by itself."""
    engine = open_engine(dsn, password)
    try:
        with engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")
    finally:
        engine.dispose()


def _mysql(dsn: str, password: str) -> Any:
    return pymysql.connect(
        **mysql_dsn.driver_arguments(mysql_dsn.parse(dsn), password),
        charset="utf8mb4",
        init_command="SET time_zone = '+00:00'",
        connect_timeout=_CONNECT_TIMEOUT_S,
    )
