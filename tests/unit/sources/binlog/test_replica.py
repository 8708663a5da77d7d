from typing import cast

import pytest

from cdc_sms.errors import PositionLost
from cdc_sms.sources.binlog.connection import Connection
from cdc_sms.sources.binlog.position import BinlogPosition
from cdc_sms.sources.binlog.replica import dump
from cdc_sms.sources.binlog.server import Server


def test_a_place_that_no_replica_can_ask_for_is_lost() -> None:
    server = Server({"version": "9.7.4", "server_uuid": "one", "server_id": "1"})
    position = BinlogPosition("one", "binlog.000002", 1 << 32)

    with pytest.raises(PositionLost, match="behind the first 4 GiB"):
        dump(cast("Connection", None), server, position, server_id=2)
