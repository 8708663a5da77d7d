"""What is said: one JSON line an event in production, readable lines on a terminal.

An event is logged as its name with its facts beside it::

    logger.info("message.settled", extra={"message_id": "sms/4711@…", "state": "sent"})

Every line carries the role, and the message id and trace id where there is one. Whatever
looks like a telephone number, and whatever a key says is a text or a secret, is masked here
once more: a second net below the types that mask themselves.
"""

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

from pythonjsonlogger.orjson import OrjsonFormatter

from cdc_sms.model.masking import masked_number, masked_text
from cdc_sms.model.trace import trace_id

_message_in_hand: ContextVar[str | None] = ContextVar("message_in_hand", default=None)

_NUMBERS = re.compile(
    r"""
      \+\d[\d ()-]{6,18}\d                                   # +48 600 100 200
    | (?<![\w.:/@+-])\d{3}[ -]\d{3}[ -]\d{3}(?![\w.:/@-])     # 600 100 200
    | (?<![\w.:/@+-])\d{9,15}(?![\w:/@-])(?!\.\d)             # 48600100200
    """,
    re.VERBOSE,
)

_TEXTS = frozenset({"body", "content", "message_text", "sms", "text", "row", "value", "parameters"})
_SECRETS = frozenset({"api_key", "app_key", "authorization", "dsn", "password", "secret"})
_HARMLESS = frozenset({"message_id", "trace_id", "claim_token", "lsn", "offset", "position"})

_OF_EVERY_RECORD = frozenset(
    {*vars(logging.makeLogRecord({})), "asctime", "message", "role", "taskName"}
)


class Wanted(Protocol):
    """What is said, and in which form; the section ``[logging]`` is one."""

    @property
    def format(self) -> str:
        """Return ``json``, ``text`` or ``auto``: readable lines on a terminal, JSON elsewhere."""
        ...

    @property
    def level(self) -> str:
        """Return the least level that is told."""
        ...


@contextmanager
def about(message_id: str) -> Iterator[None]:
    """Put a message's id and trace id on every line that is logged inside.

    Thread: each has its own.
    """
    token = _message_in_hand.set(message_id)
    try:
        yield
    finally:
        _message_in_hand.reset(token)


def set_up(wanted: Wanted, role: str, stream: TextIO) -> None:
    """Send this process's log to a stream; a second call replaces the first.

    Args:
        wanted: level and form.
        role: what every line says it comes from.
        stream: for roles standard error, so that standard output stays the commands'.
    """
    handler = logging.StreamHandler(stream)
    handler.addFilter(Facts(role))
    handler.setFormatter(_formatter(wanted, stream))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # libraries speak when something is wrong
    logging.getLogger("cdc_sms").setLevel(wanted.level.upper())
    logging.captureWarnings(capture=True)


class Facts(logging.Filter):
    """Adds role and message to each record and masks what is personal; drops none.

    Thread: any; it keeps nothing.
    """

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def filter(self, record: logging.LogRecord) -> bool:
        """Complete and mask the record in place; a handler of another owner sees it so too."""
        facts = vars(record)
        facts["role"] = self._role
        message_id = facts.get("message_id") or _message_in_hand.get()
        if message_id:
            facts["message_id"] = message_id
            facts.setdefault("trace_id", trace_id(str(message_id)))
        record.msg, record.args = _masked_words(record.getMessage()), None
        for name in facts.keys() - _OF_EVERY_RECORD:
            facts[name] = masked(name, facts[name])
        return True


def masked(name: str, value: object) -> object:
    """Return a fact as a stranger may see it.

    Args:
        name: what the fact is called; a text's or a secret's name hides the whole of it.
        value: any; tables and lists are masked item by item.
    """
    if name in _HARMLESS or value is None or isinstance(value, bool | int | float):
        return value
    if name in _SECRETS:
        return "***"
    if name in _TEXTS:
        return masked_text(str(value))
    match value:
        case Mapping():
            return {str(key): masked(str(key), inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [masked(name, inner) for inner in value]
        case _:
            return _masked_words(str(value))


def _masked_words(text: str) -> str:
    return _NUMBERS.sub(lambda found: masked_number(found.group()), text)


def _formatter(wanted: Wanted, stream: TextIO) -> logging.Formatter:
    if wanted.format == "json" or (wanted.format == "auto" and not stream.isatty()):
        return JsonLines()
    from rich.console import Console  # noqa: PLC0415 - some megabytes that a service doesn't need

    console = Console(file=stream)
    return ReadableLines(coloured=console.is_terminal and not console.no_color)


class JsonLines(OrjsonFormatter):
    """One JSON object a line: time, level, event, logger, then the facts."""

    def __init__(self) -> None:
        super().__init__(["event"], reserved_attrs=sorted(_OF_EVERY_RECORD - {"role"}))

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Put what every line has first, in a fixed order."""
        log_data["time"] = _instant(record)
        log_data["level"] = record.levelname.lower()
        log_data["event"] = record.getMessage()
        log_data["logger"] = record.name
        facts: dict[str, Any] = {}
        super().add_fields(facts, record, message_dict)
        for name in ("role", "message_id", "trace_id"):
            if name in facts:
                log_data[name] = facts.pop(name)
        del facts["event"]
        if "exc_info" in facts:
            facts["exception"] = facts.pop("exc_info")
        log_data.update(facts)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        """Return the traceback, masked; as a JSON string it is on one line."""
        return _masked_words(str(super().formatException(ei)))


class ReadableLines(logging.Formatter):
    """A line for a person: local time, level, role, event, facts; a traceback below it.

    Args:
        coloured: whether the terminal shows colours and the person wants them.
    """

    _COLOURS = {"DEBUG": 2, "INFO": 32, "WARNING": 33, "ERROR": 31, "CRITICAL": 31}  # noqa: RUF012 - never changed

    def __init__(self, *, coloured: bool) -> None:
        super().__init__()
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        facts = "  ".join(
            f"{name}={value}"
            for name, value in vars(record).items()
            if name not in _OF_EVERY_RECORD and name != "trace_id"
        )
        level = self._painted(f"{record.levelname.lower():<7}", self._COLOURS[record.levelname])
        event = self._painted(record.getMessage(), 1)
        line = f"{clock}.{int(record.msecs):03} {level} {vars(record)['role']:<8} {event}"
        lines = [f"{line}  {self._painted(facts, 2)}" if facts else line]
        if record.exc_info:
            lines.append(_masked_words(self.formatException(record.exc_info)))
        return "\n".join(lines)

    def _painted(self, text: str, colour: int) -> str:
        """Return the text in a colour or style of ECMA-48, section 8.3.117 (SGR)."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured else text


def _instant(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
