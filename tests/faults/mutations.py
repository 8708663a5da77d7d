"""Faults put into a copy of the code on purpose, one at a time: each has to be found by a case."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from support.business.dialects import SOURCES

import cdc_sms
from faults.catalogue import CASES
from faults.runs import Found, block, run
from faults.servers import Servers
from faults.site import Plan

PACKAGE = "cdc_sms"
SOURCE = Path(cdc_sms.__file__).parent
"""The package that the cases run: the working tree's, or an installed one."""
CRASHED = "the case ended in"
"""How a broken promise begins that the case itself stumbled over: it proves nothing."""


class MutationError(Exception):
    """The code is no longer what a mutation was written for: bring the table up to date."""


@dataclass(frozen=True)
class Edit:
    """A text that stands exactly once in a file of the package, and what takes its place."""

    file: str
    old: str
    new: str

    def apply(self, package: Path) -> None:
        """Change a copy of the package.

        Raises:
            MutationError: the text stands there never or several times, or the outcome is no
                Python.
        """
        path = package / self.file
        text = path.read_text()
        if (times := text.count(self.old)) != 1:
            raise MutationError(f"{self.file} holds {self.old!r} {times} times, not once")
        path.write_text(text.replace(self.old, self.new))
        try:
            compile(path.read_text(), str(path), "exec")
        except SyntaxError as error:
            raise MutationError(f"{self.file} is no Python any more: {error}") from error


@dataclass(frozen=True)
class Mutation:
    """One fault of the code, and the case that has to find it, on which databases."""

    name: str
    case: str
    edits: tuple[Edit, ...]
    sources: tuple[str, ...] = SOURCES


MUTATIONS = (
    Mutation(
        "confirm-before-acknowledgement",
        "kill-capture",
        (Edit("capture/outbox.py", "return counted.outstanding == 0", "return True"),),
    ),
    Mutation(
        "commit-before-settle",
        "kill-deliver",
        (
            Edit(
                "deliver/loop.py",
                "                self._desk.put(look)\n",
                "                self._desk.put(look)\n"
                "                self._offsets.finished(place)\n",
            ),
        ),
    ),
    Mutation(
        "absent-taken-for-deleted",
        "row-late",
        (
            Edit(
                "deliver/claim.py",
                "if xid is None or snapshot is None or snapshot.sees(xid):",
                "if True:",
            ),
        ),
        sources=("postgres",),
    ),
    Mutation(
        "absent-not-proved-under-a-lock",
        "row-late",
        (Edit("deliver/claim.py", "if read.snapshot is not None:", "if True:"),),
        sources=("mysql", "mariadb"),
    ),
    Mutation(
        "claim-taken-over-within-its-lease",
        "frozen-member",
        (
            Edit(
                "deliver/decide.py",
                "return rules.may_take_over and _lease_end(message, rules) < now",
                "return True",
            ),
        ),
    ),
    Mutation(
        "sent-after-the-lease",
        "frozen-member",
        (
            Edit(
                "deliver/send.py",
                "if self._clock.monotonic_s() + self._deadline_s > claim.lease_until_s:",
                "if False:",
            ),
        ),
    ),
    Mutation(
        "dead-letter-not-awaited",
        "kill-between",
        (
            Edit(
                "deliver/settle.py",
                "        dead_letter_class=route.dead_letter,\n"
                "        dlq_partition=None,\n"
                "        dlq_offset=None,\n",
                "        dead_letter_class=route.dead_letter,\n"
                "        dlq_partition=-1,\n"
                "        dlq_offset=-1,\n",
            ),
            Edit(
                "deliver/settle.py",
                "    if message.is_done:\n"
                "        return Finished(look, message.state)\n"
                "    if message.owes_dead_letter:\n",
                "    if message.state is State.FAILED and message.dead_letter_class:\n"
                "        return OwesDeadLetter(look, message, message.dead_letter_class)\n"
                "    if message.is_done:\n"
                "        return Finished(look, message.state)\n"
                "    if message.owes_dead_letter:\n",
            ),
        ),
    ),
    Mutation(
        "write-back-without-guard",
        "row-changed",
        (
            Edit(
                "deliver/write_back.py",
                "if not may_write(message, row, status,"
                " has_created_at=self._table.has_created_at):",
                "if False:",
            ),
        ),
    ),
)


def run_mutations(servers: Servers, plan: Plan, only: Sequence[str] | None) -> bool:
    """Run each mutation's case on a mutated copy; tell of each, and return whether all are found.

    Args:
        servers: to run on.
        plan: of the cases.
        only: names of mutations; None: all.

    Raises:
        MutationError: a mutation doesn't fit the code any more.
    """
    chosen = [
        mutation
        for mutation in MUTATIONS
        if plan.source in mutation.sources and (only is None or mutation.name in only)
    ]
    with tempfile.TemporaryDirectory(prefix="cdc-sms-mutations-") as folder:
        copies = {mutation: _mutated(mutation, Path(folder)) for mutation in chosen}
        found = {
            mutation: _is_found(mutation, copies[mutation], servers, plan) for mutation in chosen
        }
    print("\n| fault in the code | case | found by |\n|---|---|---|")
    for mutation, how in found.items():
        print(f"| {mutation.name} | {mutation.case} | {how or '**not found**'} |")
    return bool(chosen) and all(found.values())


def _mutated(mutation: Mutation, folder: Path) -> Path:
    """Return a folder with a mutated copy of the package, for PYTHONPATH."""
    place = folder / mutation.name
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SOURCE, place / PACKAGE, ignore=ignored)
    for edit in mutation.edits:
        edit.apply(place / PACKAGE)
    return place


def _is_found(mutation: Mutation, copy: Path, servers: Servers, plan: Plan) -> str:
    """Return how the case found it; empty where it did not."""
    plan = replace(plan, environment={"PYTHONPATH": str(copy)})
    found = run(CASES[mutation.case], servers=servers, plan=plan)
    print(f"\nmutation {mutation.name}: {block(found)}", flush=True)
    return _evidence(found)


def _evidence(found: Found) -> str:
    if any(words.startswith(CRASHED) for words in found.broken):
        return ""
    counts = found.counts
    signs = [
        f"lost {counts.lost}" if counts.lost else "",
        f"doubled beyond doubt {counts.doubled_beyond_doubt}"
        if counts.doubled_beyond_doubt
        else "",
        "unrecovered" if found.unrecovered else "",
        *(words.partition(";")[0] for words in found.broken),
    ]
    return "; ".join(sign for sign in signs if sign)
