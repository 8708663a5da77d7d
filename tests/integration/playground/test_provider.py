"""The simulated provider over its port: faults, record, outage, control."""

import gc
import socket
import struct
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
import requests
from support.waiting import still, until

from cdc_sms.errors import ConfigurationError, SetupError
from cdc_sms.playground.faults import Rule
from cdc_sms.playground.provider import Simulator, SimulatorControl


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(key="k") as simulator:
        yield simulator


@pytest.fixture
def control(simulator: Simulator) -> Iterator[SimulatorControl]:
    control = SimulatorControl(simulator.url)
    yield control
    control.close()


def send(simulator: Simulator, text: str = "Hello", *, timeout: float = 5) -> requests.Response:
    fields = {"to": "48600100200", "from": "ACME", "message": text, "bulkVariant": "PRO"}
    return requests.post(
        f"{simulator.url}/v2/message/send", json=fields, headers={"App-Key": "k"}, timeout=timeout
    )


def address_of(simulator: Simulator) -> tuple[str, int]:
    where = urlsplit(simulator.url)
    return where.hostname or "", where.port or 0


def test_many_connections_are_answered_at_once(simulator: Simulator) -> None:
    simulator.set_rules(Rule(delay_s=0.2))

    with ThreadPoolExecutor(64) as senders:
        statuses = list(senders.map(lambda _: send(simulator).status_code, range(64)))

    assert statuses == [200] * 64
    assert len(simulator.accepted()) == 64


def test_the_record_holds_every_acceptance_and_whether_it_was_answered(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    with Simulator(key="k", record=record) as simulator:
        first = send(simulator, "first").json()["data"]
        simulator.set_rules(Rule(name="lost", fault="reset", accepts=True))
        with pytest.raises(requests.ConnectionError):
            send(simulator, "second")

    entries: list[dict[str, Any]] = [orjson.loads(line) for line in record.read_bytes().split()]
    accepted = [entry for entry in entries if entry["event"] == "accepted"]
    answered = [entry["id"] for entry in entries if entry["event"] == "answered"]
    assert [(entry["text"], entry["rule"]) for entry in accepted] == [
        ("first", None),
        ("second", "lost"),
    ]
    assert answered == [first]


def test_a_record_that_can_not_be_written_is_told_before_the_port_is_open(tmp_path: Path) -> None:
    simulator = Simulator(record=tmp_path / "missing" / "record.jsonl")

    with pytest.raises(SetupError, match="can't be written"):
        simulator.start()


def test_a_port_that_is_taken_is_told(simulator: Simulator) -> None:
    with pytest.raises(SetupError, match="can't be listened on"):
        Simulator(port=address_of(simulator)[1]).start()


def test_a_request_is_in_flight_until_it_is_answered_or_given_up(
    simulator: Simulator, control: SimulatorControl
) -> None:
    simulator.set_rules(Rule(fault="hang"))

    with ThreadPoolExecutor(1) as sender:
        asked = sender.submit(send, simulator, timeout=0.5)
        until(lambda: control.requests().in_flight == 1, within_s=5, what="a request in flight")
        with pytest.raises(requests.Timeout):
            asked.result()

    until(lambda: simulator.in_flight == 0, within_s=5, what="the client to be missed")


def test_a_delayed_message_is_accepted_although_the_client_has_gone(simulator: Simulator) -> None:
    simulator.set_rules(Rule(delay_s=0.3))

    with pytest.raises(requests.Timeout):
        send(simulator, timeout=0.1)

    until(lambda: len(simulator.accepted()) == 1, within_s=5, what="the message")
    assert not simulator.accepted()[0].answered


def test_an_outage_answers_503_then_refuses_then_is_over(simulator: Simulator) -> None:
    simulator.outage(unavailable_s=0.3, refuse_s=0.3)

    assert send(simulator).status_code == 503
    until(lambda: not _connects(simulator), within_s=5, what="refused connections")
    until(lambda: _connects(simulator), within_s=5, what="the end of the outage")
    assert send(simulator).json()["responseCode"] == "OK"


def test_connections_that_arrive_as_an_outage_starts_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leaked: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: leaked.append(found.exc_value))
    with Simulator() as simulator, ThreadPoolExecutor(3) as callers:
        for _ in range(10):
            calls = [callers.submit(_connects, simulator) for _ in range(50)]
            simulator.outage(refuse_s=0.02)
            for call in calls:
                call.result()
            until(lambda: _connects(simulator), within_s=5, what="the end of the outage")
    gc.collect()

    assert leaked == []


def test_an_outage_takes_the_place_of_one_that_goes_on(simulator: Simulator) -> None:
    simulator.outage(refuse_s=0.1)
    simulator.outage(refuse_s=30)

    until(lambda: not _connects(simulator), within_s=5, what="refused connections")
    still(lambda: not _connects(simulator), for_s=0.3)
    simulator.outage()
    until(lambda: _connects(simulator), within_s=5, what="the end of the outage")


def test_the_control_reaches_through_an_outage(
    simulator: Simulator, control: SimulatorControl
) -> None:
    control.requests()
    control.outage(refuse_s=30)
    until(lambda: not _connects(simulator), within_s=5, what="refused connections")

    assert control.requests().in_flight == 0


def test_the_control_sees_and_steers(simulator: Simulator, control: SimulatorControl) -> None:
    send(simulator, "one")
    send(simulator, "two")
    control.set_rules(Rule(fault="code", code="NOT_FUNDS", first=1))
    refused = send(simulator, "three").json()
    control.set_key("another")
    locked_out = send(simulator, "four").json()

    assert [entry["text"] for entry in control.accepted(since=1)] == ["two"]
    assert refused["responseCode"] == "NOT_FUNDS"
    assert locked_out["responseCode"] == "NO_AUTHENTICATION"


def test_the_control_sets_the_balance(simulator: Simulator, control: SimulatorControl) -> None:
    control.set_balance(3)

    assert send(simulator).json()["responseCode"] == "NO_SUFFICIENT_POINTS"


def test_rules_that_are_none_are_refused_with_a_remedy(simulator: Simulator) -> None:
    host, port = address_of(simulator)

    answer = requests.put(
        f"http://{host}:{port}/_control/rules", json={"rules": [{"fault": "explode"}]}, timeout=5
    )

    assert answer.status_code == 400
    assert "rule 1, fault" in answer.json()["error"]


def test_rules_read_back_can_be_set_again(simulator: Simulator) -> None:
    host, port = address_of(simulator)
    url = f"http://{host}:{port}/_control/rules"
    simulator.set_rules(Rule(status=502), Rule(fault="hang", accepts=True, ratio=0.5))
    before = requests.get(url, timeout=5).json()

    requests.put(url, json=before, timeout=5)

    assert requests.get(url, timeout=5).json() == before


def test_the_control_tells_what_was_not_understood(control: SimulatorControl) -> None:
    with pytest.raises(ConfigurationError, match="not understood"):
        control._ask("PUT", "balance", {"points": "many"})


def test_a_rule_can_rotate_the_key(simulator: Simulator) -> None:
    simulator.set_rules(Rule(after=1, first=1, key="second"))

    codes = [send(simulator).json()["responseCode"] for _ in range(2)]

    assert codes == ["OK", "NO_AUTHENTICATION"]


@pytest.mark.parametrize(("allowed", "code"), [(True, "NOT_FUNDS"), (False, "OK")])
def test_a_text_carries_its_fault_only_where_that_is_allowed(allowed: bool, code: str) -> None:
    with Simulator(key="k", magic_words=allowed) as simulator:
        answer = send(simulator, 'Simulate: code = "NOT_FUNDS"; Hello').json()

    assert answer["responseCode"] == code


def test_requests_sent_at_once_are_answered_in_order(simulator: Simulator) -> None:
    head = b"GET /api/rest/v2/payment/points HTTP/1.1\r\nHost: h\r\nApp-Key: k\r\n"

    with socket.create_connection(address_of(simulator), timeout=5) as connection:
        connection.sendall(head + b"\r\n" + head + b"Connection: close\r\n\r\n")
        with connection.makefile("rb") as answers:
            data = answers.read()

    assert data.count(b"HTTP/1.1 200 OK") == 2


def test_what_is_no_request_is_answered_and_ends_the_connection(simulator: Simulator) -> None:
    with socket.create_connection(address_of(simulator), timeout=5) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        with connection.makefile("rb") as answers:
            data = answers.read()

    assert data.startswith(b"HTTP/1.1 400 Bad Request")


def test_a_client_that_resets_disturbs_nobody(simulator: Simulator) -> None:
    simulator.set_rules(Rule(delay_s=0.2, first=1))
    with socket.create_connection(address_of(simulator), timeout=5) as connection:
        connection.sendall(b"GET /api/rest/v2/payment/points HTTP/1.1\r\nApp-Key: k\r\n\r\n")
        until(lambda: simulator.in_flight == 1, within_s=5, what="the request")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    until(lambda: simulator.in_flight == 0, within_s=5, what="the client to be missed")
    still(lambda: simulator.in_flight == 0, for_s=0.3)
    assert send(simulator).json()["responseCode"] == "OK"


def _connects(simulator: Simulator) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address_of(simulator)) == 0
