"""Records that can't be read, aren't ours or carry nothing, and rows that are very large."""

import json
import random

from confluent_kafka import Producer
from support.flow import Flow

from faults.site import Site

GOOD = "INSERT INTO sms (phone, body) VALUES ('+48600100200', %s)"
BAD = "INSERT INTO sms (phone, body) VALUES (%s, %s)"
BAD_NUMBERS = (None, "", "12", "letters", "+4860010020099999")
LARGE = "INSERT INTO sms (phone, body, attachment) VALUES ('+48600100200', %s, %s)"


def poison(site: Site) -> None:
    """Put records that can't be decoded, foreign ones, tombstones and bad numbers among good rows.

    The undecodable go to the dead letters byte for byte, what carries no message is passed, bad
    rows fail with a reason, and every good row is sent. Guarantee 4. Ends within 60 s.
    """
    flow = site.flow()
    site.capture(flow)
    flow.start("deliver")
    undecodable, passed = _undecodable(), _carrying_nothing()
    records = undecodable + passed
    site.random.shuffle(records)
    producer = Producer({"bootstrap.servers": flow.kafka})
    for number, (key, value) in enumerate(records):
        producer.produce(f"{flow.prefix}.outbox", value, key, partition=number % 4)
        producer.flush()
        flow.database.execute(GOOD, f"good {number}")
    for number, phone in enumerate(BAD_NUMBERS):
        flow.database.execute(BAD, phone, f"bad {number}")
    site.healed()
    site.rest()
    letters = flow.records("dlq")
    values = sorted(letter.value() or b"" for letter in letters)
    classes = sorted(letter["class"] for letter in flow.dead_letters())
    reasons = flow.database.execute("SELECT error_text FROM sms WHERE status = 'failed'")
    accepted = flow.accepted()
    site.say(
        f"{len(undecodable)} undecodable records, {len(passed)} that carry no message,"
        f" {len(BAD_NUMBERS)} bad numbers among {len(records)} good rows"
    )
    site.promise(
        "what can't be decoded is dead-lettered byte for byte",
        all((value or b"") in values for _, value in undecodable),
    )
    expected = ["permanent"] * len(BAD_NUMBERS) + ["undecodable"] * len(undecodable)
    site.promise("nothing else is dead-lettered", classes == expected, seen=classes)
    site.promise("bad rows say why", len(reasons) == 5 and all(why for (why,) in reasons))
    site.promise(
        "every good row is sent once",
        accepted == {f"good {number}": 1 for number in range(len(records))},
    )


def _undecodable() -> list[tuple[bytes | None, bytes | None]]:
    event = {"before": None, "after": {}, "op": "c", "source": {"txId": 1}}
    return [
        (b'{"id":1}', b"\x00\x01garbage"),
        (b"\xfe\xff", b"<html>"),
        (None, b"{}"),
        (b'{"id":1}', b'{"op":'),
        (b'{"other":1}', json.dumps(event).encode()),
        (b'{"id":9007199254740993.0}', json.dumps(event | {"n": 1}).encode()),
    ]


def _carrying_nothing() -> list[tuple[bytes | None, bytes | None]]:
    row = {"id": 1, "status": "archived"}
    source = {"txId": 1, "table": "sms"}
    return [
        (b'{"id":1}', None),
        (b'{"id":2}', None),
        (b'{"id":1}', json.dumps({"before": row, "after": None, "op": "d"}).encode()),
        (b'{"id":1}', json.dumps({"before": row, "after": row, "op": "u"}).encode()),
        (b'{"id":1}', json.dumps({"after": row, "op": "c", "source": source}).encode()),
    ]


def large(site: Site) -> None:
    """Insert rows of 1 MB and 6 MB among small ones: each is sent, the log is not stopped.

    The built-in reader produces a row that is larger than the topic takes with its key and a
    header, and the claim reads it. (Debezium can't trim: with it, 1 MB only.) Guarantee 1;
    "change events". Ends within 60 s.
    """
    sizes = [1] if site.is_debezium else [1, 6]
    flow = site.flow()
    flow.database.execute(f"ALTER TABLE sms ADD COLUMN attachment {flow.business.text}")
    site.capture(flow)
    flow.start("deliver")
    for size in sizes:
        flow.database.execute(GOOD, f"before {size}")
        flow.database.execute(LARGE, f"large {size}", _incompressible(site.random, size))
        flow.database.execute(GOOD, f"after {size}")
    site.healed()
    site.rest()
    site.say(f"rows of {' and '.join(map(str, sizes))} MB among small ones")
    trimmed = [dict(record.headers()) for record in flow.records("outbox") if record.headers()]
    expected = 0 if site.is_debezium else 1
    site.promise(
        "a record that doesn't hold its whole row says so",
        sum("cdcsms.trimmed" in headers for headers in trimmed) == expected,
        seen=trimmed,
    )
    _sent_once(
        site, flow, [f"{when} {size}" for size in sizes for when in ("before", "large", "after")]
    )


def _incompressible(source: random.Random, megabytes: int) -> str:
    return source.randbytes(megabytes * 500_000).hex()


def _sent_once(site: Site, flow: Flow, texts: list[str]) -> None:
    site.promise(
        "every row is sent once",
        flow.accepted() == dict.fromkeys(texts, 1),
        seen=dict(flow.accepted()),
    )
