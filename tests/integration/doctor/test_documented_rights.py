"""The rights that the documentation lists are enough: for the doctor, and for capture itself."""

import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from support.fixtures.binlog_databases import BinlogDatabase
from support.fixtures.databases import PostgresDatabase
from support.patient import Patient, connection_of, errors
from support.servers.machine import free_port

Admit = Callable[..., Patient]

PAGE = Path(__file__).parents[3] / "docs" / "databases.md"

POSTGRES = """
CREATE TABLE sms (
    id bigint PRIMARY KEY, phone text, body text, status text DEFAULT 'pending',
    created_at timestamptz NOT NULL DEFAULT now())
"""
BINLOG = """
CREATE TABLE sms (
    id bigint PRIMARY KEY, phone varchar(20), body text, status varchar(20) DEFAULT 'pending',
    created_at datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))
"""
PUBLICATION = "CREATE PUBLICATION cdc_sms FOR TABLE public.sms"


def documented(chapter: str, role: str) -> list[str]:
    """Return the statements that the page lists for a role."""
    text = PAGE.read_text(encoding="utf-8").partition(f"## {chapter}\n")[2]
    block = re.search(rf"```sql {role}\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return [line for line in block[1].splitlines() if line]


def publication() -> str:
    """Return the statement by which the page has the owner make the publication."""
    found = re.search(rf"{PUBLICATION} .*;", PAGE.read_text(encoding="utf-8"))
    assert found is not None
    return found[0]


@pytest.fixture(params=["capture", "deliver"])
def role(request: pytest.FixtureRequest) -> str:
    """Return whose rights are tried."""
    return str(request.param)


@pytest.fixture
def on_postgres(
    postgres_database: PostgresDatabase, admitted: Admit, role: str
) -> Iterator[Patient]:
    """An installation on PostgreSQL, and a user with the documented rights."""
    postgres_database.execute(POSTGRES)
    patient = admitted(postgres_database.dsn)
    user, password = f"{role}_{postgres_database.name}", secrets.token_hex(8)
    with psycopg.connect(postgres_database.dsn, autocommit=True) as connection:
        for statement in (publication(), *documented("PostgreSQL", role)):
            named = re.sub(rf"\bsms_{role}\b", user, statement).replace("…", password)
            connection.execute(named.encode())
        patient.environment.update(connection_of(postgres_database.dsn_of(user, password)))
        yield patient
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(user)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(user)))


@pytest.fixture(params=["mysql", "mariadb"])
def on_binlog(request: pytest.FixtureRequest, admitted: Admit, role: str) -> Patient:
    """An installation on MySQL or MariaDB, and a user with the documented rights."""
    database: BinlogDatabase = request.getfixturevalue(f"{request.param}_database")
    database.execute(BINLOG)
    patient = admitted(database.dsn, database.server.password)
    grants = documented("MySQL and MariaDB", role)[1:]
    user = database.user_with(
        *(
            grant.removeprefix("GRANT ").partition(" TO ")[0].replace("shop.", "{db}.")
            for grant in grants
        )
    )
    patient.environment.update(connection_of(user.dsn, user.server.password))
    return patient


def _captures(patient: Patient) -> None:
    address = f"127.0.0.1:{free_port()}"
    running = patient.commands(
        "capture", environment={**patient.environment, "CDC_SMS_CAPTURE__ADDRESS": address}
    )
    running.await_url(f"http://{address}/health/ready", within_s=60)


def test_documented_rights_are_enough_on_postgresql(on_postgres: Patient, role: str) -> None:
    said = on_postgres.examined(role=role)

    assert errors(said) == []
    if role == "capture":
        assert "commit_to_seen_ms" in said["measured"]
        _captures(on_postgres)


def test_documented_rights_are_enough_on_mysql_and_mariadb(on_binlog: Patient, role: str) -> None:
    said = on_binlog.examined(role=role)

    assert errors(said) == []
    assert "history-unseen" not in {one["name"] for one in said["findings"]}
    if role == "capture":
        assert "commit_to_seen_ms" in said["measured"]
        _captures(on_binlog)
