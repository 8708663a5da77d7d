"""What the figures were measured on: without it they say nothing."""

import os
import platform
from pathlib import Path

import confluent_kafka
import psycopg
from support.servers.java import KAFKA_VERSION
from support.servers.postgres import PostgresAddress

from bench.site import Servers


def machine() -> dict[str, object]:
    """Describe the machine, and how busy it is before anything of ours runs."""
    return {
        "cpus": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "librdkafka": confluent_kafka.libversion()[0],
        "load_before": load(),
    }


def load() -> float:
    """Return how many processes ran or wanted to, on average of the last minute."""
    return round(os.getloadavg()[0], 2)


def versions(servers: Servers) -> dict[str, object]:
    """Describe the servers; all of them run on the same machine."""
    return {**_database_version(servers), "kafka": KAFKA_VERSION}


def _database_version(servers: Servers) -> dict[str, object]:
    server = servers.database
    if isinstance(server, PostgresAddress):
        with psycopg.connect(server.dsn) as connection:
            row = connection.execute("SELECT current_setting('server_version')").fetchone()
        assert row is not None
        return {"postgres": row[0]}
    with server.connect() as binlog, binlog.cursor() as cursor:
        cursor.execute("SELECT version()")
        return {server.scheme: cursor.fetchone()[0]}


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
