"""The command behind ``scripts/bench``."""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from support.business.dialects import SOURCES
from support.servers.machine import ServerUnavailableError, say

from bench.catalogue import BENCHMARKS, Sizes
from bench.figures import Figure, figures_of, table
from bench.machine import load, machine, versions
from bench.site import Servers, Site, own_servers

UNAVAILABLE = 3


def main(arguments: Sequence[str]) -> int:
    """Run the benchmarks asked for; return the exit code."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    facts = machine()
    try:
        debezium = options.debezium and "unrelated" in options.names
        with own_servers(options.source, debezium=debezium) as servers:
            facts |= versions(servers)
            figures = measure(servers, options.names, sizes=Sizes(), rounds=options.rounds)
            facts["load_after"] = load()
    except ServerUnavailableError as error:
        say(str(error))
        return UNAVAILABLE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print("\n".join(report(figures, facts, options.rounds)))
    if options.json:
        found = {figure.name: figure.as_json() for figure in figures}
        print(json.dumps({**found, "rounds": options.rounds, "machine": facts}))
    return 0


def measure(servers: Servers, names: Sequence[str], *, sizes: Sizes, rounds: int) -> list[Figure]:
    """Run benchmarks, one after the other, each so often; return their figures in order."""
    return [figure for name in names for figure in _measured(servers, name, sizes, rounds)]


def _measured(servers: Servers, name: str, sizes: Sizes, rounds: int) -> list[Figure]:
    values = []
    with (
        tempfile.TemporaryDirectory(prefix="cdc-sms-bench-") as folder,
        Site(servers, Path(folder)) as site,
    ):
        benchmark = BENCHMARKS[name].build(site, sizes)
        for number in range(1, rounds + 1):
            say(f"{name}: round {number} of {rounds}")
            values.append(benchmark.round())
    return figures_of(values)


def report(figures: Sequence[Figure], facts: dict[str, object], rounds: int) -> list[str]:
    """Return the lines for people: what was measured on, then the figures."""
    named = "  ".join(f"{name}={value}" for name, value in facts.items())
    note = (
        f"Medians of {rounds} rounds. Servers, provider and roles share the machine's processors"
        " with whatever else made the load."
    )
    return ["", named, note, "", table(figures)]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure speed and memory on real servers and real processes. Speed is"
        " measured, never asserted: it ends with 0 when it ran.",
        epilog="\n".join(f"{name:18}{entry.about}" for name, entry in BENCHMARKS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="these benchmarks; default: all")
    add("--rounds", type=_positive, default=3, metavar="N", help="each so often (default 3)")
    add("--source", choices=SOURCES, default="postgres", help="the business database")
    add(
        "--no-debezium",
        dest="debezium",
        action="store_false",
        help="leave out what is measured of Debezium beside ours",
    )
    add("--json", action="store_true", help="the last line is one JSON object")
    options = parser.parse_args(arguments)
    if "compare" in options.names:
        parser.error("compare is not there yet: name single benchmarks")
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    options.names = options.names or list(BENCHMARKS)
    return options


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    raise SystemExit(main(sys.argv[1:]))
