"""Places where a drill can kill a process; without FAILPOINTS they do nothing.

`FAILPOINTS=after_commit=kill:0.1` kills at one commit in ten. ENVIRONMENT=production refuses to
start with it.
"""

import os
import random
import signal
from collections.abc import Mapping


def parse(environ: Mapping[str, str]) -> dict[str, float]:
    """Read the chance of each place to kill; ValueError when it is nonsense or in production."""
    text = environ.get("FAILPOINTS", "")
    if not text:
        return {}
    if environ.get("ENVIRONMENT") == "production":
        raise ValueError("FAILPOINTS must not be set in production.")
    chances = {}
    for part in text.split(","):
        name, _, what = part.strip().partition("=")
        action, _, chance = what.partition(":")
        if not name or action != "kill":
            raise ValueError(f"FAILPOINTS: {part!r} is not name=kill:<chance>.")
        chances[name] = float(chance or 1)
    return chances


_active = parse(os.environ)


def reach(name: str) -> None:
    """Die here, if a drill says so."""
    chance = _active.get(name) if _active else None
    if chance is not None and random.random() < chance:
        os.kill(os.getpid(), signal.SIGKILL)
