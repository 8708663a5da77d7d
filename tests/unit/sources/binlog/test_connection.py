"""The servers' errors become ours: waiting heals them, or a person is told what to do."""

import pytest
from pymysql.constants import CR, ER

from cdc_sms.errors import CdcSmsError, PositionLost, SetupError, SourceUnavailable
from cdc_sms.sources.binlog.connection import mapped

# as the servers' sources have them
UNUSABLE = [
    "Could not find first log file name in binary log index file",
    "Cannot replicate because the source purged required binary logs.",
    "but the master has purged binary logs containing GTIDs that the slave requires.",
    "Client requested source to start replication from position > file size",
    "Client requested master to start replication from impossible position; the first event",
    "bogus data in log event; the first event 'binlog.000001' at 5",
    "requested to start from GTID 0-1-99, which is not in the master's binlog",
    "Could not find GTID state requested by slave in any binlog files.",
    "Slave has more GTIDs than the master has, using the master's SERVER_UUID.",
]


@pytest.mark.parametrize("message", UNUSABLE)
def test_a_position_that_can_not_be_read_from_is_lost(message: str) -> None:
    error = mapped(ER.MASTER_FATAL_ERROR_READING_BINLOG, message, doing="Reading the log")

    assert isinstance(error, PositionLost)
    assert "The position is" in error.message


@pytest.mark.parametrize(
    "message",
    [
        "A slave with the same server_uuid/server_id as this slave has connected to the master",
        "could not open log file",
    ],
)
def test_other_ends_of_the_log_are_waited_for(message: str) -> None:
    error = mapped(ER.MASTER_FATAL_ERROR_READING_BINLOG, message, doing="Reading the log")

    assert isinstance(error, SourceUnavailable)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (ER.ACCESS_DENIED_ERROR, SetupError),
        (ER.BAD_DB_ERROR, SetupError),
        (ER.SPECIFIC_ACCESS_DENIED_ERROR, SetupError),
        (CR.CR_SSL_CONNECTION_ERROR, SetupError),
        (ER.NO_SUCH_TABLE, SetupError),
        (CR.CR_CONN_HOST_ERROR, SourceUnavailable),
        (CR.CR_SERVER_LOST, SourceUnavailable),
        (ER.CON_COUNT_ERROR, SourceUnavailable),
        (ER.SERVER_SHUTDOWN, SourceUnavailable),
        (ER.LOCK_WAIT_TIMEOUT, SourceUnavailable),
        (999_999, SourceUnavailable),
    ],
)
def test_a_code_is_healed_by_a_person_or_by_waiting(code: int, kind: type[CdcSmsError]) -> None:
    error = mapped(code, "so it is.", doing="Connecting")

    assert type(error) is kind
    assert error.message == f"Connecting failed: so it is ({code})."
    assert error.hint


def test_a_certificate_that_is_not_trusted_is_no_outage() -> None:
    message = "Can't connect ([SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed)"

    assert isinstance(mapped(CR.CR_CONN_HOST_ERROR, message, doing="Connecting"), SetupError)
