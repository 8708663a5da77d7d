"""Servers that somebody runs: the demo makes a database and topics of its own, and removes them."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import unquote, urlsplit

from sqlalchemy import exc

from cdc_sms.config.settings import SCHEMES, KafkaSettings
from cdc_sms.errors import ConfigurationError, DatabaseUnavailable, SetupError
from cdc_sms.kafka.connection import admin_client
from cdc_sms.playground.configuration import Servers
from cdc_sms.playground.database import create_database, drop_database

_PARTITIONS = 6
_TIMEOUT_S = 30.0


@contextmanager
def real_servers(
    dsn: str, bootstrap_servers: str, reader: Literal["builtin", "debezium"]
) -> Iterator[Servers]:
    """Have a database and a topic prefix of our own on running servers for a while.

    Args:
        dsn: a database, or its server, whose user may make others and replicate; with password.
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
    with _own_database(dsn, password, name):
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
    if parts.scheme not in SCHEMES or not parts.password:
        raise ConfigurationError(
            "The address of the demo's database is no URL with user and password.",
            hint="Give it as postgresql://user:password@host:5432/database, or mysql://…, or "
            "mariadb://….",
        )
    user, at, host = parts.netloc.rpartition("@")
    place = f"{user.partition(':')[0]}{at}{host}"
    return parts._replace(netloc=place, path=f"/{database}").geturl(), unquote(parts.password)


@contextmanager
def _own_database(dsn: str, password: str, name: str) -> Iterator[None]:
    try:
        create_database(dsn, password, name)
    except exc.DBAPIError as error:
        if error.statement is None:
            raise DatabaseUnavailable(
                f"The demo's database can't be reached: {str(error.orig).strip()}",
                hint="Check --dsn, or leave --servers real out.",
            ) from error
        raise SetupError(
            f"The demo can't make a database of its own: {str(error.orig).strip()}",
            hint="Name a user that may make databases and replicate.",
        ) from error
    try:
        yield
    finally:
        drop_database(dsn, password, name)


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
