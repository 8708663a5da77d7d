"""What the doctor looks at: an installation in variables, and what the doctor says of it."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from support.commands import Command, Commands

MEASURED = {"commit_to_seen_ms", "produce_to_acknowledged_ms", "produce_to_consumed_ms"}


@dataclass
class Patient:
    """One installation."""

    commands: Commands
    environment: dict[str, str]

    def doctor(
        self, *arguments: str, expect: int | None = None, changes: dict[str, str] | None = None
    ) -> Command:
        """Run the doctor; ``changes`` are to the environment."""
        environment = {**self.environment, **(changes or {})}
        return self.commands.run("doctor", *arguments, environment=environment, expect=expect)

    def examined(
        self, *arguments: str, expect: int | None = None, changes: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Return what the doctor says."""
        command = self.doctor("--json", *arguments, expect=expect, changes=changes)
        said: dict[str, Any] = json.loads(command.output)
        return said

    def findings(
        self, name: str, *arguments: str, changes: dict[str, str] | None = None
    ) -> list[dict[str, str]]:
        """Run the doctor, which must find something; return the findings of one name."""
        said = self.examined(*arguments, expect=10, changes=changes)
        return [dict(one) for one in said["findings"] if one["name"] == name]


def errors(said: dict[str, Any]) -> list[dict[str, str]]:
    """Return the findings that are errors."""
    return [one for one in said["findings"] if one["severity"] == "error"]


def connection_of(dsn: str, password: str | None = None) -> dict[str, str]:
    """Return the variables that say where the database is; the DSN may hold the password."""
    url = urlsplit(dsn)
    plain = url._replace(netloc=url.netloc.replace(f":{url.password}@", "@")).geturl()
    return {
        "CDC_SMS_SOURCE__DSN": plain,
        "CDC_SMS_SOURCE__PASSWORD": password or url.password or "",
    }


def environment_of(connection: dict[str, str], bootstrap: str, prefix: str) -> dict[str, str]:
    """Return a whole configuration in variables."""
    return {
        **connection,
        "CDC_SMS_TABLE__NAME": "sms",
        "CDC_SMS_TABLE__COLUMNS__KEY": "id",
        "CDC_SMS_TABLE__COLUMNS__RECIPIENT": "phone",
        "CDC_SMS_TABLE__COLUMNS__TEXT": "body",
        "CDC_SMS_TABLE__COLUMNS__STATUS": "status",
        "CDC_SMS_TABLE__COLUMNS__CREATED_AT": "created_at",
        "CDC_SMS_KAFKA__BOOTSTRAP_SERVERS": bootstrap,
        "CDC_SMS_KAFKA__PREFIX": prefix,
        "CDC_SMS_KAFKA__PARTITIONS": "2",
        "CDC_SMS_PROVIDERS__JUSTSEND__KEY": "a-secret-key",
    }
