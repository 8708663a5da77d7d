"""The fault proxy breaks what it says it breaks."""

import socket
import threading
from collections.abc import Iterator

import pytest
from support.tcp_proxy import Mode, TcpProxy
from support.waiting import until


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that sends back what it hears, one thread a connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def echo(connection: socket.socket) -> None:
        with connection:
            try:
                while heard := connection.recv(65_536):
                    connection.sendall(heard)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=echo, args=(connection,)))
            threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    acceptor.join()
    for thread in threads:
        thread.join()


@pytest.fixture
def proxy(echo_port: int) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", echo_port) as proxy:
        yield proxy


def connect(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=5)


def hear(client: socket.socket, length: int) -> bytes:
    heard = b""
    while len(heard) < length:
        chunk = client.recv(length - len(heard))
        if not chunk:
            break
        heard += chunk
    return heard


def is_silent(client: socket.socket) -> bool:
    client.settimeout(0.2)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(5)
    return False


def test_proxy_forwards_both_ways(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"hello")

        assert hear(client, 5) == b"hello"
        assert (proxy.connections, proxy.accepted) == (1, 1)


def test_proxy_forwards_more_than_it_may_hold(proxy: TcpProxy) -> None:
    sent = bytes(range(256)) * 40_000

    with connect(proxy) as client:
        sender = threading.Thread(target=client.sendall, args=(sent,))
        sender.start()
        heard = hear(client, len(sent))
        sender.join()

    assert heard == sent


def test_proxy_hands_on_the_end_of_a_connection(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"bye")
        client.shutdown(socket.SHUT_WR)

        assert hear(client, 100) == b"bye"

    until(lambda: proxy.connections == 0, within_s=5)


def test_cut_resets_connections_and_refuses_new_ones(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"hello")
        hear(client, 5)

        proxy.cut()

        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)


def test_restore_after_a_cut_listens_on_the_same_port(proxy: TcpProxy) -> None:
    proxy.cut()
    proxy.restore()

    with connect(proxy) as client:
        client.sendall(b"again")

        assert hear(client, 5) == b"again"


def test_dropped_connections_can_be_made_anew(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        until(lambda: proxy.connections == 1, within_s=5)
        proxy.drop_connections()
        with pytest.raises(ConnectionResetError):
            client.recv(1)

    with connect(proxy) as client:
        client.sendall(b"again")

        assert hear(client, 5) == b"again"


def test_deaf_accepts_and_says_nothing_until_restored(proxy: TcpProxy) -> None:
    proxy.deaf()

    with connect(proxy) as client:
        client.sendall(b"hello")
        assert is_silent(client)

        proxy.restore()

        assert hear(client, 5) == b"hello"


def test_mute_lets_the_server_hear_what_it_may_not_answer() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        TcpProxy("127.0.0.1", listener.getsockname()[1]) as proxy,
        connect(proxy) as client,
    ):
        server, _ = listener.accept()
        with server:
            proxy.mute()
            client.sendall(b"send it")
            assert hear(server, 7) == b"send it"
            server.sendall(b"sent")
            assert is_silent(client)

            proxy.restore()

            assert hear(client, 4) == b"sent"


def test_delay_holds_what_passes(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        proxy.delay(0.25)
        client.sendall(b"slow")
        assert is_silent(client)

        assert hear(client, 4) == b"slow"


def test_client_of_a_dead_server_is_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with (
        TcpProxy("127.0.0.1", port) as proxy,
        pytest.raises(ConnectionResetError),
        connect(proxy) as client,  # which may be reset before it knows that it is connected
    ):
        client.recv(1)


def test_proxy_strikes_deaf_at_the_moment_named_and_the_server_does_not_hear_it(
    proxy: TcpProxy,
) -> None:
    proxy.strike(lambda said: b"first" in said, lambda said: b"second" in said, then=Mode.DEAF)
    with connect(proxy) as client:
        client.sendall(b"first")
        before = hear(client, 5)
        client.sendall(b"second")
        until(lambda: proxy.has_struck, within_s=5)
        silent = is_silent(client)
        proxy.restore()
        late = hear(client, 6)

    assert (before, silent, late) == (b"first", True, b"second")


def test_proxy_strikes_mute_and_the_server_hears_what_it_does_not_answer(
    proxy: TcpProxy,
) -> None:
    proxy.strike(lambda said: b"now" in said, then=Mode.MUTE)
    with connect(proxy) as client:
        client.sendall(b"now")
        until(lambda: proxy.has_struck, within_s=5)

        assert is_silent(client)
        proxy.restore()
        assert hear(client, 3) == b"now"
