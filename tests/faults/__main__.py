"""The command behind ``scripts/faults``."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence

from support.business.dialects import SOURCES
from support.servers.machine import ServerUnavailableError, say

from faults.catalogue import CASES
from faults.mutations import MUTATIONS, MutationError, run_mutations
from faults.runs import Case, Found, block, run, table, totals
from faults.servers import own_servers
from faults.site import Plan

UNEXPECTED, UNAVAILABLE, FOUND = 1, 3, 10


def main(arguments: Sequence[str]) -> int:
    """Run the cases asked for; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    cases = _chosen(parser, options)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended
    try:
        with own_servers(options.source, debezium=options.reader == "debezium") as servers:
            if options.mutations:
                return 0 if run_mutations(servers, _plan(options, 0), options.only) else FOUND
            findings = [
                _told(run(case, servers=servers, plan=_plan(options, round_)))
                for round_ in range(options.rounds)
                for case in cases
            ]
    except ServerUnavailableError as error:
        say(str(error))
        return UNAVAILABLE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except MutationError as error:
        say(f"faults: tests/faults/mutations.py doesn't fit the code: {error}")
        return UNEXPECTED
    print(f"\n{table(findings)}")
    broken = [f"{f.case} (seed {f.plan.seed}): {words}" for f in findings for words in f.broken]
    print("\nbroken promises: " + ("none" if not broken else ""))
    print("".join(f"- {words}\n" for words in broken), end="")
    if options.json:
        print(json.dumps(totals(findings)))
    return 0 if all(found.is_clean for found in findings) else FOUND


def _plan(options: argparse.Namespace, round_: int) -> Plan:
    return Plan(
        source=options.source,
        reader=options.reader,
        doubt=options.doubt,
        seed=options.seed + round_,
        outage_s=options.outage_s,
        kills=options.kills,
    )


def _told(found: Found) -> Found:
    print(f"\n{block(found)}", flush=True)
    return found


def _chosen(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[Case]:
    """Return the cases of this run, or end with exit code 2."""
    mutations = [mutation.name for mutation in MUTATIONS if options.source in mutation.sources]
    known = mutations if options.mutations else list(CASES)
    names = options.only or known
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    if options.mutations:
        return []
    cases = [CASES[name] for name in names]
    unable = {case.name: why for case in cases if (why := _why_not(case, options))}
    if unable and options.only:
        parser.error("; ".join(f"{name} can't run with {why}" for name, why in unable.items()))
    for name, why in unable.items():
        say(f"faults: {name} is not for {why}")
    index, parts = options.part
    return [case for case in cases if case.name not in unable][index - 1 :: parts]


def _why_not(case: Case, options: argparse.Namespace) -> str | None:
    """Return the option that a case can't run with, or None."""
    if options.reader not in case.readers:
        return f"--reader {options.reader}"
    if options.source not in case.sources:
        return f"--source {options.source}"
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/faults",
        description="Make every fault on real servers and real processes, and count what came of"
        " the messages.",
        epilog="\n".join(f"{case.name:18}{case.about}" for case in CASES.values()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", type=_words, metavar="CASE[,…]", help="these cases; default: all")
    add("--rounds", type=_positive, default=1, metavar="N", help="each so often; the seed goes up")
    add("--seed", type=int, default=1, metavar="S", help="of everything that is left to chance")
    add("--source", choices=SOURCES, default="postgres", help="the business database")
    add("--reader", choices=["builtin", "debezium"], default="builtin", help="who captures")
    add("--phase", choices=["stream"], default="stream", help="what capture does meanwhile")
    add("--submit", choices=["single"], default="single", help="how messages are handed over")
    add("--doubt", choices=["resend", "hold"], default="resend", help="deliver.doubt")
    add("--part", type=_part, default=(1, 1), metavar="I/N", help="the I-th of N shares of them")
    add(
        "--outage-s",
        type=float,
        default=90.0,
        metavar="S",
        help="the length of long-outage; seconds (default 90)",
    )
    add(
        "--kills",
        type=_positive,
        default=60,
        metavar="N",
        help="how often connection-kills ends the reader's connections (default 60)",
    )
    add("--json", action="store_true", help="the last line is one JSON object")
    add(
        "--mutations",
        action="store_true",
        help="put faults into a copy of the code, one at a time: each must be found (--only names"
        " some of them)",
    )
    return parser


def _words(text: str) -> list[str]:
    return text.split(",")


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _part(text: str) -> tuple[int, int]:
    index, _, parts = text.partition("/")
    if not (index.isdigit() and parts.isdigit() and 1 <= int(index) <= int(parts)):
        raise argparse.ArgumentTypeError("must be I/N, from 1/N to N/N")
    return int(index), int(parts)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    raise SystemExit(main(sys.argv[1:]))
