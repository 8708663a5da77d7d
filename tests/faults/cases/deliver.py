"""Members of the deliver group that are killed, that come and go, that are frozen and wake."""

from contextlib import suppress
from functools import partial
from threading import Event

from support.flow import Flow
from support.tcp_proxy import Mode

from cdc_sms.playground.faults import Rule
from faults.moments import said
from faults.shop import Shop
from faults.site import Site

SENDERS = 16


def kill_deliver(site: Site) -> None:
    """Kill deliver with requests in flight: nothing lost, the doubts named, one resend at most.

    Guarantees 1, 2 and 3. Ends within 90 s.
    """
    rows, kills = 300, 2
    flow = site.flow()
    flow.provider.set_rules(Rule(delay_s=0.3))
    site.capture(flow)
    flow.insert(rows, transaction=7)
    in_flight = []
    for number in range(kills):
        deliver = flow.start("deliver")
        least = number * 60 + site.random.randrange(20, 50)
        site.until(
            partial(_is_under_way, flow, least), what=f"{least} acceptances, more on the way"
        )
        in_flight.append(flow.provider.in_flight)
        deliver.kill()
    site.say(f"killed deliver twice, with {in_flight[0]} and {in_flight[1]} requests in flight")
    site.healed()
    flow.start("deliver")
    site.rest()
    doubts = flow.ledger("SELECT sum(doubts) FROM cdc_sms_delivery")
    accepted = flow.accepted()
    site.promise(
        "a kill leaves no more in doubt than there are senders",
        doubts <= kills * SENDERS,
        seen=doubts,
    )
    site.promise("after a doubt it is sent once more at most", max(accepted.values()) <= kills + 1)


def _is_under_way(flow: Flow, least: int) -> bool:
    return len(flow.provider.accepted()) >= least and flow.provider.in_flight >= SENDERS // 2


def members(site: Site) -> None:
    """Members that join, stop and are killed under load: each message once, doubts named.

    Guarantees 1, 2 and 3. Ends within 150 s.
    """
    flow = site.flow()
    flow.provider.set_rules(Rule(delay_s=0.3))
    site.capture(flow)
    running = [site.member(flow), site.member(flow)]
    acts = ["kill", "kill", "stop", "join", "join"]
    site.random.shuffle(acts)
    with Shop.open(flow, rows_per_s=40):
        for act in acts:
            Event().wait(site.random.uniform(0.5, 2.0))
            if act == "join":
                running.append(site.member(flow))
                continue
            leaver = running.pop(site.random.randrange(len(running)))
            if act == "kill":
                leaver.kill()
            else:
                leaver.terminate()
                code = leaver.wait(within_s=30)
                site.promise("a member that is told to stop ends in order", code == 0, seen=code)
            if not running:
                running.append(site.member(flow))
    kills = acts.count("kill")
    site.say(f"two members under load, then: {', '.join(acts)}")
    site.healed()
    site.rest()
    doubts = flow.ledger("SELECT coalesce(sum(doubts), 0) FROM cdc_sms_delivery")
    site.promise(
        "only kills leave doubts, no more than there are senders",
        doubts <= kills * SENDERS,
        seen=f"{doubts} doubts, {kills} kills",
    )


def frozen_member(site: Site) -> None:
    """Freeze a member within its lease, then past it, and wake it: it sends nothing late.

    Within the lease nobody takes its claims over, although its partitions are another's. Past
    it they are in doubt and are resent by the rule; the one that wakes gives back what it had
    claimed and not sent, and what it had sent counts as evidence. Guarantees 2 and 3. Ends
    within 120 s.
    """
    flow = site.flow(deliver={"shutdown_grace_s": 40.0})
    site.capture(flow)
    _frozen_within_its_lease(site, flow)
    _frozen_in_its_requests(site, flow)
    _frozen_before_its_requests(site, flow)
    site.healed()
    site.rest()


def _frozen_within_its_lease(site: Site, flow: Flow) -> None:
    flow.provider.set_rules(Rule(delay_s=1.0))
    frozen = site.member(flow, CDC_SMS_DELIVER__LEASE_S="60")
    flow.insert(8)
    site.until(lambda: flow.provider.in_flight >= 8, what="requests in flight")
    frozen.freeze()
    other = site.member(flow)
    flow.provider.set_rules()
    flow.insert(12)
    site.until(lambda: flow.statuses()["sent"] >= 12, what="the other member to send the rest")
    frozen.thaw()
    site.until(lambda: flow.statuses()["sent"] == 20, what="everything to be sent")
    doubts = flow.ledger("SELECT sum(doubts) FROM cdc_sms_delivery")
    site.promise("a claim whose lease holds is not taken over", doubts == 0, seen=doubts)
    site.say("froze a member with 8 requests in flight, within its lease, and woke it")
    for member in (frozen, other):
        member.terminate()
        member.wait(within_s=60)


def _frozen_in_its_requests(site: Site, flow: Flow) -> None:
    flow.provider.set_rules(Rule(delay_s=1.0))
    frozen = site.member(flow)
    flow.insert(8)
    site.until(lambda: flow.provider.in_flight >= 8, what="requests in flight")
    frozen.freeze()
    other = site.member(flow)
    flow.provider.set_rules()
    doubted = "SELECT count(*) FROM cdc_sms_delivery WHERE doubts > 0"
    site.until(lambda: flow.ledger(doubted) == 8, what="its claims to be in doubt")
    site.until(
        lambda: flow.ledger("SELECT count(*) FROM cdc_sms_delivery WHERE NOT done") == 0,
        what="the doubts to be resolved by the rule",
    )
    frozen.thaw()
    flow.insert(10)
    site.until(lambda: flow.statuses()["sent"] >= 30, what="what came later to be sent")
    site.say("froze a member with 8 requests in flight, past its lease, and woke it")
    for member in (frozen, other):
        member.terminate()
        member.wait(within_s=60)


def _frozen_before_its_requests(site: Site, flow: Flow) -> None:
    """Keep the reply of a claim's COMMIT from it until the lease is over."""
    before = flow.accepted()
    with site.database_proxy(flow) as (proxy, environment):
        frozen = site.member(flow, **environment)
        proxy.strike(said(b"INSERT ", b"cdc_sms_delivery"), said(b"COMMIT"), then=Mode.MUTE)
        flow.insert(6)
        site.until(lambda: proxy.has_struck, what="a claim's COMMIT")
        claimed = "SELECT count(*) FROM cdc_sms_delivery WHERE state = 'sending'"
        late = site.until(lambda: flow.ledger(claimed), what="claims in the ledger")
        frozen.freeze()
        other = site.member(flow)
        site.until(
            lambda: flow.ledger("SELECT count(*) FROM cdc_sms_delivery WHERE NOT done") == 0,
            what="the other member to take over",
        )
        proxy.restore()
        frozen.thaw()
        flow.insert(4)
        site.until(lambda: flow.lag() == 0, what="everything to be committed")
        with suppress(AssertionError):  # what it gives back is told in its log; not always all
            frozen.await_line("claim.given_back", within_s=5)
        frozen.terminate()
        frozen.wait(within_s=60)
        other.terminate()
        other.wait(within_s=60)
    site.rest()
    flow.start("deliver")
    twice = [text for text, n in (flow.accepted() - before).items() if n > 1]
    site.promise("what was claimed and not sent in time is not sent late", not twice, seen=twice)
    site.say(f"froze a member between the claim of {late} and their requests, past its lease")
