"""Pin the requirements of each service and of the workspace: `make lock`.

A service's lock holds what its own `pyproject.toml` and those of the libraries it uses ask for;
`dev.txt` adds what the tests and the local stack need, the bench has its own two files. Hashes are
kept, addresses are not, so the files say nothing about where they were made.
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LIBRARIES = {"temani-common": ROOT / "libs/common", "temani-mirror": ROOT / "libs/mirror"}
SERVICES = ("auth", "availability", "pairing", "chat", "sweeper")


def wanted(folder: Path) -> set[str]:
    """Return what one package asks for, its Temani libraries resolved to their own wishes."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = set(project.get("dependencies", []))
    ours = {name for name in direct if name in LIBRARIES}
    return (direct - ours).union(*(wanted(LIBRARIES[name]) for name in ours))


def lock(requirements: set[str], target: Path) -> None:
    """Write one lock file for `requirements`, valid for Python 3.11 and newer anywhere."""
    with tempfile.NamedTemporaryFile("w", suffix=".in") as source:
        source.write("\n".join(sorted(requirements)) + "\n")
        source.flush()
        pinned = subprocess.run(  # noqa: S603 - our own tool, our own arguments
            [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal",
             "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate",
             source.name],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    kept = [line for line in pinned.splitlines() if not line.startswith("--")]
    target.write_text("\n".join(kept) + "\n", encoding="utf-8")
    sys.stdout.write(f"{target.relative_to(ROOT)}  {pinned.count('==')} pins\n")


def listed(name: str) -> set[str]:
    """Return the lines of one `.in` file."""
    lines = (HERE / f"{name}.in").read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def main() -> None:
    """Lock each service, then the workspace."""
    everything: set[str] = set()
    for service in SERVICES:
        asked = wanted(ROOT / "services" / service)
        everything |= asked
        lock(asked, HERE / f"{service}.txt")
    everything |= wanted(ROOT / "deploy/local") | listed("dev")
    lock(everything, HERE / "dev.txt")
    for name in ("bench", "bench-node"):
        lock(listed(name), HERE / f"{name}.txt")


if __name__ == "__main__":
    main()
