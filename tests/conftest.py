"""The list of fixture plug-ins, one a subject; no fixture of its own."""

pytest_plugins = [
    "support.fixtures.servers",
    "support.fixtures.databases",
    "support.fixtures.binlog_databases",
    "support.fixtures.faults",
    "support.fixtures.commands",
    "support.fixtures.debezium",
    "support.fixtures.leftovers",
]
