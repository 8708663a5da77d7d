"""Unit tests need nothing: a socket that connects or listens fails them."""

import socket
from typing import NoReturn

import pytest


@pytest.fixture(autouse=True)
def no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to connect or to listen, over any protocol."""

    def refuse(_socket: socket.socket, *arguments: object) -> NoReturn:
        raise AssertionError(f"a unit test opens no socket (wanted: {arguments})")

    for method in ("connect", "connect_ex", "bind"):
        monkeypatch.setattr(socket.socket, method, refuse)
