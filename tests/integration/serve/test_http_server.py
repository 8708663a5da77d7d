"""The HTTP server with real clients, also those that misbehave."""

import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from support.waiting import until

from cdc_sms.errors import ConfigurationError
from cdc_sms.serve import app
from cdc_sms.serve.app import MAX_CONNECTIONS, HttpServer, Response, json_response


def _break() -> Response:
    raise KeyError("a bug in a route")


@pytest.fixture
def server() -> Iterator[HttpServer]:
    routes = {"/status": lambda: json_response({"state": "sending"}), "/broken": _break}
    server = HttpServer("127.0.0.1:0", routes, setting="serve.address")
    server.start()
    yield server
    server.close()


def _connect(server: HttpServer) -> socket.socket:
    parts = urlsplit(server.url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=15)
    connection.settimeout(15)
    return connection


def test_route_is_answered_and_the_connection_is_closed(server: HttpServer) -> None:
    answer = requests.get(f"{server.url}/status?x=1", timeout=5)

    assert answer.json() == {"state": "sending"}
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Server"].strip() == "cdc-sms"
    assert answer.raw.version == 10


def test_head_is_answered_without_a_body(server: HttpServer) -> None:
    answer = requests.head(f"{server.url}/status", timeout=5)

    assert answer.status_code == 200
    assert answer.headers["Content-Length"] == "20"
    assert answer.content == b""


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/status", 405),
        ("DELETE", "/status", 405),
        ("GET", "/broken", 500),
        ("BREW", "/status", 501),
    ],
    ids=["unknown path", "POST", "DELETE", "bug in a route", "unknown method"],
)
def test_what_is_not_served_is_refused_in_json(
    server: HttpServer, method: str, path: str, status: int
) -> None:
    answer = requests.request(method, f"{server.url}{path}", timeout=5)

    assert answer.status_code == status
    assert answer.json()["error"].startswith(str(status))
    assert "Traceback" not in answer.text


def test_client_that_dawdles_is_cut_off(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "DEADLINE_S", 0.5)

    with _connect(server) as connection:
        connection.sendall(b"GET /status HTTP/1.1\r\nX-Slow: ")

        assert connection.recv(1000) == b""


def test_too_many_connections_are_told_so_and_others_are_served_when_they_end(
    server: HttpServer,
) -> None:
    idle = [_connect(server) for _ in range(MAX_CONNECTIONS)]

    def refused() -> bool:
        return requests.get(f"{server.url}/status", timeout=5).status_code == 503

    until(refused, within_s=5, ignoring=(requests.ConnectionError,))
    for connection in idle:
        connection.close()

    def served() -> bool:
        return requests.get(f"{server.url}/status", timeout=5).status_code == 200

    until(served, within_s=5, ignoring=(requests.ConnectionError,))


def test_close_does_not_wait_for_idle_clients(server: HttpServer) -> None:
    with _connect(server):
        until(lambda: threading.active_count() > 2, within_s=5)

        closing = threading.Thread(target=server.close, daemon=True)
        closing.start()
        closing.join(5)

    assert not closing.is_alive()


def test_address_that_is_taken_is_named_with_its_setting(server: HttpServer) -> None:
    taken = urlsplit(server.url).netloc

    with pytest.raises(ConfigurationError, match=r"deliver\.address") as caught:
        HttpServer(taken, {}, setting="deliver.address")

    assert taken in caught.value.message
