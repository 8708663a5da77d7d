"""MariaDB's INET4 and INET6 become their text, as the server shows them.

Pure. Debezium's connector knows neither: it stops at a table that has one. The server's way with
addresses of IPv6 is its own: a single zero is left out too, and what may stand for an address of
IPv4 is shown as one.

Source: MariaDB manual, "INET6"; MariaDB's ``plugin/type_inet/sql_type_inet.cc``.
"""


def inet4(raw: bytes) -> str:
    """Return an address of four bytes; zeros at its end may be missing."""
    return ".".join(map(str, raw.ljust(4, b"\0")))


def inet6(raw: bytes) -> str:
    """Return an address of sixteen bytes; zeros at its end may be missing."""
    raw = raw.ljust(16, b"\0")
    words = [int.from_bytes(raw[at : at + 2], "big") for at in range(0, 16, 2)]
    if not any(words[:5]) and words[5] == 0xFFFF:
        return f"::ffff:{inet4(raw[12:])}"
    if not any(words[:6]) and words[6]:
        return f"::{inet4(raw[12:])}"
    start, length = _longest_zeros(words)
    shown = [f"{word:x}" for word in words]
    if not length:
        return ":".join(shown)
    return f"{':'.join(shown[:start])}::{':'.join(shown[start + length :])}"


def _longest_zeros(words: list[int]) -> tuple[int, int]:
    """Return where the first of the longest runs of zeros begins, and its length."""
    best, start = (0, 0), 0
    for at, word in enumerate([*words, 1]):
        if word:
            if at - start > best[1]:
                best = (start, at - start)
            start = at + 1
    return best
