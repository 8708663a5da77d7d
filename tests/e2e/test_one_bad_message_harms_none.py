from collections import Counter

from confluent_kafka import Producer
from support.flow import Flow
from support.sources import on_every_database
from support.waiting import until

from cdc_sms.playground.faults import Rule


@on_every_database
def test_bad_rows_fail_with_a_reason_and_the_others_go_on(flow: Flow) -> None:
    flow.provider.set_rules(Rule(text="lottery", code="DISALLOWED_CHARACTERS"))
    flow.start("capture")
    flow.start("deliver")
    bad: list[tuple[str | None, str | None, str | None]] = [
        (None, "no recipient", None),
        ("+48600100200", None, None),
        ("12", "no number", None),
        ("+48600100200", "the lottery", None),
        ("+48600100200", "a" * 2000, None),
        ("+48600100200", "a sender of digits", "1234"),
    ]
    for number in range(30):
        phone, body, sender = bad[number // 5] if number % 5 == 0 else ("+48600100200", "x", None)
        flow.database.execute(
            "INSERT INTO sms (phone, body, sender) VALUES (%s, %s, %s)", phone, body, sender
        )

    flow.await_statuses(sent=24, failed=6)
    flow.await_rest()
    reasons = flow.database.execute("SELECT error_text FROM sms WHERE status = 'failed'")
    letters = flow.dead_letters()
    assert all(reason for (reason,) in reasons)
    assert Counter(letter["class"] for letter in letters) == {"permanent": 6}
    assert not any("600100200" in str(letter) for letter in letters)


def test_foreign_records_are_dead_lettered_byte_for_byte(flow: Flow) -> None:
    flow.start("deliver")
    large = b"\x00\xff" * 2_000_000
    producer = Producer({"bootstrap.servers": flow.kafka, "message.max.bytes": 5_000_000})
    for key, value in ((None, b"{}"), (b"\xfe", b"<html>"), (b'{"id":1}', large)):
        producer.produce(f"{flow.prefix}.outbox", value, key)
    producer.flush()

    until(lambda: len(flow.records("dlq")) == 3, within_s=30)

    values = {record.value() for record in flow.records("dlq")}
    assert values == {b"{}", b"<html>", large}
    assert {letter["class"] for letter in flow.dead_letters()} == {"undecodable"}
