"""HTTP/1.1 from bytes and to bytes."""

import pytest

from cdc_sms.playground.wire import BadRequest, read_request, write_answer

HEAD = b"POST /v2/message/send?x=1 HTTP/1.1\r\nHost: h\r\nAPP-Key:  k \r\nContent-Length: 4"
POST = HEAD + b"\r\n\r\nbody"


def test_a_whole_request_is_read() -> None:
    request = read_request(POST)

    assert request is not None
    assert (request.method, request.target, request.query) == ("POST", "/v2/message/send", "x=1")
    assert (request.headers["app-key"], request.body) == ("k", b"body")
    assert request.keeps_alive


@pytest.mark.parametrize("length", range(len(POST)))
def test_a_request_is_not_read_before_its_last_byte(length: int) -> None:
    assert read_request(POST[:length]) is None


def test_a_request_leaves_the_next_one_in_the_buffer() -> None:
    request = read_request(POST + POST)

    assert request is not None
    assert request.length == len(POST)


@pytest.mark.parametrize(
    ("head", "keeps_alive"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", True, id="1.1"),
        pytest.param(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", False, id="1.1 that closes"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", False, id="1.0"),
        pytest.param(
            b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True, id="1.0 that stays"
        ),
    ],
)
def test_a_connection_is_kept_as_the_client_asks(head: bytes, *, keeps_alive: bool) -> None:
    request = read_request(head)

    assert request is not None
    assert request.keeps_alive is keeps_alive


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", 400, id="no request line"),
        pytest.param(b"GET http://h/ HTTP/1.1\r\n\r\n", 400, id="asked as a proxy"),
        pytest.param(b"GET / HTTP/2.0\r\n\r\n", 505, id="another version"),
        pytest.param(b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, id="no header"),
        pytest.param(b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, id="a negative length"),
        pytest.param(b"GET / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", 413, id="too long"),
        pytest.param(b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411, id="chunked"),
        pytest.param(b"x" * 17_000, 431, id="an endless head"),
    ],
)
def test_what_is_no_request_gets_a_status(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as refused:
        read_request(data)

    assert refused.value.status == status


def test_an_answer_says_how_long_it_is() -> None:
    answer = write_answer(
        503, b"away", content_type="text/plain", headers={"Retry-After": "5"}, keeps_alive=True
    )

    head, body = answer.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nContent-Length: 4" in head
    assert b"\r\nRetry-After: 5" in head
    assert body == b"away"
