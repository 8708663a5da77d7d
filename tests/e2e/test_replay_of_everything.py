"""Everything replayed from the first offset, while the roles run: nothing is sent twice."""

import json

from support.flow import Flow


def test_replay_of_everything_sends_nothing_twice_and_says_so(flow: Flow) -> None:
    flow.start("capture")
    flow.start("deliver")
    flow.insert(20)
    flow.await_statuses(sent=20)
    flow.await_rest()

    partitions = range(4)
    before, after = 0, 0
    for partition in partitions:
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
