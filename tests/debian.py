"""Debian's packages for tests that need more than the wheels bring: fetched, unpacked, no root."""

import fcntl
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from temani import layout

# Goes when the environment goes.
LISTS = layout.ROOT / ".venv" / "debian"
INSTALLED = Path("/var/lib/dpkg/status")
_LISTS_SECONDS = 3600.0

Say = Callable[[str], None]


class NotFetched(Exception):
    """Nothing could be fetched; the message says what was tried, in apt's words where it spoke."""


def fetch(
    packages: Sequence[str],
    target: Path,
    say: Say,
    *,
    status: Path = INSTALLED,
    lists: Path = LISTS,
) -> Path:
    """Unpack packages, and the libraries that `status` lacks, below `target`; return the root.

    What is there already is taken as it is. Raises NotFetched, and nothing half done counts.
    """
    root = target / "root"
    if (target / "ready").exists():
        return root
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise NotFetched(f"no {tool} to fetch Debian's with")
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may want the same at once
        if not (target / "ready").exists():
            _unpack(packages, target, say, _Apt(target, status=status, lists=lists))
    return root


def _unpack(packages: Sequence[str], target: Path, say: Say, apt: "_Apt") -> None:
    say("reading Debian's lists …")
    apt.update()
    wanted = apt.missing(packages)
    for number, package in enumerate(wanted, start=1):
        say(f"fetching {package} ({number} of {len(wanted)}) …")
        apt.run("download", package)
    for archive in sorted(apt.archives.glob("*.deb")):
        say(f"unpacking {archive.name} …")
        _run(["dpkg-deb", "--extract", str(archive), str(target / "root")])
        archive.unlink()
    (target / "ready").touch()


class _Apt:
    """apt-get as anybody may run it: its lists and downloads in folders of ours."""

    def __init__(self, target: Path, *, status: Path, lists: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        self.archives = target / "archives"
        cache = target / "cache"
        self._lists = lists
        self._unread = ""
        for folder in (self.archives, lists / "partial", cache / "archives" / "partial"):
            folder.mkdir(parents=True, exist_ok=True)
        told = {
            "Dir::State::Lists": lists,
            "Dir::State::Status": status,
            "Dir::Cache": cache,
            "APT::Sandbox::User": "",  # else root's apt drops to a user who may not write here
            "Acquire::Retries": 3,
            "Acquire::http::Timeout": 10,  # seconds of silence; a test is not to hang on a mirror
        }
        self._options = [part for key, value in told.items() for part in ("-o", f"{key}={value}")]

    def update(self) -> None:
        """Read the lists anew, unless somebody did within the hour.

        That some could not be read is no failure yet: what is wanted may stand in another one.
        """
        read = self._lists / "read"
        with (self._lists / "reading").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not read.exists() or time.time() - read.stat().st_mtime > _LISTS_SECONDS:
                try:
                    self.run("update")
                    read.touch()
                except NotFetched as failed:
                    self._unread = f" ({failed})"

    def run(self, *arguments: str) -> str:
        """Run one command of apt-get where downloads shall lie; raises NotFetched."""
        return _run(["apt-get", "--quiet", *self._options, *arguments], cwd=self.archives)

    def missing(self, packages: Sequence[str]) -> list[str]:
        """Return the packages to unpack, with the libraries that the machine lacks."""
        try:
            plan = self.run(
                "install", "--simulate", "--reinstall", "--no-install-recommends", *packages
            )
        except NotFetched as failed:
            raise NotFetched(f"{failed}{self._unread}") from failed
        return [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]


def _run(command: list[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command, cwd=cwd, check=True, capture_output=True, text=True, timeout=600
        )
    except subprocess.TimeoutExpired as late:
        raise NotFetched(f"{command[0]} took over 600 s") from late
    except subprocess.CalledProcessError as failed:
        words = failed.stderr.strip()[-1500:]
        raise NotFetched(f"{command[0]} {command[-1]} failed: {words}") from failed
    return done.stdout
