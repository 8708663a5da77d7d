"""The README's first command, told without a terminal, and ended in the middle."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.waiting import until

from cdc_sms.playground.configuration import SENDERS
from cdc_sms.playground.folder import temporary_folder

DEMO = [sys.executable, "-m", "cdc_sms", "demo"]
MESSAGES = 120


def children_of(demo: "subprocess.Popen[str]") -> list[int]:
    """Return the processes that a demo has started and that live: PostgreSQL and the roles."""
    listed = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()
    return [int(pid) for pid in listed]


def all_started(demo: "subprocess.Popen[str]") -> list[int]:
    """Wait until PostgreSQL and the three roles run, and return their processes."""

    def has_started_the_last() -> bool:
        return any("serve" in command_line(pid) for pid in children_of(demo))

    until(
        has_started_the_last,
        within_s=60,
        what="the last role",
        ignoring=(FileNotFoundError, ProcessLookupError),
    )
    return children_of(demo)


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def folder_of(children: list[int]) -> Path:
    """Return the demo's folder, which its roles are told of."""
    configured = [line for line in map(command_line, children) if "--config" in line]
    return Path(configured[0][configured[0].index("--config") + 1]).parent


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
    children = all_started(running)
    folder = folder_of(children)
    assert folder.is_relative_to(sys.prefix)

    running.send_signal(number)
    running.wait(60)

    assert running.returncode == 130
    assert not [pid for pid in children if is_alive(pid)]
    assert not folder.exists()


def test_killed_demo_leaves_no_process_and_the_next_one_removes_its_folder(
    running: "subprocess.Popen[str]",
) -> None:
    children = all_started(running)
    folder = folder_of(children)

    running.kill()

    until(lambda: not any(map(is_alive, children)), within_s=20, what="the children to end")
    assert folder.exists()
    with temporary_folder():
        assert not folder.exists()


def test_demo_draws_rows_and_counters_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    demo = subprocess.Popen(
        [*DEMO, "--messages", "40"],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "50"},
    )
    os.close(theirs)
    seen = bytearray()

    def drawn() -> bool:
        seen.extend(os.read(ours, 65536))
        return b"to topic" in seen and b"sent" in seen and b"recipient" in seen

    until(drawn, within_s=60, what="the live table")
    demo.send_signal(signal.SIGINT)
    while chunk := _read_to_the_end(ours):
        seen.extend(chunk)

    assert demo.wait(60) == 130
    assert b"Rows become SMS" in seen
    assert b"\x1b[?25h" in seen  # the cursor is shown again


def _read_to_the_end(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so when the other side is closed
        return b""
