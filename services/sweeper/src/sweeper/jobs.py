"""The two loops of a replica: keep the leases, drive what they cover."""

import asyncio
from collections.abc import Awaitable, Callable

from common.db import Unavailable
from common.log import get_logger
from common.runner import Runner
from sweeper.handlers.driving import Driver

log = get_logger(__name__)

# Five renewals in a lease's life: one lost reply costs nothing, and a dead holder's shards are
# found at most a fifth of a life after they ran out.
RENEWALS_PER_LEASE = 5
PAUSE_WITHOUT_POSTGRES = 0.5


class PatientWithPostgres:
    """Runs a step; an absent Postgres is said once, not each time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._away = False

    async def run(self, step: Callable[[], Awaitable[float]]) -> float:
        """Return what the step says, or how long to wait while Postgres is away."""
        try:
            seconds = await step()
        except Unavailable as away:
            if not self._away:
                log.warning("postgres_away", loop=self._name, detail=str(away))
            self._away = True
            return PAUSE_WITHOUT_POSTGRES
        if self._away:
            log.info("postgres_back", loop=self._name)
        self._away = False
        return seconds


def start(runner: Runner, driver: Driver, *, lease_seconds: float) -> None:
    """Start the loops; on stop the leases are given back so that others go on at once."""
    patience = {name: PatientWithPostgres(name) for name in ("keep", "drive")}

    async def keep_once() -> float:
        await driver.keep()
        return 0.0

    async def keep() -> None:
        await patience["keep"].run(keep_once)

    async def drive() -> None:
        while not runner.stopping:
            seconds = await patience["drive"].run(driver.drive)
            await asyncio.sleep(seconds)

    runner.every("keep leases", lease_seconds / RENEWALS_PER_LEASE, keep)
    runner.spawn("drive sweeps", drive)
    runner.on_stop(driver.stop)
