"""The command on real servers: Debezium and our reader on a file that it is given."""

import json
from pathlib import Path

import psycopg
import pytest
import requests
from confluent_kafka.admin import AdminClient
from conformance.__main__ import main
from support.servers.connect import ConnectAddress
from support.servers.mysql import MysqlAddress
from support.servers.postgres import PostgresAddress

POSTGRES = r"""
drop schema public cascade; create schema public;
create type mood as enum ('calm', 'wild');
create table sms (id bigint primary key, body text, price numeric(10, 2), mood mood, tags text[]);
insert into sms values (1, 'one; and 😀', 1.5, 'calm', '{a,NULL}');
insert into sms values (2, $$two's$$, null, 'wild', '{}');
begin; insert into sms values (3); rollback;
alter table sms drop column price, add column at timestamptz default '2026-11-24';
insert into sms (id) values (4);
update sms set body = 'changed'; delete from sms where id = 4;
create table "No key" as select 1 as "a.b";
begin; insert into sms (id) values (5); prepare transaction 'one'; commit prepared 'one';
set standard_conforming_strings = off; insert into sms (id, body) values (6, 'it\'s; one');
discard all; copy sms to stdout;
"""

BINLOG = """
create table sms (id bigint unsigned primary key, body text, price decimal(10, 2), flag bool);
insert into sms values (1, 'one; and \\'two\\'', 1.5, true), (18446744073709551615, '', null, null);
begin; insert into sms (id) values (3); rollback;
alter table sms drop column price, add column at datetime(3) default '2026-11-24';
insert into sms (id) values (4);
update sms set body = 'changed'; delete from sms where id = 4;
delimiter //
insert into sms (id) values (5)//
"""


def ran(file: Path, source: str, text: str, *options: str) -> int:
    file.write_text(text, encoding="utf-8")
    return main([f"--source={source}", f"--sql={file}", *options])


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    found: dict[str, int] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_both_readers_agree_on_a_file_of_postgres(
    postgres_server: PostgresAddress,
    connect_server: ConnectAddress,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = ran(tmp_path / "file.sql", "postgres", POSTGRES, "--json")

    found = last_line(capsys)
    assert (code, found["rows"], found["records"], found["differences"]) == (0, 6, 6, 0)
    assert found["fields"] > 120


@pytest.mark.parametrize("source", ["mysql", "mariadb"])
def test_both_readers_agree_on_a_file_of_the_binlog_servers(
    source: str,
    mysql_server: MysqlAddress,
    mariadb_server: MysqlAddress,
    connect_server: ConnectAddress,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = ran(tmp_path / "file.sql", source, BINLOG, "--json")

    found = last_line(capsys)
    assert (code, found["rows"], found["records"], found["differences"]) == (0, 4, 4, 0)


def test_a_statement_that_fails_is_told_by_its_number(
    postgres_server: PostgresAddress,
    connect_server: ConnectAddress,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = ran(tmp_path / "file.sql", "postgres", "select 1;\n\nselect wrong;")

    assert code == 2
    assert "statement 2 (line 3) failed: column" in capsys.readouterr().err


def test_values_that_differ_are_told(
    postgres_server: PostgresAddress,
    connect_server: ConnectAddress,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # so many microseconds are read as nanoseconds, of 1980
    text = "create table t (id timestamp primary key); insert into t values ('12026-01-01');"

    code = ran(tmp_path / "file.sql", "postgres", text)

    assert code == 10
    assert "row found by the key: ours absent" in capsys.readouterr().out


def test_nothing_of_a_run_stays(
    postgres_server: PostgresAddress, connect_server: ConnectAddress, tmp_path: Path
) -> None:
    def there() -> tuple[set[str], set[str], set[str]]:
        topics = AdminClient({"bootstrap.servers": connect_server.bootstrap}).list_topics(timeout=9)
        with psycopg.connect(postgres_server.dsn) as connection:
            slots = connection.execute(
                "SELECT slot_name FROM pg_replication_slots WHERE slot_name ~ '_(ours|counting)$'"
            ).fetchall()
        return (
            {name for name in topics.topics if name.startswith("conformance-")},
            {name for (name,) in slots},
            {
                name
                for name in requests.get(f"{connect_server.url}/connectors", timeout=9).json()
                if name.startswith("conformance-")
            },
        )

    before = there()

    ran(tmp_path / "file.sql", "postgres", "create table t (id int primary key)")

    assert there() == before
