"""Fault rules: whom they concern, how often, and what is no rule."""

from pathlib import Path
from typing import Any

import pytest

from cdc_sms.errors import ConfigurationError
from cdc_sms.playground.faults import Rule, Rules, magic_rule, read_rules, read_rules_file

NUMBER = "48600100200"


def hits(rule: Rule, times: int = 10, **changes: Any) -> list[bool]:
    rules = Rules([rule], seed=1, now_s=100.0)
    asked = {"call": "send", "number": NUMBER, "text": "Hello Anna", "now_s": 105.0, **changes}
    return [rules.pick(**asked) is not None for _ in range(times)]


@pytest.mark.parametrize(
    ("rule", "asked", "is_met"),
    [
        pytest.param(Rule(), {}, True, id="no condition"),
        pytest.param(Rule(number="48600.*"), {}, True, id="the number"),
        pytest.param(Rule(number="48600"), {}, False, id="a part of the number"),
        pytest.param(Rule(text="Anna"), {}, True, id="a part of the text"),
        pytest.param(Rule(text="Bob"), {}, False, id="another text"),
        pytest.param(Rule(text="Anna"), {"call": "balance"}, False, id="a call without a text"),
        pytest.param(Rule(calls="send"), {}, True, id="the call"),
        pytest.param(Rule(calls="balance"), {}, False, id="another call"),
        pytest.param(Rule(from_s=5), {}, True, id="time has come"),
        pytest.param(Rule(from_s=6), {}, False, id="time has not come"),
        pytest.param(Rule(until_s=5), {}, False, id="time is over"),
    ],
)
def test_a_rule_is_met_where_every_condition_holds(
    rule: Rule, asked: dict[str, object], *, is_met: bool
) -> None:
    assert hits(rule, 1, **asked) == [is_met]


def test_a_rule_can_leave_out_some_and_end_after_some() -> None:
    assert hits(Rule(after=2, first=3), 7) == [False, False, True, True, True, False, False]


def test_a_ratio_is_kept_and_is_the_same_with_the_same_seed() -> None:
    first, second = hits(Rule(ratio=0.3), 1000), hits(Rule(ratio=0.3), 1000)

    assert first == second
    assert 250 < sum(first) < 350


def test_the_first_rule_that_is_met_decides() -> None:
    rules = Rules([Rule(text="Bob"), Rule(name="all"), Rule(name="late")], seed=0, now_s=0)

    picked = rules.pick("send", NUMBER, "Hello Anna", now_s=1)

    assert picked is not None
    assert picked.name == "all"


def test_a_rule_without_a_name_is_called_by_its_number() -> None:
    assert Rules([Rule(), Rule()], seed=0, now_s=0).rules[1].name == "rule 2"


@pytest.mark.parametrize(
    ("values", "fault"),
    [({"status": 502}, "status"), ({"code": "NOT_FUNDS"}, "code"), ({"delay_s": 1}, "none")],
)
def test_a_status_or_a_code_says_its_fault(values: dict[str, object], fault: str) -> None:
    assert read_rules([values])[0].fault == fault


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as told:
        read_rules([{"number": "("}, {"fault": "explode"}, {"colour": "red"}])

    for words in ("rule 1, number", "rule 2, fault", "rule 3, colour"):
        assert words in told.value.message


def test_a_file_of_rules_is_read(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[rules]]\nnumber = "48601.*"\nfault = "hang"\naccepts = true\n')

    assert read_rules_file(file) == (Rule(number="48601.*", fault="hang", accepts=True),)


@pytest.mark.parametrize("content", [None, "[[rules", "rules = 1"])
def test_a_file_that_holds_no_rules_is_a_mistake(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "rules.toml"
    if content is not None:
        file.write_text(content)

    with pytest.raises(ConfigurationError):
        read_rules_file(file)


def test_a_text_can_carry_its_rule() -> None:
    rule = magic_rule('Simulate: code = "LIMIT_EXCEEDED", first = 1; Hello')

    assert rule is not None
    assert (rule.fault, rule.code) == ("code", "LIMIT_EXCEEDED")


@pytest.mark.parametrize("text", ["Hello", "Simulate: nonsense; Hello", 'Simulate: fault = "x"; H'])
def test_a_text_without_a_rule_is_a_text(text: str) -> None:
    assert magic_rule(text) is None
