"""The connections over which the log is read, ended over and over while an application inserts."""

import json
from collections import Counter
from dataclasses import dataclass
from threading import Event

from support.business.base import Position
from support.flow import Flow

from faults.shop import Shop, Sold
from faults.site import Site


@dataclass(frozen=True)
class Kill:
    """One end of the connections.

    Attributes:
        confirmed: up to where the log was confirmed at the least.
        written: up to where it was written at the most.
    """

    confirmed: Position
    written: Position

    def may_repeat(self, sold: Sold) -> bool:
        """Say whether a row was there, and its commit not confirmed."""
        return self.confirmed < sold.end and sold.begin < self.written


def connection_kills(site: Site) -> None:
    """End the connections of the reader 60 times under load: no row is missing, few come again.

    By the server's own KILL (pg_terminate_backend), or by resets on the way, at random moments;
    ``--kills`` sets their number. Each committed row is on the topic, and comes again only if its
    commit was not confirmed at a kill; each is sent once; a stored position lies between two
    transactions. Guarantees 1 and 2. Ends within 300 s.
    """
    flow = site.flow()
    kills: list[Kill] = []
    with site.database_proxy(flow) as (proxy, environment):
        reader = flow.start("capture", ready=True, **environment)
        flow.start("deliver")
        with Shop.open(flow, rows_per_s=60, notes=True) as sold:
            by_server = 0
            for _ in range(site.plan.kills):
                site.until(lambda: _streams(flow), what="the reader to read again")
                Event().wait(site.random.uniform(0.0, 0.5))
                confirmed = flow.confirmed()
                if site.random.random() < 2 / 3:
                    site.until(flow.business.end_readers, what="a reader to end")
                    by_server += 1
                else:
                    proxy.drop_connections()
                kills.append(Kill(confirmed, flow.business.log_end()))
        site.healed()
        rows = flow.ledger("SELECT count(*) FROM sms")
        site.until(lambda: flow.statuses()["sent"] == rows, what="every row to be sent")
        site.rest()
        texts = Counter(_text(record.value()) for record in flow.records("outbox"))
        site.promise("the reader was not restarted", reader.is_running)
    again = {text: count - 1 for text, count in texts.items() if count > 1}
    site.say(
        f"ended the reader's connections {len(kills)} times under load, {by_server} of them by the"
        f" server; {len(texts)} rows on the topic, {sum(again.values())} records came again"
    )
    site.promise("every committed row is on the topic", len(texts) == rows, seen=len(texts))
    wrong = {
        text: count
        for text, count in again.items()
        if count > sum(kill.may_repeat(sold[text]) for kill in kills)
    }
    site.promise("only rows after the last confirmed commit come again", not wrong, seen=wrong)
    torn = flow.business.torn(flow.saved_positions)
    site.promise("a position lies between two transactions", not torn, seen=torn)
    site.promise("each is accepted once", set(flow.accepted().values()) == {1})


def _streams(flow: Flow) -> bool:
    return bool(flow.status("capture")["state"] == "streaming")


def _text(value: bytes) -> str:
    return str(json.loads(value)["after"]["body"])
