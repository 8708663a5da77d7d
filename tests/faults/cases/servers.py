"""Servers that are killed, stopped and come back: the database, its standby, the broker."""

import secrets
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from threading import Event, Thread
from typing import Any

import requests
from support.commands import Command
from support.flow import Flow
from support.servers.server import Server

from faults.pairs import Replica, pair
from faults.shop import Shop
from faults.site import Site

INSERT = "INSERT INTO sms (id, phone, body) VALUES (%s, '600100200', %s)"
FIRST = (INSERT, 500, "first")
REPLACED = (("DELETE FROM sms WHERE id = 500",), (INSERT, 500, "again"))
SEVERAL = tuple((INSERT, 600 + n, f"late {n}") for n in range(5))
SINGLES = tuple(((INSERT, 700 + n, f"single {n}"),) for n in range(5))
Statement = tuple[str, *tuple[object, ...]]


def database_restart(site: Site) -> None:
    """Kill the database, then stop and start it: the roles wait, answer, and go on by themselves.

    Guarantees 1, 2 and 6. Ends within 120 s.
    """
    flow = site.flow()
    _restarted(site, flow, site.servers.database, "database")


def kafka_restart(site: Site) -> None:
    """Kill the broker, then stop and start it: the roles wait, answer, and go on by themselves.

    Guarantees 1, 2 and 6. Ends within 180 s.
    """
    flow = site.flow()
    _restarted(site, flow, site.servers.kafka, "broker")


def _restarted(site: Site, flow: Flow, server: Server[Any], name: str) -> None:
    reader = site.capture(flow)
    roles = {"deliver": flow.start("deliver")}
    if reader.process is not None:
        roles["capture"] = reader.process
    with Shop.open(flow, rows_per_s=20):
        site.until(lambda: len(flow.accepted()) > 20, what="the flow to run")
        away_s = site.random.uniform(2, 5)
        server.kill()
        _is_alive(site, flow, roles, name)
        Event().wait(away_s)
        server.start()
        before = len(flow.accepted())
        site.until(lambda: len(flow.accepted()) > before + 20, what="the flow to run again")
        server.stop()
        Event().wait(site.random.uniform(0.5, 2))
        server.start()
        site.healed()
        before = len(flow.accepted())
        site.until(lambda: len(flow.accepted()) > before + 20, what="the flow to run once more")
    site.rest()
    _is_alive(site, flow, roles, name)
    site.say(f"killed the {name} for {away_s:.1f} s under load, then restarted it in order")
    for role in roles:
        site.until(partial(_answers, flow, role, "ready"), what=f"{role} to be ready")
    doubts = flow.ledger("SELECT coalesce(sum(doubts), 0) FROM cdc_sms_delivery")
    site.promise("a server that comes back leaves no doubt", doubts == 0, seen=doubts)
    site.promise("nothing is dead-lettered", flow.records("dlq") == [])


def _is_alive(site: Site, flow: Flow, roles: dict[str, Command], name: str) -> None:
    for role, process in roles.items():
        site.promise(
            f"{role} lives and answers while the {name} is away",
            process.is_running and _answers(flow, role, "live"),
            seen=process.told()[-1500:],
        )


def _answers(flow: Flow, role: str, question: str) -> bool:
    url = f"{flow.url(role)}/health/{question}"
    return requests.get(url, timeout=5).status_code == HTTPStatus.OK


def row_late(site: Site) -> None:
    """Keep the synchronous replica away: rows are in the log and can't be seen, commits hang.

    The replica (of PostgreSQL a synchronous standby, of MySQL and MariaDB a semi-synchronous one
    that is waited for after the log is written) is killed for longer than every wait in memory;
    our own commits hang too. When it returns everything is sent, without a restart; a row that
    was deleted and inserted again meanwhile is sent as it stands. Guarantee 1; "absent is not
    deleted". Ends within 150 s.
    """
    primary, replica = pair(site.plan.source, secrets.token_hex(3))
    site.own(primary)
    flow = site.flow(server=primary)
    site.capture(flow)
    deliver = flow.start("deliver")
    site.own(replica)
    with replica.synchronous():
        _replica_away(site, flow, replica)
    site.promise("deliver was not restarted", deliver.is_running)


def _replica_away(site: Site, flow: Flow, replica: Replica) -> None:
    _commit(flow, [FIRST])
    site.until(lambda: flow.statuses() == {"sent": 1}, what="the first row to be sent")
    replica.kill()
    applications = []
    records = 1
    for statements in (SEVERAL, REPLACED, *SINGLES):
        application = Thread(target=_commit, args=(flow, statements))
        application.start()
        applications.append(application)
        records += sum(statement is INSERT for statement, *_ in statements)
        # MariaDB writes one group of transactions behind the one that waits, and no third
        least = min(records, 7) if flow.business.source == "mariadb" else records
        site.until(partial(_has_records, flow, least), what=f"{least} rows in the log", within_s=30)
    away_s = site.random.uniform(40, 45)  # past the looks before an id is questioned
    Event().wait(away_s)
    early = dict(flow.accepted())
    site.promise("nothing is sent that can't be seen", early == {"first": 1}, seen=early)
    replica.start()
    site.healed()
    for application in applications:
        application.join(30)
    site.until(lambda: flow.statuses() == {"sent": 11}, what="everything to be sent")
    site.rest()
    site.say(f"kept the synchronous replica away for {away_s:.0f} s with 7 transactions hanging")
    cancelled = flow.ledger("SELECT count(*) FROM cdc_sms_delivery WHERE state = 'cancelled'")
    site.promise("a row that can't be seen is not taken for deleted", cancelled == 0)
    accepted = flow.accepted()
    site.promise("each is sent once", set(accepted.values()) == {1}, seen=dict(accepted))


def _has_records(flow: Flow, least: int) -> bool:
    return flow.outbox_size() >= least


def _commit(flow: Flow, statements: Sequence[Statement]) -> None:
    """Commit as an application that waits for the replica as long as it takes."""
    with flow.business.session() as session:
        for statement, *values in statements:
            session.execute(statement, *values)
        session.commit()
