"""What the doctor looks at: an installation in variables, and what the doctor says of it."""

from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from cdc_sms.cli.shared import patiently
from cdc_sms.config.load import load
from cdc_sms.config.settings import Sections
from cdc_sms.databases.engine import open_engine
from cdc_sms.databases.migrations import upgrade
from cdc_sms.kafka.topics import ensure_topics
from cdc_sms.runtime.doctor import Doctor, Report, Scope
from support.commands import Command, Commands

MEASURED = {"commit_to_seen_ms", "produce_to_acknowledged_ms", "produce_to_consumed_ms"}
DAY_S = 86_400.0


@dataclass
class Patient:
    """One installation."""

    commands: Commands
    environment: dict[str, str]

    def prepare(self) -> None:
        """Make its ledger and its topics."""
        sections = self.sections()
        engine = open_engine(sections.source, sections.ledger, role="test")
        try:
            upgrade(engine, sections.ledger)
        finally:
            engine.dispose()
        ensure_topics(sections.kafka, alter=False)

    def sections(self, changes: dict[str, str] | None = None) -> Sections:
        """Return its configuration; ``changes`` are to the environment."""
        return load(None, {**self.environment, **(changes or {})})

    def doctor(self, *arguments: str, changes: dict[str, str] | None = None) -> Command:
        """Run the command; whatever it ends with."""
        environment = {**self.environment, **(changes or {})}
        return self.commands.run("doctor", *arguments, environment=environment, expect=None)

    def report(
        self,
        *,
        role: str = "all",
        outage_s: float = DAY_S,
        wait_s: float = 10.0,
        changes: dict[str, str] | None = None,
    ) -> Report:
        """Have the doctor examine it, in this process."""
        scope = Scope(captures=role != "deliver", delivers=role != "capture", outage_s=outage_s)
        one = Doctor(
            self.sections(changes), scope, patiently=lambda step: patiently(step, wait_s=wait_s)
        )
        return one.examine()

    def examined(self, *, expect: int | None = None, **asked: Any) -> dict[str, Any]:
        """Return what the doctor says, as :meth:`report` is asked; check its exit code."""
        report = self.report(**asked)
        assert expect in (None, report.exit_code), report
        return asdict(report)

    def findings(self, name: str, **asked: Any) -> list[dict[str, str]]:
        """Have it examined, by which something must be found; return the findings of one name."""
        said = self.examined(expect=10, **asked)
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
