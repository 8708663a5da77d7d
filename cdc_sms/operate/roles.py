"""What the running roles say of themselves, asked over HTTP; who doesn't answer is named."""

import http.client
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import orjson

TIMEOUT_S = 2.0
_LONGEST_ANSWER = 1_000_000


def ask_roles(addresses: Sequence[str]) -> list[dict[str, Any]]:
    """Ask all roles at once.

    Args:
        addresses: ``http://host:port`` of each.

    Returns:
        One entry each, in the same order: ``address``, ``reachable``, and what the role's
        ``/status`` says; ``why`` it doesn't, for one that can't be reached.
    """
    if not addresses:
        return []
    with ThreadPoolExecutor(min(len(addresses), 16), thread_name_prefix="ask-role") as pool:
        return list(pool.map(ask_role, addresses))


def ask_role(address: str) -> dict[str, Any]:
    """Ask one role; see :func:`ask_roles`."""
    try:
        answer = _get_status(address)
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return {"address": address, "reachable": False, "state": "unreachable", "why": why}
    return {"address": address, "reachable": True, **answer}


def _get_status(address: str) -> dict[str, Any]:
    parts = urlsplit(address)
    secure = parts.scheme == "https"
    connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/status")
        response = connection.getresponse()
        body = response.read(_LONGEST_ANSWER)
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise ValueError(f"it answers with status {response.status}")
    answer = orjson.loads(body)
    if not isinstance(answer, dict) or "role" not in answer:
        raise ValueError("something else answers there")
    return answer
