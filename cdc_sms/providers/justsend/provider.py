"""JustSend v2, submitted one by one: requests and answers, field by field.

One POST sends one message; the answer's envelope says whether it was accepted, and under which
id. What a refusal means stands in ``failures.py``, what a broken connection means in
``providers/http.py``; here the two become an outcome.

Source: provider contract, 1.1 to 1.3 (transport, envelope, send), 1.6 (balance), 1.8 (rules).
"""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import orjson

from cdc_sms import __version__
from cdc_sms.config.settings import ProviderSettings
from cdc_sms.errors import ConfigurationError
from cdc_sms.model.clock import Clock
from cdc_sms.model.message import Message
from cdc_sms.model.outcome import Failed, FailureClass, InDoubt, Outcome, Sent
from cdc_sms.model.segments import character_name, count_segments
from cdc_sms.providers.base import Balance
from cdc_sms.providers.http import Answer, Broken, HttpSession, Route, retry_after_s
from cdc_sms.providers.justsend.failures import OK, FailureTable, Row, Submitted, Verdict

logger = logging.getLogger(__name__)

NAMED_VARIANTS = frozenset({"FULL", "PRO", "PRO_RESP"})
"""Variants that show a sender's name, and so need one that keeps the rules."""

MAX_SENDER_CHARACTERS = 11

_DISALLOWED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Control characters but tab, line feed and carriage return, and what UTF-8 can't carry."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The JSON around every answer of v1 and v2.

    Attributes:
        code: ``responseCode``; None where absent.
        error_id: ``errorId``; None where absent or null, which means the same as 0 beside OK.
        message: the provider's text, for telling which parameter it is about; never shown.
        data: what was asked for; a whole number here, or None.
    """

    code: str | None
    error_id: int | None
    message: str
    data: int | None

    @classmethod
    def read(cls, body: bytes | None) -> Self | None:
        """Read an envelope, or return None where the body is none."""
        try:
            found = orjson.loads(body or b"")
        except orjson.JSONDecodeError:
            return None
        if not isinstance(found, dict):
            return None
        code, message = found.get("responseCode"), found.get("message")
        error_id = _whole_number(found.get("errorId"))
        if error_id is None and found.get("errorId") is not None:
            return None
        envelope = cls(
            code=code if isinstance(code, str) else None,
            error_id=error_id,
            message=message if isinstance(message, str) else "",
            data=_whole_number(found.get("data")),
        )
        nothing_said = envelope.code is None and envelope.error_id is None
        return None if nothing_said else envelope

    @property
    def is_success(self) -> bool:
        """Say whether code and id both say success, as the contract asks."""
        return self.code == OK and not self.error_id

    @property
    def hints_at_success(self) -> bool:
        """Say whether an undocumented answer may be a success: no error's id, and an id of ours.

        The official client takes ``errorId`` alone for success, so this is no certain refusal.
        """
        return not self.error_id and (self.code is None or self.has_id)

    @property
    def has_id(self) -> bool:
        """Say whether there is something that can be a message's id."""
        return self.data is not None and self.data > 0


def _whole_number(value: object) -> int | None:
    """Return an integer, also one that came as text; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class Contract:
    """What the answers mean: pure, but for the clock that a date in Retry-After needs."""

    def __init__(self, settings: ProviderSettings, *, clock: Clock) -> None:
        """Take the configured classes in.

        Raises:
            ConfigurationError: ``classes`` names codes that don't exist.
        """
        self._table = FailureTable(settings.classes)
        self._limit_pause_s = settings.limit_pause_s
        self._clock = clock

    def sent(self, reply: Answer | Broken, submitted: Submitted) -> Outcome:
        """Return the outcome of a message."""
        if isinstance(reply, Broken):
            if reply.written:
                return InDoubt(reply.code, _sentence(reply.text))
            return Failed(FailureClass.TRANSIENT, reply.code, _sentence(reply.text))
        envelope = Envelope.read(reply.body)
        if envelope is not None and envelope.is_success and _is_2xx(reply) and envelope.has_id:
            return Sent(str(envelope.data))
        row = self._refusal(reply, envelope, submitted)
        if row is None:
            return _not_the_contract(reply)
        if row.verdict is Verdict.IN_DOUBT:
            return InDoubt(row.code, _sentence(row.text))
        return self._failed(row, FailureClass(row.verdict), reply)

    def balance(self, reply: Answer | Broken, submitted: Submitted) -> Balance | Failed:
        """Return the balance, or why there is none: transient or account, never in doubt."""
        if isinstance(reply, Broken):
            return Failed(FailureClass.TRANSIENT, reply.code, _sentence(reply.text))
        envelope = Envelope.read(reply.body)
        if envelope is not None and envelope.is_success and envelope.data is not None:
            return Balance(envelope.data)
        row = self._refusal(reply, envelope, submitted)
        if row is None:
            doubt = _not_the_contract(reply)
            return Failed(FailureClass.TRANSIENT, doubt.code, doubt.text)
        # No message is asked for: what would be this message's fault is the account's here.
        refused = row.verdict in {Verdict.ACCOUNT, Verdict.PERMANENT}
        failure_class = FailureClass.ACCOUNT if refused else FailureClass.TRANSIENT
        return self._failed(row, failure_class, reply)

    def _refusal(
        self, reply: Answer, envelope: Envelope | None, submitted: Submitted
    ) -> Row | None:
        """Return the row that the answer falls under; None where the contract has none."""
        by_status = None if _is_2xx(reply) else self._table.of_status(reply.status)
        if envelope is None:
            return by_status
        documented = self._table.known(envelope.code, envelope.error_id) is not None
        if envelope.code == OK or (envelope.hints_at_success and not documented):
            return None
        if by_status is not None and not documented:
            return by_status
        return self._table.of_code(envelope.code, envelope.error_id, envelope.message, submitted)

    def _failed(self, row: Row, failure_class: FailureClass, reply: Answer) -> Failed:
        pause_s = None
        if failure_class is FailureClass.TRANSIENT:
            pause_s = retry_after_s(reply.headers, now=self._clock.now())
            if pause_s is None and row.pauses:
                pause_s = self._limit_pause_s
        return Failed(failure_class, row.code, _sentence(row.text), pause_s)


def _is_2xx(reply: Answer) -> bool:
    return 200 <= reply.status < 300


def _not_the_contract(reply: Answer) -> InDoubt:
    if reply.fault is not None:
        return InDoubt(reply.fault.code, _sentence(f"{reply.fault.text} (HTTP {reply.status})"))
    return InDoubt(
        "answer_malformed",
        f"The provider answered HTTP {reply.status} with a body that is not the contract's.",
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


class KeySource:
    """The ``App-Key``: given, or in a file that is read again when it changes.

    Thread: any.
    """

    def __init__(self, settings: ProviderSettings) -> None:
        """Read the key.

        Raises:
            ConfigurationError: there is none, or none that a header can carry.
        """
        self._lock = threading.Lock()
        self._file = None if settings.key_file is None else Path(settings.key_file)
        self._stamp: tuple[int, ...] | None = None
        if self._file is not None:
            self._stamp, self._key = _read_key(self._file)
        elif settings.key is not None:
            self._key = _checked_key(settings.key.get_secret_value())
        else:
            raise ConfigurationError(
                "There is no App-Key.",
                hint="Set key_file to the file that holds it, or set it in the environment.",
            )

    def current(self) -> str:
        """Return the key as it is now; a file costs one look at its time of change."""
        if self._file is not None and _stamp_of(self._file) != self._stamp:
            self.reload()
        return self._key

    def reload(self) -> None:
        """Read the file again; a file that can't be read leaves the key as it was."""
        if self._file is None:
            return
        with self._lock:
            # Noted before the file is read: what is written meanwhile is seen as a change, and
            # a file that stays unreadable is not complained of with every message.
            self._stamp = _stamp_of(self._file)
            try:
                self._stamp, key = _read_key(self._file)
            except ConfigurationError as error:
                logger.warning("key.kept", extra={"reason": error.message, "hint": error.hint})
                return
            if key != self._key:
                self._key = key
                logger.info("key.reloaded", extra={"key_file": str(self._file)})

    def __repr__(self) -> str:
        """Say where the key comes from, never what it is."""
        return f"KeySource({'given' if self._file is None else str(self._file)!r})"


def _stamp_of(file: Path) -> tuple[int, ...] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _read_key(file: Path) -> tuple[tuple[int, ...] | None, str]:
    stamp = _stamp_of(file)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"key_file {str(file)!r} can't be read.",
            hint="Let key_file name a file that holds the App-Key and that this user may read.",
        ) from error
    return stamp, _checked_key(text)


def _checked_key(text: str) -> str:
    key = text.strip()
    if not re.fullmatch(r"[!-~]+", key):
        raise ConfigurationError(
            "The App-Key is empty or has characters that a key can't have.",
            hint="Copy it from the panel once more: one line of letters, digits and signs.",
        )
    return key


def sender_mistake(sender: str) -> str | None:
    """Say what is wrong with a sender's name, or None.

    Source: provider contract, 1.8.
    """
    if len(sender) > MAX_SENDER_CHARACTERS:
        return f"the sender's name has more than {MAX_SENDER_CHARACTERS} characters"
    if len(sender) < 2:
        return "the sender's name has only one character"
    if not (sender.isascii() and sender.isprintable()):
        return "the sender's name has characters that are not ASCII"
    if sender.isdigit():
        return "the sender's name is all digits"
    if re.search(r"[0-9]{9}", sender):
        return "the sender's name contains a telephone number"
    return None


class JustSend:
    """One JustSend account, as configured.

    Thread: any; only the key changes, and that behind a lock.
    """

    has_balance = True

    def __init__(self, *, name: str, settings: ProviderSettings, clock: Clock) -> None:
        """Check the section whole, read the key, look up the way.

        Args:
            name: the section's, for messages and logs.
            settings: ``[providers.<name>]``.
            clock: for a date in Retry-After.

        Raises:
            ConfigurationError: all that is wrong in the section, at once.
        """
        self.name = name
        self._settings = settings
        mistakes: list[ConfigurationError] = []
        with _noted(mistakes):
            self._contract = Contract(settings, clock=clock)
        with _noted(mistakes):
            self._route = Route.to(settings.url)
        with _noted(mistakes):
            self._key = KeySource(settings)
        with _noted(mistakes):
            _check_own_sender(settings)
        if mistakes:
            raise ConfigurationError(
                f"[providers.{name}]: {' '.join(mistake.message for mistake in mistakes)}",
                hint=" ".join(mistake.hint for mistake in mistakes),
            )

    def check(self, message: Message) -> Failed | None:
        """Say why the contract rules this message out, or None.

        Returns:
            A permanent failure; the configured sender was checked when this was made.
        """
        return self._refused_sender(message.sender) or self._refused_text(message.text.reveal())

    def session(self) -> "JustSendSession":
        """Open a session for one sender thread; it connects with its first request."""
        http = HttpSession(self._route, connect_timeout_s=self._settings.connect_timeout_s)
        return JustSendSession(
            settings=self._settings, contract=self._contract, key=self._key, http=http
        )

    def reload(self) -> None:
        """Read the key's file again, as after SIGHUP."""
        self._key.reload()

    def __repr__(self) -> str:
        """Name the account, never its key."""
        return f"JustSend(name={self.name!r}, url={self._settings.url!r})"

    def _refused_sender(self, sender: str | None) -> Failed | None:
        if self._settings.variant not in NAMED_VARIANTS:
            return None
        if sender:
            mistake = sender_mistake(sender)
            return None if mistake is None else _permanent("sender_invalid", mistake)
        if self._settings.sender:
            return None
        # One row without a sender must not hold the others up, so it is this row's failure.
        return _permanent(
            "sender_missing",
            f"the row names no sender, which {self._settings.variant} needs, "
            f"and [providers.{self.name}] has none",
        )

    def _refused_text(self, text: str) -> Failed | None:
        if not text.strip():
            return _permanent("text_empty", "the text is empty")
        if found := _DISALLOWED.search(text):
            return _permanent(
                "text_disallowed_character",
                f"the text has {character_name(found.group())} at position {found.start() + 1}",
            )
        segments = count_segments(text)
        if segments.count <= self._settings.max_segments:
            return None
        because = f", because of {character_name(segments.guilty)}" if segments.guilty else ""
        return _permanent(
            "text_too_long",
            f"the text needs {segments.count} segments of {segments.encoding}{because}; "
            f"max_segments allows {self._settings.max_segments}",
        )


class JustSendSession:
    """One sender's connection.

    Thread: the sender thread that asked for it.
    """

    def __init__(
        self, *, settings: ProviderSettings, contract: Contract, key: KeySource, http: HttpSession
    ) -> None:
        self._settings = settings
        self._contract = contract
        self._key = key
        self._http = http
        base = settings.url.rstrip("/")
        self._send_url = f"{base}/v2/message/send"
        self._balance_url = f"{base}/v2/payment/points"

    def send(self, message: Message, *, deadline_s: float) -> Outcome:
        """Submit one message, once.

        Args:
            message: already checked by :meth:`JustSend.check`.
            deadline_s: the total time; seconds.
        """
        submitted = Submitted(sender_is_ours=not message.sender, variant=self._settings.variant)
        reply = self._http.request(
            "POST",
            self._send_url,
            headers=self._headers(),
            body=self._body(message),
            deadline_s=deadline_s,
        )
        return self._contract.sent(reply, submitted)

    def balance(self, *, deadline_s: float) -> Balance | Failed:
        """Ask for the account's points."""
        submitted = Submitted(sender_is_ours=True, variant=self._settings.variant)
        reply = self._http.request(
            "GET", self._balance_url, headers=self._headers(), body=None, deadline_s=deadline_s
        )
        return self._contract.balance(reply, submitted)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _headers(self) -> dict[str, str]:
        return {
            "App-Key": self._key.current(),
            "Content-Type": "application/json",
            "User-Agent": f"cdc-sms/{__version__}",
        }

    def _body(self, message: Message) -> bytes:
        fields: dict[str, object] = {
            "to": message.recipient.reveal().removeprefix("+"),
            "message": message.text.reveal(),
            "bulkVariant": self._settings.variant,
        }
        if sender := message.sender or self._settings.sender:
            fields["from"] = sender
        if self._settings.double_encode is not None:
            fields["doubleEncode"] = self._settings.double_encode
        return orjson.dumps(fields)


@contextmanager
def _noted(mistakes: list[ConfigurationError]) -> Iterator[None]:
    """Note a mistake and go on, so that all of them are said at once."""
    try:
        yield
    except ConfigurationError as mistake:
        mistakes.append(mistake)


def _check_own_sender(settings: ProviderSettings) -> None:
    if not settings.sender or settings.variant not in NAMED_VARIANTS:
        return
    if mistake := sender_mistake(settings.sender):
        raise ConfigurationError(
            f"sender can't be used: {mistake}.",
            hint="Use 2 to 11 ASCII characters, at least one of them no digit.",
        )


def _permanent(code: str, text: str) -> Failed:
    return Failed(FailureClass.PERMANENT, code, _sentence(text))
