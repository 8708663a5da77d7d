"""Whether a server's log reaches back to a position: a decision, from facts that were read before.

Pure.
"""

from collections.abc import Mapping

from cdc_sms.errors import NeedsPerson
from cdc_sms.sources.base import Found, LogState
from cdc_sms.sources.binlog.gtid import DomainPosition, GtidSet
from cdc_sms.sources.binlog.position import BinlogPosition
from cdc_sms.sources.binlog.server import End, Server


def reach(server: Server, end: End, files: Mapping[str, int], saved: BinlogPosition) -> Found:
    """Say what a saved position is good for on a server.

    Args:
        server: itself.
        end: where its log ends.
        files: of its log, with their sizes.
        saved: the position.

    Raises:
        NeedsPerson: it is of another history: nothing tells where to go on.
    """
    if saved.server == server.identity:
        return _on_the_same(server, end, files, saved)
    return _on_another(server, end, saved)


def _on_the_same(
    server: Server, end: End, files: Mapping[str, int], saved: BinlogPosition
) -> Found:
    size = files.get(saved.file)
    if size is None:
        return Found(LogState.LOST, f"{saved.file} was purged")
    if saved.offset > size:
        return Found(LogState.LOST, f"{saved.file} ends before our position")
    # where the file's own birth is known the stream tells a reset for certain; a commit that waits
    # for a replica is in the log, and in no set yet
    is_told_by_gtids = saved.created is None and saved.gtids and server.numbers_transactions
    if is_told_by_gtids and not _has(server, end.gtids, saved.gtids):
        return Found(LogState.LOST, "the log was reset")
    return Found(LogState.USABLE)


def _on_another(server: Server, end: End, saved: BinlogPosition) -> Found:
    if not (saved.gtids and server.numbers_transactions):
        raise NeedsPerson(
            f"The position is of the server {saved.server}, and this is {server.identity}; "
            "transactions have no ids (gtid_mode) that would tell where to go on.",
            hint="Point source.dsn at the former server. If this one has taken over: cdc-sms "
            "adopt, then start once with 'cdc-sms capture --accept-gap'.",
        )
    if not _has(server, end.gtids, saved.gtids):
        raise NeedsPerson(
            f"The position is of the server {saved.server}, and this one, {server.identity}, "
            "lacks transactions that were read there.",
            hint="Point source.dsn at the former server. If this one has taken over: cdc-sms "
            "adopt says what becomes of messages from before.",
        )
    purged = server.variables.get("gtid_purged", "")
    if not server.is_mariadb and not _has(server, saved.gtids, purged):
        return Found(LogState.LOST, "transactions behind our position were purged")
    return Found(LogState.USABLE)


def _has(server: Server, whole: str, part: str) -> bool:
    having, wanted = server.gtids(whole), server.gtids(part)
    if isinstance(having, GtidSet) and isinstance(wanted, GtidSet):
        return wanted in having
    if isinstance(having, DomainPosition) and isinstance(wanted, DomainPosition):
        return wanted in having
    return False
