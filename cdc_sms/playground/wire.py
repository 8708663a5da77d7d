"""As much of HTTP/1.1 as a simulated provider needs: requests from bytes, answers to bytes. Pure.

Not a web server: no chunked requests, no upgrades, no ranges. What it reads is bounded, and what
it doesn't understand is answered with a status and the end of the connection.

Source: RFC 9112, 2 to 6 and 9.3 (persistence).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 1024 * 1024


class BadRequest(Exception):  # noqa: N818 - named for the answer that it becomes
    """The bytes are no request that is understood; the status says why."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request.

    Attributes:
        method: as written.
        target: the path, without the query.
        query: what follows the question mark; empty where nothing does.
        headers: by name in small letters; of several of one name the last.
        body: whole.
        keeps_alive: whether the client wants to use the connection again.
        length: bytes that it took of the buffer.
    """

    method: str
    target: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    keeps_alive: bool
    length: int


def read_request(buffer: bytes | bytearray) -> HttpRequest | None:
    """Read the request at the buffer's start, or return None while it isn't whole.

    Raises:
        BadRequest: it never will be one.
    """
    end = buffer.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
    if end < 0:
        if len(buffer) >= MAX_HEAD_BYTES:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        return None
    first, *lines = buffer[:end].decode("latin-1").split("\r\n")
    method, target, version = _request_line(first)
    headers = _headers(lines)
    length = end + 4 + _body_length(headers)
    if len(buffer) < length:
        return None
    path, _, query = target.partition("?")
    connection = headers.get("connection", "").lower()
    keeps_alive = connection != "close" and (version == "HTTP/1.1" or connection == "keep-alive")
    body = bytes(buffer[end + 4 : length])
    return HttpRequest(method, path, query, headers, body, keeps_alive, length)


def _request_line(line: str) -> tuple[str, str, str]:
    parts = line.split(" ")
    if len(parts) != 3 or not parts[1].startswith("/"):
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    method, target, version = parts
    if version not in {"HTTP/1.1", "HTTP/1.0"}:
        raise BadRequest(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    return method, target, version


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(HTTPStatus.BAD_REQUEST)
        headers[name.lower()] = value.strip()
    return headers


def _body_length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise BadRequest(HTTPStatus.LENGTH_REQUIRED)
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    if int(text) > MAX_BODY_BYTES:
        raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return int(text)


def write_answer(
    status: int, body: bytes, *, content_type: str, headers: Mapping[str, str], keeps_alive: bool
) -> bytes:
    """Return the answer's bytes."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unnamed"
    lines = [
        f"HTTP/1.1 {status} {phrase}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        f"Connection: {'keep-alive' if keeps_alive else 'close'}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
