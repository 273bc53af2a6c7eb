"""A Chromium for the browser tests: the machine's own, else Debian's, unpacked without root.

Alone it says what it found, and fetches it if need be: `python -m tests.browser.chromium`.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from temani import layout

VARIABLE = "CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
CACHE = layout.ROOT / ".venv" / "chromium"  # goes when the environment goes
# Fonts are only recommended by the package, and a page without any shows nothing.
PACKAGES = ("chromium", "fonts-liberation")
ADVICE = (
    f"Install Chromium with your system's packages, or say where one is: {VARIABLE}=/path/to/it. "
    "Without it: make test ARGS=--ignore=tests/browser"
)
# Without a sandbox: it needs privileges that containers lack, and only our own pages are opened.
# The rest keeps it from talking to anybody but them.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
)

Say = Callable[[str], None]


class NoChromium(Exception):
    """There is none, and none could be fetched; the message says what was tried and what helps."""


@dataclass(frozen=True, slots=True)
class Chromium:
    """The program, and what its environment needs beside ours."""

    path: Path
    env: dict[str, str] = field(default_factory=dict)


def find(say: Say) -> Chromium:
    """Return a Chromium that runs; fetches Debian's if the machine has none. Raises NoChromium."""
    if named := os.environ.get(VARIABLE):
        return _proven(Chromium(Path(named)))
    for name in NAMES:
        if found := shutil.which(name):
            return _proven(Chromium(Path(found)))
    if not (CACHE / "ready").exists():
        fetch(CACHE, say)
    return _proven(_unpacked(CACHE))


def fetch(target: Path, say: Say, *, status: Path = Path("/var/lib/dpkg/status")) -> None:
    """Download Chromium and the libraries that `status` lacks, and unpack all below `target`."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise NoChromium(f"No Chromium here, and no {tool} to fetch Debian's with. {ADVICE}")
    shutil.rmtree(target, ignore_errors=True)
    apt = _Apt(target, status)
    say("no Chromium here: reading Debian's lists …")
    apt.run("update")
    wanted = apt.missing()
    for number, package in enumerate(wanted, start=1):
        say(f"fetching {package} ({number} of {len(wanted)}) …")
        apt.run("download", package)
    root = target / "root"
    for archive in sorted(apt.archives.glob("*.deb")):
        say(f"unpacking {archive.name} …")
        _run(["dpkg-deb", "--extract", str(archive), str(root)])
        archive.unlink()
    (target / "ready").touch()


class _Apt:
    """apt-get as anybody may run it: its lists and downloads in a folder of ours."""

    def __init__(self, target: Path, status: Path) -> None:
        self.archives = target / "archives"
        lists, cache = target / "lists", target / "cache"
        for folder in (self.archives, lists / "partial", cache / "archives" / "partial"):
            folder.mkdir(parents=True)
        told = {
            "Dir::State::Lists": lists,
            "Dir::State::Status": status,
            "Dir::Cache": cache,
            "APT::Sandbox::User": "",  # else root's apt drops to a user who may not write here
            "Acquire::Retries": 3,
        }
        self._options = [part for key, value in told.items() for part in ("-o", f"{key}={value}")]

    def run(self, *arguments: str) -> str:
        """Run one command of apt-get where downloads shall lie; raises NoChromium."""
        command = ["apt-get", "--quiet", *self._options, *arguments]
        return _run(command, cwd=self.archives)

    def missing(self) -> list[str]:
        """Return the packages to unpack, with the libraries that the machine lacks."""
        plan = self.run(
            "install", "--simulate", "--reinstall", "--no-install-recommends", *PACKAGES
        )
        return [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]


def _run(command: list[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command, cwd=cwd, check=True, capture_output=True, text=True, timeout=600
        )
    except subprocess.TimeoutExpired as late:
        raise NoChromium(f"{' '.join(command[:1])} took over 600 s. {ADVICE}") from late
    except subprocess.CalledProcessError as failed:
        words = failed.stderr.strip()[-1500:]
        raise NoChromium(f"{command[0]} {command[-1]} failed: {words}\n{ADVICE}") from failed
    return done.stdout


def _unpacked(target: Path) -> Chromium:
    """Return the unpacked program; its wrapper in /usr/bin looks for files that are not there."""
    root = target / "root"
    triplet = f"{platform.machine()}-linux-gnu"
    folders = [root / "usr/lib" / triplet, root / "lib" / triplet, root / "usr/lib/chromium"]
    fonts = target / "fonts.conf"
    fonts.write_text(
        '<?xml version="1.0"?><fontconfig>'
        f"<dir>{root}/usr/share/fonts</dir><dir>/usr/share/fonts</dir>"
        f"<cachedir>{target}/fonts-cache</cachedir></fontconfig>"
    )
    env = {"LD_LIBRARY_PATH": ":".join(map(str, folders)), "FONTCONFIG_FILE": str(fonts)}
    return Chromium(root / "usr/lib/chromium/chromium", env)


def _proven(chromium: Chromium) -> Chromium:
    """Return `chromium` if it starts; raises NoChromium with its own words."""
    env = {**os.environ, **chromium.env}
    try:
        subprocess.run(
            [str(chromium.path), "--version"],
            check=True, capture_output=True, text=True, timeout=60, env=env,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as failed:
        words = getattr(failed, "stderr", "") or str(failed)
        raise NoChromium(f"{chromium.path} does not start: {words.strip()}\n{ADVICE}") from failed
    return chromium


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{find(lambda line: print(line, flush=True)).path}\n")  # noqa: T201
    except NoChromium as none:
        sys.exit(str(none))
