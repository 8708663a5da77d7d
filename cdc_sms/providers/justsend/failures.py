"""THE table of JustSend v2: response code or HTTP status → whom the failure concerns.

Pure data and the few decisions that the data can't hold alone; the documentation prints
:data:`CODES` and :data:`STATUSES`, and ``[providers.<name>] classes`` overrides them code by code.
Not for what the connection did: that table is in ``providers/http.py``.

Source: provider contract, 1.2 (envelope), 1.7 (codes, ids, statuses), 9.3 (classes).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from cdc_sms.errors import ConfigurationError


class Verdict(StrEnum):
    """What a code means for the message, in the words of the configuration."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    ACCOUNT = "account"
    IN_DOUBT = "in_doubt"


class Depends(StrEnum):
    """What else a row's verdict depends on."""

    NOTHING = ""
    PARAMETER = "account where {0} is a sender or variant of our configuration"
    SENDER = "account where the sender is our configuration's"
    LIMIT = "permanent where {0} is the text"
    REPLIES = "account where the variant collects replies (`*_RESP`)"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        code: the ``responseCode``; the id as text where no name is known; ``http_<status>``.
        error_id: the ``errorId`` that goes with it; None where none is known.
        verdict: whom it concerns, unless ``depends`` says otherwise.
        text: what happened and what helps, for a person; no full stop.
        depends: what may change the verdict.
        pauses: whether it asks for a pause of the whole provider.
    """

    code: str
    error_id: int | None
    verdict: Verdict
    text: str
    depends: Depends = Depends.NOTHING
    pauses: bool = False

    @property
    def safe_to_resend(self) -> bool:
        """Say whether the message was certainly not accepted: repeating it can't double it."""
        return self.verdict is not Verdict.IN_DOUBT


@dataclass(frozen=True, slots=True)
class Submitted:
    """What of a request decides whose fault a refusal is.

    Attributes:
        sender_is_ours: the sender came from the configuration, not with the row.
        variant: the ``bulkVariant`` sent.
    """

    sender_is_ours: bool
    variant: str


OK = "OK"

_T, _P, _A, _D = Verdict.TRANSIENT, Verdict.PERMANENT, Verdict.ACCOUNT, Verdict.IN_DOUBT

CODES: tuple[Row, ...] = (
    Row("INTERNAL_ERROR", 100, _D, "the provider had an internal error and may have accepted it"),
    Row("NO_AUTHENTICATION", 101, _A, "the App-Key is wrong or missing: check it"),
    Row("NO_AUTHORIZATION", 102, _A, "the App-Key lacks the right to send: ask the provider"),
    Row("NO_ACCESS", 102, _A, "the App-Key has no access: ask the provider"),
    Row("NOT_FOUND", 103, _P, "the provider does not know what the request names"),
    Row("NO_NOTIFICATION_INFO_FOUND", 103, _P, "the provider found no notification for it"),
    Row("INVALID_USER_STATUS", 104, _A, "the account is not active or has expired"),
    Row("NO_SUBUSER_FOUND", 105, _A, "the sub-account is not known to the provider"),
    Row("WRONG_CREDENTIALS", 105, _A, "the credentials are wrong: check the App-Key"),
    Row("USER_READED_NOTIFICATION_INFO", 105, _A, "the account has to be looked at in the panel"),
    Row("NO_SUFFICIENT_POINTS", 106, _A, "the account has not enough points: top it up"),
    Row("NO_USER_FOUND", 106, _A, "the account is not known to the provider: check the App-Key"),
    Row(
        "INVALID_BULK_STATE",
        107,
        _P,
        "the provider can't do this in the present state, or the account may not collect replies",
        Depends.REPLIES,
    ),
    Row("108", 108, _A, "the account may not collect replies: choose another variant"),
    Row("ILLEGAL_CREATE_PREFIX", 109, _T, "the provider answered with a code of another call"),
    Row("NOT_FUNDS", 301, _A, "the account has no funds: top it up"),
    Row("311", 311, _P, "the sender's name contains a telephone number", Depends.SENDER),
    Row("312", 312, _P, "the sender's name is too short or too long", Depends.SENDER),
    Row("INVALID_VALUE", None, _P, "a value is not allowed", Depends.PARAMETER),
    Row("INVALID_FORMAT", None, _P, "a value has the wrong format", Depends.PARAMETER),
    Row("INVALID_LENGTH", None, _P, "a value is too short or too long", Depends.PARAMETER),
    Row("FORBIDDEN_VALUE", None, _P, "a value is forbidden", Depends.PARAMETER),
    Row("DISALLOWED_CHARACTERS", None, _P, "a value has disallowed characters", Depends.PARAMETER),
    Row("NUMBER_ON_BLACK_LIST", None, _P, "the recipient is on the blacklist: never send again"),
    Row(
        "LIMIT_EXCEEDED", None, _T, "a limit of the account is exceeded", Depends.LIMIT, pauses=True
    ),
    Row("NO_AUTHORIZATION_BULK", None, _A, "the variant is not granted to the account"),
)
"""Every documented code but OK. Where one id has several codes, the first stands for the id."""

UNKNOWN = Row("unknown_code", None, _T, "the provider answered with a code that is not documented")

STATUSES: tuple[Row, ...] = (
    Row("http_301", None, _A, "the API's address has moved: check `url`"),
    Row("http_307", None, _A, "the API's address has moved: check `url`"),
    Row("http_308", None, _A, "the API's address has moved: check `url`"),
    Row("http_400", None, _P, "the provider refused the request as malformed"),
    Row("http_401", None, _A, "the App-Key is wrong or missing: check it"),
    Row("http_402", None, _A, "the account has no funds: top it up"),
    Row("http_403", None, _A, "the App-Key lacks the right to send: ask the provider"),
    Row("http_404", None, _A, "there is no API at this address: check `url`"),
    Row("http_405", None, _A, "there is no API at this address: check `url`"),
    Row("http_407", None, _A, "the proxy asks for credentials: check the proxy's address"),
    Row("http_408", None, _D, "the provider gave up waiting and may have accepted it"),
    Row("http_413", None, _P, "the provider refused the request as too large"),
    Row("http_415", None, _A, "there is no API at this address: check `url`"),
    Row("http_422", None, _P, "the provider refused a value of the request"),
    Row("http_429", None, _T, "the provider asks for fewer requests", pauses=True),
    Row("http_500", None, _D, "the provider failed and may have accepted it"),
    Row("http_502", None, _D, "a gateway lost the provider, which may have accepted it"),
    Row("http_503", None, _T, "the provider is not available"),
    Row("http_504", None, _D, "a gateway lost the provider, which may have accepted it"),
)
"""What an HTTP status means by itself, where no documented code came with it."""

PARAMETERS: Mapping[str, str] = {
    "bulkVariant": "the variant",
    "doubleEncode": "double_encode",
    "from": "the sender",
    "to": "the number",
    "message": "the text",
}
"""The request's parameters that a code can be about, in words for a person."""

_NAMING = frozenset({Depends.PARAMETER, Depends.LIMIT})
_SENDER_IDS = frozenset({311, 312})
_NAMED = re.compile(r"[A-Z][A-Z_]{1,39}")


class FailureTable:
    """The table with the configuration's overrides put in.

    Thread: any; it never changes.
    """

    def __init__(self, overrides: Mapping[str, str]) -> None:
        """Take the overrides in.

        Args:
            overrides: code → verdict, as in ``[providers.<name>] classes``.

        Raises:
            ConfigurationError: codes that the table doesn't have.
        """
        known = {row.code: row for row in (*CODES, *STATUSES, UNKNOWN)}
        if strange := sorted(set(overrides) - set(known)):
            raise ConfigurationError(
                f"classes names codes that the provider doesn't have: {', '.join(strange)}.",
                hint=f"Use one of: {', '.join(sorted(known))}.",
            )
        for code, verdict in overrides.items():
            known[code] = replace(known[code], verdict=Verdict(verdict), depends=Depends.NOTHING)
        self._by_code = known
        self._by_id = {
            row.error_id: known[row.code] for row in reversed(CODES) if row.error_id is not None
        }

    def of_code(
        self, code: str | None, error_id: int | None, message: str, submitted: Submitted
    ) -> Row:
        """Return the row of an answer that is no success, its verdict decided.

        Args:
            code: the ``responseCode``; None where there is none.
            error_id: the ``errorId``; None where there is none.
            message: the provider's text, only searched for the name of a parameter.
            submitted: what was asked for.

        Returns:
            The code's row, else the id's, else the one of unknown codes.
        """
        row = self.known(code, error_id)
        if row is None:
            named = code if code is not None and _NAMED.fullmatch(code) else None
            return replace(self._by_code[UNKNOWN.code], text=_unknown_text(named, error_id))
        parameter = "from" if error_id in _SENDER_IDS else named_parameter(message)
        words = PARAMETERS.get(parameter or "")
        return replace(
            row,
            verdict=_decided(row, parameter, submitted),
            text=f"{row.text}: {words}" if words and row.depends in _NAMING else row.text,
        )

    def known(self, code: str | None, error_id: int | None) -> Row | None:
        """Return the row of a documented code, else of its id, or None."""
        if code is not None and code in self._by_code:
            return self._by_code[code]
        return None if error_id is None else self._by_id.get(error_id)

    def of_status(self, status: int) -> Row:
        """Return the row of an HTTP status; what is not in the table is in doubt."""
        code = f"http_{status}"
        return self._by_code.get(code) or Row(
            code, None, Verdict.IN_DOUBT, f"the provider answered with HTTP status {status}"
        )


def named_parameter(message: str) -> str | None:
    """Return the parameter of the request that the provider's text is about, or None.

    The documented texts hold a place ``{0}`` for it. Most names are also plain words, so they
    count only where a place would stand: quoted, first or last.
    """
    for parameter in PARAMETERS:
        word = re.escape(parameter)
        if (
            re.search(rf"['\"`\[({{]{word}['\"`\])}}]", message)
            or re.match(rf"{word}\b", message)
            or re.search(rf"\b{word}\s*[.!]?\s*$", message)
        ):
            return parameter
    return "bulkVariant" if "bulkVariant" in message else None


def _decided(row: Row, parameter: str | None, submitted: Submitted) -> Verdict:
    match row.depends:
        case Depends.NOTHING:
            return row.verdict
        case Depends.SENDER:
            is_ours = submitted.sender_is_ours
            return Verdict.ACCOUNT if is_ours else row.verdict
        case Depends.PARAMETER:
            is_ours = parameter == "bulkVariant" or (
                parameter == "from" and submitted.sender_is_ours
            )
            return Verdict.ACCOUNT if is_ours else row.verdict
        case Depends.LIMIT:
            return Verdict.PERMANENT if parameter == "message" else row.verdict
        case Depends.REPLIES:
            return Verdict.ACCOUNT if submitted.variant.endswith("_RESP") else row.verdict


def _unknown_text(code: str | None, error_id: int | None) -> str:
    # An unknown code is data from outside: it is repeated only where it looks like a code.
    name = code or "one that can't be printed"
    number = "none" if error_id is None or abs(error_id) > 99_999 else str(error_id)
    return f"{UNKNOWN.text}: {name} (errorId {number})"
