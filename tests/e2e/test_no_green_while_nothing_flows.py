from collections.abc import Callable

import requests
from support.flow import Flow
from support.waiting import until


def test_deliver_is_not_ready_while_a_held_backlog_fills_every_partition(
    make_flow: Callable[..., Flow],
) -> None:
    flow = make_flow(deliver={"backlog_messages": 0, "max_open_records": 10})
    flow.insert(200, transaction=100)
    flow.start("capture")
    flow.start("deliver", ready=False).await_url(f"{flow.url('deliver')}/health/live")

    def said() -> str:
        return requests.get(f"{flow.url('deliver')}/health/ready", timeout=5).text

    until(lambda: "all wait (held)" in said(), within_s=30, what="deliver to say it", seen=said)
    flow.run("resume", "backlog", "--yes")

    flow.await_statuses(sent=200)
    until(lambda: "wait" not in said(), within_s=20, what="deliver to be ready", seen=said)
