"""Rules that make the simulated provider fail on purpose: which requests, and how.

The first rule that a request matches decides what happens to it; a request that matches none is
answered as the contract says. A file of rules, in TOML::

    [[rules]]
    name = "operator asleep"
    number = "48601.*"        # whom: regular expressions for the whole number, the whole text
    ratio = 0.1               # … and one in ten of those
    delay_s = 0.5             # what: wait, then …
    fault = "hang"            # … never answer
    accepts = true            # … although the message was accepted
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cdc_sms.errors import ConfigurationError

MAGIC = "Simulate:"


class Rule(BaseModel):
    """One rule; every condition that is given must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("", description="What the record calls it; default: its number, from 1.")
    number: str | None = Field(
        None, description="Regular expression for the whole number, in the `48…` form."
    )
    text: str | None = Field(None, description="Regular expression, found anywhere in the text.")
    calls: Literal["send", "balance", "all"] = Field(
        "all", description="Which calls; number and text are those of a send."
    )
    ratio: float = Field(1.0, ge=0, le=1, description="How many of the matching requests.")
    after: int = Field(0, ge=0, description="Not the first so many of the matching requests.")
    first: int | None = Field(None, ge=1, description="Then only so many of them.")
    from_s: float = Field(0.0, ge=0, description="Not before; seconds since the rule was set.")
    until_s: float | None = Field(None, gt=0, description="Not after; seconds since it was set.")

    delay_s: float = Field(0.0, ge=0, description="Wait so long before anything; seconds.")
    fault: Literal["none", "hang", "reset", "html", "truncated", "trickle", "status", "code"] = (
        Field("none", description="What is done instead of the answer.")
    )
    accepts: bool = Field(
        False,
        description="Whether a message is accepted before the fault (`trickle`: always).",
    )
    every_s: float = Field(0.1, gt=0, description="Pause between two bytes of `trickle`; seconds.")
    status: int = Field(503, ge=100, le=599, description="The HTTP status of fault `status`.")
    code: str = Field("INTERNAL_ERROR", description="The `responseCode` of fault `code`.")
    parameter: str | None = Field(None, description="The field that the code's text names.")
    retry_after: str | None = Field(
        None,
        coerce_numbers_to_str=True,
        description="The `Retry-After` header: seconds, or an HTTP date.",
    )
    key: str | None = Field(
        None, min_length=1, description="A new `App-Key`, the only one from the first match on."
    )

    @field_validator("number", "text")
    @classmethod
    def _is_an_expression(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"no regular expression: {error}") from error
        return value

    @model_validator(mode="before")
    @classmethod
    def _status_and_code_imply_their_fault(cls, value: object) -> object:
        if isinstance(value, dict) and "fault" not in value:
            for fault in ("status", "code"):
                if fault in value:
                    return {**value, "fault": fault}
        return value

    @model_validator(mode="after")
    def _code_is_known(self) -> "Rule":
        # A code of the tester's own must be possible: it is how an unknown one is simulated.
        if not re.fullmatch(r"[A-Z0-9_]+", self.code):
            raise ValueError("code must be of capital letters, digits and underscores")
        return self


class Rules:
    """The rules in force, and how often each was met.

    Thread: the simulator's.
    """

    def __init__(self, rules: Sequence[Rule], *, seed: int, now_s: float) -> None:
        """Put the rules in force.

        Args:
            rules: in order of precedence.
            seed: of the randomness behind ``ratio``.
            now_s: the present, monotonic; the rules' times count from it.
        """
        self.rules = tuple(
            rule if rule.name else rule.model_copy(update={"name": f"rule {number}"})
            for number, rule in enumerate(rules, start=1)
        )
        self._since_s = now_s
        self._matched = [0] * len(self.rules)
        self._random = Random(seed)  # noqa: S311 - faults, not secrets

    def pick(self, call: str, number: str, text: str, *, now_s: float) -> Rule | None:
        """Return the first rule that the request meets, and count it there.

        Args:
            call: ``send``, ``balance`` or any other.
            number: of a send, in the ``48…`` form where it has it; else empty.
            text: of a send; else empty.
            now_s: the present, monotonic.
        """
        age_s = now_s - self._since_s
        for place, rule in enumerate(self.rules):
            if not _concerns(rule, call, number, text) or not _is_time(rule, age_s):
                continue
            if rule.ratio < 1 and self._random.random() >= rule.ratio:
                continue
            self._matched[place] += 1
            last = None if rule.first is None else rule.after + rule.first
            if self._matched[place] > rule.after and (last is None or self._matched[place] <= last):
                return rule
        return None


def _concerns(rule: Rule, call: str, number: str, text: str) -> bool:
    if rule.calls not in {"all", call}:
        return False
    if rule.number is not None and (call != "send" or not re.fullmatch(rule.number, number)):
        return False
    return rule.text is None or (call == "send" and re.search(rule.text, text) is not None)


def _is_time(rule: Rule, age_s: float) -> bool:
    return rule.from_s <= age_s and (rule.until_s is None or age_s < rule.until_s)


def read_rules(values: object) -> tuple[Rule, ...]:
    """Make rules of what a file or a request holds: a list of tables.

    Raises:
        ConfigurationError: all that is wrong, at once.
    """
    if not isinstance(values, list):
        raise ConfigurationError(
            "rules are no list.", hint="Write each rule as a table under [[rules]]."
        )
    rules: list[Rule] = []
    mistakes: list[str] = []
    for number, value in enumerate(values, start=1):
        try:
            rules.append(Rule.model_validate(value))
        except ValidationError as error:
            mistakes += [
                f"rule {number}, {'.'.join(map(str, found['loc'])) or 'whole'}: {found['msg']}"
                for found in error.errors()
            ]
    if mistakes:
        raise ConfigurationError(
            "; ".join(mistakes) + ".",
            hint="`cdc-sms simulate --help` lists what a rule can say.",
        )
    return tuple(rules)


def read_rules_file(file: Path) -> tuple[Rule, ...]:
    """Read the rules of a TOML file.

    Raises:
        ConfigurationError: no such file, no TOML, or no rules.
    """
    try:
        content: Mapping[str, object] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            f"the rules in {str(file)!r} can't be read: {error}.",
            hint="Name a TOML file with tables under [[rules]].",
        ) from error
    return read_rules(content.get("rules", []))


def magic_rule(text: str) -> Rule | None:
    """Return the rule that a text carries itself: ``Simulate: code = "LIMIT_EXCEEDED"; Hello``."""
    if not text.startswith(MAGIC):
        return None
    spell, _, _ = text.removeprefix(MAGIC).partition(";")
    try:
        values = tomllib.loads(f"rule = {{ {spell} }}")["rule"]
        return Rule.model_validate({"name": "magic word", **values})
    except (tomllib.TOMLDecodeError, ValidationError):
        return None
