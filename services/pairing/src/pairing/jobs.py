"""Loops: the ticker over our own deadlines, the beacon for open sockets, and retention."""

import asyncio
import random
import time

from common.db import Unavailable
from common.log import get_logger
from common.runner import Runner
from mirror.plan import ServicePlan
from pairing.handlers import Deadlines
from pairing.handlers.beacon import BeaconBoard
from pairing.ports import RingStore
from pairing.settings import Settings

_log = get_logger("jobs")

# However overdue a deadline is: another replica may be settling it, and the database may be busy.
_SHORTEST_WAIT = 0.1
_AFTER_FAILURE = 1.0
_PRUNE_SECONDS = 3607.0
_PRUNE_BATCH = 1000
# Who closes the service wants it closed everywhere within 2 s, also while NATS is away.
_BEACON_SECONDS = 1.0


class DeadlineAlarm:
    """When to look at the deadlines next: the tick at the latest, sooner when asked."""

    def __init__(self, *, tick_seconds: float) -> None:
        self._tick = tick_seconds
        self._at = time.monotonic()
        self._sooner = asyncio.Event()

    def within(self, seconds: float) -> None:
        """Look at the deadlines after this time at the latest."""
        at = time.monotonic() + max(0.0, seconds)
        if at < self._at:
            self._at = at
            self._sooner.set()

    def restart(self) -> None:
        """Plan the next tick, jittered so that replicas do not march in step."""
        self._at = time.monotonic() + self._tick * random.uniform(0.8, 1.0)
        self._sooner.clear()

    async def wait(self) -> None:
        """Sleep until the planned time; whoever asks for sooner shortens the sleep."""
        while (left := self._at - time.monotonic()) > 0:
            self._sooner.clear()
            try:
                async with asyncio.timeout(left):
                    await self._sooner.wait()
            except TimeoutError:
                return


class Jobs:
    """What pairing does without being asked."""

    def __init__(
        self,
        *,
        deadlines: Deadlines,
        store: RingStore,
        board: BeaconBoard,
        plan: ServicePlan,
        alarm: DeadlineAlarm,
        settings: Settings,
    ) -> None:
        self._deadlines = deadlines
        self._store = store
        self._board = board
        self._plan = plan
        self._alarm = alarm
        self._settings = settings

    def start(self, runner: Runner) -> None:
        """Start the loops."""
        runner.spawn("deadlines", self.keep_deadlines)
        runner.every("beacon", _BEACON_SECONDS, self.follow_beacon)
        runner.every("retention", _PRUNE_SECONDS, self.prune)

    async def follow_beacon(self) -> None:
        """Look whether the service is open, and whether the beacon of before still says it all."""
        await self._plan.refresh()
        await self._board.refresh()

    async def keep_deadlines(self) -> None:
        """Settle what is due, for ever: at each deadline, each hint and each tick."""
        while True:
            await self._alarm.wait()
            self._alarm.restart()
            try:
                left = await self._deadlines.settle_due()
            except Unavailable as error:
                _log.warning("deadlines_wait", reason=str(error))
                left = _AFTER_FAILURE
            if left is not None:
                self._alarm.within(max(_SHORTEST_WAIT, left))

    async def prune(self) -> int:
        """Remove offers and decisions that nobody needs any more; returns how many rows went."""
        removed = 0
        while batch := await self._store.prune(
            days=self._settings.offers_kept_days, limit=_PRUNE_BATCH
        ):
            removed += batch
        if removed:
            _log.info("offers_pruned", rows=removed)
        return removed
