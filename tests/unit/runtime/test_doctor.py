"""What a report of the doctor ends with."""

import pytest

from cdc_sms.runtime.doctor import AILMENTS, Report
from cdc_sms.sources.binlog import diagnosis as binlog
from cdc_sms.sources.checkup import Examined, Finding, Severity, finder
from cdc_sms.sources.postgres import diagnosis as postgres


def finding(severity: Severity, said: str = "Something is off.") -> Finding:
    """Return a finding of a severity."""
    return Finding("something", severity, said, "Mend it.")


@pytest.mark.parametrize(
    ("findings", "is_reachable", "code"),
    [
        pytest.param([], True, 0, id="nothing"),
        pytest.param([finding(Severity.NOTE)], True, 0, id="notes alone"),
        pytest.param([finding(Severity.WARNING)], True, 10, id="a warning"),
        pytest.param([finding(Severity.ERROR)], True, 10, id="an error"),
        pytest.param([finding(Severity.ERROR)], False, 6, id="unreachable"),
    ],
)
def test_the_exit_code_follows_from_what_was_found(
    findings: list[Finding], is_reachable: bool, code: int
) -> None:
    assert Report(findings=findings, is_reachable=is_reachable).exit_code == code


def test_the_same_sentence_is_told_once() -> None:
    report = Report()

    report.take(Examined([finding(Severity.ERROR)]))
    report.take(Examined([finding(Severity.ERROR), finding(Severity.NOTE, "Another.")]))

    assert [one.said for one in report.findings] == ["Something is off.", "Another."]


def test_what_examinations_bring_is_put_together() -> None:
    report = Report()

    report.take(Examined(facts={"server": 1}, measured={"a_ms": 1.0}, left_out=["One."]))
    report.take(Examined(facts={"kafka": 2}, measured={"b_ms": 2.0}, left_out=["Two."]))

    assert report.facts == {"server": 1, "kafka": 2}
    assert report.measured == {"a_ms": 1.0, "b_ms": 2.0}
    assert report.left_out == ["One.", "Two."]


def test_a_remedy_names_what_it_is_about_and_may_be_one_of_its_own() -> None:
    found = finder(postgres.AILMENTS, user='"cdc"', table='"sms"')

    right = found("replication-right", "The user may not replicate.")
    own = found("replication-right", "The user may not replicate.", remedy="Ask.")

    assert right.remedy == 'ALTER ROLE "cdc" REPLICATION;'
    assert own.remedy == "Ask."
    assert 'rds_replication TO "cdc"' in own.managed


@pytest.mark.parametrize("catalogue", [AILMENTS, postgres.AILMENTS, binlog.AILMENTS])
def test_names_are_words_that_a_script_may_rely_on(catalogue: dict[str, object]) -> None:
    for name in catalogue:
        assert name.replace("-", "").isalnum()
        assert name == name.lower()
