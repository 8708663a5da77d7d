"""Which place a ledger belongs to, so that a copy of it never sends. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

_NAMES = {
    "environment": "the environment",
    "server": "the database server",
    "kafka": "the Kafka cluster",
    "mapping": "the mapping of key and created-at",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """The place; None where it can't be asked for here.

    Attributes:
        environment: ``ledger.environment``.
        server: the database server's own identifier.
        kafka: the cluster's id.
        mapping: table, key and created-at with their types: what message ids are made of.
    """

    environment: str
    server: str
    kafka: str | None = None
    mapping: str | None = None

    def as_value(self) -> dict[str, str | None]:
        """Return what the control table keeps."""
        return asdict(self)

    @classmethod
    def from_value(cls, value: Mapping[str, str | None]) -> "Identity":
        """Read what :meth:`as_value` wrote."""
        return cls(
            environment=value["environment"] or "",
            server=value["server"] or "",
            kafka=value.get("kafka"),
            mapping=value.get("mapping"),
        )

    def completed_by(self, other: "Identity") -> "Identity":
        """Return this with what only the other knows."""
        return Identity(
            environment=self.environment,
            server=self.server,
            kafka=self.kafka or other.kafka,
            mapping=self.mapping or other.mapping,
        )


def differences(known: Identity, here: Identity) -> list[str]:
    """Return in what two places differ, in words; what one doesn't know is no difference."""
    before, now = asdict(known), asdict(here)
    return [
        f"{words} was {before[name]} and is {now[name]}"
        for name, words in _NAMES.items()
        if before[name] and now[name] and before[name] != now[name]
    ]
