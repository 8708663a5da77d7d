"""The configuration that the demo writes for itself: an ordinary ``cdc-sms.toml``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cdc_sms.playground.shop import TABLE

SENDERS = 8
ROLES = ("capture", "deliver", "serve")


@dataclass(frozen=True, slots=True)
class Servers:
    """What the demo runs on.

    Attributes:
        name: what slot and publication are called.
        dsn: the business database, without a password.
        password: its user's; it goes by the environment.
        kafka: the keys of ``[kafka]``.
        reader: who captures, as ``capture.reader`` says it.
    """

    name: str
    dsn: str
    password: str = field(repr=False)
    kafka: Mapping[str, object]
    reader: Literal["builtin", "debezium"] = "builtin"


def sections(
    servers: Servers, *, provider_url: str, addresses: Mapping[str, str]
) -> dict[str, dict[str, object]]:
    """Return the configuration's sections by their dotted names.

    Args:
        servers: where database and broker are.
        provider_url: the simulator's API.
        addresses: each role's own, ``host:port``.
    """
    return {
        "source": {"dsn": servers.dsn},
        "table": {"name": TABLE},
        "table.columns": {
            "key": "id",
            "recipient": "recipient",
            "text": "body",
            "sender": "sender",
            "status": "status",
            "created_at": "created_at",
            "send_after": "send_after",
            "provider_message_id": "provider_id",
            "sent_at": "sent_at",
            "error_text": "error",
            "attempts": "attempts",
        },
        "table.status": {"sending": "sending"},
        "kafka": {k: v for k, v in servers.kafka.items() if not isinstance(v, Mapping)},
        **{f"kafka.{k}": dict(v) for k, v in servers.kafka.items() if isinstance(v, Mapping)},
        "capture": {
            "reader": servers.reader,
            "slot": servers.name,
            "publication": servers.name,
            "address": addresses["capture"],
        },
        # short times, so that a kill is resolved while people watch
        "deliver": {
            "senders": SENDERS,
            "request_deadline_s": 4,
            "lease_s": 8,
            "lease_grace_s": 2,
            "shutdown_grace_s": 6,
            "first_retry_s": 1,
            "longest_retry_s": 5,
            "doubt_pause_s": 3,
            "breaker_pause_s": 3,
            "keeper_s": 2,
            "overdue_s": 15,
            "address": addresses["deliver"],
        },
        "providers.justsend": {"url": provider_url, "sender": "Demo"},
        "serve": {
            "address": addresses["serve"],
            "roles": [f"http://{addresses[role]}" for role in ROLES[:-1]],
        },
        "logging": {"format": "json"},
    }


def as_toml(tables: Mapping[str, Mapping[str, object]]) -> str:
    """Return sections as TOML; their values are texts, numbers, booleans and lists of texts."""
    return "\n".join(
        f"[{table}]\n"
        + "".join(f"{_key(key)} = {json.dumps(value)}\n" for key, value in keys.items())
        for table, keys in tables.items()
    )


def _key(key: str) -> str:
    return json.dumps(key) if "." in key else key
