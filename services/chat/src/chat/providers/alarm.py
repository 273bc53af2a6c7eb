"""The ticker's alarm: rings at the earliest moment that anybody asked for, or at the next tick."""

import asyncio
import heapq

from common.clock import Clock

# What a wake-up may be late, so that one pass serves deadlines that lie close together.
_SLACK = 0.02
_MOST = 10_000


class DeadlineAlarm:
    """Wake-up hints in memory; a lost one costs a tick, never a deadline."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._times: list[float] = []
        self._changed = asyncio.Event()

    def wake_at(self, seconds: float) -> None:
        """Look at the deadlines in this many seconds."""
        if len(self._times) >= _MOST:
            return
        at = self._clock.monotonic() + seconds + _SLACK
        is_earliest = not self._times or at < self._times[0]
        heapq.heappush(self._times, at)
        if is_earliest:
            self._changed.set()

    async def wait(self, tick_seconds: float) -> None:
        """Sleep until the earliest wake-up, at most one tick."""
        end = self._clock.monotonic() + tick_seconds
        while True:
            now = self._clock.monotonic()
            if self._times and self._times[0] <= now:
                break
            until = min(end, self._times[0]) if self._times else end
            if until <= now:
                break
            self._changed.clear()
            try:
                async with asyncio.timeout(until - now):
                    await self._changed.wait()
            except TimeoutError:
                continue
        now = self._clock.monotonic()
        while self._times and self._times[0] <= now:
            heapq.heappop(self._times)
