"""The README's first command, told without a terminal, and ended in the middle."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdc_sms.playground.configuration import SENDERS
from support.waiting import until

DEMO = [sys.executable, "-m", "cdc_sms", "demo"]
MESSAGES = 120


def folders() -> set[Path]:
    return set(Path(sys.prefix).glob("cdc-sms-demo-*"))


def processes_of(session_parent: int) -> set[int]:
    """Return the living processes that a demo has started, by their parent."""
    children = Path(f"/proc/{session_parent}/task/{session_parent}/children")
    return {int(pid) for pid in children.read_text().split()} if children.exists() else set()


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture(scope="module")
def told() -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*DEMO, "--headless", "--messages", str(MESSAGES), "--json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def figures(told: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert told.returncode == 0, told.stderr
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found


@pytest.fixture
def running() -> Iterator["subprocess.Popen[str]"]:
    demo = subprocess.Popen(
        [*DEMO, "--headless", "--messages", "1000", "--rate", "20"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield demo
    demo.kill()
    demo.communicate()


def test_demo_loses_nothing_and_doubles_nothing_beyond_doubt(figures: dict[str, Any]) -> None:
    assert figures["inserted"] == MESSAGES
    assert figures["lost"] == 0
    assert figures["doubled_beyond_doubt"] == 0
    assert figures["sent"] + figures["failed"] + figures["held"] == MESSAGES


def test_demo_dead_letters_exactly_the_wrong_numbers(figures: dict[str, Any]) -> None:
    assert figures["failed"] == figures["wrong_numbers"] >= 1
    assert figures["dead_lettered"] == figures["failed"] + figures["held"]


def test_demo_goes_through_an_outage_and_a_kill(figures: dict[str, Any]) -> None:
    assert figures["outages"] == 1
    assert figures["outage_s"] >= 20
    assert figures["breaker_opened"] >= 1
    assert figures["kills"] == 1
    assert figures["in_flight_at_kills"] >= 1
    assert 1 <= figures["in_doubt"] <= SENDERS


def test_demo_measures_its_latencies(figures: dict[str, Any]) -> None:
    for name in ("commit_to_topic_ms", "commit_to_accepted_ms"):
        assert 0 <= figures[name]["p50"] <= figures[name]["p99"]


def test_demo_tells_every_act(told: "subprocess.CompletedProcess[str]") -> None:
    for title in ("Rows become SMS", "A wrong number", "The provider is down", "kill -9"):
        assert title in told.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_ended_demo_leaves_no_process_and_no_file(
    running: "subprocess.Popen[str]", number: signal.Signals
) -> None:
    before = folders()
    until(lambda: len(processes_of(running.pid)) >= 4, within_s=60, what="roles and PostgreSQL")
    until(lambda: folders() - before or before, within_s=10, what="the demo's folder")
    children = processes_of(running.pid)

    running.send_signal(number)
    running.wait(60)

    assert running.returncode == 130
    assert not [pid for pid in children if is_alive(pid)]
    assert not [folder for folder in folders() if _belongs_to(folder, running.pid)]


def test_killed_demo_leaves_no_process(running: "subprocess.Popen[str]") -> None:
    until(lambda: len(processes_of(running.pid)) >= 4, within_s=60, what="roles and PostgreSQL")
    children = processes_of(running.pid)

    running.kill()

    until(lambda: not any(map(is_alive, children)), within_s=20, what="the children to end")
