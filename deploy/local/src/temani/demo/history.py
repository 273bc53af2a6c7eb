"""What the bots did and saw, as JSON lines that the oracle compares with the database."""

import json
import time
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4


class History:
    """Writes operations (invoke, then ok, fail or info) and sightings to one file.

    `fail` means that the system said no; `info` that nobody knows whether it happened.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.path = file
        self._file: TextIOWrapper = file.open("w", encoding="utf-8", buffering=1 << 16)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def begin(self, who: str, operation: str, **facts: Any) -> "Entry":
        """Note that somebody starts an operation; the entry takes its outcome."""
        entry = Entry(self, who=who, operation=operation)
        self._write({"id": entry.id, "type": "invoke", "who": who, "op": operation, **facts})
        return entry

    def saw(self, who: str, what: str, **facts: Any) -> None:
        """Note something that was shown to somebody."""
        self._write({"type": "saw", "who": who, "op": what, **facts})

    def end(self, entry: "Entry", outcome: str, facts: dict[str, Any]) -> None:
        """Note the outcome of an operation."""
        self._write(
            {"id": entry.id, "type": outcome, "who": entry.who, "op": entry.operation, **facts}
        )

    def flush(self) -> None:
        """Have everything on disk, for a reader."""
        if not self._file.closed:
            self._file.flush()

    def close(self) -> None:
        """Write what is left and close."""
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        if not self._file.closed:
            self._file.write(json.dumps({"at": time.time(), **line}, default=_text) + "\n")


class Entry:
    """One operation that began and has one outcome."""

    def __init__(self, history: History, *, who: str, operation: str) -> None:
        self._history = history
        self.id = uuid4().hex
        self.who = who
        self.operation = operation

    def ok(self, **facts: Any) -> None:
        """It happened."""
        self._history.end(self, "ok", facts)

    def fail(self, code: str, **facts: Any) -> None:
        """The system refused it."""
        self._history.end(self, "fail", {"code": code, **facts})

    def info(self, reason: str, **facts: Any) -> None:
        """Nobody knows whether it happened."""
        self._history.end(self, "info", {"reason": reason, **facts})


def read(places: list[Path]) -> Iterator[dict[str, Any]]:
    """Read every line of some files, or of the .jsonl files of some folders.

    A last line that was cut off by a crash is left out.
    """
    for place in places:
        files = sorted(place.glob("**/*.jsonl")) if place.is_dir() else [place]
        for file in files:
            for line in file.read_text(encoding="utf-8").splitlines():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    continue


def _text(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a history")
