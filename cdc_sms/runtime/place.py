"""Whether this is the place that the ledger belongs to: asked at every start of a role."""

from sqlalchemy import Connection, Engine

from cdc_sms.config.settings import Sections
from cdc_sms.databases.engine import in_transaction
from cdc_sms.databases.identity import check_identity, server_identifier
from cdc_sms.kafka.connection import cluster_id
from cdc_sms.model.identity import Identity


def check_place(engine: Engine, sections: Sections, *, mapping: str | None = None) -> None:
    """Check environment, server, Kafka cluster and mapping against what the ledger knows.

    Args:
        engine: the database of the ledger.
        sections: the configuration.
        mapping: what message ids are made of; None: this role doesn't know.

    Raises:
        NeedsPerson: this is another place.
        DatabaseUnavailable: wait and repeat.
        BrokerUnavailable: the same.
    """
    kafka = cluster_id(sections.kafka) if sections.kafka.verify_topics else None

    def work(connection: Connection) -> None:
        here = Identity(
            environment=sections.ledger.environment,
            server=server_identifier(connection),
            kafka=kafka,
            mapping=mapping,
        )
        check_identity(connection, here)

    in_transaction(engine, work)
