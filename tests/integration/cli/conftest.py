"""A configuration file for one test, with addresses that nothing else has."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from support.servers.machine import free_port

Section = Mapping[str, object]
Configure = Callable[..., Path]


@pytest.fixture
def configured(tmp_path: Path) -> Configure:
    """Write a complete file; keyword arguments replace or add sections by name."""

    def write(**sections: Section) -> Path:
        addresses = {role: f"127.0.0.1:{free_port()}" for role in ("capture", "deliver", "serve")}
        content: dict[str, Section] = {
            "source": {"dsn": "postgresql://sms@127.0.0.1:1/shop?connect_timeout=1"},
            "table": {
                "name": "sms",
                "columns": {"key": "id", "recipient": "phone", "text": "body"},
            },
            "kafka": {"bootstrap_servers": "127.0.0.1:1"},
            "capture": {"address": addresses["capture"]},
            "deliver": {"address": addresses["deliver"]},
            "serve": {
                "address": addresses["serve"],
                "roles": [f"http://{addresses['capture']}", f"http://{addresses['deliver']}"],
            },
            "providers": {"justsend": {}},
            "logging": {"format": "json"},
        }
        for name, section in sections.items():
            content[name] = {**content.get(name, {}), **section}
        path = tmp_path / f"cdc-sms-{len(list(tmp_path.glob('*.toml')))}.toml"
        path.write_text("\n".join(f"{name} = {_inline(value)}" for name, value in content.items()))
        return path

    return write


def _inline(value: object) -> str:
    """Return a value as TOML writes it on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_inline(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)
