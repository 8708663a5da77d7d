"""What JustSend v2 does with a request, as far as is known: an account in memory, without a wire.

Envelope, codes, number and sender rules, segments and price, blacklist, reports by id. What the
contract leaves open is a parameter of :class:`Account`. There is no recognition of repeated
messages: the real one has none.

Source: provider contract, 1.2 to 1.9 and 7.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import orjson

from cdc_sms.model.segments import count_segments
from cdc_sms.providers.justsend.failures import CODES

POINTS = {"ECO": 3, "ECO_RESP": 3, "FULL": 6, "PRO": 7, "PRO_RESP": 7, "DV": 7, "TEST": 0}
"""Points of one segment, by variant."""

NAMED_VARIANTS = frozenset({"FULL", "PRO", "PRO_RESP"})

ERROR_IDS = {row.code: row.error_id for row in CODES}
ERROR_IDS |= {"FORBIDDEN_VALUE": 311, "INVALID_LENGTH": 312}

MESSAGES = {"OK": "Successful", "NOT_FOUND": "Not found"}
"""The two proven texts; all the others are ours, and nobody may read more into them."""


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived.

    Attributes:
        method: of HTTP.
        path: below the API's base, without the query.
        key: the ``App-Key`` header.
        content_type: the ``Content-Type`` header, in small letters.
        body: as it came.
    """

    method: str
    path: str
    key: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered.

    Attributes:
        status: of HTTP.
        body: whole.
        content_type: of the body.
        headers: any others.
        accepted_id: the message that this request became, if it did.
    """

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    accepted_id: int | None = None


@dataclass(slots=True)
class Accepted:
    """One message that the account accepted: what a provider would have sent.

    Attributes:
        id: the provider's.
        at: when, in UTC.
        number: the recipient, in the ``48…`` form.
        text: the message.
        sender: as asked for; None where none was named.
        variant: the ``bulkVariant``.
        segments: what the text became.
        points: what it cost.
        rule: the fault rule that the request hit, if any.
        answered: whether the answer was handed to a connection that still stood.
    """

    id: int
    at: datetime
    number: str
    text: str
    sender: str | None
    variant: str
    segments: int
    points: int
    rule: str | None = None
    answered: bool = False


class Account:
    """An account and its messages.

    Thread: the simulator's.
    """

    def __init__(
        self,
        *,
        key: str,
        balance: int,
        price: int | None = None,
        max_segments: int = 6,
        first_id: int = 1,
        bad_key_status: Literal[200, 401, 403] = 200,
        error_ids: Literal["number", "null", "absent"] = "number",
    ) -> None:
        """Open the account.

        Args:
            key: the only ``App-Key`` that is let in.
            balance: points to start with.
            price: points of one segment, of any variant; None: :data:`POINTS`.
            max_segments: a longer text is refused.
            first_id: the id of the first message.
            bad_key_status: how a wrong key is answered: 200 with the envelope, or a bare status.
            error_ids: how ``errorId`` is written in answers that are not OK.
        """
        self.key = key
        self.balance = balance
        self.blacklist: set[str] = set()
        self.messages: dict[int, Accepted] = {}
        self._price = price
        self._max_segments = max_segments
        self._next_id = first_id
        self._bad_key_status = bad_key_status
        self._error_ids = error_ids
        self._routes: dict[tuple[str, str], Callable[[bytes], Reply]] = {
            ("POST", "/v2/message/send"): self._send,
            ("GET", "/v2/payment/points"): lambda _: ok(self.balance),
            ("GET", "/v2/blacklist"): lambda _: ok(sorted(self.blacklist)),
            ("PUT", "/v2/blacklist/add/numbers"): self._blacklist_add,
            ("PUT", "/v2/blacklist/remove/numbers"): self._blacklist_remove,
        }

    def answer(self, request: Request) -> Reply:
        """Answer one request as the contract does."""
        route = self._routes.get((request.method, request.path))
        report = re.fullmatch(r"/v2/report/message/([0-9]{1,19})", request.path)
        if route is None and report is None:
            known = any(path == request.path for _, path in self._routes)
            return bare(405 if known else 404)
        if request.key != self.key:
            if self._bad_key_status != 200:
                return bare(self._bad_key_status)
            return self.refuse("NO_AUTHENTICATION")
        if route is not None:
            if request.body and not request.content_type.startswith("application/json"):
                return bare(415)
            return route(request.body)
        assert report is not None
        return self._report(int(report[1])) if request.method == "GET" else bare(405)

    def refuse(self, code: str, parameter: str | None = None) -> Reply:
        """Return the envelope of a refusal.

        Args:
            code: the ``responseCode``.
            parameter: the request's field that the text names, where it names one.
        """
        words = MESSAGES.get(code) or code.replace("_", " ").capitalize()
        envelope: dict[str, object] = {"responseCode": code}
        if self._error_ids != "absent":
            envelope["errorId"] = ERROR_IDS.get(code) if self._error_ids == "number" else None
        envelope["message"] = words if parameter is None else f"{words}: {parameter}"
        return Reply(200, orjson.dumps({**envelope, "data": None}))

    def _send(self, body: bytes) -> Reply:
        try:
            fields = orjson.loads(body)
        except orjson.JSONDecodeError:
            return bare(400)
        if not isinstance(fields, dict):
            return bare(400)
        refused = self._refused(fields)
        return self._accept(fields) if refused is None else self.refuse(*refused)

    def _refused(self, fields: Mapping[str, object]) -> tuple[str, str | None] | None:
        """Return code and parameter of the first rule that the fields break, or None."""
        for name in ("to", "message", "bulkVariant"):
            value = fields.get(name)
            if not isinstance(value, str) or not value.strip():
                return "INVALID_VALUE", name
        variant, text = str(fields["bulkVariant"]), str(fields["message"])
        if variant not in POINTS:
            return "INVALID_VALUE", "bulkVariant"
        if fields.get("doubleEncode") not in {None, True, False, "true", "false"}:
            return "INVALID_VALUE", "doubleEncode"
        number = normalised(str(fields["to"]))
        if number is None:
            return "INVALID_FORMAT", "to"
        if variant in NAMED_VARIANTS and (wrong := _sender_refused(fields.get("from"))):
            return wrong, "from"
        return self._text_refused(text) or self._account_refused(number, text, variant)

    def _text_refused(self, text: str) -> tuple[str, str | None] | None:
        if re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", text):
            return "DISALLOWED_CHARACTERS", "message"
        if count_segments(text).count > self._max_segments:
            return "INVALID_LENGTH", "message"
        return None

    def _account_refused(
        self, number: str, text: str, variant: str
    ) -> tuple[str, str | None] | None:
        if number in self.blacklist:
            return "NUMBER_ON_BLACK_LIST", None
        if self._points(variant, count_segments(text).count) > self.balance:
            return "NO_SUFFICIENT_POINTS", None
        return None

    def _points(self, variant: str, segments: int) -> int:
        return segments * (POINTS[variant] if self._price is None else self._price)

    def _accept(self, fields: Mapping[str, object]) -> Reply:
        text, variant, sender = (
            str(fields["message"]),
            str(fields["bulkVariant"]),
            fields.get("from"),
        )
        segments = count_segments(text).count
        message = Accepted(
            id=self._next_id,
            at=datetime.now(UTC),
            number=normalised(str(fields["to"])) or "",
            text=text,
            sender=None if sender is None else str(sender),
            variant=variant,
            segments=segments,
            points=self._points(variant, segments),
        )
        self._next_id += 1
        self.balance -= message.points
        self.messages[message.id] = message
        envelope = {"responseCode": "OK", "errorId": 0, "message": MESSAGES["OK"]}
        body = orjson.dumps({**envelope, "data": message.id})
        return Reply(200, body, accepted_id=message.id)

    def _report(self, message_id: int) -> Reply:
        message = self.messages.get(message_id)
        if message is None:
            return self.refuse("NOT_FOUND")
        return ok(
            {
                "sendDate": message.at.date().isoformat(),
                "from": message.sender,
                "delivered": 1,
                "notDelivered": 0,
                "sent": 1,
                "notSent": 0,
                "bulkCostInPoints": message.points,
            }
        )

    def _blacklist_add(self, body: bytes) -> Reply:
        numbers = _numbers(body)
        if numbers is None:
            return bare(400)
        self.blacklist |= numbers
        return ok(f"Added: {len(numbers)} numbers")

    def _blacklist_remove(self, body: bytes) -> Reply:
        numbers = _numbers(body)
        if numbers is None:
            return bare(400)
        removed = numbers & self.blacklist
        self.blacklist -= removed
        return ok(f"Removed: {len(removed)} numbers")


def normalised(number: str) -> str | None:
    """Return a number in the ``48…`` form, from that or from nine digits; else None."""
    if re.fullmatch(r"[1-9][0-9]{8}", number):
        return f"48{number}"
    return number if re.fullmatch(r"48[1-9][0-9]{8}", number) else None


def ok(data: object) -> Reply:
    """Return the envelope of a success."""
    envelope = {"responseCode": "OK", "errorId": 0, "message": MESSAGES["OK"], "data": data}
    return Reply(200, orjson.dumps(envelope))


def bare(status: int) -> Reply:
    """Return an HTTP status as a web server writes it, outside the contract."""
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    return Reply(status, page.encode(), content_type="text/html")


def _sender_refused(sender: object) -> str | None:
    if not isinstance(sender, str) or not sender:
        return "INVALID_VALUE"
    if not sender.isascii():
        return "DISALLOWED_CHARACTERS"
    if re.search(r"[0-9]{9}", sender):
        return "FORBIDDEN_VALUE"
    if not 2 <= len(sender) <= 11:
        return "INVALID_LENGTH"
    return "INVALID_FORMAT" if sender.isdigit() else None


def _numbers(body: bytes) -> set[str] | None:
    """Return the well-formed numbers of a list; malformed ones are skipped without a word."""
    try:
        listed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(listed, list):
        return None
    found = (normalised(number) for number in listed if isinstance(number, str))
    return {number for number in found if number is not None}
