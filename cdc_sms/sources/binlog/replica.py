"""How a reader makes itself known to a server as a replica, and asks for its log.

Source: MySQL source documentation, "COM_REGISTER_SLAVE", "COM_BINLOG_DUMP", "COM_BINLOG_DUMP_GTID";
MariaDB, "Replica Registration", "GTID".
"""

import random
import socket
import struct
import uuid
import zlib

from pymysql.constants import COMMAND

from cdc_sms.errors import PositionLost, SetupError
from cdc_sms.sources.binlog.connection import Connection, errors_mapped, execute
from cdc_sms.sources.binlog.position import FIRST_OFFSET, BinlogPosition
from cdc_sms.sources.binlog.server import Server, replication_ids
from cdc_sms.sources.binlog.wire import Wire

HEARTBEAT_S = 5
"""After so long without an event the server says that it lives; seconds."""

_DOES_NOT_WAIT = 0x01
_BY_GTID = 0x04
_FIRST_ID, _LAST_ID = 1 << 20, (1 << 32) - 1
_LAST_OFFSET = (1 << 32) - 1
_MARIADB_KNOWS_GTIDS = 4


def chosen_id(connection: Connection, server: Server, *, wanted: int | None, name: str) -> int:
    """Return a replication id that nobody has, as far as we may know.

    Args:
        connection: any.
        server: whose replica it will be.
        wanted: by the configuration; None: any.
        name: the reader's; with the host's it says where the search begins.

    Raises:
        SetupError: the wanted one is taken.
    """
    taken = replication_ids(connection, server)
    if wanted is not None:
        if wanted in taken:
            raise SetupError(
                f"The replication id {wanted} is another server's or replica's.",
                hint="Set capture.server_id to a number that nobody has, or leave it out.",
            )
        return wanted
    seed = zlib.crc32(f"{name}@{socket.gethostname()}".encode())
    numbers = random.Random(seed ^ random.SystemRandom().getrandbits(16))  # noqa: S311 - no secret
    while (found := numbers.randint(_FIRST_ID, _LAST_ID)) in taken:
        pass
    return found


def register(connection: Connection, server_id: int) -> None:
    """Make the session a replica's.

    Raises:
        SetupError: the user may not replicate.
        SourceUnavailable: the connection was lost.
    """
    identity = str(uuid.uuid4())
    variables = {
        "heartbeat_period": str(HEARTBEAT_S * 1_000_000_000),
        "binlog_checksum": "@@GLOBAL.binlog_checksum",
    }
    settings = [
        f"@{word}_{name} = {value}" for name, value in variables.items() for word in _SOURCE
    ]
    settings += [
        f"@slave_uuid = '{identity}'",
        f"@replica_uuid = '{identity}'",
        f"@mariadb_slave_capability = {_MARIADB_KNOWS_GTIDS}",
    ]
    host = socket.gethostname().encode()[:60]
    content = struct.pack("<IB", server_id, len(host)) + host
    content += struct.pack("<BBHII", 0, 0, 0, 0, 0)
    with errors_mapped("Registering as a replica"):
        execute(connection, "SET " + ", ".join(settings))
    with errors_mapped("Registering as a replica", access=_RIGHT):
        connection._execute_command(COMMAND.COM_REGISTER_SLAVE, content)  # type: ignore[attr-defined]  # noqa: SLF001
        connection._read_ok_packet()  # type: ignore[attr-defined]  # noqa: SLF001


_RIGHT = "Give the user the right: GRANT REPLICATION SLAVE ON *.* TO the user."

_SOURCE = ("master", "source")
"""The former and the present word."""


def dump(
    connection: Connection,
    server: Server,
    position: BinlogPosition,
    *,
    server_id: int,
    waits: bool = True,
) -> Wire:
    """Ask for the log from a position on.

    By file and offset from the server that they are of: that is the exact place. By transaction
    ids from another one.

    Args:
        connection: registered; it stays the caller's to close.
        server: whose log it is.
        position: where to begin.
        server_id: with which it was registered.
        waits: whether the server waits at the log's end for more; else the answer ends there.

    Raises:
        SourceUnavailable: the connection was lost.
        PositionLost: it lies further in the file than a replica can ask for.
    """
    is_by_place = position.server == server.identity
    if is_by_place and position.offset > _LAST_OFFSET:
        raise PositionLost(
            f"{position.file}:{position.offset} is behind the first 4 GiB of a file: no server "
            "sends its log from there.",
            hint="A new position is made, and pending rows are captured.",
        )
    flags = 0 if waits else _DOES_NOT_WAIT
    wire = Wire(connection, doing="Reading the log")
    if is_by_place:
        head = struct.pack("<IHI", position.offset, flags, server_id)
        wire.begin(COMMAND.COM_BINLOG_DUMP, head + position.file.encode())
    elif server.is_mariadb:
        with errors_mapped("Reading the log"):
            execute(connection, "SET @slave_connect_state = %s", position.gtids)
        head = struct.pack("<IHI", FIRST_OFFSET, flags, server_id)
        wire.begin(COMMAND.COM_BINLOG_DUMP, head)
    else:
        gtids = server.encoded(position.gtids)
        head = struct.pack("<HIIQI", flags | _BY_GTID, server_id, 0, FIRST_OFFSET, len(gtids))
        wire.begin(_COM_BINLOG_DUMP_GTID, head + gtids)
    return wire


_COM_BINLOG_DUMP_GTID = 0x1E
