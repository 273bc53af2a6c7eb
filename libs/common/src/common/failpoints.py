"""Places where a drill can kill or delay a process; without FAILPOINTS they do nothing.

`FAILPOINTS=after_commit=kill:0.1,before_compare=sleep:0.2` kills at one commit in ten and waits
0.2 s before each compare-and-set. ENVIRONMENT=production refuses to start with it.
"""

import asyncio
import os
import random
import signal
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Failpoint:
    """What happens at one place: `kill` with a probability, or `sleep` for seconds."""

    action: str
    amount: float


def parse(environ: Mapping[str, str]) -> dict[str, Failpoint]:
    """Read the variable; ValueError when it is nonsense or set in production."""
    text = environ.get("FAILPOINTS", "")
    if not text:
        return {}
    if environ.get("ENVIRONMENT") == "production":
        raise ValueError("FAILPOINTS must not be set in production.")
    points = {}
    for part in text.split(","):
        name, _, what = part.strip().partition("=")
        action, _, amount = what.partition(":")
        if not name or action not in ("kill", "sleep"):
            raise ValueError(f"FAILPOINTS: {part!r} is not name=kill:<chance> or name=sleep:<s>.")
        points[name] = Failpoint(action, float(amount or 1))
    return points


_active = parse(os.environ)


def reach(name: str) -> None:
    """Die here, if a drill says so."""
    point = _active.get(name) if _active else None
    if point is not None and point.action == "kill" and random.random() < point.amount:
        os.kill(os.getpid(), signal.SIGKILL)


async def wait_at(name: str) -> None:
    """Wait or die here, if a drill says so."""
    if _active and (point := _active.get(name)) is not None:
        if point.action == "sleep":
            await asyncio.sleep(point.amount)
        else:
            reach(name)
