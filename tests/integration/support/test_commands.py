"""Commands are real processes of a test, and end with it."""

import signal
import sys
from pathlib import Path

import pytest
from support.commands import Commands
from support.waiting import until

TALKER = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print("home", os.environ["HOME"], "secret", os.environ.get("CDC_SMS_KAFKA__BOOTSTRAP"), flush=True)
print("child", child.pid, file=sys.stderr, flush=True)
child.wait()
"""


def test_command_is_watched_by_what_it_says(cdc_sms: Commands) -> None:
    command = cdc_sms.program(sys.executable, "-c", TALKER)

    match = command.await_line(r"^child (\d+)$")

    assert match[1] in command.errors
    assert "home" in command.output


def test_command_does_not_see_the_settings_of_whoever_runs_the_tests(
    cdc_sms: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDC_SMS_KAFKA__BOOTSTRAP", "elsewhere:9092")

    command = cdc_sms.program(sys.executable, "-c", TALKER)

    assert command.await_line("secret (.*)")[1] == "None"


def test_command_that_ends_early_fails_the_wait(cdc_sms: Commands) -> None:
    command = cdc_sms.program(sys.executable, "-c", "print('only this')")

    with pytest.raises(AssertionError, match=r"ended before a line matched(.|\n)*only this"):
        command.await_line("something else")


def test_end_by_signal_is_told_by_the_exit_code(cdc_sms: Commands) -> None:
    command = cdc_sms.program(sys.executable, "-c", TALKER)
    command.await_line("child")

    command.terminate()

    assert command.wait() == -signal.SIGTERM


def test_commands_take_the_processes_they_started_with_them(tmp_path: Path) -> None:
    with Commands(tmp_path) as commands:
        child = int(commands.program(sys.executable, "-c", TALKER).await_line(r"child (\d+)")[1])

    until(lambda: not _is_alive(child), within_s=5)


def _is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()
