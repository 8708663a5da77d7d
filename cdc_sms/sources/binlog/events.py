"""The parts of binlog events that say where the log is and what comes next. Pure.

All offsets count from the event's own first byte, which is the first of its header; ``end`` is
where its content ends, before the checksum.

Source: MySQL source documentation, "Binary Log Event"; MariaDB, "Replication Protocol".
"""

import struct
import zlib
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from pymysqlreplication.constants import BINLOG

from cdc_sms.errors import LogDecodeError

HEADER_BYTES = 19
CHECKSUM_BYTES = 4
IGNORABLE = 0x80
"""A flag of the header: who doesn't know the event may skip it."""

# types that mysql-replication has no names for
TRANSACTION_CONTEXT, VIEW_CHANGE, TRANSACTION_PAYLOAD, HEARTBEAT_V2, GTID_TAGGED = (
    36,
    37,
    40,
    41,
    42,
)
MARIADB_QUERY_COMPRESSED = 165
MARIADB_WRITE_ROWS_COMPRESSED_V1, MARIADB_UPDATE_ROWS_COMPRESSED_V1 = 166, 167
MARIADB_DELETE_ROWS_COMPRESSED_V1 = 168
MARIADB_WRITE_ROWS_COMPRESSED, MARIADB_UPDATE_ROWS_COMPRESSED = 169, 170
MARIADB_DELETE_ROWS_COMPRESSED = 171

_QUERY = struct.Struct("<IIBHH")
_U64 = struct.Struct("<Q")
_U32 = struct.Struct("<I")


class Header(NamedTuple):
    """What every event begins with."""

    timestamp: int
    kind: int
    server_id: int
    size: int
    end: int
    flags: int


_HEADER = struct.Struct("<IBIIIH")


def header(data: bytes, at: int) -> Header:
    """Read the header of an event."""
    return Header(*_HEADER.unpack_from(data, at))


_SIZE_AND_END = struct.Struct("<II")


def place(data: bytes, at: int) -> int:
    """Return where in its file an event begins."""
    size, end = _SIZE_AND_END.unpack_from(data, at + 9)
    return int(end - size)


class Rotation(NamedTuple):
    """Where the log goes on."""

    file: str
    offset: int


def rotation(data: bytes, at: int, end: int) -> Rotation:
    """Read ROTATE: the next file's name and where in it the log goes on."""
    body = at + HEADER_BYTES
    return Rotation(data[body + 8 : end].decode(), _U64.unpack_from(data, body)[0])


def has_checksums(data: bytes, end_of_packet: int) -> bool:
    """Read from FORMAT_DESCRIPTION whether events end with a checksum.

    Its own last five bytes are the algorithm and its checksum, whatever the algorithm.
    """
    algorithm = data[end_of_packet - CHECKSUM_BYTES - 1]
    if algorithm not in (0, 1):
        raise LogDecodeError(
            f"The log's events have checksums of an unknown kind ({algorithm}).",
            hint="Report it with the server's version; SET GLOBAL binlog_checksum = CRC32 is read.",
        )
    return algorithm == 1


def is_whole(data: bytes, at: int, end: int) -> bool:
    """Say whether an event's bytes have the checksum that stands behind them."""
    return bool(zlib.crc32(data[at:end]) == _U32.unpack_from(data, end)[0])


class Query(NamedTuple):
    """A statement as it stands in the log."""

    thread: int
    database: str
    text: str


def query(data: bytes, at: int, end: int, *, extra: int = 0, compressed: bool = False) -> Query:
    """Read QUERY, or an event that is built like it.

    Args:
        data: holds it.
        at: where it begins.
        end: where its content ends.
        extra: bytes of the event's own behind those that it shares with QUERY.
        compressed: the statement is, as MariaDB does it.
    """
    body = at + HEADER_BYTES
    thread, _seconds, database_bytes, _error, status_bytes = _QUERY.unpack_from(data, body)
    begin = body + _QUERY.size + extra + status_bytes
    raw = data[begin + database_bytes + 1 : end]
    return Query(
        thread,
        data[begin : begin + database_bytes].decode(errors="replace"),
        (uncompressed(raw) if compressed else raw).decode(errors="replace"),
    )


def uncompressed(raw: bytes) -> bytes:
    """Return what MariaDB compressed: one byte of how, the length, and zlib's stream.

    Source: MariaDB source, ``log_event.cc``, ``binlog_buf_uncompress``.
    """
    length_bytes, algorithm = raw[0] & 0x07, raw[0] >> 4 & 0x07
    if algorithm != 0:
        raise LogDecodeError(
            f"The log holds events that are compressed in an unknown way ({algorithm}).",
            hint="Report it with the server's version; SET GLOBAL log_bin_compress = OFF ends it.",
        )
    return zlib.decompress(raw[1 + length_bytes :])


class Gtid(NamedTuple):
    """What MySQL's GTID events say: who numbered the transaction, and when it was committed."""

    uuid: UUID
    tag: str
    number: int
    committed_us: int | None


GTID_BYTES = 49
"""As much of a GTID event, behind its header, as holds what is read from it."""

_STAMP = (1 << 55) - 1
"""The bits of the time; the one above says that another time follows."""


def numbered(body: bytes) -> tuple[bytes, int, int | None]:
    """Read GTID or, where the server numbers nothing, ANONYMOUS_GTID.

    Args:
        body: its first bytes behind the header.

    Returns:
        The server's UUID, the transaction's number, and when it was committed, in microseconds
        since 1970; None where an older server doesn't say.
    """
    committed_us = int.from_bytes(body[42:49], "little") & _STAMP
    return body[1:17], int.from_bytes(body[17:25], "little"), committed_us or None


def tagged_gtid(body: bytes) -> Gtid:
    """Read GTID_TAGGED, which is written in MySQL's serialization format.

    Source: MySQL source, ``libs/mysql/serialization``, and ``Gtid_event::define_fields``: a field
    is its id, then its value; integers of variable length, of which the lowest bits that are set
    tell the number of bytes; a text is its length, then its bytes.
    """
    fields = _serialized(body)
    return Gtid(UUID(bytes=fields.uuid), fields.tag, fields.number, fields.committed_us or None)


class _Fields:
    """Those of a serialized GTID event."""

    uuid = bytes(16)
    tag = ""
    number = 0
    committed_us = 0


_FLAGS, _UUID, _NUMBER, _TAG, _LAST_COMMITTED, _SEQUENCE, _COMMITTED = range(7)


def _serialized(body: bytes) -> _Fields:
    found = _Fields()
    at = 0
    for _of_message in range(3):  # the format's version, the message's size, its last known field
        _value, at = _integer(body, at)
    while at < len(body):
        field, at = _integer(body, at)
        if field == _UUID:
            digits = bytearray()
            for _byte in range(16):
                value, at = _integer(body, at)
                digits.append(value)
            found.uuid = bytes(digits)
        elif field == _TAG:
            length, at = _integer(body, at)
            found.tag = body[at : at + length].decode()
            at += length
        elif field == _NUMBER:
            value, at = _integer(body, at)
            found.number = value >> 1 ^ -(value & 1)  # the only one with a sign
        elif field == _COMMITTED:
            found.committed_us, at = _integer(body, at)
            break  # nothing that is wanted comes behind it
        else:
            _value, at = _integer(body, at)
    return found


def _integer(body: bytes, at: int) -> tuple[int, int]:
    """Read an integer of variable length; return it and where the next one begins."""
    first = body[at]
    size = 1
    while size < 9 and first >> (size - 1) & 1:
        size += 1
    whole = int.from_bytes(body[at : at + size], "little")
    return whole >> (size if size < 9 else 8), at + size


class MariadbGtid(NamedTuple):
    """What MariaDB's GTID event says."""

    domain: int
    server_id: int
    number: int
    flags: int

    def __str__(self) -> str:
        """Print it as the server does."""
        return f"{self.domain}-{self.server_id}-{self.number}"


STANDALONE, PREPARED = 1, 64
"""Flags of MariaDB's: the transaction is one event, and nothing says that it ends; it is a
distributed one that is prepared, not committed."""

_MARIADB = struct.Struct("<QIB")
MARIADB_GTID_BYTES = HEADER_BYTES + _MARIADB.size


def mariadb_gtid(event: bytes) -> MariadbGtid:
    """Read MariaDB's GTID.

    Args:
        event: from its first byte on.
    """
    number, domain, flags = _MARIADB.unpack_from(event, HEADER_BYTES)
    return MariadbGtid(domain, _U32.unpack_from(event, 5)[0], number, flags)


class Prepared(NamedTuple):
    """What XA_PREPARE says: which distributed transaction, and whether that is all of it.

    Attributes:
        in_one_phase: it is committed as well.
        xid: its id as the servers write it in statements, without blanks.
    """

    in_one_phase: bool
    xid: str


_XA_PREPARE = struct.Struct("<BIII")


def prepared(data: bytes, at: int) -> Prepared:
    """Read XA_PREPARE.

    Source: MySQL source, ``control_events.h``, ``XA_prepare_event``.
    """
    body = at + HEADER_BYTES
    one_phase, format_id, global_bytes, branch_bytes = _XA_PREPARE.unpack_from(data, body)
    begin = body + _XA_PREPARE.size
    middle = begin + global_bytes
    branch = data[middle : middle + branch_bytes].hex()
    return Prepared(bool(one_phase), f"X'{data[begin:middle].hex()}',X'{branch}',{format_id}")


class Payload(NamedTuple):
    """What stands before the compressed events of a transaction."""

    begin: int
    compressed: bool


_END, _COMPRESSION = 0, 2
_ZSTD, _NONE = 0, 255


def payload(data: bytes, at: int) -> Payload:
    """Read the fields of TRANSACTION_PAYLOAD; return where its content begins.

    Source: MySQL source, ``binlog_event.h``, ``Transaction_payload_event``.
    """
    position = at + HEADER_BYTES
    kind = _ZSTD
    while True:
        field, position = length_encoded(data, position)
        if field == _END:
            break
        size, position = length_encoded(data, position)
        if field == _COMPRESSION:
            kind, _after = length_encoded(data, position)
        position += size
    if kind not in (_ZSTD, _NONE):
        raise LogDecodeError(
            f"The log holds transactions that are compressed in an unknown way ({kind}).",
            hint="Report it with the server's version; "
            "SET GLOBAL binlog_transaction_compression = OFF ends it.",
        )
    return Payload(position, kind == _ZSTD)


_LONG: Mapping[int, int] = {0xFC: 2, 0xFD: 3, 0xFE: 8}


def length_encoded(data: bytes, at: int) -> tuple[int, int]:
    """Read an integer as the protocol encodes lengths; return it and where it ends."""
    first = data[at]
    size = _LONG.get(first)
    if size is None:
        return first, at + 1
    return int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size


KNOWN_TO_SKIP = frozenset(
    {
        BINLOG.STOP_EVENT,
        BINLOG.INTVAR_EVENT,
        BINLOG.RAND_EVENT,
        BINLOG.USER_VAR_EVENT,
        BINLOG.BEGIN_LOAD_QUERY_EVENT,
        BINLOG.APPEND_BLOCK_EVENT,
        BINLOG.DELETE_FILE_EVENT,
        BINLOG.DELETE_ROWS_EVENT_V1,
        BINLOG.DELETE_ROWS_EVENT_V2,
        BINLOG.HEARTBEAT_LOG_EVENT,
        BINLOG.IGNORABLE_LOG_EVENT,
        BINLOG.ROWS_QUERY_LOG_EVENT,
        BINLOG.PREVIOUS_GTIDS_LOG_EVENT,
        BINLOG.MARIADB_ANNOTATE_ROWS_EVENT,
        BINLOG.MARIADB_BINLOG_CHECKPOINT_EVENT,
        BINLOG.MARIADB_GTID_GTID_LIST_EVENT,
        BINLOG.MARIADB_START_ENCRYPTION_EVENT,
        TRANSACTION_CONTEXT,
        VIEW_CHANGE,
        HEARTBEAT_V2,
        MARIADB_DELETE_ROWS_COMPRESSED_V1,
        MARIADB_DELETE_ROWS_COMPRESSED,
    }
)
"""Types whose events say nothing that the reader of one table's inserts and updates needs."""
