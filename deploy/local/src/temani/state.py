"""What runs now, for `temani status`, `temani logs`, the demo and tests: .temani/state.json."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from temani import layout


class NotRunning(Exception):
    """No stack runs here; `temani up` starts one."""


class AlreadyRunning(Exception):
    """A stack runs here already; the message says where."""


@dataclass(frozen=True)
class Part:
    """One process of the stack."""

    pid: int
    url: str
    log: str
    restarts: int = 0


@dataclass(frozen=True)
class State:
    """The running stack. `urls` has every address by name; passwords are in it, so it is 0600."""

    launcher_pid: int
    started_at: str
    profile: str
    ready: bool
    urls: dict[str, str]
    replicas: dict[str, list[str]]
    operator: dict[str, str]
    mitras: list[dict[str, str]]
    customers: list[str]
    parts: dict[str, Part] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return asdict(self)


def write(state: State, folder: Path = layout.STATE) -> None:
    """Replace the state file in one step."""
    fresh = folder / "state.json.new"
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(state.as_json(), file, indent=2)
    fresh.rename(folder / "state.json")


def load(folder: Path = layout.STATE) -> State:
    """Return the running stack, or raise NotRunning."""
    state = last(folder)
    if state is None or not _is_locked(folder):
        raise NotRunning("no stack runs here; start one with `make up`")
    return state


def last(folder: Path = layout.STATE) -> State | None:
    """Return what ran last, whether it still runs or not."""
    try:
        values = json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        return None
    parts = {name: Part(**part) for name, part in values.pop("parts").items()}
    return State(**values, parts=parts)


def is_running(folder: Path = layout.STATE) -> bool:
    """Tell whether a launcher holds this folder."""
    return _is_locked(folder)


def refuse_second(folder: Path = layout.STATE) -> None:
    """Raise AlreadyRunning with the place of the stack that runs."""
    raise AlreadyRunning(_where(folder))


@contextmanager
def only_one(folder: Path = layout.STATE) -> Iterator[None]:
    """Hold the folder for one launcher; raises AlreadyRunning if another one holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            # The kernel lets go of it however this process ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(_where(folder)) from None
        yield


def _is_locked(folder: Path) -> bool:
    try:
        with (folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _where(folder: Path) -> str:
    state = last(folder)
    if state is None:
        return f"another launcher uses {folder} and is still starting"
    place = state.urls.get("gateway", "(starting)")
    return f"a stack runs already at {place} (process {state.launcher_pid}); stop: `make down`"
