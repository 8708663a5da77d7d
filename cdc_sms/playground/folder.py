"""The demo's folder: inside the Python environment that it runs from, and gone with the demo."""

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "cdc-sms-demo-"
_LOCK = "lock"


@contextmanager
def temporary_folder(environment: Path | None = None) -> Iterator[Path]:
    """Have a folder for a while; it and what a killed demo left behind are removed.

    Args:
        environment: where it is made; the Python environment's own folder if left out. An
            environment that we may not write to makes it the machine's temporary folder.
    """
    above = environment or Path(sys.prefix)
    if not os.access(above, os.W_OK):
        above = Path(tempfile.gettempdir())
    _sweep(above)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=above))
    try:
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder)


def _sweep(above: Path) -> None:
    """Remove the folders whose demo no longer lives: a living one holds its lock."""
    for lock_file in above.glob(f"{_PREFIX}*/{_LOCK}"):
        with lock_file.open("r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(lock_file.parent, ignore_errors=True)
