from collections.abc import Callable

import requests
from support.flow import Flow
from support.waiting import until

from cdc_sms.playground.provider import Simulator

TABLE = """
[table]
name = "shop.outgoing notices"
time_zone = "Europe/Warsaw"
[table.columns]
key = ["country", "number"]
recipient = "msisdn"
text = "content"
status = "state"
created_at = "made"
sent_at = "done"
[table.status]
pending = 0
sending = 1
sent = 2
failed = 9
"""

CREATE = """
CREATE SCHEMA shop;
CREATE TABLE shop."outgoing notices" (
    number uuid DEFAULT gen_random_uuid(), country char(2), msisdn varchar(20), content text,
    state smallint DEFAULT 0, made timestamp(3) DEFAULT localtimestamp, done timestamp,
    PRIMARY KEY (country, number)
)
"""


def test_table_of_another_shape_works_under_run(
    make_flow: Callable[..., Flow], provider: Simulator
) -> None:
    flow = make_flow(table=TABLE, create=CREATE)
    run = flow.start("run", ready=False)
    run.await_url(f"{flow.url('deliver')}/health/ready")
    run.await_url(f"{flow.url('capture')}/health/ready")

    flow.database.execute(
        'INSERT INTO shop."outgoing notices" (country, msisdn, content)'
        " SELECT 'PL', CASE WHEN g = 3 THEN 'wrong' ELSE '600 100 200' END, 'text ' || g"
        " FROM generate_series(1, 10) g"
    )

    def states() -> dict[int, int]:
        rows = flow.database.execute(
            'SELECT state, count(*) FROM shop."outgoing notices" GROUP BY 1'
        )
        return dict(rows)

    until(lambda: states() == {2: 9, 9: 1}, within_s=60, what="nine sent, one failed", seen=states)
    status = requests.get(f"{flow.url('serve')}/status", timeout=10).json()
    run.terminate()
    assert run.wait(within_s=30) == 0
    assert len(provider.accepted()) == 9
    assert status["role"] == "serve"
