"""THE table: every documented code, the ones that depend, and the overrides."""

import pytest

from cdc_sms.errors import ConfigurationError
from cdc_sms.providers.justsend.failures import (
    CODES,
    STATUSES,
    FailureTable,
    Submitted,
    Verdict,
    named_parameter,
)

OUR_SENDER = Submitted(sender_is_ours=True, variant="PRO")
ROWS_SENDER = Submitted(sender_is_ours=False, variant="PRO")
TABLE = FailureTable({})

# From the contract's table, 1.7; the code's own table is not read to make this one.
DOCUMENTED = {
    "INTERNAL_ERROR": Verdict.IN_DOUBT,
    "NO_AUTHENTICATION": Verdict.ACCOUNT,
    "NO_AUTHORIZATION": Verdict.ACCOUNT,
    "NO_ACCESS": Verdict.ACCOUNT,
    "NOT_FOUND": Verdict.PERMANENT,
    "NO_NOTIFICATION_INFO_FOUND": Verdict.PERMANENT,
    "INVALID_USER_STATUS": Verdict.ACCOUNT,
    "NO_SUBUSER_FOUND": Verdict.ACCOUNT,
    "WRONG_CREDENTIALS": Verdict.ACCOUNT,
    "USER_READED_NOTIFICATION_INFO": Verdict.ACCOUNT,
    "NO_SUFFICIENT_POINTS": Verdict.ACCOUNT,
    "NO_USER_FOUND": Verdict.ACCOUNT,
    "INVALID_BULK_STATE": Verdict.PERMANENT,
    "ILLEGAL_CREATE_PREFIX": Verdict.TRANSIENT,
    "INVALID_VALUE": Verdict.PERMANENT,
    "INVALID_FORMAT": Verdict.PERMANENT,
    "INVALID_LENGTH": Verdict.PERMANENT,
    "FORBIDDEN_VALUE": Verdict.PERMANENT,
    "DISALLOWED_CHARACTERS": Verdict.PERMANENT,
    "NUMBER_ON_BLACK_LIST": Verdict.PERMANENT,
    "LIMIT_EXCEEDED": Verdict.TRANSIENT,
    "NOT_FUNDS": Verdict.ACCOUNT,
    "NO_AUTHORIZATION_BULK": Verdict.ACCOUNT,
}


@pytest.mark.parametrize(("code", "verdict"), DOCUMENTED.items(), ids=DOCUMENTED)
def test_every_documented_code_is_classified(code: str, verdict: Verdict) -> None:
    assert TABLE.of_code(code, None, "", OUR_SENDER).verdict is verdict


def test_the_table_has_no_code_twice() -> None:
    codes = [row.code for row in (*CODES, *STATUSES)]

    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("row", [*CODES, *STATUSES], ids=lambda row: row.code)
def test_every_row_has_words_for_a_person(row: object) -> None:
    text = getattr(row, "text", "")

    assert " " in text
    assert not text.endswith(".")


@pytest.mark.parametrize(
    ("error_id", "verdict"),
    [
        (100, Verdict.IN_DOUBT),
        (101, Verdict.ACCOUNT),
        (102, Verdict.ACCOUNT),
        (103, Verdict.PERMANENT),
        (104, Verdict.ACCOUNT),
        (105, Verdict.ACCOUNT),
        (106, Verdict.ACCOUNT),
        (107, Verdict.PERMANENT),
        (108, Verdict.ACCOUNT),
        (109, Verdict.TRANSIENT),
        (301, Verdict.ACCOUNT),
        (311, Verdict.PERMANENT),
        (312, Verdict.PERMANENT),
    ],
)
@pytest.mark.parametrize("code", [None, "A_NEW_NAME"], ids=["no code", "an unknown code"])
def test_the_id_decides_where_the_code_says_nothing(
    code: str | None, error_id: int, verdict: Verdict
) -> None:
    assert TABLE.of_code(code, error_id, "", ROWS_SENDER).verdict is verdict


def test_the_code_decides_where_the_id_says_something_else() -> None:
    row = TABLE.of_code("NUMBER_ON_BLACK_LIST", 106, "", OUR_SENDER)

    assert row.code == "NUMBER_ON_BLACK_LIST"


@pytest.mark.parametrize(
    ("code", "error_id", "message", "submitted", "verdict"),
    [
        pytest.param(
            "INVALID_VALUE", None, "Invalid value: from", OUR_SENDER, Verdict.ACCOUNT,
            id="our sender",
        ),
        pytest.param(
            "INVALID_VALUE", None, "Invalid value: from", ROWS_SENDER, Verdict.PERMANENT,
            id="the row's sender",
        ),
        pytest.param(
            "INVALID_VALUE", None, "Value of bulkVariant is bad", ROWS_SENDER, Verdict.ACCOUNT,
            id="the variant is always ours",
        ),
        pytest.param(
            "INVALID_FORMAT", None, "Invalid format: to", OUR_SENDER, Verdict.PERMANENT,
            id="the number",
        ),
        pytest.param(
            "FORBIDDEN_VALUE", 311, "", OUR_SENDER, Verdict.ACCOUNT,
            id="the id speaks of our sender",
        ),
        pytest.param(
            "312", 312, "", ROWS_SENDER, Verdict.PERMANENT, id="the id speaks of the row's sender"
        ),
        pytest.param(
            "LIMIT_EXCEEDED", None, "Exceeded limit for message", OUR_SENDER, Verdict.PERMANENT,
            id="a text that is too long",
        ),
        pytest.param(
            "LIMIT_EXCEEDED", None, "Message limit for account exceeded", OUR_SENDER,
            Verdict.TRANSIENT, id="too many messages",
        ),
        pytest.param(
            "INVALID_BULK_STATE", 107, "", Submitted(sender_is_ours=True, variant="PRO_RESP"),
            Verdict.ACCOUNT, id="replies are not allowed",
        ),
    ],
)  # fmt: skip
def test_what_depends_is_decided_by_parameter_and_origin(
    code: str, error_id: int | None, message: str, submitted: Submitted, verdict: Verdict
) -> None:
    assert TABLE.of_code(code, error_id, message, submitted).verdict is verdict


@pytest.mark.parametrize(
    ("message", "is_named"),
    [
        pytest.param("Invalid value: from", True, id="last"),
        pytest.param("Invalid value of from.", True, id="last, with a full stop"),
        pytest.param("from has a wrong length", True, id="first"),
        pytest.param('Value of "from" is wrong', True, id="quoted"),
        pytest.param("Value [from] is wrong", True, id="in brackets"),
        pytest.param("Value taken from the request is wrong", False, id="a plain word"),
        pytest.param("", False, id="nothing said"),
    ],
)
def test_a_parameter_counts_only_where_a_place_would_stand(message: str, is_named: bool) -> None:
    assert named_parameter(message) == ("from" if is_named else None)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        pytest.param("Invalid value: to", "a value is not allowed: the number", id="the number"),
        pytest.param("Invalid value", "a value is not allowed", id="nothing named"),
    ],
)
def test_a_refused_value_is_named_for_a_person(message: str, words: str) -> None:
    assert TABLE.of_code("INVALID_VALUE", None, message, OUR_SENDER).text == words


def test_an_unknown_code_is_transient_and_named() -> None:
    row = TABLE.of_code("QUOTA_REACHED", 999, "", OUR_SENDER)

    assert (row.code, row.verdict) == ("unknown_code", Verdict.TRANSIENT)
    assert "QUOTA_REACHED (errorId 999)" in row.text


def test_an_unknown_code_that_is_no_code_is_not_repeated() -> None:
    row = TABLE.of_code("Hello Anna, 48600100200", 48_600_100_200, "", OUR_SENDER)

    assert "Anna" not in row.text
    assert "48600100200" not in row.text


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, Verdict.ACCOUNT) for status in (301, 307, 308, 401, 402, 403, 404, 405, 407)),
        (415, Verdict.ACCOUNT),
        *((status, Verdict.PERMANENT) for status in (400, 413, 422)),
        *((status, Verdict.TRANSIENT) for status in (429, 503)),
        *((status, Verdict.IN_DOUBT) for status in (302, 303, 408, 409, 418, 500, 502, 504, 599)),
    ],
)
def test_every_status_is_classified(status: int, verdict: Verdict) -> None:
    assert TABLE.of_status(status).verdict is verdict


def test_only_what_is_in_doubt_is_not_safe_to_resend() -> None:
    unsafe = {row.code for row in (*CODES, *STATUSES) if not row.safe_to_resend}

    assert unsafe == {"INTERNAL_ERROR", "http_408", "http_500", "http_502", "http_504"}


def test_an_override_wins_whatever_the_row_depends_on() -> None:
    table = FailureTable({"INVALID_VALUE": "transient"})

    row = table.of_code("INVALID_VALUE", None, "Invalid value: from", OUR_SENDER)

    assert row.verdict is Verdict.TRANSIENT


def test_an_override_holds_for_the_codes_id_too() -> None:
    table = FailureTable({"NO_SUFFICIENT_POINTS": "transient"})

    assert table.of_code(None, 106, "", OUR_SENDER).verdict is Verdict.TRANSIENT


def test_an_override_holds_for_a_status() -> None:
    assert FailureTable({"http_503": "in_doubt"}).of_status(503).verdict is Verdict.IN_DOUBT


def test_an_override_of_an_unknown_code_is_a_mistake_of_the_configuration() -> None:
    with pytest.raises(ConfigurationError, match="NO_SUCH_CODE"):
        FailureTable({"NO_SUCH_CODE": "permanent"})
