"""What a log line says, and what it never says."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from cdc_sms.config.settings import LoggingSettings
from cdc_sms.model.trace import trace_id
from cdc_sms.telemetry.logs import about, masked, set_up

NUMBER = "+48600100200"
ID = "sms/4711@2026-11-24T05:47:11.123456Z"

logger = logging.getLogger("cdc_sms.test")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("cdc_sms")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)
    logging.captureWarnings(capture=False)


def _log_to(form: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    settings = LoggingSettings.model_validate({"format": form, "level": level})
    set_up(settings, "deliver", stream)
    return stream


def _line(stream: io.StringIO) -> dict[str, Any]:
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1, lines
    content = json.loads(lines[0])
    assert isinstance(content, dict)
    return content


def test_line_is_one_json_object_with_time_level_event_role_and_facts() -> None:
    stream = _log_to("json")

    logger.info("message.settled", extra={"message_id": ID, "state": "sent", "lasted_s": 0.25})

    line = _line(stream)
    time = line.pop("time")
    assert line == {
        "level": "info",
        "event": "message.settled",
        "logger": "cdc_sms.test",
        "role": "deliver",
        "message_id": ID,
        "trace_id": trace_id(ID),
        "state": "sent",
        "lasted_s": 0.25,
    }
    assert len(time) == len("2026-11-24T05:47:11.123Z")
    assert time.endswith("Z")


def test_lines_about_a_message_name_it_also_from_below() -> None:
    stream = _log_to("json")

    with about(ID):
        logger.info("request.sent")

    assert _line(stream)["message_id"] == ID
    assert _line(stream)["trace_id"] == trace_id(ID)


def test_line_outside_a_message_names_none() -> None:
    stream = _log_to("json")

    with about(ID):
        pass
    logger.info("topic.read")

    assert "message_id" not in _line(stream)


def test_exception_is_on_the_same_line_and_masked() -> None:
    stream = _log_to("json")

    try:
        int(f"Key (phone)=({NUMBER}) already exists")
    except ValueError:
        logger.exception("row.refused")

    line = _line(stream)
    assert "Traceback" in line["exception"]
    assert "ValueError" in line["exception"]
    assert NUMBER not in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "extra",
    [
        {"recipient": NUMBER},
        {"why": f"the number {NUMBER} is blocked"},
        {"why": "call 600 100 200"},
        {"row": {"phone": NUMBER}},
        {"numbers": [NUMBER]},
        {"text": "600100200"},
    ],
    ids=["alone", "in a sentence", "with spaces", "in a table", "in a list", "as a text"],
)
def test_number_is_never_logged(form: str, extra: dict[str, object]) -> None:
    stream = _log_to(form)

    logger.info("message.failed", extra=extra)

    assert "600100200" not in stream.getvalue()
    assert "600 100 200" not in stream.getvalue()
    assert "message.failed" in stream.getvalue()


def test_number_in_the_event_itself_is_masked() -> None:
    stream = _log_to("json")

    logger.info("sent to %s", NUMBER)

    assert _line(stream)["event"] == "sent to +48******200"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("message_id", "sms/600100200@2026-11-24T05:47:11.123456Z"),
        ("at", "2026-11-24 05:47:11.123456+00:00"),
        ("at", "2026-11-24T05:47:11.123456Z"),
        ("lsn", "16/B374D848"),
        ("offset", 600100200),
        ("address", "http://127.0.0.1:8082"),
        ("version", "4.3.1"),
    ],
)
def test_what_is_no_number_of_a_person_stays_readable(name: str, value: object) -> None:
    assert masked(name, value) == value


@pytest.mark.parametrize("name", ["password", "app_key", "dsn"])
def test_secret_is_hidden_by_its_name(name: str) -> None:
    assert masked(name, "hunter2") == "***"


def test_text_of_a_message_is_hidden_by_its_name() -> None:
    assert masked("body", "Your code is 1234") == "<17 characters>"


def test_auto_means_json_where_there_is_no_terminal() -> None:
    stream = _log_to("auto")

    logger.info("role.started")

    assert _line(stream)["event"] == "role.started"


def test_readable_line_has_time_level_role_event_and_facts() -> None:
    stream = _log_to("text")

    logger.warning("breaker.started", extra={"reason": "five failures in a row"})

    line = stream.getvalue()
    assert line.endswith(" warning deliver  breaker.started  reason=five failures in a row\n"), line
    assert "\x1b" not in line


def test_level_is_ours_and_libraries_speak_only_when_something_is_wrong() -> None:
    stream = _log_to("json", level="debug")

    logger.debug("row.read")
    logging.getLogger("urllib3").info("Starting new connection")

    assert _line(stream)["event"] == "row.read"


def test_second_set_up_replaces_the_first() -> None:
    first = _log_to("json")
    second = _log_to("json")

    logger.info("role.started")

    assert first.getvalue() == ""
    assert _line(second)["role"] == "deliver"
