"""Records replayed while the roles run: nothing is sent twice, and what was missed is sent."""

import json
from contextlib import closing

from confluent_kafka import Consumer, TopicPartition
from support.flow import Flow
from support.waiting import until


def test_replay_of_everything_sends_nothing_twice_and_says_so(flow: Flow) -> None:
    flow.start("capture")
    flow.start("deliver")
    flow.insert(20)
    flow.await_statuses(sent=20)
    flow.await_rest()
    before, after = 0, 0

    for partition in range(4):
        words = ("replay", "--from-offset", f"{partition}:0", "--yes", "--json")
        shown = json.loads(flow.run(*words, "--dry-run").output)
        done = json.loads(flow.run(*words).output)
        assert shown["would"]["produced"] == {}
        assert done["done"]["produced"] == {}
        before += shown["would"]["left"].get("already sent", 0)
        after += done["done"]["left"].get("already sent", 0)

    flow.await_rest()
    assert (before, after) == (20, 20)
    assert set(flow.accepted().values()) == {1}
    assert len(flow.provider.accepted()) == 20


def test_messages_that_the_group_passed_by_are_explained_and_sent_once_by_a_replay(
    flow: Flow,
) -> None:
    flow.start("capture")
    flow.insert(5)
    until(lambda: flow.outbox_size() >= 5, within_s=30, what="the rows to be on the outbox")
    _commit_everything(flow)
    flow.start("deliver")
    flow.insert(3)
    flow.await_statuses(pending=5, sent=3)

    missed = flow.ledger("SELECT min(id) FROM sms")
    [story] = json.loads(flow.run("explain", f"{missed}", "--json").output)["stories"]
    done = json.loads(flow.run("replay", "--from-time", "1h", "--yes", "--json").output)

    flow.await_statuses(sent=8)
    flow.await_rest()
    assert f"cdc-sms replay --from-offset {story['record']['record']}" in story["moved_by"]
    assert done["would"]["produced"] == done["done"]["produced"] == {"would be sent": 5}
    assert done["done"]["left"]["already sent"] == 3
    assert set(flow.accepted().values()) == {1}
    assert len(flow.provider.accepted()) == 8


def _commit_everything(flow: Flow) -> None:
    """Commit the outbox's ends for the group, as somebody does who resets its offsets."""
    topic = f"{flow.prefix}.outbox"
    group = f"{flow.prefix}.deliver"
    settings = {"bootstrap.servers": flow.kafka, "log_level": 0, "group.id": group}
    with closing(Consumer(settings)) as client:
        places = [
            TopicPartition(topic, p, client.get_watermark_offsets(TopicPartition(topic, p), 10)[1])
            for p in client.list_topics(topic, timeout=10).topics[topic].partitions
        ]
        client.commit(offsets=places, asynchronous=False)
