"""The loads as operators see them: as whoever leads counted them, or counted here."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from common.clock import Clock
from common.db import Unavailable
from mirror import Histogram, Presence

# Counting grows with how many are online, and a dashboard needs it no younger.
_KEEP_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Taken:
    """A histogram of loads, and when it was counted."""

    histogram: Histogram
    as_of: datetime


class Histograms:
    """Online mitras by the slots they hold, at most five seconds old."""

    def __init__(self, *, presence: Presence, clock: Clock) -> None:
        self._presence = presence
        self._clock = clock
        self._asking = asyncio.Lock()
        self._last: Taken | None = None
        self._read_at = float("-inf")

    async def latest(self) -> Taken | None:
        """Return the last one, a new one when that is old; None while neither store answers."""
        # Whoever waited here finds the answer of the one before, and does not ask again.
        async with self._asking:
            started, as_of = self._clock.monotonic(), self._clock.now()
            if started - self._read_at >= _KEEP_SECONDS:
                try:
                    self._last = Taken(await self._presence.histogram(), as_of)
                except Unavailable:
                    self._last = None
                self._read_at = started
            return self._last
