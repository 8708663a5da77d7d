"""Where a MySQL or MariaDB server is, read from its DSN. Pure.

``mysql://user@host:3306/database?ssl_mode=verify_identity&ssl_ca=/etc/ssl/ca.pem``. The options
have the names of the servers' own clients.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

DEFAULT_PORT = 3306


class SslMode(Enum):
    """How a connection is protected.

    Source: MySQL manual, 6.2.3 Command Options for Connecting, ``--ssl-mode``.
    """

    DISABLED = "disabled"
    """Never encrypted."""
    PREFERRED = "preferred"
    """Encrypted where the server can; nothing is verified."""
    REQUIRED = "required"
    """Encrypted; nothing is verified."""
    VERIFY_CA = "verify_ca"
    """Encrypted, and the server's certificate is signed by ``ssl_ca``."""
    VERIFY_IDENTITY = "verify_identity"
    """The same, and the certificate names the host."""


@dataclass(frozen=True, slots=True)
class MysqlDsn:
    """What a DSN says.

    Attributes:
        host: a name or an address.
        port: of TCP.
        user: who connects.
        database: the default one.
        ssl_mode: how the connection is protected.
        ssl_ca: file of the CA that signed the server's certificate.
        ssl_cert: file of our own certificate.
        ssl_key: file of its key.
        unix_socket: the server's socket on this machine, instead of host and port.
    """

    host: str
    port: int
    user: str
    database: str
    ssl_mode: SslMode = SslMode.PREFERRED
    ssl_ca: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None
    unix_socket: str | None = None


_OPTIONS = ("ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "unix_socket")


def parse(dsn: str) -> MysqlDsn:
    """Read a DSN.

    Raises:
        ValueError: what is wrong with it, as the end of a sentence; it holds no value.
    """
    parts = urlsplit(dsn)
    given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    unknown = sorted(given.keys() - set(_OPTIONS))
    if unknown:
        raise ValueError(f"it has an option {unknown[0]}: there are {', '.join(_OPTIONS)}")
    if not parts.username:
        raise ValueError("it names no user: mysql://user@host:3306/database")
    ssl_mode = _ssl_mode(given)
    if ssl_mode in (SslMode.VERIFY_CA, SslMode.VERIFY_IDENTITY) and "ssl_ca" not in given:
        raise ValueError(f"ssl_mode={ssl_mode.value} needs ssl_ca, the CA's file")
    return MysqlDsn(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or DEFAULT_PORT,
        user=unquote(parts.username),
        database=unquote(parts.path.strip("/")),
        ssl_mode=ssl_mode,
        ssl_ca=given.get("ssl_ca"),
        ssl_cert=given.get("ssl_cert"),
        ssl_key=given.get("ssl_key"),
        unix_socket=given.get("unix_socket"),
    )


def driver_arguments(dsn: MysqlDsn, password: str | None) -> dict[str, Any]:
    """Return where and as whom to connect, as keyword arguments of ``pymysql.connect``.

    Args:
        dsn: where, and as whom.
        password: the user's; None: there is none.
    """
    given: dict[str, Any] = {
        "host": dsn.host,
        "port": dsn.port,
        "user": dsn.user,
        # the driver would encode a text in Latin-1, and the servers compare UTF-8
        "password": (password or "").encode(),
        "database": dsn.database,
        **_tls(dsn),
    }
    return given if dsn.unix_socket is None else given | {"unix_socket": dsn.unix_socket}


def _tls(dsn: MysqlDsn) -> dict[str, Any]:
    # nobody listens between a socket's ends on one machine
    is_local = dsn.unix_socket is not None and dsn.ssl_mode is SslMode.PREFERRED
    if dsn.ssl_mode is SslMode.DISABLED or is_local:
        return {"ssl_disabled": True}
    if dsn.ssl_mode is SslMode.PREFERRED and dsn.ssl_cert is None:
        return {}  # what the driver does by itself
    verifies = dsn.ssl_mode in (SslMode.VERIFY_CA, SslMode.VERIFY_IDENTITY)
    context: dict[str, Any] = {
        "verify_mode": verifies,
        "check_hostname": dsn.ssl_mode is SslMode.VERIFY_IDENTITY,
    }
    files = {"ca": dsn.ssl_ca, "cert": dsn.ssl_cert, "key": dsn.ssl_key}
    return {"ssl": context | {name: file for name, file in files.items() if file is not None}}


def _ssl_mode(given: Mapping[str, str]) -> SslMode:
    named = given.get("ssl_mode")
    if named is None:
        return SslMode.VERIFY_CA if "ssl_ca" in given else SslMode.PREFERRED
    try:
        return SslMode(named.lower())
    except ValueError:
        modes = ", ".join(mode.value for mode in SslMode)
        raise ValueError(f"its ssl_mode must be one of {modes}") from None
