"""What the commands that change something share: asking first, telling how far they are."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click
from sqlalchemy import Engine

from cdc_sms.cli.shared import patiently, print_table
from cdc_sms.config.settings import Sections
from cdc_sms.databases.engine import open_engine
from cdc_sms.errors import ActRefused
from cdc_sms.operate.acting import Refusal, check_environment

REFUSED = ActRefused.exit_code

_TERMINAL_S = 1.0
_LOG_S = 10.0

yes_option = click.option("--yes", is_flag=True, help="Don't ask.")


@contextmanager
def opened(sections: Sections, *, acts_within_s: float | None = None) -> Iterator[Engine]:
    """Open the database for one command, and close it.

    Args:
        sections: the configuration.
        acts_within_s: the command changes something: only in the environment that the ledger
            belongs to; how long the database may take to answer; seconds.

    Raises:
        NeedsPerson: it belongs to another environment.
    """
    engine = open_engine(sections.source, sections.ledger)
    try:
        if acts_within_s is not None:
            patiently(lambda: check_environment(engine, sections), wait_s=acts_within_s)
        yield engine
    finally:
        engine.dispose()


def ask(question: str, *, yes: bool) -> None:
    """Have a person agree; the question goes to standard error.

    Raises:
        ActRefused: nobody can be asked, and nobody said yes before.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise ActRefused("Nobody can be asked here.", hint="Give --yes if it is meant so.")
    click.confirm(question, abort=True, err=True)


def telling(verb: str, of: int) -> Callable[[int], None]:
    """Return what tells on standard error, now and then, how many are done.

    Args:
        verb: such as ``Replayed``.
        of: how many there are.
    """
    pause_s = _TERMINAL_S if sys.stderr.isatty() else _LOG_S
    last_s = time.monotonic()

    def tell(done: int) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= pause_s:
            last_s = time.monotonic()
            click.echo(f"{verb} {done} of {of} …", err=True)

    return tell


def print_refused(refused: Sequence[Refusal]) -> None:
    """Print what was left as it is, and why."""
    if refused:
        click.echo("Left as they are:")
        print_table(("which", "why", "to do"), [(one.target, one.why, one.hint) for one in refused])
