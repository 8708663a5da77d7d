"""One sender's HTTP connection, and the one question that matters: were the bytes on the wire?

``requests`` and urllib3 give the connection (TLS, proxies, keep-alive); this module adds what
sending once needs of it: one deadline for the whole exchange, an answer of bounded size, and the
certain knowledge whether the request was written. Nothing is repeated, no redirect is followed,
no cookie kept. Not for what an answer means: a provider's table says that.

What is certain, and what isn't:

- A request whose first bytes (its head) could not be handed to the kernel was not accepted: the
  body, without which there is no request, was never written. So nothing before that moment
  (name, connection, proxy, TLS handshake, deadline) leaves a doubt, and nothing is written once
  the deadline has passed.
- From then on everything but an answer is a doubt, also a reset: the server may have read the
  request before it went away, and an acknowledgement on its way back may be lost with it.
- A kept connection that the server closed is noticed before it is used (it is readable), but the
  closing may be on its way. Servers close idle connections after 5 s and more, so one that was
  idle for longer than :data:`MAX_IDLE_S` is not used again: that leaves the server that ends just
  then, and this is a doubt.
- Name resolution can't be interrupted; the resolver's own time-outs bound it.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import requests
from requests import exceptions as client
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import exceptions as wire
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from cdc_sms.errors import ConfigurationError

MAX_BODY_BYTES = 256 * 1024
"""A longer answer is none of the contract's."""

MAX_IDLE_S = 3.0
"""A connection that was idle for longer is closed instead of used again; seconds."""


MAX_RETRY_AFTER_S = 86_400.0
"""A server that asks for a longer pause is asked again after a day; seconds."""


class Moment(StrEnum):
    """When an error happens, told by its class alone."""

    BEFORE = "before the request was written"
    AFTER = "after the request was written"
    EITHER = "before or after: what the connection saw decides"


@dataclass(frozen=True, slots=True)
class Fault:
    """What an error of the client libraries is to us.

    Attributes:
        code: of a closed set, lower case.
        text: for a person; no full stop.
        moment: when it happens.
    """

    code: str
    text: str
    moment: Moment


_INVALID = Fault("request_invalid", "the request could not be made", Moment.BEFORE)
_CONNECT = Fault("connect_failed", "the provider's server could not be connected", Moment.BEFORE)
_CONNECT_TIMEOUT = Fault(
    "connect_timeout", "the provider's server did not take the connection in time", Moment.BEFORE
)
_NAME = Fault("name_not_resolved", "the provider's server name was not resolved", Moment.BEFORE)
_PROXY = Fault("proxy_failed", "the proxy did not connect to the provider", Moment.BEFORE)
_TLS = Fault("tls_failed", "TLS failed: check the certificate and `url`", Moment.EITHER)
_LOST = Fault("connection_lost", "the connection was lost", Moment.EITHER)
_TIMEOUT = Fault("timeout", "the provider did not answer in time", Moment.EITHER)
_MALFORMED = Fault("answer_malformed", "the answer was not understood", Moment.AFTER)
_TRUNCATED = Fault("answer_truncated", "the answer ended too early", Moment.AFTER)
_CLIENT = Fault("client_failed", "the HTTP client failed", Moment.EITHER)

FAULTS: Mapping[type[BaseException], Fault] = {
    # requests
    client.RequestException: _CLIENT,
    client.InvalidJSONError: _MALFORMED,
    client.JSONDecodeError: _MALFORMED,
    client.HTTPError: _MALFORMED,
    client.ConnectionError: _LOST,
    client.ProxyError: _PROXY,
    client.SSLError: _TLS,
    client.Timeout: _TIMEOUT,
    client.ConnectTimeout: _CONNECT_TIMEOUT,
    client.ReadTimeout: _TIMEOUT,
    client.URLRequired: _INVALID,
    client.TooManyRedirects: _MALFORMED,
    client.MissingSchema: _INVALID,
    client.InvalidSchema: _INVALID,
    client.InvalidURL: _INVALID,
    client.InvalidHeader: _INVALID,
    client.InvalidProxyURL: _INVALID,
    client.ChunkedEncodingError: _TRUNCATED,
    client.ContentDecodingError: _MALFORMED,
    client.StreamConsumedError: _MALFORMED,
    client.RetryError: _CLIENT,
    client.UnrewindableBodyError: _CLIENT,
    # urllib3
    wire.HTTPError: _CLIENT,
    wire.PoolError: _CLIENT,
    wire.RequestError: _CLIENT,
    wire.SSLError: _TLS,
    wire.ProxyError: _PROXY,
    wire.DecodeError: _MALFORMED,
    wire.ProtocolError: _LOST,
    wire.MaxRetryError: _CLIENT,
    wire.HostChangedError: _INVALID,
    wire.TimeoutStateError: _CLIENT,
    wire.TimeoutError: _TIMEOUT,
    # urllib3 says so of a proxy's and a handshake's silence too: the connection decides
    wire.ReadTimeoutError: _TIMEOUT,
    wire.ConnectTimeoutError: _CONNECT_TIMEOUT,
    wire.NewConnectionError: _CONNECT,
    wire.NameResolutionError: _NAME,
    wire.EmptyPoolError: _CLIENT,
    wire.FullPoolError: _CLIENT,
    wire.ClosedPoolError: _CLIENT,
    wire.LocationValueError: _INVALID,
    wire.LocationParseError: _INVALID,
    wire.URLSchemeUnknown: _INVALID,
    wire.ResponseError: _MALFORMED,
    wire.ResponseNotChunked: _MALFORMED,
    wire.BodyNotHttplibCompatible: _MALFORMED,
    wire.IncompleteRead: _TRUNCATED,
    wire.InvalidChunkLength: _TRUNCATED,
    wire.InvalidHeader: _MALFORMED,
    wire.ProxySchemeUnknown: _INVALID,
    wire.ProxySchemeUnsupported: _INVALID,
    wire.HeaderParsingError: _MALFORMED,
    wire.UnrewindableBodyError: _CLIENT,
    # below them
    http.client.HTTPException: _MALFORMED,
    http.client.RemoteDisconnected: _LOST,
    http.client.BadStatusLine: _MALFORMED,
    http.client.IncompleteRead: _TRUNCATED,
    TimeoutError: _TIMEOUT,
    ssl.SSLError: _TLS,
    OSError: _LOST,
}
"""THE table of the HTTP client's errors; a test walks both libraries' lists of classes."""


@dataclass(frozen=True, slots=True)
class Broken:
    """An exchange that brought no answer.

    Attributes:
        code: of :data:`FAULTS`.
        text: for a person; no full stop.
        written: whether the request may have reached the server.
    """

    code: str
    text: str
    written: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said.

    Attributes:
        status: the HTTP status.
        headers: by name, in any case.
        body: whole, or None where only the head arrived (``fault`` says why).
        fault: why there is no body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a provider, looked up once: proxies and trusted certificates.

    Attributes:
        proxies: scheme → the proxy's address; empty where there is none.
        tls: verifies the server's name and certificate.
    """

    proxies: Mapping[str, str]
    tls: ssl.SSLContext

    @classmethod
    def to(cls, url: str) -> "Route":
        """Look the way up: a look-up for each request would cost a third of its time.

        Args:
            url: the API's base address.

        Returns:
            The proxy that ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` name
            for the address, and the certificates of ``REQUESTS_CA_BUNDLE`` or
            ``CURL_CA_BUNDLE``, else the system's and certifi's together.

        Raises:
            ConfigurationError: the address, or the file of certificates, can't be used.
        """
        try:
            requests.Request("POST", url).prepare()
            with requests.Session() as session:
                environment = session.merge_environment_settings(url, {}, None, None, None)
        except (client.RequestException, ValueError) as error:
            raise ConfigurationError(
                f"{url!r} is no address of an API.",
                hint="Give it with its scheme and without a query: https://host/path.",
            ) from error
        return cls(environment["proxies"], _tls_context(environment["verify"]))


class HttpSession:
    """One connection to one provider, kept alive between requests.

    Thread: the sender thread that made it; nothing here is locked.
    """

    def __init__(self, route: Route, *, connect_timeout_s: float) -> None:
        self._exchange = _Exchange(connect_timeout_s)
        self._adapter = _Adapter(self._exchange, route)
        self._proxies = dict(route.proxies)
        self._last_used_s = time.monotonic()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline_s: float,
    ) -> Answer | Broken:
        """Make one request, at most once, and return what came of it.

        Args:
            method: of HTTP.
            url: checked before, by :meth:`Route.to`.
            headers: all of them but ``Host``, ``Content-Length`` and ``Accept-Encoding``.
            body: None for none.
            deadline_s: the total time, from connecting to the answer's last byte; seconds.

        Returns:
            The answer, or how the exchange broke; no error of the wire is raised.
        """
        if time.monotonic() - self._last_used_s > MAX_IDLE_S:
            self.close()
        self._exchange.begin(deadline_s)
        request = _prepared(method, url, headers, body)
        try:
            response = self._adapter.send(
                request, stream=True, timeout=deadline_s, proxies=self._proxies
            )
        except (client.RequestException, wire.HTTPError, OSError) as error:
            return self._broken(error)
        finally:
            self._last_used_s = time.monotonic()
        return self._read(response)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._adapter.close()

    def _read(self, response: requests.Response) -> Answer:
        raw = response.raw
        try:
            body: bytes = raw.read(MAX_BODY_BYTES + 1, decode_content=True)
        except (client.RequestException, wire.HTTPError, OSError) as error:
            raw.close()
            return Answer(response.status_code, response.headers, None, fault_of(error))
        if len(body) > MAX_BODY_BYTES:
            raw.close()
            return Answer(response.status_code, response.headers, None, _MALFORMED)
        raw.release_conn()
        self._last_used_s = time.monotonic()
        return Answer(response.status_code, response.headers, body)

    def _broken(self, error: BaseException) -> Broken:
        fault = fault_of(error)
        written = self._exchange.written or fault.moment is Moment.AFTER
        moment = Moment.AFTER if written else Moment.BEFORE
        return Broken(fault.code, f"{fault.text} ({moment})", written)


def retry_after_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return how long the server asks us to stay away, or None where it doesn't say.

    Args:
        headers: of the answer, by name in any case.
        now: the present by our clock, used where the answer has no ``Date`` of its own.

    Returns:
        Seconds, from 0 to :data:`MAX_RETRY_AFTER_S`.

    Source: RFC 9110, 10.2.3 Retry-After: seconds, or a date by the server's clock.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), MAX_RETRY_AFTER_S)
    until = _http_date(value)
    if until is None:
        return None
    wait_s = (until - (_http_date(headers.get("Date", "")) or now)).total_seconds()
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def fault_of(error: BaseException) -> Fault:
    """Return the table's entry of the error, or of the innermost that it wraps and knows."""
    chain = list(_wrapped(error))
    known = [type(inner) for inner in chain if type(inner) in FAULTS]
    if wire.ProxyError in known:
        return FAULTS[wire.ProxyError]
    # What the operating system and the retry logic raise says less than what wraps or caused it.
    telling = [cls for cls in known if cls not in {OSError, wire.MaxRetryError}]
    if telling:
        return FAULTS[telling[-1]]
    return next(FAULTS[cls] for cls in (*type(error).__mro__, OSError) if cls in FAULTS)


def _wrapped(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was made from, outermost first."""
    yield error
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            yield from _wrapped(inner)
            return


def _prepared(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None
) -> requests.PreparedRequest:
    """Return a request as the adapter takes it, without the work of preparing it again."""
    request = requests.PreparedRequest()
    request.method, request.url, request.body = method, url, body
    request.headers = requests.structures.CaseInsensitiveDict(headers)
    if body is not None:
        request.headers["Content-Length"] = str(len(body))
    return request


def _tls_context(verify: object) -> ssl.SSLContext:
    """Return a context that verifies, whose sockets keep the exchange's deadline."""
    bundle = verify if isinstance(verify, str) else None
    try:
        if bundle is None:
            context = ssl.create_default_context()
            context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
        elif Path(bundle).is_dir():
            context = ssl.create_default_context(capath=bundle)
        else:
            context = ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise ConfigurationError(
            f"the certificates in {bundle} can't be read.",
            hint="Let REQUESTS_CA_BUNDLE name a file or folder of PEM certificates, or unset it.",
        ) from error
    context.sslsocket_class = _TlsSocket
    return context


class _Exchange:
    """The exchange under way on a session: its deadline, and whether its bytes left."""

    def __init__(self, connect_timeout_s: float) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._ends_s = 0.0
        self._connecting = False
        self.written = False

    def begin(self, deadline_s: float) -> None:
        """Start the clock of the next exchange."""
        self._ends_s = time.monotonic() + deadline_s
        self._connecting = False
        self.written = False

    def left_s(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: none are.
        """
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the deadline has passed")
        return left_s

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """Mark what is written meanwhile (to a proxy) as none of the request's bytes."""
        self._connecting = True
        try:
            yield
        finally:
            self._connecting = False

    def sent(self) -> None:
        """Note that bytes were handed to the kernel."""
        self.written = self.written or not self._connecting

    def connected(self, host: str, port: int) -> "_Socket":
        """Connect, to one of the name's addresses after the other, within the time to connect.

        Returns:
            A socket whose time-out is what is left of that time: for the TLS handshake.
        """
        ends_s = time.monotonic() + min(self._connect_timeout_s, self.left_s())
        addresses = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        last_error: OSError = TimeoutError("no time was left to connect")
        for tried, (family, kind, protocol, _, address) in enumerate(addresses):
            left_s = ends_s - time.monotonic()
            if left_s <= 0:
                break
            # One address that swallows packets must leave time for the others.
            share_s = left_s / (len(addresses) - tried)
            connection = _Socket(family, kind, protocol)
            try:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(share_s)
                connection.connect(address)
                connection.settimeout(max(ends_s - time.monotonic(), 0.001))
            except OSError as error:
                connection.close()
                last_error = error
            else:
                connection.exchange = self
                return connection
        raise last_error


class _Socket(socket.socket):
    """A socket on which each read has what is left of the exchange's time.

    The libraries' time-outs are for one read each: a server that trickles would never end.
    """

    exchange: _Exchange | None = None

    def recv_into(self, *args: Any, **options: Any) -> int:
        """Read once, within the deadline."""
        if self.exchange is not None:
            self.settimeout(self.exchange.left_s())
        return super().recv_into(*args, **options)


class _TlsSocket(ssl.SSLSocket):
    """The same below TLS; the handshake has the time-out of the socket that it wraps."""

    exchange: _Exchange | None = None

    def recv_into(self, *args: Any, **options: Any) -> int:
        """Read once, within the deadline."""
        if self.exchange is not None:
            self.settimeout(self.exchange.left_s())
        return super().recv_into(*args, **options)


class _Connection(HTTPConnection):
    """A connection that knows the exchange it is used for."""

    exchange: _Exchange

    def _new_conn(self) -> socket.socket:
        try:
            return self.exchange.connected(self._dns_host, self.port)
        except socket.gaierror as error:
            raise wire.NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise wire.ConnectTimeoutError(self, "connecting took too long") from error
        except OSError as error:
            raise wire.NewConnectionError(self, "connecting failed") from error

    def connect(self) -> None:
        """Connect, through a proxy where there is one."""
        with self.exchange.connecting():
            super().connect()
        if isinstance(self.sock, _TlsSocket):
            self.sock.exchange = self.exchange

    def send(self, data: Any) -> None:
        """Write a part of the request, within the deadline, and note that it left.

        The first part is the head. A failure there leaves the exchange unwritten, even if some
        bytes of it left: without its body it is no request.
        """
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self.exchange.left_s())
        super().send(data)
        self.exchange.sent()


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    """The pool of a session: one connection."""

    ConnectionCls = _Connection
    exchange: _Exchange

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        connection.exchange = self.exchange  # type: ignore[attr-defined]
        return connection


class _TlsPool(_Pool, HTTPSConnectionPool):
    """The same over TLS."""

    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    """The adapter of a session: one provider, one route, no repetition.

    What ``requests`` would look up again for each request (pool, proxy, certificates) is looked
    up once: it was a quarter of the request's time.
    """

    def __init__(self, exchange: _Exchange, route: Route) -> None:
        self._exchange = exchange
        self._route = route
        self._pool: Any = None
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Let the pools verify with the route's certificates and know the exchange."""
        super().init_poolmanager(*args, ssl_context=self._route.tls, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Do the same for pools behind a proxy."""
        manager = super().proxy_manager_for(*args, ssl_context=self._route.tls, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, *args: Any, **options: Any) -> None:
        """Leave the pool as it is: the route's context verifies."""

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """Return the session's one pool."""
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(*args, **options)
            self._pool.exchange = self._exchange
        return self._pool

    def close(self) -> None:
        """Close the connection."""
        self._pool = None
        super().close()


_POOLS = {"http": _Pool, "https": _TlsPool}
