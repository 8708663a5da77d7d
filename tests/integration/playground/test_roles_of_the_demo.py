import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from support.waiting import until

from cdc_sms.errors import SetupError
from cdc_sms.playground.processes import Child
from cdc_sms.playground.roles import Roles

SLEEPER = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)"]
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready', flush=True)
time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def started(command: list[str], log: Path) -> Child:
    child = Child(command, log=log)
    until(lambda: "ready" in child.last_words(), within_s=20, what="the child to be ready")
    return child


def test_command_that_fails_says_what_it_said(tmp_path: Path) -> None:
    roles = Roles(tmp_path, tmp_path / "there-is-none.toml", {})

    with pytest.raises(SetupError) as failure:
        roles.command("migrate")

    assert "there-is-none.toml" in failure.value.message
    assert "`cdc-sms migrate` ended with 2" in failure.value.message


def test_role_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    def notice() -> str:
        try:
            roles.check()
        except SetupError as error:
            return error.message
        return ""

    with Roles(tmp_path, tmp_path / "there-is-none.toml", {}) as roles:
        roles.start("deliver")
        message = until(notice, within_s=30, what="the role's end to be noticed")

    assert "`cdc-sms deliver` ended with 2" in message


def test_configuration_of_the_person_does_not_reach_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDC_SMS_KAFKA__PREFIX", "the-person's-own")
    monkeypatch.setenv("CDC_SMS_NO_SUCH__KEY", "a mistake")

    with pytest.raises(SetupError) as failure:
        Roles(tmp_path, tmp_path / "there-is-none.toml", {}).command("config", "check")

    assert "NO_SUCH" not in failure.value.message


def test_events_are_found_over_all_processes_of_a_role(tmp_path: Path) -> None:
    lines = [json.dumps({"event": name}, separators=(",", ":")) for name in ("a.b", "c.d", "a.b")]
    (tmp_path / "deliver.log").write_text("no line of ours\n" + "\n".join(lines) + '\n{"eve')
    roles = Roles(tmp_path, tmp_path / "cdc-sms.toml", {})

    assert roles.events("deliver", {"a.b"}) == ["a.b", "a.b"]
    assert roles.events("capture", {"a.b"}) == []


def test_killed_child_is_gone_at_once(tmp_path: Path) -> None:
    child = started(SLEEPER, tmp_path / "log")

    child.kill()

    assert not is_alive(child.pid)


def test_child_that_does_not_listen_is_killed_in_the_end(tmp_path: Path) -> None:
    child = started([sys.executable, "-c", DEAF], tmp_path / "log")

    child.ask_to_end()
    child.await_end(within_s=0.5)

    assert not is_alive(child.pid)


def test_child_asked_to_end_ends_in_order(tmp_path: Path) -> None:
    child = started(SLEEPER, tmp_path / "log")

    child.ask_to_end()
    child.await_end(within_s=20)

    assert child.exit_code == -15
