"""Every command of the README, in order, as a newcomer with an empty HOME types them."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.business.postgres import TABLE
from support.fixtures.databases import PostgresDatabase
from support.flow import KEY, free_port
from support.servers.kafka import KafkaAddress
from support.servers.machine import REPOSITORY
from support.waiting import until

from cdc_sms.playground.provider import Simulator

README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```(sh|toml)\n(.*?)```", README, re.DOTALL)
SHELL = [body for kind, body in BLOCKS if kind == "sh"]
[CONFIGURATION] = [body for kind, body in BLOCKS if kind == "toml"]


def commands(block: str) -> list[str]:
    return [line.split("#")[0].strip() for line in block.splitlines() if line.strip()]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def environment(
    home: Path, postgres_database: PostgresDatabase, kafka_server: KafkaAddress, topic_prefix: str
) -> dict[str, str]:
    """The README's file with this machine's addresses, which the environment may name."""
    url = urlsplit(postgres_database.dsn)
    plain = url._replace(netloc=url.netloc.replace(f":{url.password}@", "@")).geturl()
    key_file = home / "key"
    key_file.write_text(KEY)
    name = topic_prefix.replace("-", "_").replace(".", "_")
    return {
        "PATH": f"{REPOSITORY / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "CDC_SMS_SOURCE__DSN": plain,
        "CDC_SMS_SOURCE__PASSWORD": str(url.password),
        "CDC_SMS_KAFKA__BOOTSTRAP_SERVERS": kafka_server.bootstrap,
        "CDC_SMS_KAFKA__PREFIX": topic_prefix,
        "CDC_SMS_CAPTURE__SLOT": f"readme_{name}",
        "CDC_SMS_CAPTURE__PUBLICATION": f"readme_{name}",
        "CDC_SMS_CAPTURE__ADDRESS": f"127.0.0.1:{free_port()}",
        "CDC_SMS_DELIVER__ADDRESS": f"127.0.0.1:{free_port()}",
        "CDC_SMS_SERVE__ADDRESS": f"127.0.0.1:{free_port()}",
        "CDC_SMS_PROVIDERS__JUSTSEND__KEY_FILE": str(key_file),
    }


def run(command: str, *, cwd: Path, environment: dict[str, str], expect: int = 0) -> str:
    done = subprocess.run(
        command, shell=True, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == expect, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def test_readme_holds_the_two_commands_and_the_acts_of_an_operator() -> None:
    assert [commands(block) for block in SHELL[:2]] == [["scripts/demo"], ["scripts/test"]]
    assert len(SHELL) == 4


@pytest.mark.timeout(600)
def test_demo_shows_what_the_readme_says(home: Path) -> None:
    [command] = re.findall(r"`(scripts/demo --headless [^`]+)`", README)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}

    out = run(command, cwd=REPOSITORY, environment=environment)

    counted = json.loads(out.splitlines()[-1])
    assert counted["inserted"] == 500
    assert counted["lost"] == counted["doubled_beyond_doubt"] == 0
    assert counted["sent"] + counted["failed"] + counted["held"] == counted["inserted"]
    assert counted["failed"] == counted["wrong_numbers"] >= 1
    assert counted["dead_lettered"] == counted["failed"] + counted["held"]
    assert counted["outage_s"] >= 20
    assert counted["breaker_opened"] >= 1
    assert counted["kills"] >= 1
    assert counted["in_flight_at_kills"] >= 1
    assert list(home.iterdir()) == []


@pytest.mark.timeout(300)
def test_unit_tests_run_as_the_readme_says(home: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}

    out = run("scripts/test unit", cwd=REPOSITORY, environment=environment)

    assert re.search(r"\d+ passed", out)


@pytest.mark.timeout(300)
def test_configuration_and_commands_work_in_the_readmes_order(
    home: Path, environment: dict[str, str], postgres_database: PostgresDatabase
) -> None:
    postgres_database.execute(TABLE)
    (home / "cdc-sms.toml").write_text(CONFIGURATION)
    *set_up, run_all = commands(SHELL[2])
    assert run_all == "cdc-sms run"

    with Simulator(key=KEY) as provider:
        environment["CDC_SMS_PROVIDERS__JUSTSEND__URL"] = provider.url
        for command in set_up:
            run(command, cwd=home, environment=environment)
        process = subprocess.Popen(run_all.split(), cwd=home, env=environment)
        try:
            postgres_database.execute(
                "INSERT INTO sms (id, phone, body)"
                " VALUES (4711, '+48600100200', 'hello'), (4712, '12', 'wrong')"
            )
            until(
                lambda: (
                    {("sent",), ("failed",)}
                    == set(postgres_database.execute("SELECT DISTINCT status FROM sms"))
                ),
                within_s=60,
                what="one row sent and one failed",
            )
            listed = json.loads(run("cdc-sms dlq list --json", cwd=home, environment=environment))
            place = listed[0]["letter"]
            for command in commands(SHELL[3]):
                shown = command.replace("0:42", place)
                assert run(shown, cwd=home, environment=environment)
        finally:
            process.terminate()
            process.wait(60)
        accepted = [message.text for message in provider.accepted()]
    assert process.returncode == 0
    assert accepted == ["hello"]


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (REPOSITORY / target).exists(), target
    assert shutil.which("bash")
