"""Moments that a proxy recognises on the wire: an SQL statement, a request to Kafka."""

from collections.abc import Callable

PRODUCE, OFFSET_COMMIT = 0, 8
"""API keys. Source: Kafka's protocol guide, "API keys"."""


def said(*words: bytes) -> Callable[[bytes], bool]:
    """Recognise a statement by words that it holds."""
    return lambda chunk: all(word in chunk for word in words)


def asked(api_key: int) -> Callable[[bytes], bool]:
    """Recognise a request to Kafka.

    A request is a length of four bytes, then two of API key, then two of version; librdkafka
    writes whole requests. Source: Kafka's protocol guide, "Protocol primitives", "Requests".
    """

    def recognised(chunk: bytes) -> bool:
        at = 0
        while len(chunk) >= at + 8:
            size = int.from_bytes(chunk[at : at + 4], "big")
            if int.from_bytes(chunk[at + 4 : at + 6], "big") == api_key:
                return True
            at += 4 + size
        return False

    return recognised
