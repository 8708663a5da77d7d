"""What a dead letter's headers say, to us and to the tools that people already use."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from cdc_sms.kafka import headers
from cdc_sms.kafka.headers import DeadLetter, dead_letter_headers, parse, texts
from cdc_sms.model.state import DeadLetterClass

LETTER = DeadLetter(
    dead_letter_class=DeadLetterClass.PERMANENT,
    code="INCORRECT_NUMBER",
    text="The provider says that the number doesn't exist.",
    original_topic="cdc-sms.outbox",
    original_partition=3,
    original_offset=4711,
    original_timestamp_ms=1_795_499_231_123,
    first_failure_at=datetime(2026, 11, 24, 5, 47, 11, 123456, tzinfo=UTC),
    last_failure_at=datetime(2026, 11, 24, 6, 0, tzinfo=UTC),
    message_id="sms/4711@2026-11-24T05:47:11.123456Z",
    trace_id="0123456789abcdef0123456789abcdef",
    provider="justsend",
    attempt=2,
    redrives=1,
)


def test_dead_letter_headers_are_named_as_documented() -> None:
    said = texts(dead_letter_headers(LETTER, []))

    assert said == {
        "cdcsms.message_id": "sms/4711@2026-11-24T05:47:11.123456Z",
        "cdcsms.trace_id": "0123456789abcdef0123456789abcdef",
        "cdcsms.class": "permanent",
        "cdcsms.code": "INCORRECT_NUMBER",
        "cdcsms.text": "The provider says that the number doesn't exist.",
        "cdcsms.provider": "justsend",
        "cdcsms.attempt": "2",
        "cdcsms.first_failure_at": "2026-11-24T05:47:11.123456Z",
        "cdcsms.last_failure_at": "2026-11-24T06:00:00.000000Z",
        "cdcsms.original_topic": "cdc-sms.outbox",
        "cdcsms.original_partition": "3",
        "cdcsms.original_offset": "4711",
        "cdcsms.original_timestamp": "2026-11-24T05:47:11.123000Z",
        "cdcsms.redrives": "1",
        "__connect.errors.topic": "cdc-sms.outbox",
        "__connect.errors.partition": "3",
        "__connect.errors.offset": "4711",
        "__connect.errors.exception.class.name": "cdc_sms.permanent.INCORRECT_NUMBER",
        "__connect.errors.exception.message": "The provider says that the number doesn't exist.",
    }


def test_dead_letter_headers_are_read_back() -> None:
    assert parse(dead_letter_headers(LETTER, [("foreign", b"\xff")])) == LETTER


def test_a_record_that_never_became_a_message_names_none() -> None:
    letter = replace(LETTER, message_id=None, trace_id=None, provider=None, attempt=0)

    written = dead_letter_headers(letter, [])

    assert not {"cdcsms.message_id", "cdcsms.trace_id", "cdcsms.provider"} & {n for n, _ in written}
    assert parse(written) == letter


def test_headers_are_replaced_and_never_doubled_when_it_dies_again() -> None:
    first = dead_letter_headers(LETTER, [("foreign", b"1"), ("foreign", b"2")])

    again = dead_letter_headers(replace(LETTER, attempt=9), first)

    names = [name for name, _ in again]
    assert names.count("foreign") == 2
    assert len(set(names)) == len(names) - 1
    assert texts(again)["cdcsms.attempt"] == "9"


def test_a_replay_takes_only_foreign_headers_along() -> None:
    written = dead_letter_headers(LETTER, [("foreign", b"1"), (headers.EMITTED, b"overdue")])

    assert headers.without_ours(written) == [("foreign", b"1")]


def test_times_are_written_in_utc() -> None:
    warsaw = timezone(timedelta(hours=1))
    letter = replace(LETTER, first_failure_at=datetime(2026, 11, 24, 7, tzinfo=warsaw))

    assert texts(dead_letter_headers(letter, []))["cdcsms.first_failure_at"] == (
        "2026-11-24T06:00:00.000000Z"
    )


def test_a_failure_text_can_not_outgrow_the_topic() -> None:
    written = dead_letter_headers(replace(LETTER, text="ż" * 100_000), [])

    assert sum(len(name) + len(value) for name, value in written) < 64 * 1024


@pytest.mark.parametrize(
    "written",
    [
        pytest.param([], id="no headers"),
        pytest.param([("__connect.errors.topic", b"x")], id="kafka connect's"),
        pytest.param([("cdcsms.class", b"permanent")], id="some of ours"),
        pytest.param(
            [*dead_letter_headers(LETTER, []), ("cdcsms.attempt", b"many")], id="a garbled number"
        ),
        pytest.param(
            [*dead_letter_headers(LETTER, []), ("cdcsms.class", b"odd")], id="an unknown class"
        ),
    ],
)
def test_headers_that_are_not_wholly_ours_are_nobodys_dead_letter(
    written: list[headers.Header],
) -> None:
    assert parse(written) is None
