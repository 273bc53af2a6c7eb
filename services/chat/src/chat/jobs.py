"""Loops: deadlines, payments to ask about, refunds to make, signs of life to write down."""

import random
from datetime import timedelta
from typing import Protocol

from chat.handlers.deadlines import Deadlines
from chat.handlers.mitras import Attendance
from chat.handlers.payments import Payments
from chat.settings import Settings
from common.db import Unavailable
from common.log import get_logger
from common.runner import Runner

log = get_logger("jobs")

_LIFE_SECONDS = 0.5
_AFTER_FAILURE = 0.5


class Ticker(Protocol):
    """The alarm that the deadline loop sleeps by."""

    def wake_at(self, seconds: float) -> None:
        """Look at the deadlines in this many seconds."""
        ...

    async def wait(self, tick_seconds: float) -> None:
        """Sleep until the earliest wake-up, at most one tick."""
        ...


class Jobs:
    """What chat does without being asked."""

    def __init__(
        self,
        *,
        deadlines: Deadlines,
        payments: Payments,
        attendance: Attendance,
        alarm: Ticker,
        settings: Settings,
    ) -> None:
        self._deadlines = deadlines
        self._payments = payments
        self._attendance = attendance
        self._alarm = alarm
        self._settings = settings

    def start(self, runner: Runner) -> None:
        """Start the loops."""
        runner.spawn("deadlines", self.keep_deadlines)
        sweep = self._settings.payment_sweep_seconds
        runner.every("payment-checks", sweep, self._payments.check_pending)
        runner.every("refunds", sweep, self._payments.give_back_due)
        runner.every("signs-of-life", _LIFE_SECONDS, self._attendance.write_down)

    async def keep_deadlines(self) -> None:
        """Settle what is due at once, at each deadline and at each tick; for ever."""
        tick = self._settings.tick_seconds
        while True:
            try:
                settled = await self._deadlines.settle_due()
                # What others wrote, and what this replica forgot when it restarted.
                for seconds in await self._deadlines.upcoming(timedelta(seconds=tick * 1.2)):
                    self._alarm.wake_at(seconds)
            except Unavailable as error:
                log.warning("deadlines_wait", error=str(error))
                self._alarm.wake_at(_AFTER_FAILURE)
            else:
                if settled:
                    log.info("deadlines_settled", count=settled)
            await self._alarm.wait(tick * random.uniform(0.8, 1.0))
