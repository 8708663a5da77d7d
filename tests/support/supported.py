"""What is supported: which parts are tested on which server, as the collected tests say.

Run as a program it prints that as JSON, for the README's table.
"""

import json
from collections.abc import Iterator, Mapping

import pytest

SERVERS: Mapping[str, str] = {
    "postgres": "PostgreSQL 15",
    "postgres18": "PostgreSQL 18",
    "mysql": "MySQL 9.7",
    "mariadb": "MariaDB 10.11",
    "mariadb118": "MariaDB 11.8",
}
"""By the name that fixtures and parameters use."""

PARTS: Mapping[str, str] = {
    "tests/integration/sources": "built-in reader",
    "tests/integration/debezium": "Debezium",
    "tests/integration/deliver": "ledger",
    "tests/integration/acts": "acts",
    "tests/integration/doctor": "doctor",
    "tests/e2e": "end to end",
}
"""By the folder of its tests."""


class Collector:
    """Takes note of what is collected; a plug-in of pytest.

    Attributes:
        tested: pairs of a server and a part.
    """

    def __init__(self) -> None:
        self.tested: set[tuple[str, str]] = set()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Look at every test."""
        for item in session.items:
            folder = next((f for f in PARTS if item.nodeid.startswith(f"{f}/")), None)
            if folder is not None:
                self.tested |= {(server, PARTS[folder]) for server in servers_of(item)}


def servers_of(item: pytest.Item) -> Iterator[str]:
    """Yield the database servers that a test runs on: by its fixtures, or by its parameters."""
    fixtures = set(getattr(item, "fixturenames", ()))
    callspec = getattr(item, "callspec", None)
    values = set() if callspec is None else {str(value) for value in callspec.params.values()}
    for server in SERVERS:
        if server in values or f"{server}_server" in fixtures:
            yield server


def main() -> None:
    """Collect all tests and print the pairs."""
    collector = Collector()
    options = ["--collect-only", "-qq", "-p", "no:cacheprovider"]
    code = pytest.main([*options, *PARTS], plugins=[collector])
    if code:
        raise SystemExit(f"the tests can't be collected: pytest ended with {code}")
    print(json.dumps(sorted(collector.tested)))


if __name__ == "__main__":
    main()
