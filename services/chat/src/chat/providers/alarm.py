"""The ticker's alarm: rings at the earliest moment that anybody asked for, or at the next tick."""

import asyncio

from common.clock import Clock

# What a wake-up may be late, so that one pass serves deadlines that lie close together.
_SLACK = 0.02


class DeadlineAlarm:
    """The next wake-up, in memory; a lost one costs a tick, never a deadline.

    Only the earliest is kept: after each ring the ticker asks the rows which deadlines come next.
    """

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._next = float("inf")
        self._changed = asyncio.Event()

    def wake_at(self, seconds: float) -> None:
        """Look at the deadlines in this many seconds."""
        at = self._clock.monotonic() + seconds + _SLACK
        if at < self._next:
            self._next = at
            self._changed.set()

    async def wait(self, tick_seconds: float) -> None:
        """Sleep until the earliest wake-up, at most one tick."""
        end = self._clock.monotonic() + tick_seconds
        while (left := min(end, self._next) - self._clock.monotonic()) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                continue
        self._next = float("inf")
