"""Looks ahead in the log for statements that change the table.

Where the log doesn't describe its rows in full, the data dictionary does, as the table is now. That
holds for rows behind a place in the log only if nothing behind that place changes the table.
"""

from pymysqlreplication.constants import BINLOG

from cdc_sms.errors import SourceUnavailable
from cdc_sms.sources.binlog import events
from cdc_sms.sources.binlog.position import coordinate
from cdc_sms.sources.binlog.server import End
from cdc_sms.sources.binlog.statements import Meaning, Reader
from cdc_sms.sources.binlog.wire import Wire

_WAIT_S = 30.0
_STATEMENTS = frozenset({BINLOG.QUERY_EVENT, events.MARIADB_QUERY_COMPRESSED})


def changes_table(wire: Wire, reader: Reader, *, until: End, has_checksums: bool) -> bool:
    """Say whether the table is changed between the wire's begin and a place.

    Args:
        wire: a dump that doesn't wait at the log's end.
        reader: of statements, for the table.
        until: how far to look.
        has_checksums: whether the first events end with one.

    Raises:
        SourceUnavailable: the connection was lost.
        PositionLost: the log doesn't reach back so far.
    """
    checksum = events.CHECKSUM_BYTES if has_checksums else 0
    file = ""
    while (packet := wire.packet(_WAIT_S)) is not None:
        if refusal := wire.refused(packet):
            raise refusal
        if wire.is_end(packet):
            return False
        found = events.header(packet, 1)
        end = len(packet) - checksum
        if found.kind == BINLOG.FORMAT_DESCRIPTION_EVENT:
            checksum = events.CHECKSUM_BYTES if events.has_checksums(packet, len(packet)) else 0
        elif found.kind == BINLOG.ROTATE_EVENT:
            file = events.rotation(packet, 1, end).file
        elif found.kind in _STATEMENTS:
            compressed = found.kind == events.MARIADB_QUERY_COMPRESSED
            query = events.query(packet, 1, end, compressed=compressed)
            if reader.read(query.database, query.text).meaning is Meaning.CHANGES_TABLE:
                return True
        if found.end and coordinate(file, found.end) >= coordinate(until.file, until.offset):
            return False
    raise SourceUnavailable(
        "Looking ahead in the log failed: the server did not answer.",
        hint="Capture begins again by itself.",
    )
