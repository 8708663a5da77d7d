"""The HTTP client's errors, and how long a server asks us to stay away."""

import http.client
import inspect
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType

import pytest
import requests.exceptions
import urllib3.exceptions

from cdc_sms.errors import ConfigurationError
from cdc_sms.providers.http import FAULTS, Moment, Route, fault_of, retry_after_s

NOW = datetime(2030, 1, 31, 8, 0, 0, tzinfo=UTC)


def errors_of(library: ModuleType) -> Iterator[type[Exception]]:
    for _, found in inspect.getmembers(library, inspect.isclass):
        is_its_own = found.__module__ == library.__name__
        if is_its_own and issubclass(found, Exception) and not issubclass(found, Warning):
            yield found


def full_name(error: type[Exception]) -> str:
    return f"{error.__module__}.{error.__qualname__}"


@pytest.mark.parametrize(
    "error", [*errors_of(requests.exceptions), *errors_of(urllib3.exceptions)], ids=full_name
)
def test_every_error_of_the_http_libraries_is_in_the_table(error: type[Exception]) -> None:
    assert error in FAULTS


def refused() -> Exception:
    inner = urllib3.exceptions.NewConnectionError(http.client.HTTPConnection("h"), "no")  # type: ignore[arg-type]
    return requests.exceptions.ConnectionError(retries_used_up(inner))


def retries_used_up(reason: Exception) -> urllib3.exceptions.MaxRetryError:
    pool = urllib3.HTTPConnectionPool("host")
    return urllib3.exceptions.MaxRetryError(pool, "/", reason)


@pytest.mark.parametrize(
    ("error", "code", "moment"),
    [
        pytest.param(refused(), "connect_failed", Moment.BEFORE, id="refused"),
        pytest.param(
            requests.exceptions.ProxyError(
                retries_used_up(urllib3.exceptions.ProxyError("no", OSError("403")))
            ),
            "proxy_failed",
            Moment.BEFORE,
            id="a proxy that says no",
        ),
        pytest.param(
            requests.exceptions.SSLError(
                retries_used_up(urllib3.exceptions.SSLError(ssl.SSLCertVerificationError(1, "bad")))
            ),
            "tls_failed",
            Moment.EITHER,
            id="a certificate that is not trusted",
        ),
        pytest.param(
            requests.exceptions.ConnectionError(
                urllib3.exceptions.ProtocolError(
                    "Connection aborted.", http.client.RemoteDisconnected("gone")
                )
            ),
            "connection_lost",
            Moment.EITHER,
            id="gone without an answer",
        ),
        pytest.param(
            requests.exceptions.ConnectionError(
                urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError())
            ),
            "connection_lost",
            Moment.EITHER,
            id="reset",
        ),
        pytest.param(
            requests.exceptions.ConnectionError(
                urllib3.exceptions.ProtocolError("Connection aborted.", TimeoutError())
            ),
            "timeout",
            Moment.EITHER,
            id="too late",
        ),
        pytest.param(
            urllib3.exceptions.ProtocolError(
                "Connection broken", urllib3.exceptions.IncompleteRead(1, 2)
            ),
            "answer_truncated",
            Moment.AFTER,
            id="half an answer",
        ),
        pytest.param(socket.gaierror(), "connection_lost", Moment.EITHER, id="any other OSError"),
    ],
)
def test_the_innermost_error_that_says_something_names_the_fault(
    error: Exception, code: str, moment: Moment
) -> None:
    fault = fault_of(error)

    assert (fault.code, fault.moment) == (code, moment)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="absent"),
        pytest.param({"Retry-After": "7"}, 7.0, id="seconds"),
        pytest.param({"Retry-After": "0"}, 0.0, id="at once"),
        pytest.param({"Retry-After": "Thu, 31 Jan 2030 08:01:30 GMT"}, 90.0, id="a date"),
        pytest.param(
            {
                "Retry-After": "Thu, 31 Jan 2030 10:00:30 GMT",
                "Date": "Thu, 31 Jan 2030 10:00:00 GMT",
            },
            30.0,
            id="a date by a clock that is ahead of ours",
        ),
        pytest.param({"Retry-After": "Thu, 31 Jan 2030 07:00:00 GMT"}, 0.0, id="a past date"),
        pytest.param({"Retry-After": "99999999"}, 86_400.0, id="more than a day"),
        pytest.param({"Retry-After": "soon"}, None, id="no date"),
        pytest.param({"Retry-After": "-3"}, None, id="negative"),
    ],
)
def test_retry_after_is_read_in_both_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, now=NOW) == seconds


@pytest.mark.parametrize("url", ["http://", "https://exa mple/", "http://host:port/"])
def test_an_address_that_is_none_is_a_mistake_of_the_configuration(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no address"):
        Route.to(url)


def test_certificates_that_are_not_there_are_a_mistake_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")

    with pytest.raises(ConfigurationError, match=r"/nowhere/bundle\.pem"):
        Route.to("https://provider.example")


def test_the_route_takes_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")

    route = Route.to("https://provider.example/api")

    assert route.proxies["https"] == "http://proxy.example:3128"


def test_the_route_keeps_off_the_proxy_where_the_environment_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", ".example")

    route = Route.to("https://provider.example/api")

    assert not route.proxies
