"""Answers to outcomes, messages that are refused before they cost a request, the key."""

import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from cdc_sms.config.settings import ProviderSettings
from cdc_sms.errors import ConfigurationError
from cdc_sms.model.clock import SystemClock
from cdc_sms.model.message import Message
from cdc_sms.model.outcome import Failed, FailureClass, InDoubt, Sent
from cdc_sms.model.recipient import Recipient, SmsText
from cdc_sms.providers.base import Balance
from cdc_sms.providers.http import Answer, Broken, Fault, Moment
from cdc_sms.providers.justsend.failures import Submitted
from cdc_sms.providers.justsend.provider import Contract, JustSend, KeySource

SUBMITTED = Submitted(sender_is_ours=True, variant="PRO")


class FixedClock:
    """Stands still."""

    def now(self) -> datetime:
        return datetime(2030, 1, 31, 8, 0, 0, tzinfo=UTC)

    def monotonic_s(self) -> float:
        return 0.0


def settings(**changes: Any) -> ProviderSettings:
    return ProviderSettings.model_validate(
        {"url": "http://provider.example/api", "key": "secret-key", "sender": "ACME", **changes}
    )


def contract(**changes: Any) -> Contract:
    return Contract(settings(**changes), clock=FixedClock())


def provider(**changes: Any) -> JustSend:
    return JustSend(name="justsend", settings=settings(**changes), clock=SystemClock())


def envelope(**fields: object) -> Answer:
    return Answer(200, {}, orjson.dumps(fields))


def message(text: str = "Your parcel arrives today", sender: str | None = None) -> Message:
    return Message(
        id="sms/1",
        recipient=Recipient("+48600100200"),
        text=SmsText(text),
        sender=sender,
        attempt=1,
    )


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"errorId": 0, "data": 912345}, id="as documented"),
        pytest.param({"errorId": None, "data": 912345}, id="a null id means no error"),
        pytest.param({"data": 912345}, id="no id means no error"),
        pytest.param({"errorId": "0", "data": "912345"}, id="numbers as text"),
    ],
)
def test_ok_with_an_id_is_sent(fields: dict[str, object]) -> None:
    outcome = contract().sent(envelope(responseCode="OK", **fields), SUBMITTED)

    assert outcome == Sent("912345")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(envelope(responseCode="OK", errorId=0, data=None), id="OK without an id"),
        pytest.param(
            envelope(responseCode="OK", errorId=0, data=True), id="OK with no id but true"
        ),
        pytest.param(envelope(responseCode="OK", errorId=0, data=0), id="OK with id 0"),
        pytest.param(envelope(responseCode="OK", errorId=106, data=1), id="OK with an error's id"),
        pytest.param(envelope(responseCode="OK", errorId=0.5, data=1), id="an id that is none"),
        pytest.param(envelope(errorId=0, data=1), id="no code"),
        pytest.param(
            envelope(responseCode="QUEUED", errorId=0, data=1), id="an unknown code with an id"
        ),
        pytest.param(Answer(503, {}, b'{"responseCode":"OK","data":7}'), id="503 that says OK"),
        pytest.param(Answer(200, {}, b"<html>Log in</html>"), id="a page"),
        pytest.param(Answer(200, {}, b'{"responseCode":"OK","err'), id="half an envelope"),
        pytest.param(Answer(200, {}, b"[]"), id="a list"),
        pytest.param(Answer(200, {}, b""), id="nothing"),
        pytest.param(Answer(204, {}, b""), id="204"),
        pytest.param(
            Answer(200, {}, None, Fault("timeout", "too late", Moment.AFTER)), id="no body in time"
        ),
    ],
)
def test_a_sign_of_acceptance_that_is_not_the_contracts_is_in_doubt(answer: Answer) -> None:
    assert isinstance(contract().sent(answer, SUBMITTED), InDoubt)


@pytest.mark.parametrize("status", [408, 500, 502, 504, 302, 599])
def test_a_status_that_leaves_it_open_is_in_doubt(status: int) -> None:
    outcome = contract().sent(Answer(status, {}, b""), SUBMITTED)

    assert isinstance(outcome, InDoubt)
    assert outcome.code == f"http_{status}"


def test_internal_error_is_in_doubt() -> None:
    outcome = contract().sent(envelope(responseCode="INTERNAL_ERROR", errorId=100), SUBMITTED)

    assert isinstance(outcome, InDoubt)


def test_a_documented_code_decides_whatever_the_status() -> None:
    answer = Answer(400, {}, b'{"responseCode":"NO_SUFFICIENT_POINTS","errorId":106}')

    outcome = contract().sent(answer, SUBMITTED)

    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.code) == (FailureClass.ACCOUNT, "NO_SUFFICIENT_POINTS")


@pytest.mark.parametrize("fault", [None, Fault("timeout", "too late", Moment.AFTER)])
def test_a_status_that_says_enough_needs_no_body(fault: Fault | None) -> None:
    outcome = contract().sent(Answer(401, {}, None, fault), SUBMITTED)

    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.ACCOUNT


def test_an_unknown_code_is_transient() -> None:
    outcome = contract().sent(envelope(responseCode="BRAND_NEW", errorId=999), SUBMITTED)

    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.TRANSIENT


@pytest.mark.parametrize(
    ("answer", "pause_s"),
    [
        pytest.param(Answer(429, {"Retry-After": "7"}, b""), 7.0, id="429 that says how long"),
        pytest.param(Answer(429, {}, b""), 45.0, id="429 that doesn't"),
        pytest.param(Answer(503, {"Retry-After": "9"}, b""), 9.0, id="503 that says how long"),
        pytest.param(Answer(503, {}, b""), None, id="503 that doesn't"),
        pytest.param(envelope(responseCode="LIMIT_EXCEEDED"), 45.0, id="LIMIT_EXCEEDED"),
        pytest.param(
            Answer(200, {"Retry-After": "3"}, b'{"responseCode":"LIMIT_EXCEEDED"}'),
            3.0,
            id="LIMIT_EXCEEDED that says how long",
        ),
        pytest.param(
            Answer(429, {"Retry-After": "Thu, 31 Jan 2030 08:00:20 GMT"}, b""), 20.0, id="a date"
        ),
    ],
)
def test_a_pause_that_is_asked_for_is_passed_on(answer: Answer, pause_s: float | None) -> None:
    outcome = contract(limit_pause_s=45).sent(answer, SUBMITTED)

    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.TRANSIENT
    assert outcome.retry_after_s == pause_s


def test_a_text_over_the_limit_pauses_nobody() -> None:
    answer = envelope(responseCode="LIMIT_EXCEEDED", message="Exceeded limit for message")

    outcome = contract().sent(answer, SUBMITTED)

    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.retry_after_s) == (FailureClass.PERMANENT, None)


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        pytest.param(Broken("connect_failed", "no", written=False), Failed, id="not written"),
        pytest.param(Broken("timeout", "late", written=True), InDoubt, id="written"),
    ],
)
def test_a_broken_exchange_is_in_doubt_only_once_it_was_written(
    broken: Broken, kind: type[object]
) -> None:
    assert isinstance(contract().sent(broken, SUBMITTED), kind)


def test_a_configured_class_replaces_the_tables() -> None:
    outcome = contract(classes={"NOT_FOUND": "in_doubt"}).sent(
        envelope(responseCode="NOT_FOUND", errorId=103), SUBMITTED
    )

    assert isinstance(outcome, InDoubt)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param(envelope(responseCode="OK", errorId=0, data=0), Balance(0), id="nothing left"),
        pytest.param(envelope(responseCode="OK", data=1204), Balance(1204), id="points"),
    ],
)
def test_the_balance_is_read(reply: Answer, expected: Balance) -> None:
    assert contract().balance(reply, SUBMITTED) == expected


@pytest.mark.parametrize(
    ("reply", "failure_class"),
    [
        pytest.param(envelope(responseCode="NO_AUTHENTICATION"), FailureClass.ACCOUNT, id="key"),
        pytest.param(envelope(responseCode="NOT_FOUND"), FailureClass.ACCOUNT, id="not found"),
        pytest.param(Answer(400, {}, b""), FailureClass.ACCOUNT, id="400"),
        pytest.param(Answer(500, {}, b""), FailureClass.TRANSIENT, id="500"),
        pytest.param(Answer(200, {}, b"<html>"), FailureClass.TRANSIENT, id="a page"),
        pytest.param(Broken("timeout", "late", written=True), FailureClass.TRANSIENT, id="late"),
    ],
)
def test_a_balance_that_is_not_told_is_transient_or_the_accounts(
    reply: Answer | Broken, failure_class: FailureClass
) -> None:
    failed = contract().balance(reply, SUBMITTED)

    assert isinstance(failed, Failed)
    assert failed.failure_class is failure_class


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        pytest.param("", "text_empty", "empty", id="empty"),
        pytest.param(" \n", "text_empty", "empty", id="blank"),
        pytest.param("Hi\x07there", "text_disallowed_character", "U+0007", id="a bell"),
        pytest.param("Hi\ud800", "text_disallowed_character", "U+D800", id="half a character"),
        pytest.param("a" * 307, "text_too_long", "3 segments of GSM-7", id="too long"),
        pytest.param(
            "a" * 134 + "\u2019",
            "text_too_long",
            "because of U+2019 RIGHT SINGLE QUOTATION MARK",
            id="too long by one character's fault",
        ),
    ],
)
def test_a_text_that_would_be_refused_is_refused_before(text: str, code: str, words: str) -> None:
    failed = provider(max_segments=2).check(message(text))

    assert failed is not None
    assert (failed.failure_class, failed.code) == (FailureClass.PERMANENT, code)
    assert words in failed.text


def test_a_refusal_never_repeats_the_text() -> None:
    failed = provider(max_segments=1).check(message("Secret code 4711 " * 20))

    assert failed is not None
    assert "4711" not in failed.text
    assert "Secret" not in failed.text


@pytest.mark.parametrize("text", ["Hello", "Zażółć gęślą jaźń", "line\r\nline", "a" * 160])
def test_a_text_within_the_rules_passes(text: str) -> None:
    assert provider(max_segments=1).check(message(text)) is None


@pytest.mark.parametrize("sender", ["A", "1234", "A" * 12, "ŁÓDŹ", "A600100200", "A\nB"])
def test_a_rows_sender_against_the_rules_is_the_rows_failure(sender: str) -> None:
    failed = provider().check(message(sender=sender))

    assert failed is not None
    assert (failed.failure_class, failed.code) == (FailureClass.PERMANENT, "sender_invalid")


@pytest.mark.parametrize("sender", ["AB", "Atom Dance", "ACME.PL", "A" * 11, "24-7"])
def test_a_rows_sender_within_the_rules_passes(sender: str) -> None:
    assert provider().check(message(sender=sender)) is None


@pytest.mark.parametrize("sender", [None, ""])
def test_a_row_without_a_sender_fails_alone_where_none_is_configured(sender: str | None) -> None:
    failed = provider(sender=None).check(message(sender=sender))

    assert failed is not None
    assert (failed.failure_class, failed.code) == (FailureClass.PERMANENT, "sender_missing")


def test_a_variant_that_shows_no_sender_needs_none() -> None:
    assert provider(sender=None, variant="ECO").check(message()) is None


def test_all_mistakes_of_the_section_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as told:
        provider(sender="123456", key=None, classes={"NOPE": "account"}, url="http://")

    for word in ("NOPE", "no address", "App-Key", "all digits"):
        assert word in told.value.message


@pytest.mark.parametrize("key", ["", "  ", "two words", "line\nbreak", "zażółć"])
def test_a_key_that_no_header_can_carry_is_a_mistake(key: str) -> None:
    with pytest.raises(ConfigurationError, match="App-Key"):
        KeySource(settings(key=key))


def test_the_key_is_in_no_representation() -> None:
    source = KeySource(settings())

    assert "secret-key" not in f"{source!r} {provider()!r} {settings()!r}"


def test_a_changed_key_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first\n")
    source = KeySource(settings(key=None, key_file=str(file)))

    renewed = tmp_path / "renewed"
    renewed.write_text("second\n")
    renewed.rename(file)

    assert source.current() == "second"


def test_a_key_file_rewritten_in_the_same_instant_is_read_again_on_request(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first")
    source = KeySource(settings(key=None, key_file=str(file)))
    before = file.stat()

    file.write_text("other")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    source.reload()

    assert source.current() == "other"


def test_a_key_file_that_is_gone_leaves_the_key_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "key"
    file.write_text("first")
    source = KeySource(settings(key=None, key_file=str(file)))

    file.unlink()
    with caplog.at_level(logging.WARNING):
        keys = {source.current() for _ in range(3)}

    assert keys == {"first"}
    assert [record.message for record in caplog.records] == ["key.kept"]


def test_a_key_file_that_can_not_be_read_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be read"):
        KeySource(settings(key=None, key_file=str(tmp_path / "missing")))
