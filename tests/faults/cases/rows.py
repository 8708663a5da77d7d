"""Rows that the application locks, changes, deletes and inserts again."""

from threading import Event

from support.business.base import Session
from support.flow import COLUMNS, Flow

from cdc_sms.playground.faults import Rule
from faults.counting import OF_KEY
from faults.site import Site

INSERT = "INSERT INTO sms (id, phone, body) VALUES (%s, '+48600100200', %s)"
WITHOUT_CREATED_AT = COLUMNS.replace('created_at = "created_at"\n', "")


def row_locked(site: Site) -> None:
    """Lock rows as the application: the others go on, the write-back is owed and then written.

    Some are locked before their claim, some while their request is under way. Guarantees 4 and
    6; the design's "locked or refused". Ends within 90 s.
    """
    held_s = site.random.uniform(8, 12)
    flow = site.flow()
    flow.provider.set_rules(Rule(delay_s=1.2, text="^slow"))
    site.capture(flow)
    flow.start("deliver")
    with flow.business.session() as first, flow.business.session() as second:
        flow.business.insert(_tagged("slow", 4))
        site.until(lambda: flow.provider.in_flight == 4, what="four requests under way")
        _lock(flow, first, "slow")
        second.insert(_tagged("early", 4))
        second.commit()
        _lock(flow, second, "early")
        flow.insert(40)
        site.until(lambda: flow.statuses()["sent"] >= 40, what="the others to be sent")
        owed = "SELECT count(*) FROM cdc_sms_delivery WHERE owes_write AND state = 'sent'"
        site.until(lambda: flow.ledger(owed) >= 4, what="four owed write-backs")
        Event().wait(held_s)
        site.promise(
            "the outcome doesn't depend on the row",
            flow.ledger("SELECT count(*) FROM cdc_sms_delivery WHERE state = 'sent'") >= 44,
        )
        site.promise("the locked rows are not written", flow.statuses()["sent"] <= 44)
    site.say(f"held 8 of 48 rows for {held_s:.1f} s, 4 of them while their request was under way")
    site.healed()
    site.until(lambda: flow.statuses()["sent"] == 48, what="every row to be written")
    site.rest()
    site.promise("each is accepted once", set(flow.accepted().values()) == {1})


def _lock(flow: Flow, session: Session, tag: str) -> None:
    """Lock rows one by one by their keys: MySQL locks all that it looks at on its way."""
    for (key,) in flow.database.execute(f"SELECT id FROM sms WHERE body LIKE '{tag}%'"):
        session.execute("SELECT * FROM sms WHERE id = %s FOR UPDATE", key)


def _tagged(tag: str, count: int) -> list[tuple[str, str]]:
    return [("+48600100200", f"{tag} {number}") for number in range(1, count + 1)]


def row_changed(site: Site) -> None:
    """Cancel, correct and delete rows before their claim, and cancel during the request.

    What was cancelled or deleted is not sent, what was corrected is sent as it stands, and the
    business's own word is never written over. Guarantee 2; "which message is it". Ends within
    60 s.
    """
    flow = site.flow()
    site.capture(flow)
    execute = flow.database.execute
    flow.business.insert(_tagged("text", 30))
    site.until(lambda: flow.outbox_size() >= 30, what="the records on the topic")
    execute("UPDATE sms SET status = 'stopped' WHERE id <= 5")
    execute(
        "UPDATE sms SET body = concat('corrected ', id), phone = '600100300' WHERE id IN (6, 7)"
    )
    execute("DELETE FROM sms WHERE id IN (8, 9, 10)")
    gone = {f"text {n}" for n in range(1, 11)}
    flow.provider.set_rules(Rule(delay_s=1.5, text="^slow"))
    flow.start("deliver")
    flow.business.insert(_tagged("slow", 4))
    site.until(lambda: flow.provider.in_flight == 4, what="four requests under way")
    execute("UPDATE sms SET status = 'stopped' WHERE body LIKE 'slow%'")
    site.rest()
    accepted = flow.accepted()
    stopped = flow.ledger("SELECT count(*) FROM sms WHERE status = 'stopped'")
    site.say("stopped 5, corrected 2, deleted 3 of 30 rows before their claim; stopped 4 under way")
    site.promise("what was cancelled or deleted is not sent", not gone & set(accepted))
    site.promise(
        "what was corrected is sent as it stands",
        all(accepted[f"corrected {n}"] == 1 for n in (6, 7)),
    )
    site.promise("the business's own word stands", stopped == 9, seen=stopped)
    site.promise("each is accepted once", set(accepted.values()) == {1})
    site.promise("the others are sent", len(accepted) == 26, seen=len(accepted))


def ids_again(site: Site) -> None:
    """Use keys again: TRUNCATE and ids from 1 on, deleted and inserted in one and in two.

    With created-at mapped, each message is sent once, whatever its content; what was deleted
    before its claim is not, and the row that stands is. Without it a reused key ends
    ``unclear``. Guarantee 2. Ends within 120 s.
    """
    flow = site.flow()
    site.capture(flow)
    deliver = flow.start("deliver")
    _truncated(site, flow)
    deliver.terminate()
    deliver.wait()
    _deleted_and_inserted(site, flow)
    bare = site.flow(
        message_id=OF_KEY, table=WITHOUT_CREATED_AT, rows="SELECT * FROM sms WHERE id < 100"
    )
    site.capture(bare)
    bare.start("deliver")
    _reused_without_created_at(site, bare)


def _truncated(site: Site, flow: Flow) -> None:
    for tag in ("first", "second"):
        flow.database.execute(flow.business.restart)
        flow.business.insert(_tagged("same", 3) + _tagged(tag, 6)[3:])
        site.until(lambda: flow.statuses() == {"sent": 6}, what=f"the {tag} six to be sent")
    keys = flow.ledger("SELECT count(DISTINCT message_key) FROM cdc_sms_delivery")
    messages = flow.ledger("SELECT count(*) FROM cdc_sms_delivery")
    copies = site.installations[0].copies
    copies.update({f"same {n}": 2 for n in (1, 2, 3)})
    accepted = flow.accepted()
    site.say("TRUNCATE, and the same 6 ids again: 3 with the same content")
    site.promise("six keys are twelve messages", (keys, messages) == (6, 12), seen=(keys, messages))
    site.promise(
        "each message of a reused key is sent once",
        all(accepted[f"same {n}"] == 2 for n in (1, 2, 3))
        and all(accepted[f"{tag} {n}"] == 1 for tag in ("first", "second") for n in (4, 5, 6)),
        seen=dict(accepted),
    )


def _deleted_and_inserted(site: Site, flow: Flow) -> None:
    """Replace rows while nobody delivers, so that none is claimed before."""
    records = flow.outbox_size()
    with flow.business.session() as application:
        for key, one_transaction in ((101, True), (102, False)):
            application.execute(INSERT, key, f"replaced {key}")
            application.commit()
            application.execute("DELETE FROM sms WHERE id = %s", key)
            if not one_transaction:
                application.commit()
            application.execute(INSERT, key, f"standing {key}")
            application.commit()
    site.until(lambda: flow.outbox_size() == records + 4, what="four records on the topic")
    flow.start("deliver")
    site.say("deleted and inserted again in one transaction and in two, before the first claim")
    site.until(
        lambda: all(flow.accepted()[f"standing {key}"] for key in (101, 102)),
        what="the rows that stand to be sent",
    )
    site.rest()
    accepted = flow.accepted()
    site.promise(
        "the row that stands is sent once",
        all(accepted[f"standing {key}"] == 1 for key in (101, 102)),
    )
    site.promise(
        "the row that was replaced is not sent",
        not any(accepted[f"replaced {key}"] for key in (101, 102)),
    )


def _reused_without_created_at(site: Site, flow: Flow) -> None:
    flow.business.insert(_tagged("bare", 3))
    site.until(lambda: flow.statuses() == {"sent": 3}, what="the three to be sent")
    site.rest()
    flow.database.execute(flow.business.restart)
    flow.business.insert(_tagged("reused", 3))
    unclear = "SELECT count(*) FROM cdc_sms_delivery WHERE unclear_at IS NOT NULL"
    site.until(lambda: flow.ledger(unclear) == 3, what="three keys to be called unclear")
    site.rest()
    classes = sorted(letter["class"] for letter in flow.dead_letters())
    site.say("without created-at: the same 3 ids again end unclear")
    site.promise("a reused key ends unclear", classes == ["unclear"] * 3, seen=classes)
    sent = [text for text in flow.accepted() if text.startswith("reused")]
    site.promise("what is unclear is not sent", not sent, seen=sent)
