"""What the bench says: one line a figure, with its bound and a verdict."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final

_HEAD: Final = ("id", "what", "measured", "goal", "verdict")
_WIDEST_NOTE: Final = 110


@dataclass(frozen=True, slots=True)
class Line:
    """One figure. Without a bound it is there to be read; without a measurement it missed.

    `skipped` says why nothing could be measured on this machine, which is no miss. A prototype's
    line is judged like any other, but nobody ships it: the run does not fail because of it.
    """

    goal: str
    what: str
    measured: float | None
    bound: float | None
    unit: str = "x"
    skipped: str | None = None
    note: str = ""
    at_least: bool = False
    prototype: bool = False

    @property
    def verdict(self) -> str:
        """One of `ok`, `MISS`, `skipped` and, where there is no goal, `-`."""
        if self.skipped is not None:
            return "skipped"
        if self.measured is None:
            return "MISS"
        if self.bound is None:
            return "-"
        reached = self.measured >= self.bound if self.at_least else self.measured <= self.bound
        return "ok" if reached else "MISS"

    @property
    def missed(self) -> bool:
        """Whether the run fails because of this line."""
        return self.verdict == "MISS" and not self.prototype

    def cells(self) -> tuple[str, str, str, str, str]:
        """Return what a table shows of it."""
        sign = ">=" if self.at_least else "<="
        goal = "" if self.bound is None else f"{sign} {_number(self.bound, self.unit)}"
        measured = "" if self.measured is None else _number(self.measured, self.unit)
        aside = self.skipped or ("prototype" if self.prototype else "")
        verdict = f"{self.verdict} ({aside})" if aside else self.verdict
        return self.goal, self.what, measured, goal, verdict


def effect(goal: str, what: str, *, wrong: int, note: str = "", prototype: bool = False) -> Line:
    """Return the line of a check that must find nothing wrong."""
    return Line(goal, what, wrong, 0, unit="wrong", note=note, prototype=prototype)


def table(lines: Iterable[Line]) -> str:
    """Render lines for a person."""
    lines = list(lines)
    rows = [_HEAD, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    notes = ["", *(line.note for line in lines)]
    out = []
    for row, note in zip(rows, notes, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        tail = f"   {note[:_WIDEST_NOTE]}" if note else ""
        out.append("  ".join([*cells, row[4]]).rstrip() + tail)
    return "\n".join(out)


def as_json(line: Line) -> str:
    """Render a line for a machine."""
    return json.dumps({**asdict(line), "verdict": line.verdict})


def _number(value: float, unit: str) -> str:
    if unit in {"wrong", "rows", "looks", "beats"}:
        return f"{value:.0f} {unit}"
    digits = 3 if abs(value) < 0.1 else 2 if abs(value) < 100 else 0
    return f"{value:.{digits}f} {unit}" if unit != "x" else f"{value:.{digits}f}x"
