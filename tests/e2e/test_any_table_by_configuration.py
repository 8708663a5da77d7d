import re
from collections.abc import Callable, Sequence
from typing import LiteralString

import requests
from support.flow import Flow
from support.sources import on_every_database
from support.waiting import until

from cdc_sms.playground.provider import Simulator

TABLE = """
[table]
name = "{name}"
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
POSTGRES: Sequence[LiteralString] = (
    "CREATE SCHEMA shop",
    (
        'CREATE TABLE shop."outgoing notices" ('
        " number uuid DEFAULT gen_random_uuid(), country char(2), msisdn varchar(20), content text,"
        " state smallint DEFAULT 0, made timestamp(3) DEFAULT localtimestamp, done timestamp,"
        " PRIMARY KEY (country, number))"
    ),
)
MYSQL: Sequence[LiteralString] = (
    (
        "CREATE TABLE `outgoing notices` ("
        " number binary(16) DEFAULT (unhex(replace(uuid(), '-', ''))), country char(2),"
        " msisdn varchar(20), content text, state smallint unsigned DEFAULT 0,"
        " made datetime(3) DEFAULT CURRENT_TIMESTAMP(3), done datetime,"
        " PRIMARY KEY (country, number)) CHARACTER SET latin2"
    ),
)


@on_every_database
def test_table_of_another_shape_works_under_run(
    make_flow: Callable[..., Flow], provider: Simulator, source: str
) -> None:
    is_postgres = source == "postgres"
    name = "shop.outgoing notices" if is_postgres else "outgoing notices"
    table = 'shop."outgoing notices"' if is_postgres else "`outgoing notices`"
    flow = make_flow(table=TABLE.format(name=name), create=POSTGRES if is_postgres else MYSQL)
    run = flow.start("run", ready=False)
    run.await_url(f"{flow.url('deliver')}/health/ready")
    run.await_url(f"{flow.url('capture')}/health/ready")

    for number in range(1, 11):
        flow.database.execute(
            f"INSERT INTO {table} (country, msisdn, content) VALUES ('PL', %s, %s)",
            "wrong" if number == 3 else "600 100 200",
            f"żółw {number}",
        )

    def states() -> dict[int, int]:
        return dict(flow.database.execute(f"SELECT state, count(*) FROM {table} GROUP BY 1"))

    until(lambda: states() == {2: 9, 9: 1}, within_s=60, what="nine sent, one failed", seen=states)
    status = requests.get(f"{flow.url('serve')}/status", timeout=10).json()
    page = flow.run("status").output
    run.terminate()
    assert run.wait(within_s=30) == 0
    assert {message.text for message in provider.accepted()} == {
        f"żółw {number}" for number in range(1, 11) if number != 3
    }
    assert re.search(r"^Log +confirmed up to \S+, .* behind$", page, re.MULTILINE)
    assert ("Slot" in page) == is_postgres
    assert status["role"] == "serve"
