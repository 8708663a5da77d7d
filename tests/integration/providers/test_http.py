"""What the session knows of its connection: written or not, in time or not, trusted or not."""

import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from support.waiting import until

from cdc_sms.providers import http
from cdc_sms.providers.http import Answer, Broken, HttpSession, Route

CERTIFICATE = Path(__file__).parents[2] / "data" / "tls" / "localhost.pem"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Script = Callable[[socket.socket], None]


@contextmanager
def server(*scripts: Script, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve one connection after the other, each by the next script; give the address."""
    listener = socket.create_server((host, 0))
    listener.settimeout(10)

    def serve() -> None:
        for script in scripts:
            with suppress(OSError):
                connection, _ = listener.accept()
                connection.settimeout(10)
                with connection:
                    script(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"{host}:{listener.getsockname()[1]}"
    finally:
        # Wakes a thread that still waits for a connection.
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def request_of(connection: socket.socket) -> bytes:
    """Read one whole request."""
    data = b""
    while not data.endswith(b"\r\n\r\nbody") and not (data and data.startswith(b"CONNECT")):
        part = connection.recv(65_536)
        if not part:
            break
        data += part
    return data


def answers(*parts: bytes) -> Script:
    """Answer as many requests as there are parts, then close."""

    def script(connection: socket.socket) -> None:
        for part in parts:
            request_of(connection)
            connection.sendall(part)

    return script


def over_tls(script: Script) -> Script:
    def wrapped(connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        with context.wrap_socket(connection, server_side=True) as secure:
            script(secure)

    return wrapped


def hangs_until_closed(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


@contextmanager
def session(url: str, *, connect_timeout_s: float = 5) -> Iterator[HttpSession]:
    opened = HttpSession(Route.to(url), connect_timeout_s=connect_timeout_s)
    try:
        yield opened
    finally:
        opened.close()


def post(to: HttpSession, url: str, *, deadline_s: float = 5) -> Answer | Broken:
    return to.request("POST", url, headers={"X-Test": "1"}, body=b"body", deadline_s=deadline_s)


def test_request_arrives_as_it_was_made() -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(request_of(connection))
        connection.sendall(ANSWER)

    with server(script) as address, session(f"http://{address}") as http_session:
        answer = post(http_session, f"http://{address}/path")

    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (200, b"ok")
    assert seen[0].startswith(b"POST /path HTTP/1.1\r\n")
    assert b"X-Test: 1\r\n" in seen[0]
    assert b"Accept-Encoding: identity\r\n" in seen[0]


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with server(hangs_until_closed) as other:
        moved = b"HTTP/1.1 301 Moved\r\nLocation: http://%s/\r\nContent-Length: 0\r\n\r\n"
        with (
            server(answers(moved % other.encode())) as address,
            session(f"http://{address}") as http_session,
        ):
            answer = post(http_session, f"http://{address}/")

    assert isinstance(answer, Answer)
    assert answer.status == 301


def test_a_refused_connection_was_not_written() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with session(url) as http_session:
            broken = post(http_session, url)

    assert isinstance(broken, Broken)
    assert (broken.code, broken.written) == ("connect_failed", False)


def test_a_name_that_nobody_knows_was_not_written() -> None:
    url = "http://no-such-host.invalid"
    with session(url) as http_session:
        broken = post(http_session, url)

    assert isinstance(broken, Broken)
    assert (broken.code, broken.written) == ("name_not_resolved", False)


def test_a_connection_that_is_not_taken_ends_at_the_time_to_connect() -> None:
    with ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        # Fill the queue: from then on the kernel drops what would open a connection.
        for _ in range(3):
            filler = open_sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with session(url, connect_timeout_s=0.3) as http_session:
            started = time.monotonic()
            broken = post(http_session, url)
            took_s = time.monotonic() - started

    assert isinstance(broken, Broken)
    assert (broken.code, broken.written) == ("connect_timeout", False)
    assert took_s < 2


def test_a_connection_that_ends_without_an_answer_leaves_a_doubt() -> None:
    with server(answers(b"")) as address, session(f"http://{address}") as http_session:
        broken = post(http_session, f"http://{address}")

    assert isinstance(broken, Broken)
    assert (broken.code, broken.written) == ("connection_lost", True)


def test_a_reset_after_the_request_leaves_a_doubt() -> None:
    def script(connection: socket.socket) -> None:
        request_of(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with server(script) as address, session(f"http://{address}") as http_session:
        broken = post(http_session, f"http://{address}")

    assert isinstance(broken, Broken)
    assert (broken.code, broken.written) == ("connection_lost", True)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "answer_truncated", id="cut"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
            "answer_truncated",
            id="cut in a chunk",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n\r\n" + b"x" * 600_000,
            "answer_malformed",
            id="too large",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nwhat",
            "answer_malformed",
            id="not what it says it is",
        ),
    ],
)
def test_a_body_that_can_not_be_read_leaves_the_status(answer: bytes, code: str) -> None:
    with server(answers(answer)) as address, session(f"http://{address}") as http_session:
        found = post(http_session, f"http://{address}")

    assert isinstance(found, Answer)
    assert (found.status, found.body) == (200, None)
    assert found.fault is not None
    assert found.fault.code == code


def test_an_answer_that_is_no_http_leaves_a_doubt() -> None:
    with (
        server(answers(b"220 mail.example ESMTP\r\n")) as address,
        session(f"http://{address}") as http_session,
    ):
        broken = post(http_session, f"http://{address}")

    assert isinstance(broken, Broken)
    assert (broken.code, broken.written) == ("answer_malformed", True)


def test_a_kept_connection_that_the_server_closed_is_not_used_again() -> None:
    with (
        server(answers(ANSWER), answers(ANSWER)) as address,
        session(f"http://{address}") as http_session,
    ):
        post(http_session, f"http://{address}")
        connection = http_session._adapter._pool.pool.queue[-1]
        until(lambda: not connection.is_connected, within_s=5, what="the server's close")

        answer = post(http_session, f"http://{address}")

    assert isinstance(answer, Answer)


def test_a_connection_idle_for_too_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[socket.socket] = []

    def script(connection: socket.socket) -> None:
        connections.append(connection)
        answers(ANSWER)(connection)
        hangs_until_closed(connection)

    monkeypatch.setattr(http, "MAX_IDLE_S", 0.0)
    with server(script, script) as address, session(f"http://{address}") as http_session:
        post(http_session, f"http://{address}")
        post(http_session, f"http://{address}")

    assert len(connections) == 2


def test_nothing_is_written_once_the_deadline_has_passed() -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(connection.recv(65_536))

    with server(script) as address, session(f"http://{address}") as http_session:
        broken = post(http_session, f"http://{address}", deadline_s=1e-9)
        # The server's first connection is this one, unless the request made one.
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))).close()
        until(lambda: seen, within_s=5, what="a connection")

    assert isinstance(broken, Broken)
    assert not broken.written
    assert seen == [b""]


def test_a_trusted_server_is_talked_to_over_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))

    with (
        server(over_tls(answers(ANSWER, ANSWER))) as address,
        session(f"https://{address}") as http_session,
    ):
        found = [post(http_session, f"https://{address}") for _ in range(2)]

    assert [answer.body for answer in found if isinstance(answer, Answer)] == [b"ok", b"ok"]


def test_a_server_that_is_not_trusted_is_sent_nothing() -> None:
    with (
        server(over_tls(hangs_until_closed)) as address,
        session(f"https://{address}") as http_session,
    ):
        broken = post(http_session, f"https://{address}")

    assert isinstance(broken, Broken)
    assert (broken.code, broken.written) == ("tls_failed", False)


def test_a_server_of_another_name_is_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))

    with (
        server(over_tls(hangs_until_closed), host="127.0.0.2") as address,
        session(f"https://{address}") as http_session,
    ):
        broken = post(http_session, f"https://{address}")

    assert isinstance(broken, Broken)
    assert (broken.code, broken.written) == ("tls_failed", False)


def test_a_handshake_that_never_ends_was_not_written() -> None:
    with (
        server(hangs_until_closed) as address,
        session(f"https://{address}", connect_timeout_s=0.3) as http_session,
    ):
        started = time.monotonic()
        broken = post(http_session, f"https://{address}")
        took_s = time.monotonic() - started

    assert isinstance(broken, Broken)
    assert (broken.code, broken.written) == ("timeout", False)
    assert took_s < 2


@pytest.mark.parametrize("part", [b"HTTP/1.1 200 OK\r\n", b""], ids=["half a head", "nothing"])
def test_the_deadline_holds_over_tls(monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    def script(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(part)
        with suppress(OSError):
            for _ in range(100):
                # A header that grows, byte by byte, until the client has gone.
                connection.sendall(b"X" if part else b"")
                if select.select([connection], [], [], 0.05)[0] and not connection.recv(1):
                    return

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with (
        server(over_tls(script)) as address,
        session(f"https://{address}") as http_session,
    ):
        started = time.monotonic()
        broken = post(http_session, f"https://{address}", deadline_s=0.4)
        took_s = time.monotonic() - started

    assert isinstance(broken, Broken)
    assert (broken.code, broken.written) == ("timeout", True)
    assert took_s < 2


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with server(answers(refusal)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy}")
        url = "http://provider.invalid/path"
        with session(url) as http_session:
            answer = post(http_session, url)

    assert isinstance(answer, Answer)
    assert answer.status == 407


def test_a_proxy_that_does_not_connect_was_sent_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(answers(b"HTTP/1.1 403 Forbidden\r\n\r\n")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        url = "https://provider.invalid/path"
        with session(url) as http_session:
            broken = post(http_session, url)

    assert isinstance(broken, Broken)
    assert (broken.code, broken.written) == ("proxy_failed", False)


def test_a_tunnel_through_a_proxy_reaches_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def proxy_script(connection: socket.socket) -> None:
        target = request_of(connection).split(b" ")[1].decode()
        host, _, port = target.partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as far:
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            pumped = {connection: far, far: connection}
            while data := (near := select.select(list(pumped), [], [], 10)[0][0]).recv(65_536):
                pumped[near].sendall(data)

    with server(over_tls(answers(ANSWER))) as address, server(proxy_script) as proxy:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        with session(f"https://{address}") as http_session:
            answer = post(http_session, f"https://{address}")

    assert isinstance(answer, Answer)
    assert answer.body == b"ok"
