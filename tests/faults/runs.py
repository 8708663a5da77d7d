"""One run of one case: what it found, told to a person."""

import secrets
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from support.business.dialects import SOURCES
from support.waiting import GaveUpError

from faults.counting import Counts
from faults.servers import Servers
from faults.site import Plan, Site


@dataclass(frozen=True)
class Case:
    """A fault, made on purpose.

    Attributes:
        name: as on the command line.
        run: makes it; its docstring says which fault, which guarantee, which time limit.
        within_s: the stated time limit; seconds.
        outages: how many times the length of ``--outage-s`` is added to that.
        is_fast: whether it belongs to the half that the end-to-end tests run.
        readers: who may capture.
        sources: the databases that it can be made on.
    """

    name: str
    run: Callable[[Site], None]
    within_s: float
    is_fast: bool = False
    outages: float = 0.0
    readers: Sequence[str] = ("builtin", "debezium")
    sources: Sequence[str] = SOURCES

    @property
    def about(self) -> str:
        """Return the first line of what it says of itself."""
        return (self.run.__doc__ or "").strip().splitlines()[0]


@dataclass(frozen=True)
class Found:
    """What one run of a case found.

    Attributes:
        recovered_s: from the fault's end until the flow was at rest; None: never measured.
        did: what was done, sentence by sentence.
        broken: promises that were not kept.
        unrecovered: why the flow was not at rest in time; None where it was.
        logs: the processes' warnings, where something was found.
    """

    case: str
    plan: Plan
    seconds: float
    counts: Counts
    recovered_s: float | None
    did: Sequence[str]
    broken: Sequence[str]
    unrecovered: str | None
    logs: str

    @property
    def is_clean(self) -> bool:
        """Say whether everything was kept."""
        counts = self.counts
        return not (counts.lost or counts.doubled_beyond_doubt or self.unrecovered or self.broken)


def run(case: Case, *, servers: Servers, plan: Plan) -> Found:
    """Run a case and count; whatever it meets is a finding, never an error of the caller's."""
    folder = Path(tempfile.mkdtemp(prefix=f"cdc-sms-{case.name}-"))
    begun = time.monotonic()
    counts, unrecovered = Counts(), None
    site = Site(
        servers=servers,
        plan=plan,
        within_s=case.within_s + case.outages * plan.outage_s,
        folder=folder,
        run_id=secrets.token_hex(3),
    )
    try:
        with site:
            try:
                case.run(site)
                site.rest()
            except GaveUpError as error:
                unrecovered = str(error)
            except Exception as error:  # noqa: BLE001 - a case that fails has found something
                frames = traceback.extract_tb(error.__traceback__)
                where = next((f for f in reversed(frames) if "faults" in f.filename), frames[-1])
                site.broken.append(
                    f"the case ended in {Path(where.filename).name}:{where.lineno} with"
                    f" {type(error).__name__}: {_first_line(error)}"
                )
            seconds = time.monotonic() - begun
            counts = site.count()
        found = Found(
            case=case.name,
            plan=plan,
            seconds=seconds,
            counts=counts,
            recovered_s=site.recovered_s,
            did=site.did,
            broken=site.broken,
            unrecovered=unrecovered,
            logs="",
        )
        return found if found.is_clean else _with_logs(found, site)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]


def _with_logs(found: Found, site: Site) -> Found:
    return Found(**{**vars(found), "logs": site.logs()})


def block(found: Found) -> str:
    """Return what a person reads of one run."""
    counts, plan = found.counts, found.plan
    verdict = "kept" if found.is_clean else "BROKEN"
    title = (
        f"{found.case} · {plan.source} · {plan.reader} · seed {plan.seed} ·"
        f" {verdict} in {found.seconds:.1f} s"
    )
    doubled = f"{counts.doubled} doubled ({counts.doubled_beyond_doubt} beyond doubt)"
    figures = (
        f"{counts.rows} rows: {counts.sent} sent, {counts.in_doubt} ever in doubt, {doubled},"
        f" {counts.lost} lost"
    )
    if found.recovered_s is not None:
        figures += f"; at rest {found.recovered_s:.1f} s after"
    lines = [*found.did, figures, *(f"broken promise: {words}" for words in found.broken)]
    if found.unrecovered:
        lines.append(f"unrecovered: {found.unrecovered}")
    lines += [f"  {line[:500]}" for line in found.logs.splitlines()]
    return "\n".join([title, *(f"  {line}" for line in lines)])


COLUMNS = (
    "case",
    "source",
    "reader",
    "seed",
    "seconds",
    "rows",
    "sent",
    "in doubt",
    "doubled",
    "beyond doubt",
    "lost",
    "recovered in",
)


def table(findings: Sequence[Found]) -> str:
    """Return the runs as a table of Markdown."""
    lines = [_line(COLUMNS), "|---|---|---|" + "--:|" * (len(COLUMNS) - 3)]
    return "\n".join(lines + [_line(_cells(found)) for found in findings])


def _cells(found: Found) -> Sequence[object]:
    recovered = "" if found.recovered_s is None else f"{found.recovered_s:.1f} s"
    return (
        found.case,
        found.plan.source,
        found.plan.reader,
        found.plan.seed,
        round(found.seconds),
        *astuple(found.counts),
        "never" if found.unrecovered else recovered,
    )


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def totals(findings: Sequence[Found]) -> dict[str, int]:
    """Return the keys of the JSON line."""
    return {
        "cases": len(findings),
        "lost": sum(found.counts.lost for found in findings),
        "doubled": sum(found.counts.doubled for found in findings),
        "doubled_beyond_doubt": sum(found.counts.doubled_beyond_doubt for found in findings),
        "in_doubt": sum(found.counts.in_doubt for found in findings),
        "unrecovered": sum(found.unrecovered is not None for found in findings),
    }
