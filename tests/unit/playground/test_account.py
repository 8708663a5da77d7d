"""The simulated account: what the contract says of numbers, senders, texts, money, reports."""

from typing import Any

import orjson
import pytest

from cdc_sms.playground.account import Account, Reply, Request, normalised


def account(**changes: Any) -> Account:
    return Account(**{"key": "k", "balance": 1000, **changes})


def ask(
    to: Account, method: str, path: str, body: object = None, *, key: str = "k"
) -> tuple[int, Any]:
    content = b"" if body is None else orjson.dumps(body)
    reply = to.answer(Request(method, path, key, "application/json", content))
    return reply.status, read(reply)


def read(reply: Reply) -> Any:
    return orjson.loads(reply.body) if reply.content_type == "application/json" else None


def send(provider: Account, *, key: str = "k", **changes: Any) -> Any:
    fields = {"to": "48600100200", "from": "ACME", "message": "Hello", "bulkVariant": "PRO"}
    sent = {name: value for name, value in {**fields, **changes}.items() if value is not None}
    return ask(provider, "POST", "/v2/message/send", sent, key=key)[1]


def test_a_good_message_is_accepted_with_an_id_of_its_own() -> None:
    provider = account(first_id=7)

    first, second = send(provider), send(provider)

    assert first == {"responseCode": "OK", "errorId": 0, "message": "Successful", "data": 7}
    assert second["data"] == 8


def test_a_repeated_message_is_accepted_again() -> None:
    provider = account()

    send(provider)
    send(provider)

    assert [message.text for message in provider.messages.values()] == ["Hello", "Hello"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"to": None}, "INVALID_VALUE", id="no number"),
        pytest.param({"to": "12345678901234"}, "INVALID_FORMAT", id="14 digits"),
        pytest.param({"to": "+48600100200"}, "INVALID_FORMAT", id="a plus"),
        pytest.param({"to": "4915112345678"}, "INVALID_FORMAT", id="another country"),
        pytest.param({"message": ""}, "INVALID_VALUE", id="no text"),
        pytest.param({"message": "a\x00b"}, "DISALLOWED_CHARACTERS", id="a control character"),
        pytest.param({"message": "a" * 1000}, "INVALID_LENGTH", id="too long"),
        pytest.param({"bulkVariant": "GOLD"}, "INVALID_VALUE", id="no such variant"),
        pytest.param({"from": None}, "INVALID_VALUE", id="no sender"),
        pytest.param({"from": "A"}, "INVALID_LENGTH", id="a short sender"),
        pytest.param({"from": "A" * 12}, "INVALID_LENGTH", id="a long sender"),
        pytest.param({"from": "1234"}, "INVALID_FORMAT", id="a sender of digits"),
        pytest.param({"from": "600100200"}, "FORBIDDEN_VALUE", id="a number as sender"),
        pytest.param({"from": "Łódź"}, "DISALLOWED_CHARACTERS", id="a sender beyond ASCII"),
        pytest.param({"doubleEncode": "maybe"}, "INVALID_VALUE", id="no boolean"),
    ],
)
def test_a_message_against_the_rules_is_refused(changes: dict[str, Any], code: str) -> None:
    provider = account()

    answer = send(provider, **changes)

    assert (answer["responseCode"], answer["data"]) == (code, None)
    assert not provider.messages


@pytest.mark.parametrize("flag", [True, False, "true", "false"])
def test_double_encode_is_taken_in_both_forms(flag: object) -> None:
    assert send(account(), doubleEncode=flag)["responseCode"] == "OK"


def test_a_variant_without_a_shown_sender_needs_none() -> None:
    without: dict[str, Any] = {"from": None}

    assert send(account(), bulkVariant="ECO", **without)["responseCode"] == "OK"


@pytest.mark.parametrize(
    ("number", "stored"),
    [("600100200", "48600100200"), ("48600100200", "48600100200"), ("060010020", None)],
)
def test_a_number_is_kept_in_its_long_form(number: str, stored: str | None) -> None:
    assert normalised(number) == stored


def test_points_go_by_variant_and_segment() -> None:
    provider = account(balance=100)

    send(provider, message="a" * 200, bulkVariant="FULL")

    assert ask(provider, "GET", "/v2/payment/points")[1]["data"] == 100 - 2 * 6


def test_a_message_that_costs_more_than_is_left_is_refused() -> None:
    provider = account(balance=10, price=7)

    codes = [send(provider)["responseCode"] for _ in range(2)]

    assert codes == ["OK", "NO_SUFFICIENT_POINTS"]


@pytest.mark.parametrize(
    ("style", "expected"),
    [("number", {"errorId": 101}), ("null", {"errorId": None}), ("absent", {})],
)
def test_a_wrong_key_is_answered_by_the_envelope(style: str, expected: dict[str, object]) -> None:
    answer = send(account(error_ids=style), key="wrong")

    assert answer["responseCode"] == "NO_AUTHENTICATION"
    assert {name: answer[name] for name in answer if name == "errorId"} == expected


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_answered_by_a_status_where_asked_for(status: int) -> None:
    answer = ask(account(bad_key_status=status), "GET", "/v2/payment/points", key="wrong")

    assert answer == (status, None)


def test_the_blacklist_stops_a_number_until_it_is_removed() -> None:
    provider = account()

    added = ask(provider, "PUT", "/v2/blacklist/add/numbers", ["600100200", "nonsense"])[1]
    listed = ask(provider, "GET", "/v2/blacklist")[1]
    refused = send(provider)
    ask(provider, "PUT", "/v2/blacklist/remove/numbers", ["48600100200"])
    accepted = send(provider)

    assert added["data"] == "Added: 1 numbers"
    assert listed["data"] == ["48600100200"]
    assert refused["responseCode"] == "NUMBER_ON_BLACK_LIST"
    assert accepted["responseCode"] == "OK"


def test_a_report_is_had_by_id() -> None:
    provider = account()
    message_id = send(provider)["data"]

    report = ask(provider, "GET", f"/v2/report/message/{message_id}")[1]

    assert (report["data"]["delivered"], report["data"]["bulkCostInPoints"]) == (1, 7)


def test_a_report_on_nothing_is_not_found() -> None:
    report = ask(account(), "GET", "/v2/report/message/1")[1]

    assert (report["responseCode"], report["errorId"]) == ("NOT_FOUND", 103)
    assert report["message"] == "Not found"


@pytest.mark.parametrize(
    ("method", "path", "content_type", "body", "status"),
    [
        pytest.param("POST", "/v2/nothing", "application/json", b"{}", 404, id="no such path"),
        pytest.param("GET", "/v2/message/send", "", b"", 405, id="another method"),
        pytest.param("POST", "/v2/message/send", "text/plain", b"{}", 415, id="no JSON by name"),
        pytest.param("POST", "/v2/message/send", "application/json", b"{", 400, id="no JSON"),
        pytest.param("POST", "/v2/message/send", "application/json", b"[]", 400, id="a list"),
    ],
)
def test_what_is_outside_the_contract_gets_a_bare_status(
    method: str, path: str, content_type: str, body: bytes, status: int
) -> None:
    reply = account().answer(Request(method, path, "k", content_type, body))

    assert (reply.status, reply.content_type) == (status, "text/html")
