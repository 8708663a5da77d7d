"""A whole installation for the doctor: table, ledger and topics."""

from collections.abc import Callable

import pytest
from support.commands import Commands
from support.patient import Patient, connection_of, environment_of
from support.servers.kafka import KafkaAddress


@pytest.fixture
def admitted(
    cdc_sms: Commands, kafka_server: KafkaAddress, topic_prefix: str
) -> Callable[..., Patient]:
    """Make ledger and topics for a database, named by its DSN, that has the table."""

    def admit(dsn: str, password: str | None = None) -> Patient:
        connection = connection_of(dsn, password)
        environment = environment_of(connection, kafka_server.bootstrap, topic_prefix)
        patient = Patient(cdc_sms, environment)
        patient.prepare()
        return patient

    return admit
