"""Whether this replica lives, takes traffic, and sees what it depends on.

A shared outage (Postgres away) never makes a replica unready: all would leave at once. It shows in
`/statusz` and in `dependency_up`; only starting and draining do.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Probe = Callable[[], Awaitable[str | None]]

PROBE_SECONDS = 1.0
# Probes are not repeated faster than this, however often somebody looks.
FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class DependencyState:
    """What a probe found."""

    up: bool
    detail: str | None


class Health:
    """The flags of this replica and the probes of its dependencies."""

    def __init__(self) -> None:
        self.ready = False
        self.draining = False
        self.facts: dict[str, str | int] = {}
        self._dependencies: dict[str, Probe] = {}
        self._seen: dict[str, DependencyState] = {}
        self._seen_at = float("-inf")

    def depend(self, name: str, probe: Probe) -> None:
        """Watch something shared; the probe returns None, or what is wrong."""
        self._dependencies[name] = probe

    async def dependencies(self) -> dict[str, DependencyState]:
        """Return what the probes say, at most a second old."""
        if time.monotonic() - self._seen_at > FRESH_SECONDS:
            self._seen = await _ask_all(self._dependencies)
            self._seen_at = time.monotonic()
        return self._seen

    def trouble(self) -> str | None:
        """Return why this replica should get no traffic, or None."""
        if self.draining:
            return "draining"
        return None if self.ready else "starting"


async def _ask_all(probes: dict[str, Probe]) -> dict[str, DependencyState]:
    states = await asyncio.gather(*(_ask(probe) for probe in probes.values()))
    return dict(zip(probes, states, strict=True))


async def _ask(probe: Probe) -> DependencyState:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            detail = await probe()
    except TimeoutError:
        return DependencyState(up=False, detail="no answer in time")
    except Exception as error:  # noqa: BLE001  # whatever a driver raises means: not up
        return DependencyState(up=False, detail=type(error).__name__)
    return DependencyState(up=detail is None, detail=detail)
