"""The reader of the log, killed in the middle and taken over from."""

import json
import time
from functools import partial
from threading import Event

from support.commands import Command
from support.flow import Flow
from support.servers.machine import LOOPBACK

from faults.site import Site

ROWS, PENDING_EVERY = 50_000, 25
SINGLE = "INSERT INTO sms (phone, body) VALUES ('+48600100200', %s)"


def kill_capture(site: Site) -> None:
    """Kill the reader in the middle of a transaction of 50,000 rows, twice: no row is lost.

    One row in 25 is to be sent; all of them go through the log and the topic. Then the broker
    is made deaf, and our reader is killed with records that it never acknowledged: the log must
    not be confirmed past them. Guarantee 1. Ends within 180 s.
    """
    flow = site.flow(rows="SELECT * FROM sms WHERE status <> 'archived'")
    reader = site.capture(flow)
    flow.business.insert(
        (
            ("+48600100200", f"row {n}", "archived" if n % PENDING_EVERY else "pending")
            for n in range(1, ROWS + 1)
        ),
        "phone, body, status",
    )
    moments = []
    for _ in range(2):
        begun = flow.outbox_size()
        least = begun + site.random.randrange(1, 5_000)
        site.until(partial(_has_more, flow, least), what="records on the topic")
        reader.kill()
        moments.append(flow.outbox_size() - begun)
        reader.start()
    site.healed()
    site.until(lambda: _keys(flow) == ROWS, what="every row on the topic", within_s=120)
    site.say(
        f"killed the reader in a transaction of {ROWS} rows, after {moments[0]} and then"
        f" {moments[1]} more records; {flow.outbox_size() - ROWS} came twice"
    )
    flow.start("deliver")
    site.until(lambda: flow.statuses()["sent"] == ROWS // PENDING_EVERY, what="all to be sent")
    if not site.is_debezium:
        reader.kill()
        _killed_before_the_acknowledgement(site, flow)
    site.rest()
    site.promise("each is accepted once", set(flow.accepted().values()) == {1})


def _has_more(flow: Flow, records: int) -> bool:
    return flow.outbox_size() > records


def _keys(flow: Flow) -> int:
    """Count the distinct keys on the topic; only once there are enough records."""
    if flow.outbox_size() < ROWS:
        return 0
    return len({record.key() for record in flow.records("outbox")})


def _killed_before_the_acknowledgement(site: Site, flow: Flow) -> None:
    with site.kafka_proxy() as (proxy, environment):
        reader = flow.start("capture", ready=True, **environment)
        proxy.deaf()
        for number in range(20):
            flow.database.execute(SINGLE, f"unheard {number}")
        written = flow.business.log_end()
        site.until(
            lambda: flow.status("capture")["unacknowledged_records"] >= 20,
            what="the reader to have read them",
        )
        Event().wait(1.5)  # longer than it takes to confirm
        confirmed = flow.confirmed()
        site.promise(
            "the log is not confirmed past what the broker has",
            confirmed < written,
            seen=(confirmed, written),
        )
        reader.kill()
    flow.start("capture")
    site.say("killed the reader with 20 records that the broker never heard of")
    unheard = "SELECT count(*) FROM sms WHERE body LIKE 'unheard%' AND status = 'sent'"
    site.until(lambda: flow.ledger(unheard) == 20, what="these rows to be sent", within_s=30)


def takeover(site: Site) -> None:
    """Kill the reader of two: the other takes over within 10 s; one that wakes is harmless.

    The frozen one loses the slot; when it wakes it can repeat a record, and neither confirms nor
    doubles. Guarantees 1 and 2; "failover". Ends within 120 s.
    """
    flow = site.flow()
    first = flow.start("capture")
    flow.start("deliver")
    second = _standby(flow)
    flow.database.execute(SINGLE, "before")
    site.until(lambda: flow.statuses() == {"sent": 1}, what="the first row to be sent")
    first.kill()
    killed_at = time.monotonic()
    flow.database.execute(SINGLE, "after the kill")
    site.until(lambda: flow.statuses() == {"sent": 2}, what="the other to take over", within_s=10)
    after_kill_s = time.monotonic() - killed_at
    third = _standby(flow)
    second.freeze()
    frozen_at = time.monotonic()
    for number in range(20):
        flow.database.execute(SINGLE, f"while frozen {number}")
    site.until(lambda: flow.statuses() == {"sent": 22}, what="the third to take over")
    after_freeze_s = time.monotonic() - frozen_at
    before = flow.confirmed()
    second.thaw()
    site.healed()
    for number in range(20):
        flow.database.execute(SINGLE, f"after it woke {number}")
    second.await_line("stream.lost|capture.standing_by")
    site.until(lambda: flow.statuses() == {"sent": 42}, what="the rest to be sent")
    site.rest()
    site.say(
        f"killed the reader of two: the other had sent a row {after_kill_s:.1f} s later; froze"
        f" that one: a third had, {after_freeze_s:.1f} s later; then woke it"
    )
    site.promise("the log goes on from where it was confirmed", flow.confirmed() >= before)
    site.promise("both others run", second.is_running and third.is_running)
    accepted = flow.accepted()
    site.promise("each is accepted once", set(accepted.values()) == {1}, seen=dict(accepted))
    rows = [json.loads(record.key() or b"{}") for record in flow.records("outbox")]
    site.promise("every row is on the topic", len({row["id"] for row in rows}) == 42)


def _standby(flow: Flow) -> Command:
    standby = flow.start("capture", ready=False, CDC_SMS_CAPTURE__ADDRESS=f"{LOOPBACK}:0")
    standby.await_line("capture.standing_by")
    return standby
