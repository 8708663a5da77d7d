"""The servers that the demo brings along: they start in a second and leave nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdc_sms.playground.broker import GROUP_PROTOCOL, LIBRDKAFKA, PARTITION_BYTES, EmbeddedBroker
from cdc_sms.playground.configuration import Servers
from cdc_sms.playground.postgres import EmbeddedPostgres

_PREFIX = "cdc-sms-demo"
_PARTITIONS = 6
_RECORD_BYTES = 1500
_SHARE = 0.5

LARGEST = int(_PARTITIONS * PARTITION_BYTES * _SHARE / _RECORD_BYTES) // 1000 * 1000
"""The most messages that the embedded broker holds without dropping any: each record counted as
1.5 kB, and half of the room left for keys that fall unevenly and records that are emitted again."""


@contextmanager
def embedded_servers(folder: Path) -> Iterator[Servers]:
    """Have a PostgreSQL and a broker of our own for a while.

    Args:
        folder: an existing folder; PostgreSQL's data goes into one below it.

    Raises:
        SetupError: one of them doesn't start here.
    """
    data = folder / "postgres"
    data.mkdir()
    topics = {f"{_PREFIX}.outbox": _PARTITIONS, f"{_PREFIX}.dlq": 1}
    with EmbeddedPostgres(data) as postgres, EmbeddedBroker(topics) as broker:
        yield Servers(
            name=_PREFIX.replace("-", "_"),
            dsn=postgres.dsn,
            password=postgres.password,
            kafka={
                "bootstrap_servers": broker.bootstrap_servers,
                "prefix": _PREFIX,
                "partitions": _PARTITIONS,
                "verify_topics": False,  # it answers no admin call
                "group_protocol": GROUP_PROTOCOL,
                "librdkafka": LIBRDKAFKA,
            },
        )
