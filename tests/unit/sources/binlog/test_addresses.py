"""Addresses are shown as MariaDB 11.8 showed them."""

import pytest

from cdc_sms.sources.binlog.addresses import inet4, inet6


@pytest.mark.parametrize(
    ("packed", "expected"),
    [
        ("0000ffff010201020102000000000000", "0:ffff:102:102:102::"),
        ("01020000000000010000010200010001", "102::1:0:102:1:1"),
        ("00000000000000000000000000000000", "::"),
        ("00010db8000000010db80000ffff0000", "1:db8::1:db8:0:ffff:0"),
        ("000000000db800000102000100000000", "::db8:0:102:1:0:0"),
        ("0001ffff01020db8000000000000ffff", "1:ffff:102:db8::ffff"),
        ("0001000000010db80000000100000000", "1:0:1:db8:0:1::"),
        ("00000000000000000000000000000102", "::102"),
        ("00010102010201020db8ffff01020000", "1:102:102:102:db8:ffff:102::"),
        ("0000000101020000ffffffff0000ffff", "::1:102:0:ffff:ffff:0:ffff"),
        ("000000000000000000000000ffff0102", "::255.255.1.2"),
        ("00000000000000000000ffff00000000", "::ffff:0.0.0.0"),
        ("00000000000000000000000100010000", "::1:1:0"),
        ("00000000000000000db8ffff0000ffff", "::db8:ffff:0:ffff"),
        ("00010000000000000000ffff0db80001", "1::ffff:db8:1"),
        ("ffff0000010200000000000000000000", "ffff:0:102::"),
        ("00000000000000010000000100010001", "::1:0:1:1:1"),
        ("0db8ffffffff0db8ffff0001ffff0001", "db8:ffff:ffff:db8:ffff:1:ffff:1"),
        ("ffff0000000000000000000000000000", "ffff::"),
        ("01020db8000101020000000000000000", "102:db8:1:102::"),
        ("ffff0000000000000000000000000001", "ffff::1"),
        ("01020000000000000000000001020db8", "102::102:db8"),
    ],
)
def test_an_address_of_sixteen_bytes_is_shown_as_the_server_does(
    packed: str, expected: str
) -> None:
    raw = bytes.fromhex(packed)

    assert inet6(raw) == expected
    assert inet6(raw.rstrip(b"\0")) == expected


def test_an_address_of_four_bytes_is_shown_with_the_zeros_that_the_log_leaves_out() -> None:
    assert inet4(b"\xc0\xa8\x01\x0a") == "192.168.1.10"
    assert inet4(b"\x0a") == "10.0.0.0"
