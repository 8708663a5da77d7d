"""The command line's entry: which commands there are, and how an error is told.

Commands are imported when they are called, so that ``--help`` and completion are quick.
"""

import difflib
import importlib
import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from cdc_sms import __version__
from cdc_sms.errors import CdcSmsError

logger = logging.getLogger(__name__)

COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Run it": {
        "run": ("roles", "Run all roles, each as a process of its own."),
        "capture": ("roles", "Follow the database's log and put its rows on the topic."),
        "deliver": ("roles", "Send what lies on the topic and settle it."),
        "serve": ("roles", "Answer over HTTP for the whole installation."),
    },
    "Set it up": {
        "config": ("setup", "Check or show the configuration."),
        "migrate": ("setup", "Make the ledger's tables, or bring them to this version."),
        "topics": ("topics", "Make the topics, or check them."),
        "doctor": ("doctor", "Try everything for real; name what is wrong and what mends it."),
        "adopt": ("adopt", "Say that this is the place to send from, after a move or a restore."),
    },
    "See what happens": {
        "status": ("status", "Show what runs, what waits and why."),
        "explain": ("explain", "Tell one message's story, and what would move it."),
        "audit": ("audit", "Compare table, ledger and topics; name what isn't accounted for."),
        "dlq": ("dead_letters", "Look at dead letters, correct them, replay or discard them."),
        "in-doubt": (
            "in_doubt",
            "Look at messages that may or may not have been sent, and settle them.",
        ),
    },
    "Put it right": {
        "replay": (
            "replay",
            "Produce records of the outbox again; the ledger decides what is sent.",
        ),
        "hold": ("holds", "Hold all messages: nothing more is sent until 'resume'."),
        "resume": ("holds", "Lift a hold; one of old messages shows first what it holds back."),
    },
    "Try it": {
        "demo": ("demo", "Show the whole way with servers that need no installation."),
        "simulate": ("simulate", "Stand in for the SMS provider: JustSend v2 on a local port."),
    },
}
"""By heading: each command's module in ``cli/`` and its one line of help."""


class Commands(click.Group):
    """The commands by name; a module is imported when its command is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help page."""
        del ctx
        return [name for group in COMMANDS.values() for name in group]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None where there is none of that name."""
        del ctx
        for group in COMMANDS.values():
            if cmd_name in group:
                module = importlib.import_module(f"cdc_sms.cli.{group[cmd_name][0]}")
                command: click.Command = getattr(module, cmd_name.replace("-", "_"))
                return command
        return None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command, or say which one may have been meant."""
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], names, n=1)
            remedy = f"Did you mean {near[0]}?" if near else "'cdc-sms --help' lists them all."
            ctx.fail(f"There is no command {args[0]!r}. {remedy}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings, without importing them."""
        del ctx
        for heading, group in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl([(name, help_line) for name, (_, help_line) in group.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cdc-sms")
def cli() -> None:
    """From a row in a business database to an SMS, by way of the database's log and Kafka.

    A new installation, step by step:

    \b
      cdc-sms config check      is the configuration complete?
      cdc-sms migrate           make the ledger's tables
      cdc-sms topics            make the topics
      cdc-sms doctor            try everything for real: what would stop it?
      cdc-sms run               run it
      cdc-sms status            in another terminal: what happens?

    'cdc-sms COMMAND --help' says what a command is for, with an example. No server at hand?
    'cdc-sms demo' needs none.

    Exit codes: 0 done; 1 a bug; 2 configuration or usage; 3 something is missing or wrong on a
    server; 4 the log can't be understood; 5 a person must decide; 6 unreachable within --wait;
    10 ran, and found something.
    """  # noqa: D301 - click reads the backspace as "do not wrap"


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    if logging.lastResort is not None:
        # until a role sets its log up: a command tells in its own words what it met
        logging.lastResort.setLevel(logging.ERROR)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; what goes wrong becomes a sentence, a remedy and an exit code.

    Returns:
        The exit code.
    """
    try:
        code = cli.main(args=list(arguments), prog_name="cdc-sms", standalone_mode=False)
    except CdcSmsError as error:
        return _told(error.message, error.hint, error.exit_code)
    except click.ClickException as error:
        error.show()
        return 2
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        click.echo("Stopped.", err=True)
        return 130
    except Exception as error:  # noqa: BLE001 - the top of the command line
        return _bug(error)
    return code if isinstance(code, int) else 0


def _bug(error: Exception) -> int:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    if _has_log():
        logger.error("command.failed", exc_info=error)
    return _told(
        f"Unexpected {type(error).__name__} at {place}: this is a bug in cdc-sms.",
        "Report it with this line, the version and what you did; a role's log has more.",
        1,
    )


def _told(message: str, hint: str, code: int) -> int:
    """Tell it on the terminal, or in the log, where a role has set one up."""
    if _has_log():
        facts = {"error": message, "hint": hint, "exit_code": code}
        logger.critical("role.failed", extra=facts)
        return code
    click.secho("Error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(message, err=True)
    click.echo(f"To do: {hint}", err=True)
    return code


def _has_log() -> bool:
    """Say whether a role has set up its log: commands have none."""
    return logging.getLogger("cdc_sms").level != logging.NOTSET
