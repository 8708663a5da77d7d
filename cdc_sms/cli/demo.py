"""``cdc-sms demo``: the whole way and its faults, on one machine."""

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import click
from rich.console import Console

from cdc_sms.cli.shared import print_json, print_rich
from cdc_sms.config.settings import SCHEMES
from cdc_sms.errors import ConfigurationError
from cdc_sms.playground.debezium import Connect
from cdc_sms.playground.embedded import LARGEST, embedded_servers
from cdc_sms.playground.folder import temporary_folder
from cdc_sms.playground.narrators import Lines, Screen, summary
from cdc_sms.playground.real import real_servers
from cdc_sms.playground.stage import open_stage
from cdc_sms.playground.story import SMALLEST, Narrator, Plan, Story, StoryStuck
from cdc_sms.playground.tally import Figures, count

FOUND_SOMETHING = 10
SOURCES = ("postgres", "mysql", "mariadb")
_END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_NEXT = """
What to try next:
  cdc-sms demo --stay       keeps all of it running, to be looked at from another terminal
  cdc-sms simulate          a provider to try your own set-up against, with faults on request
  cdc-sms --help            the way to an installation of your own
"""
_STAYING = """
Everything still runs. In another terminal:
  export CDC_SMS_CONFIG={configuration}
  export CDC_SMS_SOURCE__PASSWORD_FILE={password_file}
  cdc-sms status            what runs, what waits and why
  cdc-sms dlq list          what was given up, and why
  cdc-sms in-doubt list     what may or may not have been sent
Ctrl-C ends it.
"""


@click.command()
@click.option("--headless", is_flag=True, help="Tell it in lines on standard error, no screen.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the figures as one line of JSON, last."
)
@click.option(
    "--messages",
    metavar="N",
    type=click.IntRange(min=SMALLEST),
    default=200,
    show_default=True,
    help=f"Rows to insert in all; at most {LARGEST} with the embedded broker.",
)
@click.option(
    "--rate",
    metavar="R",
    type=click.FloatRange(min=0, min_open=True),
    help="Rows a second while all is well; else a twentieth of all.",
)
@click.option(
    "--servers",
    type=click.Choice(["embedded", "real"]),
    default="embedded",
    show_default=True,
    help="'real': a database and Apache Kafka that run already; see scripts/demo.",
)
@click.option(
    "--source",
    type=click.Choice(SOURCES),
    default="postgres",
    show_default=True,
    help="The business database; MySQL and MariaDB need real servers.",
)
@click.option(
    "--reader",
    type=click.Choice(["builtin", "debezium"]),
    default="builtin",
    show_default=True,
    help="Who captures; Debezium needs real servers and Kafka Connect.",
)
@click.option("--dsn", metavar="URL", help="For real servers: the database, with password.")
@click.option("--bootstrap", metavar="HOST:PORT", help="For real servers: the Kafka.")
@click.option("--connect-url", metavar="URL", help="For Debezium: Kafka Connect.")
@click.option(
    "--connector",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=Path("debezium/connector.py"),
    show_default=True,
    help="For Debezium: the checkout's tool that registers a connector.",
)
@click.option(
    "--logs",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the processes' logs there, and keep them.",
)
@click.option("--stay", is_flag=True, help="Keep everything running afterwards, until Ctrl-C.")
@click.pass_context
def demo(
    context: click.Context,
    *,
    headless: bool,
    as_json: bool,
    messages: int,
    rate: float | None,
    servers: str,
    source: str,
    reader: str,
    dsn: str | None,
    bootstrap: str | None,
    connect_url: str | None,
    connector: Path,
    logs: Path | None,
    stay: bool,
) -> None:
    """Show the whole way with servers that need no installation.

    It starts a PostgreSQL, a broker, a simulated provider and cdc-sms's own roles, lets a small
    shop insert rows, and shows what becomes of them: while all is well, with a wrong number,
    while the provider is down, and when deliver is killed with requests on the wire. All of it
    runs on loopback, in a folder inside the Python environment, and is gone afterwards; Ctrl-C
    ends it at any time. The embedded broker is for this demo only.

    The figures at the end are counted from the simulator's record, the table, the ledger and
    the topics. Latencies begin when COMMIT has returned to the shop (for a row with a send time:
    at that time); they end when a consumer of the demo's own sees the record on the topic, and
    when the simulator accepts the message, outage and kill included.

    Exit code 10: something was lost, doubled without a doubt, or didn't come to rest.

    Example: cdc-sms demo --headless --messages 500 --json
    """
    # without a handler Python itself would write warnings across the screen
    logging.getLogger("cdc_sms").addHandler(logging.NullHandler())
    plan = Plan.of(messages, rate)
    connect: Connect | None = None
    with _ends_in_order(), temporary_folder() as folder, ExitStack() as stack:
        if servers == "embedded":
            _refuse_what_embedded_servers_cannot(messages, source, reader)
            place = embedded_servers(folder)
        else:
            connect = _connect(reader, connect_url, connector)
            addresses = _addresses(source, dsn, bootstrap)
            place = real_servers(*addresses, "builtin" if connect is None else "debezium")
        console = Console()
        screen = None if headless or not console.is_terminal else Screen(console)
        narrator = stack.enter_context(screen) if screen else Lines()
        narrator.say("Starting the servers and the roles.")
        stage = stack.enter_context(open_stage(folder, _existing(logs or folder), place, connect))
        figures, stuck = _told(Story(stage, narrator, plan), narrator)
        if screen is not None:
            screen.close()
        _show(figures, as_json=as_json)
        if stay:
            way_in = {"configuration": stage.configuration, "password_file": stage.password_file}
            click.echo(_STAYING.format(**way_in), err=as_json)
            signal.pause()
    context.exit(FOUND_SOMETHING if stuck or not figures.keep_the_promise else 0)


def _told(story: Story, narrator: Narrator) -> tuple[Figures, bool]:
    """Tell the story; return what was counted, and whether it got stuck."""
    stuck = False
    try:
        story.play()
    except StoryStuck as finding:
        narrator.say(f"{finding} What follows was counted then.")
        stuck = True
    return count(story.evidence()), stuck


def _show(figures: Figures, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(figures))
    else:
        print_rich(summary(figures))
        click.echo(_NEXT)


def _refuse_what_embedded_servers_cannot(messages: int, source: str, reader: str) -> None:
    if messages > LARGEST:
        raise ConfigurationError(
            f"The embedded broker holds the records of {LARGEST} messages, not of {messages}.",
            hint="Give a smaller --messages, or use --servers real.",
        )
    if source != "postgres":
        raise ConfigurationError(
            f"The demo brings along no {source}: its embedded database is PostgreSQL.",
            hint=f"Use --servers real as well: scripts/demo --servers real --source {source}.",
        )
    if reader == "debezium":
        raise ConfigurationError(
            "Debezium can't write to the embedded broker.",
            hint="Use --servers real as well: scripts/demo --servers real --reader debezium.",
        )


def _addresses(source: str, dsn: str | None, bootstrap: str | None) -> tuple[str, str]:
    if dsn is None or bootstrap is None:
        raise ConfigurationError(
            "With --servers real the demo needs the addresses of running servers.",
            hint="Give --dsn and --bootstrap, or let scripts/demo start the servers.",
        )
    if SCHEMES.get(urlsplit(dsn).scheme, source) != source:
        raise ConfigurationError(
            f"--source is {source}, and --dsn names another kind of database.",
            hint="Let both name the same kind.",
        )
    return dsn, bootstrap


def _connect(reader: str, url: str | None, tool: Path) -> Connect | None:
    if reader == "builtin":
        return None
    if url is None or not tool.is_file():
        raise ConfigurationError(
            "With --reader debezium the demo needs Kafka Connect and the tool of a checkout.",
            hint="Give --connect-url, from a checkout's folder, or let scripts/demo do it.",
        )
    return Connect(url=url, tool=tool)


def _existing(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _ends_in_order() -> Iterator[None]:
    """Make each signal that ends a program end this one in order, once."""

    def end(_number: int, _frame: FrameType | None) -> None:
        for number in _END_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # what is being taken down is not disturbed
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in _END_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
