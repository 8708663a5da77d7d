"""Servers that somebody runs: the demo makes a database and topics of its own, and removes them."""

import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from cdc_sms.config.settings import KafkaSettings
from cdc_sms.errors import ConfigurationError, DatabaseUnavailable, SetupError
from cdc_sms.kafka.connection import admin_client
from cdc_sms.playground.configuration import Servers

_PARTITIONS = 6
_TIMEOUT_S = 30.0
_LOOKS_AGAIN_AFTER_S = 0.1

_END_READERS_SQL = """
SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
WHERE database = %s AND active_pid IS NOT NULL
"""


@contextmanager
def real_servers(
    dsn: str, bootstrap_servers: str, reader: Literal["builtin", "debezium"]
) -> Iterator[Servers]:
    """Have a database and a topic prefix of our own on running servers for a while.

    Args:
        dsn: a database whose user may make others and replicate; with password.
        bootstrap_servers: the brokers.
        reader: who captures.

    Raises:
        ConfigurationError: the database's address is no URL.
        DatabaseUnavailable: the database can't be reached.
        SetupError: its user may not make a database.
    """
    name = f"cdc_sms_demo_{secrets.token_hex(4)}"
    kafka: dict[str, object] = {
        "bootstrap_servers": bootstrap_servers,
        "prefix": name.replace("_", "-"),
        "partitions": _PARTITIONS,
    }
    own_dsn, password = without_password(dsn, database=name)
    with _own_database(dsn, name):
        try:
            yield Servers(name=name, dsn=own_dsn, password=password, kafka=kafka, reader=reader)
        finally:
            _remove_topics(KafkaSettings.model_validate(kafka))


def without_password(dsn: str, *, database: str) -> tuple[str, str]:
    """Return the URL of another database on the same server, and the password apart.

    Raises:
        ConfigurationError: the address is no URL with a password.
    """
    parts = urlsplit(dsn)
    if parts.scheme not in {"postgresql", "postgres"} or not parts.password:
        raise ConfigurationError(
            "The address of the demo's PostgreSQL is no URL with user and password.",
            hint="Give it as postgresql://user:password@host:5432/database.",
        )
    user, at, host = parts.netloc.rpartition("@")
    place = f"{user.partition(':')[0]}{at}{host}"
    return parts._replace(netloc=place, path=f"/{database}").geturl(), unquote(parts.password)


@contextmanager
def _own_database(dsn: str, name: str) -> Iterator[None]:
    try:
        with closing(psycopg.connect(dsn, autocommit=True)) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(
            f"The demo's PostgreSQL can't be reached: {str(error).strip()}",
            hint="Check --postgres-dsn, or leave --servers real out.",
        ) from error
    except psycopg.Error as error:
        raise SetupError(
            f"The demo can't make a database of its own: {str(error).strip()}",
            hint="Name a user that may make databases and replicate.",
        ) from error
    try:
        yield
    finally:
        with closing(psycopg.connect(dsn, autocommit=True)) as connection:
            _drop(connection, name)


def _drop(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop a database; PostgreSQL drops its slots along with it, once nobody reads them."""
    deadline_s = time.monotonic() + _TIMEOUT_S
    while True:
        connection.execute(_END_READERS_SQL, [name])
        try:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )
        except psycopg.errors.ObjectInUse:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(_LOOKS_AGAIN_AFTER_S)
        else:
            return


def _remove_topics(kafka: KafkaSettings) -> None:
    client = admin_client(kafka)
    ours = [
        topic
        for topic in client.list_topics(timeout=_TIMEOUT_S).topics
        if topic.startswith(f"{kafka.prefix}.")
    ]
    groups = client.delete_consumer_groups([kafka.deliver_group], request_timeout=_TIMEOUT_S)
    for removed in [*groups.values(), *(client.delete_topics(ours).values() if ours else [])]:
        # what was never made can't be removed
        removed.exception(timeout=_TIMEOUT_S)
