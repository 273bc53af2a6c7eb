"""What an image is made of is enough to run its service.

No image is built here: the folders and the lock that a Dockerfile names are laid out as it says,
and the service is asked from there for its settings, its migrations and its whole wiring.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("auth", "availability", "pairing", "chat", "sweeper")
COPY = re.compile(r"^COPY (?!--from)(?P<what>\S+) (?P<to>\S+)$", re.MULTILINE)
SETTING = re.compile(r"^(?:ENV|   ) *PYTHONPATH=(?P<value>\S+)", re.MULTILINE)


def lay_out(service: str, place: Path) -> list[Path]:
    """Copy what the Dockerfile copies; return the folders it puts on Python's path."""
    text = (ROOT / f"services/{service}/Dockerfile").read_text(encoding="utf-8")
    for found in COPY.finditer(text):
        source, target = ROOT / found["what"], place / found["to"].lstrip("/")
        if source.is_dir():
            shutil.copytree(source, target)  # with what is compiled already, to save the time
    setting = SETTING.search(text)
    assert setting is not None
    return [place / folder.lstrip("/") for folder in setting["value"].split(":")]


@pytest.mark.req("OP-04")
@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_what_its_service_needs(service: str, tmp_path: Path) -> None:
    """From the image's folders alone a service imports, and finds its own migrations."""
    folders = lay_out(service, tmp_path)
    program = (
        "import sys; ours = sys.argv[1:];"
        "sys.path[:] = [p for p in sys.path if not p.rstrip('/').endswith('/src')] + ours;"
        f"import {service}.app, common; print(common.__path__[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, folders)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))
    assert list((tmp_path / f"srv/temani/services/{service}/migrations").glob("*_pre_*.sql"))


@pytest.mark.req("OP-04")
@pytest.mark.parametrize("service", SERVICES)
def test_a_lock_holds_what_its_service_asks_for(service: str) -> None:
    """Every requirement of a service and of its libraries is pinned in the service's own lock."""
    lock = (ROOT / f"requirements/{service}.txt").read_text(encoding="utf-8")
    pinned = {line.split("==")[0] for line in lock.splitlines() if "==" in line}
    homes = [ROOT / f"services/{service}", ROOT / "libs/common"]
    if "temani-mirror" in _asked(homes[0]):
        homes.append(ROOT / "libs/mirror")

    asked = {name for home in homes for name in _asked(home) if not name.startswith("temani-")}

    assert asked <= pinned


def _asked(home: Path) -> set[str]:
    project = tomllib.loads((home / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {re.split(r"[\[<>=~! ;]", wish)[0].lower() for wish in project.get("dependencies", [])}
