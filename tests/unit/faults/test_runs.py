"""What the runs of cases are told as, and which options are refused."""

import re
from dataclasses import replace

import pytest
from faults.__main__ import main
from faults.catalogue import CASES
from faults.counting import Counts
from faults.moments import OFFSET_COMMIT, PRODUCE, asked
from faults.runs import Case, Found, block, table, totals
from faults.site import Plan

FOUND = Found(
    case="large",
    plan=Plan(),
    seconds=7.1,
    counts=Counts(rows=6, sent=6),
    recovered_s=1.12,
    did=["rows of 1 and 6 MB"],
    broken=[],
    unrecovered=None,
    logs="",
)


@pytest.mark.parametrize(
    "found",
    [
        replace(FOUND, counts=Counts(lost=1)),
        replace(FOUND, counts=Counts(doubled_beyond_doubt=1)),
        replace(FOUND, unrecovered="waited 60 s"),
        replace(FOUND, broken=["nothing is dead-lettered"]),
    ],
    ids=["lost", "doubled beyond doubt", "unrecovered", "broken promise"],
)
def test_run_that_found_something_is_not_clean(found: Found) -> None:
    assert FOUND.is_clean
    assert not found.is_clean
    assert "BROKEN" in block(found)


def test_table_is_markdown_with_one_line_a_run() -> None:
    lines = table([FOUND, replace(FOUND, unrecovered="waited")]).splitlines()

    assert len({line.count("|") for line in lines}) == 1
    assert lines[2] == "| large | postgres | builtin | 1 | 7 | 6 | 6 | 0 | 0 | 0 | 0 | 1.1 s |"
    assert lines[3].endswith("| never |")


def test_totals_have_the_documented_keys() -> None:
    counts = Counts(rows=3, sent=2, in_doubt=2, doubled=1, doubled_beyond_doubt=1, lost=1)

    assert totals([FOUND, replace(FOUND, counts=counts, unrecovered="waited")]) == {
        "cases": 2,
        "lost": 1,
        "doubled": 1,
        "doubled_beyond_doubt": 1,
        "in_doubt": 2,
        "unrecovered": 1,
    }


@pytest.mark.parametrize(
    "options",
    [
        ["--source", "oracle"],
        ["--submit", "bulk"],
        ["--phase", "snapshot"],
        ["--only", "no-such-case"],
        ["--only", "takeover", "--reader", "debezium"],
        ["--part", "3/2"],
        ["--rounds", "0"],
        ["--mutations", "--only", "kill-deliver"],
    ],
    ids=" ".join,
)
def test_what_does_not_exist_is_refused(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(options)

    assert ended.value.code == 2
    assert "error" in capsys.readouterr().err


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_case_says_its_time_limit(case: Case) -> None:
    said = re.search(r"Ends\s+within\s+(\d+)\s+s", case.run.__doc__ or "")

    assert said
    assert float(said.group(1)) == case.within_s


def test_request_is_recognised_by_its_api_key_behind_another() -> None:
    produce = b"\x00\x00\x00\x06\x00\x00\x00\x09\x00\x01"
    offset_commit = b"\x00\x00\x00\x06\x00\x08\x00\x09\x00\x02"

    assert asked(OFFSET_COMMIT)(produce + offset_commit)
    assert asked(PRODUCE)(produce)
    assert not asked(PRODUCE)(offset_commit)
