"""A small HTTP server that stays well-behaved: bounded threads, deadlines, GET and HEAD only.

One request a connection, so that a scraper's idle connection never holds a thread. It knows
nothing of roles; the routes are given to it.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import orjson

from cdc_sms.errors import ConfigurationError

MAX_CONNECTIONS = 32
"""More at once are answered with 503 by the accepting thread."""
DEADLINE_S = 10.0
"""A connection that is older is closed, however slowly it still talks."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Response:
    """What a route answers.

    Attributes:
        status: the HTTP status.
        content_type: with its charset, where it is a text.
        body: the bytes.
    """

    status: int
    content_type: str
    body: bytes


Route = Callable[[], Response]


def json_response(content: object, *, status: int = 200) -> Response:
    """Return an answer in JSON; times as ISO 8601, whatever JSON lacks as its text."""
    option = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
    body = orjson.dumps(content, default=str, option=option)
    return Response(status, "application/json", body)


class HttpServer:
    """Answers on one address until it is closed.

    Args:
        address: ``host:port``; port 0 takes any free one.
        routes: what answers, by exact path.
        setting: the key that the address comes from, to name it in an error.

    Raises:
        ConfigurationError: the address can't be listened on.

    Thread: one of its own accepts, one for each connection answers; any may close it.
    """

    def __init__(self, address: str, routes: Mapping[str, Route], *, setting: str) -> None:
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        try:
            self._server = _Server(host, int(port), routes)
        except OSError as error:
            raise ConfigurationError(
                f"{setting}: {address} can't be listened on: {error.strerror or error}.",
                hint=f"Set {setting} to an address of this machine with a free port.",
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.25},
            name="http",
            daemon=True,
        )

    @property
    def url(self) -> str:
        """Return where it answers: ``http://127.0.0.1:8080``."""
        host, port = self._server.server_address[:2]
        name = f"[{host!s}]" if self._server.address_family == socket.AF_INET6 else str(host)
        return f"http://{name}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering; what is being answered still gets its answer."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.cut(older_than_s=0.0, how=socket.SHUT_RD)
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Bounds the connections and their age; the standard server bounds neither."""

    daemon_threads = False  # so that closing waits for them
    request_queue_size = 64

    def __init__(self, host: str, port: int, routes: Mapping[str, Route]) -> None:
        self.routes = routes
        self._open: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread, or turn it away when there are too many."""
        with self._lock:
            is_full = len(self._open) >= MAX_CONNECTIONS
            if not is_full:
                self._open[request] = time.monotonic()
        if is_full:
            request.setblocking(False)
            _send_busy(request)
            super().shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut connections that are past the deadline; called at every turn of the loop."""
        self.cut(older_than_s=DEADLINE_S, how=socket.SHUT_RDWR)

    def cut(self, *, older_than_s: float, how: int) -> None:
        """Cut the connections that are older, for reading or altogether."""
        now_s = time.monotonic()
        with self._lock:
            late = [request for request, at_s in self._open.items() if now_s - at_s >= older_than_s]
        for request in late:
            try:
                request.shutdown(how)
            except OSError:  # it was closed in the meantime
                logger.debug("connection.closed")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that go away; what fails in a route is logged there."""
        del request, client_address
        logger.debug("request.dropped")


def _send_busy(request: socket.socket) -> None:
    try:
        request.send(b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n")
    except OSError:
        logger.debug("connection.closed")


class _Handler(BaseHTTPRequestHandler):
    """Answers one request from the server's routes."""

    server: _Server
    server_version = "cdc-sms"
    sys_version = ""
    timeout = DEADLINE_S
    error_message_format = '{"error": "%(code)d %(message)s"}\n'
    error_content_type = "application/json"

    def do_GET(self) -> None:
        """Answer with the route's body."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer as GET does, without the body."""
        self._answer(with_body=False)

    def _refuse(self) -> None:
        self._send(_error(HTTPStatus.METHOD_NOT_ALLOWED), with_body=True)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815 - the base's names

    def _answer(self, *, with_body: bool) -> None:
        route = self.server.routes.get(urlsplit(self.path).path)
        self._send(self._called(route) if route else _error(HTTPStatus.NOT_FOUND), with_body)

    def _called(self, route: Route) -> Response:
        try:
            return route()
        except Exception:
            logger.exception("request.failed", extra={"path": urlsplit(self.path).path})
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _send(self, response: Response, with_body: bool) -> None:  # noqa: FBT001 - private
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("Cache-Control", "no-store")
        if response.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if with_body:
            self.wfile.write(response.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's own name
        """Say what was asked for at debug only: probes come every few seconds."""
        logger.debug("request.answered", extra={"request": format % args})


def _error(status: HTTPStatus) -> Response:
    return json_response({"error": f"{status.value} {status.phrase}"}, status=status.value)
