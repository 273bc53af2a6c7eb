"""A Chromium for the browser tests: the machine's own, else Debian's, unpacked without root.

Alone it says what it found, and fetches it if need be: `python -m tests.browser.chromium`.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests import debian
from tests.debian import Say

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
    fetch(CACHE, say)
    return _proven(_unpacked(CACHE))


def fetch(
    target: Path,
    say: Say,
    *,
    status: Path = debian.INSTALLED,
    lists: Path = debian.LISTS,
) -> None:
    """Have Debian's Chromium and the libraries that `status` lacks unpacked below `target`."""
    try:
        debian.fetch(PACKAGES, target, say, status=status, lists=lists)
    except debian.NotFetched as reason:
        raise NoChromium(f"No Chromium here, and {reason}. {ADVICE}") from reason


def _unpacked(target: Path) -> Chromium:
    """Return the unpacked program; its wrapper in /usr/bin looks for files that are not there."""
    root = target / "root"
    # Some lie deeper, and look for each other where they would be installed (pulseaudio).
    folders = sorted({library.parent for library in root.rglob("*.so*")})
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
