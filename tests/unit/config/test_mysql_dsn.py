"""A DSN's parts reach the driver, and its TLS is no weaker than what was asked for."""

import pymysql
import pytest

from cdc_sms.config.mysql_dsn import driver_arguments, parse

DSN = "mysql://app@db.example:3307/shop"


def test_the_driver_learns_where_and_as_whom() -> None:
    found = driver_arguments(parse(DSN), "zażółć")

    assert {name: found[name] for name in ("host", "port", "user", "database", "password")} == {
        "host": "db.example",
        "port": 3307,
        "user": "app",
        "database": "shop",
        "password": "zażółć".encode(),
    }


def test_without_a_word_on_tls_the_driver_prefers_it() -> None:
    connection = pymysql.Connection(defer_connect=True, **driver_arguments(parse(DSN), None))

    assert (connection.ssl, connection._ssl_required) == (True, False)  # type: ignore[attr-defined]


def test_disabled_tls_is_never_tried() -> None:
    connection = pymysql.Connection(
        defer_connect=True, **driver_arguments(parse(f"{DSN}?ssl_mode=disabled"), None)
    )

    assert not connection.ssl


def test_required_tls_never_falls_back_to_plain() -> None:
    connection = pymysql.Connection(
        defer_connect=True, **driver_arguments(parse(f"{DSN}?ssl_mode=required"), None)
    )

    assert connection._ssl_required  # type: ignore[attr-defined]


@pytest.mark.parametrize(("mode", "checks_host"), [("verify_ca", False), ("verify_identity", True)])
def test_verified_tls_names_the_ca_and_what_is_checked(mode: str, checks_host: bool) -> None:
    found = driver_arguments(parse(f"{DSN}?ssl_mode={mode}&ssl_ca=/ca.pem"), None)

    assert found["ssl"] == {"ca": "/ca.pem", "verify_mode": True, "check_hostname": checks_host}


def test_our_own_certificate_is_shown_and_needs_tls() -> None:
    found = driver_arguments(parse(f"{DSN}?ssl_cert=/c.pem&ssl_key=/k.pem"), None)

    assert found["ssl"] == {
        "cert": "/c.pem",
        "key": "/k.pem",
        "verify_mode": False,
        "check_hostname": False,
    }


def test_a_socket_on_this_machine_needs_no_tls() -> None:
    found = driver_arguments(parse(f"{DSN}?unix_socket=/run/mysqld.sock"), None)

    assert (found["unix_socket"], found["ssl_disabled"]) == ("/run/mysqld.sock", True)
