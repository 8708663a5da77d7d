"""Which commands there are, what their help says, and how errors are told."""

import inspect
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from cdc_sms.cli import main
from cdc_sms.cli.main import COMMANDS, cli, run
from cdc_sms.errors import NeedsPerson

NAMES = [name for group in COMMANDS.values() for name in group]


def _leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for inner, found in command.commands.items():
            yield from _leaves(found, f"{name} {inner}")


def _commands() -> list[tuple[str, click.Command]]:
    context = click.Context(cli)
    found = []
    for name in NAMES:
        command = cli.get_command(context, name)
        assert command is not None
        found += list(_leaves(command, name))
    return found


ALL = _commands()


@pytest.mark.parametrize("name", NAMES)
def test_line_in_the_overview_is_the_first_of_the_command_s_own_help(name: str) -> None:
    command = dict(ALL)[name]
    line = next(group[name][1] for group in COMMANDS.values() if name in group)

    assert inspect.cleandoc(command.help or "").startswith(line)


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_help_gives_an_example_and_says_what_comes_next(name: str, command: click.Command) -> None:
    text = command.help or ""

    assert f"cdc-sms {name}" in text
    assert "Next" in text or name in COMMANDS["Try it"]


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_every_option_has_help(name: str, command: click.Command) -> None:
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]

    assert all(option.help for option in options), name


def test_overview_is_written_without_importing_a_command() -> None:
    script = (
        "import sys; from cdc_sms.cli.main import run; run(['--help']);"
        "print(sorted(m for m in sys.modules if m.startswith("
        "('cdc_sms.cli.', 'pydantic', 'sqlalchemy', 'confluent_kafka', 'rich'))))"
    )

    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout

    assert said.splitlines()[-1] == "['cdc_sms.cli.main']"
    assert all(name in said for name in NAMES)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["statsu"], "Did you mean status?"),
        (["xyzzy"], "lists them all"),
        (["prune"], "There is no command 'prune'"),
        (["status", "--jason"], "--json"),
        (["dlq", "show", "7"], "partition:offset"),
        (["dlq", "list", "--since", "yesterday"], "is no time"),
        (["doctor", "--outage", "long"], "is no duration"),
    ],
    ids=["typing error", "no command", "not there yet", "option", "letter", "time", "duration"],
)
def test_wrong_usage_ends_with_2_and_a_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(arguments)

    assert code == 2
    assert said in capsys.readouterr().err


def _with_command(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    @click.command()
    def fails() -> None:
        raise error

    monkeypatch.setattr(main.Commands, "get_command", lambda *_: fails)


def test_our_error_is_told_as_sentence_and_remedy_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _with_command(monkeypatch, NeedsPerson("The history is another one.", hint="Decide."))

    code = run(["status"])

    assert code == 5
    assert capsys.readouterr().err == "Error: The history is another one.\nTo do: Decide.\n"


def test_bug_is_told_in_one_line_without_traceback_or_content(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _with_command(monkeypatch, KeyError("+48600100200"))

    code = run(["status"])

    said = capsys.readouterr().err
    assert code == 1
    assert said.startswith("Error: Unexpected KeyError at test_main.py:")
    assert "Traceback" not in said
    assert "600100200" not in said


def test_interrupted_command_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_command(monkeypatch, KeyboardInterrupt())

    assert run(["status"]) == 130


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["status", "-h"]])
def test_help_and_version_end_with_0(arguments: list[str]) -> None:
    assert run(arguments) == 0
