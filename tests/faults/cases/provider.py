"""A provider that is away, that answers badly, or that lets us in no more."""

import os
import time
from collections import Counter
from threading import Event

from support.commands import Command
from support.flow import KEY, Flow

from cdc_sms.playground.faults import Rule
from faults.shop import Shop
from faults.site import Site

HELD = "SELECT count(*) FROM cdc_sms_control WHERE name LIKE 'hold:account%'"
ATTEMPTS = "SELECT coalesce(sum(attempts), 0) FROM cdc_sms_delivery"
DOUBTS = "SELECT count(*) FROM cdc_sms_delivery WHERE doubts > 0"
FAILED = "SELECT count(*) FROM cdc_sms_delivery WHERE state = 'failed'"
BREAKER_FAILURES = 5
RATE = 200.0


def provider_down(site: Site) -> None:
    """Answer 503, then refuse connections: no attempt is burnt, nothing is dead-lettered.

    Guarantee 5. Ends within 90 s.
    """
    flow = site.flow()
    site.capture(flow)
    deliver = flow.start("deliver")
    flow.insert(5)
    site.until(lambda: flow.statuses()["sent"] == 5, what="the first to be sent")
    unavailable_s, refuse_s = site.random.uniform(4, 6), site.random.uniform(4, 6)
    flow.provider.outage(unavailable_s=unavailable_s, refuse_s=refuse_s)
    flow.insert(150, transaction=6)
    deliver.await_line("breaker.opened")
    site.say(f"503 for {unavailable_s:.1f} s, then connections refused for {refuse_s:.1f} s")
    Event().wait(unavailable_s + refuse_s)
    site.healed()
    site.rest()
    _nothing_burnt(site, flow, rows=155)


def _nothing_burnt(site: Site, flow: Flow, *, rows: int) -> None:
    attempts = flow.ledger(ATTEMPTS)
    most = rows + BREAKER_FAILURES - 1  # those before the one that trips the breaker
    site.promise(
        "no attempt is burnt while the breaker is open", attempts <= most, seen=attempts - rows
    )
    letters = len(flow.records("dlq"))
    site.promise("nothing is dead-lettered", letters == 0, seen=letters)
    site.promise("nothing is in doubt", flow.ledger(DOUBTS) == 0, seen=flow.ledger(DOUBTS))
    twice = sum(flow.accepted().values()) - len(flow.accepted())
    site.promise("each is accepted once", twice == 0, seen=twice)
    site.promise("everything is sent", len(flow.accepted()) == rows, seen=len(flow.accepted()))


def accepted_500(site: Site) -> None:
    """Accept messages and answer 500: in doubt, and sent once more at most.

    Guarantee 3. Ends within 90 s.
    """
    flow = site.flow()
    flow.provider.set_rules(
        Rule(calls="send", status=500, accepts=True, text="[05]$", first=8),
        Rule(calls="send", fault="reset", accepts=True, text="[27]$", first=4),
        Rule(calls="send", status=500, accepts=True, text="[9]$"),
    )
    site.capture(flow)
    flow.start("deliver")
    flow.insert(40)
    site.rest()
    accepted = flow.accepted()
    times = Counter(accepted.values())
    site.say(f"40 messages: accepted and answered 500 or a reset; {times[2]} were accepted twice")
    most = 1 if site.plan.doubt == "hold" else 2
    worst = max(accepted.values())
    site.promise(f"a message in doubt is accepted {most} times at most", worst <= most, seen=worst)
    site.promise("every message was accepted", len(accepted) == 40, seen=len(accepted))
    classes = {
        word
        for (word,) in flow.database.execute(
            "SELECT dead_letter_class FROM cdc_sms_delivery WHERE state = 'failed'"
        )
    }
    site.promise(
        "what stays in doubt is left to a person as such", classes == {"in_doubt"}, seen=classes
    )


def account(site: Site) -> None:
    """Rotate the key, then take the funds: all held, none dead-lettered, heals by itself.

    Guarantee 5. Ends within 90 s.
    """
    flow = site.flow()
    site.capture(flow)
    deliver = flow.start("deliver")
    flow.provider.set_key("rotated-at-the-provider")
    flow.insert(40, transaction=5)
    site.until(lambda: flow.ledger(HELD) == 1, what="the hold of the account")
    site.promise("one failure of the account holds all", flow.accepted() == {})
    flow.provider.set_key(KEY)
    site.until(lambda: flow.ledger(HELD) == 0, what="the hold to be lifted by itself")
    site.until(lambda: flow.statuses()["sent"] == 40, what="what was held to be sent")
    flow.provider.set_balance(0)
    flow.insert(40, transaction=5)
    site.until(lambda: flow.ledger(HELD) == 1, what="the hold of the account without funds")
    flow.provider.set_balance(100_000)
    site.healed()
    site.say("rotated the key, then took the points; put each right after the hold")
    site.until(lambda: flow.statuses()["sent"] == 80, what="what was held to be sent")
    site.rest()
    site.promise("the role goes on", deliver.is_running)
    site.promise("nothing is dead-lettered", flow.records("dlq") == [])
    worst = flow.ledger("SELECT max(attempts) FROM cdc_sms_delivery")
    site.promise("no attempt is burnt by the account", worst == 1, seen=worst)
    site.promise("each is accepted once", set(flow.accepted().values()) == {1})
    site.promise("the hold is gone", flow.ledger(HELD) == 0)


def long_outage(site: Site) -> None:
    """An outage of the provider at 50 rows/s, time shortened: memory flat, nothing burnt.

    Then everything is sent, at the configured rate of 200 a second. ``--outage-s`` sets its
    length (default 90 s; an hour is possible). Guarantees 5 and 6. Ends within 120 s and four
    times the outage.
    """
    flow = site.flow(deliver={"messages_per_s": RATE})
    site.capture(flow)
    deliver = flow.start("deliver")
    flow.insert(5)
    site.until(lambda: flow.statuses()["sent"] == 5, what="the first to be sent")
    outage_s = site.plan.outage_s
    flow.provider.outage(unavailable_s=outage_s / 2, refuse_s=outage_s / 2)
    with Shop.open(flow, rows_per_s=50):
        deliver.await_line("breaker.opened")
        memory = _sampled(deliver, seconds=outage_s)
    before = flow.provider.requests().accepted
    rows = flow.ledger("SELECT count(*) FROM sms")
    site.healed()
    site.until(lambda: flow.provider.requests().accepted > before, what="the flow to begin again")
    begun_at = time.monotonic()
    site.until(
        lambda: flow.provider.requests().accepted >= rows,
        what="everything to be sent",
        within_s=60 + 2 * outage_s,
    )
    seen_rate = (rows - before) / (time.monotonic() - begun_at)
    load = os.getloadavg()[0]  # a machine busy with other work misses the rate for that alone
    site.rest()
    third = len(memory) // 3
    early, late = max(memory[:third]), max(memory[-third:])
    grown = (late - early) / 1e6
    site.say(
        f"{outage_s:.0f} s away at 50 rows/s; memory {early / 1e6:.0f} MB in the first third,"
        f" {late / 1e6:.0f} MB in the last; then {seen_rate:.0f} messages/s where {RATE:.0f} are"
        " configured"
    )
    site.promise("memory is flat during the outage", grown < 10, seen=f"{grown:.1f} MB more")
    site.promise(
        "everything is sent at the configured rate",
        0.6 * RATE <= seen_rate <= 1.1 * RATE,
        seen=f"{seen_rate:.0f} messages/s at a load of {load:.1f} on {os.cpu_count()} processors",
    )
    _nothing_burnt(site, flow, rows=rows)


def _sampled(process: Command, *, seconds: float) -> list[int]:
    """Return a process's memory, once a second; bytes."""
    pause = Event()
    samples = []
    for _ in range(int(seconds)):
        samples.append(process.memory_bytes)
        pause.wait(1)
    return samples
