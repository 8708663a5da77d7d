import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from support.waiting import until

from cdc_sms.playground.folder import temporary_folder
from cdc_sms.playground.postgres import EmbeddedPostgres

KILLED_DEMO = """
import os, signal, sys
from pathlib import Path
from cdc_sms.playground.postgres import EmbeddedPostgres
print(EmbeddedPostgres(Path(sys.argv[1])).pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder() as above:
        folder = above / "postgres"
        folder.mkdir()
        yield folder


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def test_postgres_is_ready_for_capture_within_seconds(folder: Path) -> None:
    started_at = time.monotonic()
    with EmbeddedPostgres(folder) as server:
        took_s = time.monotonic() - started_at
        with psycopg.connect(server.dsn, password=server.password) as connection:
            row = connection.execute("SELECT current_setting('wal_level')").fetchone()

    assert row == ("logical",)
    assert took_s < 10  # 0.3 s on an idle machine


def test_postgres_lets_nobody_in_without_its_password(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server, pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.dsn, password="guessed")


def test_postgres_leaves_no_process(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        pid = server.pid
        assert is_alive(pid)

    assert not is_alive(pid)


def test_postgres_runs_where_only_we_may_enter(tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    ours.mkdir(mode=0o700)
    folder = ours / "postgres"
    folder.mkdir()

    with EmbeddedPostgres(folder) as server:
        psycopg.connect(server.dsn, password=server.password).close()


@pytest.mark.skipif(sys.platform != "linux", reason="a dying parent is told to Linux children only")
def test_postgres_ends_when_the_demo_is_killed(folder: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_DEMO, folder], capture_output=True, text=True, check=False
    )
    pid = int(killed.stdout)

    assert killed.returncode == -signal.SIGKILL
    until(lambda: not is_alive(pid), within_s=10, what="the orphaned PostgreSQL to end")
