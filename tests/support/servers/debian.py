"""Another Debian release's programs in a folder of ours: fetched by apt, nothing installed.

A release's packages are unpacked beside each other with all that they need, down to the C
library, and a program is run by its own release's loader. So it needs neither root nor a
chroot, starts nothing by itself, and can't conflict with what the machine has.
"""

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from support.servers.machine import (
    ServerUnavailableError,
    apt_get,
    locked,
    run,
    say,
    services_folder,
    update_package_lists,
)


@dataclass(frozen=True)
class Unpacked:
    """The folder into which packages were unpacked: what would be ``/`` if they were installed."""

    root: Path

    def command(self, program: str) -> list[str]:
        """Return the start of a command line for a program, by its path below the root."""
        [loader] = [path for path in self.root.glob("**/ld-linux*.so.*") if not path.is_symlink()]
        # Before Debian merged them, a release had libraries in both.
        libraries = {loader.parent, self.root / "usr" / "lib" / loader.parent.name}
        return [
            str(loader),
            "--library-path",
            ":".join(str(folder) for folder in sorted(libraries)),
            str(self.root / program),
        ]


def unpacked(server: str, release: str, *packages: str) -> Unpacked:
    """Return a release's packages with all that they need, fetched and unpacked if missing.

    The folder is named for the packages and shared by all servers that need the same. It keeps
    the versions that it was made with.

    Raises:
        ServerUnavailableError: this is no Debian, or its mirror lacks the release or a package.
    """
    if shutil.which("apt-get") is None:
        raise ServerUnavailableError(
            f"{server} needs Debian's packages {' '.join(packages)}, and apt-get to fetch them: "
            f"name a server by CDC_SMS_TEST_{server.upper()}"
        )
    services = services_folder()
    name = hashlib.sha256(" ".join([release, *packages]).encode()).hexdigest()[:8]
    root = services / "debian" / f"{release}-{name}"
    with locked(services / "debian.lock"):
        if not root.exists():
            say(f"{server}: fetching {' '.join(packages)} of Debian {release}")
            root.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=services) as work:
                _unpack(Path(work), release, packages).rename(root)
    return Unpacked(root)


def _unpack(work: Path, release: str, packages: tuple[str, ...]) -> Path:
    """Have apt fetch packages as if nothing were installed, and unpack them."""
    for folder in ("lists/partial", "archives/partial", "root"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text(f"deb {_mirror()} {release} main\n")
    settings = {
        "Dir::State": work,
        "Dir::State::status": work / "status",
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work,
        "Dir::Cache::archives": work / "archives",
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        # Root's apt fetches as another user, who may not get into our folder.
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    apt = apt_get(**{name: str(value) for name, value in settings.items()})
    run([*apt, "update"])
    run([*apt, "install", "--download-only", "--yes", "--no-install-recommends", *packages])
    for package in sorted((work / "archives").glob("*.deb")):
        run(["dpkg-deb", "--extract", str(package), str(work / "root")])
    return work / "root"


def _mirror() -> str:
    """Return the address from which this machine gets Debian, by its own configuration."""
    asked = [*apt_get(), "indextargets", "--format", "$(REPO_URI)", "Label: Debian"]
    mirrors = run(asked).split()
    if not mirrors:  # apt knows whose a source is once it has read it
        update_package_lists()
        mirrors = run(asked).split()
    if not mirrors:
        raise ServerUnavailableError("apt has no source of Debian's: see sources.list(5)")
    return mirrors[0]
