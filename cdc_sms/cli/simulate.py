"""``cdc-sms simulate``: a provider on a local port, for dry runs."""

import sys
from pathlib import Path
from typing import Literal

import click

from cdc_sms.cli.shared import json_option, print_json
from cdc_sms.config.settings import LoggingSettings
from cdc_sms.playground.faults import read_rules_file
from cdc_sms.playground.provider import CONTROL, Simulator
from cdc_sms.runtime.lifecycle import stopped_by_signals
from cdc_sms.telemetry.logs import set_up


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8090,
    show_default=True,
    help="The port to listen on; 0 takes a free one and prints it.",
)
@click.option("--key", default="simulator", show_default=True, help="The App-Key to let in.")
@click.option(
    "--rules",
    "rules_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Faults: a TOML file with tables under [[rules]].",
)
@click.option(
    "--record",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Append to this file, one JSON line each: every message that was accepted, number and "
    "text in clear, and then that its answer was written.",
)
@click.option(
    "--balance",
    metavar="POINTS",
    type=click.IntRange(min=0),
    default=1_000_000,
    show_default=True,
    help="The account's points; at the end of them NO_SUFFICIENT_POINTS.",
)
@click.option(
    "--price",
    metavar="POINTS",
    type=click.IntRange(min=0),
    help="Points of one segment; else what the variants cost: ECO 3, FULL 6, PRO 7.",
)
@click.option(
    "--delay",
    "delay_s",
    metavar="S",
    type=click.FloatRange(min=0),
    default=0.0,
    help="The time that every answer takes; seconds.",
)
@click.option(
    "--max-segments",
    type=click.IntRange(min=1),
    default=6,
    show_default=True,
    help="A longer text is refused.",
)
@click.option("--seed", type=int, default=0, help="Of the randomness behind a rule's ratio.")
@click.option(
    "--bad-key",
    "bad_key",
    type=click.Choice(["200", "401", "403"]),
    default="200",
    show_default=True,
    help="How a wrong key is answered: 200 with NO_AUTHENTICATION, or a bare status.",
)
@click.option(
    "--error-ids",
    type=click.Choice(["number", "null", "absent"]),
    default="number",
    show_default=True,
    help="How errorId is written in answers that are not OK.",
)
@click.option(
    "--magic-words",
    is_flag=True,
    help="Let a text carry its fault: 'Simulate: code = \"NOT_FUNDS\"; Hello'.",
)
@click.option("--quiet", is_flag=True, help="No line for each accepted message.")
@json_option
def simulate(  # one parameter an option
    *,
    host: str,
    port: int,
    key: str,
    rules_file: Path | None,
    record: Path | None,
    balance: int,
    price: int | None,
    delay_s: float,
    max_segments: int,
    seed: int,
    bad_key: str,
    error_ids: Literal["number", "null", "absent"],
    magic_words: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Stand in for the SMS provider: JustSend v2 on a local port. Nothing is sent.

    A dry run of your own set-up: let it talk to this instead of the provider, and see each
    message that would have been sent, its number masked.

    \b
      cdc-sms simulate --record accepted.jsonl
      # and in your cdc-sms.toml, with simulator as the key:
      [providers.justsend]
      url = "http://127.0.0.1:8090/api/rest"

    It knows the contract's rules for numbers (48… or nine digits), senders and lengths, the
    price, the blacklist. Faults come by rule; the first that a request meets decides:

    \b
      [[rules]]
      number = "48601.*"     # whom; also text, calls, ratio, after, first, from_s, until_s
      fault = "hang"         # what: hang, reset, html, truncated, trickle, status, code
      accepts = true         # although the message was accepted
      [[rules]]
      status = 429
      retry_after = 5
      first = 10             # also delay_s, parameter, every_s, key (rotates the key)
      [[rules]]
      text = "lottery"
      code = "DISALLOWED_CHARACTERS"

    While it runs, over HTTP and without a key (keep the port on loopback): GET
    /_control/requests and /_control/record, PUT /_control/rules, /_control/key and
    /_control/balance, POST /_control/outage.

    \b
      curl -X POST http://127.0.0.1:8090/_control/outage \\
           -d '{"unavailable_s": 10, "refuse_s": 20}'

    Ctrl-C ends it.
    """  # noqa: D301 - click reads the backspace as "do not wrap"
    simulator = Simulator(
        key=key,
        host=host,
        port=port,
        balance=balance,
        price=price,
        delay_s=delay_s,
        rules=() if rules_file is None else read_rules_file(rules_file),
        seed=seed,
        record=record,
        magic_words=magic_words,
        max_segments=max_segments,
        bad_key_status=_status(bad_key),
        error_ids=error_ids,
    )
    log_format: Literal["json", "auto"] = "json" if as_json else "auto"
    level: Literal["warning", "info"] = "warning" if quiet else "info"
    with stopped_by_signals() as stop, simulator:
        # Once the port is open: until then an error is told as a command's, not as a log line.
        set_up(LoggingSettings(format=log_format, level=level), "simulate", sys.stderr)
        _introduce(simulator.url, key, as_json=as_json)
        stop.wait()
        counts = simulator.requests()
    if not as_json:
        click.echo(f"Accepted {counts.accepted} messages in {counts.received} requests.")


def _status(choice: str) -> Literal[200, 401, 403]:
    match choice:
        case "401":
            return 401
        case "403":
            return 403
        case _:
            return 200


def _introduce(url: str, key: str, *, as_json: bool) -> None:
    """Say where it is and how to point a configuration at it."""
    control = url.replace("/api/rest", CONTROL)
    if as_json:
        print_json({"url": url, "key": key, "control": control})
    else:
        click.echo(
            f"The simulated provider answers at {url}\n\n"
            f'  [providers.justsend]\n  url = "{url}"\n\n'
            f"  CDC_SMS_PROVIDERS__JUSTSEND__KEY={key}\n\n"
            f"Faults, record, outage: {control}   Ctrl-C ends it."
        )
    sys.stdout.flush()
