"""Looks ahead in the log for statements that change the table.

Where the log doesn't describe its rows in full, the data dictionary does, as the table is now. That
holds for rows behind a place in the log only if nothing behind that place changes the table.
"""

from collections.abc import Callable, Iterator
from itertools import count

from pymysqlreplication.constants import BINLOG

from cdc_sms.errors import SourceUnavailable
from cdc_sms.sources.binlog import events
from cdc_sms.sources.binlog.position import coordinate
from cdc_sms.sources.binlog.server import End
from cdc_sms.sources.binlog.statements import Meaning, Reader
from cdc_sms.sources.binlog.wire import Wire

_WAIT_S = 10.0
_OFTEN = 1_000
"""Packets between two signs of life."""
_STATEMENTS = frozenset({BINLOG.QUERY_EVENT, events.MARIADB_QUERY_COMPRESSED})


def changes_table(
    wire: Wire,
    reader: Reader,
    *,
    until: End,
    has_checksums: bool,
    keep_alive: Callable[[], None],
) -> bool:
    """Say whether the table is changed between the wire's begin and a place.

    Args:
        wire: a dump that doesn't wait at the log's end.
        reader: of statements, for the table.
        until: how far to look.
        has_checksums: whether the first events end with one.
        keep_alive: called often: what else is held must not run out meanwhile.

    Raises:
        SourceUnavailable: the connection was lost.
        PositionLost: the log doesn't reach back so far.
    """
    checksum = events.CHECKSUM_BYTES if has_checksums else 0
    file = ""
    for packet in _packets(wire, keep_alive):
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
            break
    return False


def _packets(wire: Wire, keep_alive: Callable[[], None]) -> Iterator[bytes]:
    """Yield the events up to the log's end."""
    for number in count():
        if number % _OFTEN == 0:
            keep_alive()
        packet = wire.packet(_WAIT_S)
        if packet is None:
            raise SourceUnavailable(
                "Looking ahead in the log failed: the server did not answer.",
                hint="Capture begins again by itself.",
            )
        if refusal := wire.refused(packet):
            raise refusal
        if wire.is_end(packet):
            return
        yield packet
