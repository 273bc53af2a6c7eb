"""A random arc of those who are available: fair, of exactly so many, in one round trip.

The ranks are chosen by what was there at the last look and judged by what is there now, so that no
answer has to wait for a look of its own.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from libvalkey import pack_command

from mirror import keys


@dataclass(frozen=True, slots=True)
class Kept:
    """How many the kept answer holds, the guard included, and how many of these are fresh.

    The stale have the lowest scores and the guard the highest: the fresh are the ranks before the
    last.
    """

    total: int
    fresh: int

    @property
    def first(self) -> int:
        """Return the rank of the first fresh one."""
        return self.total - 1 - self.fresh

    def arc(self, wanted: int) -> "Arc":
        """Choose so many neighbours (or all there are) from a random one on, wrapping round."""
        count = min(wanted, self.fresh)
        if count <= 0:
            return Arc(())
        start = self.first + random.randrange(self.fresh)
        end, last = start + count, self.total - 1
        if end <= last:
            return Arc(((start, end),))
        return Arc(((start, last), (self.first, self.first + end - last)))


@dataclass(frozen=True, slots=True)
class Arc:
    """One range of ranks, or two where it wraps round; each without its end."""

    ranges: tuple[tuple[int, int], ...]

    def commands(self) -> list[bytes]:
        """Return the question for each range."""
        return [
            pack_command(("ZRANGE", keys.AVAILABLE, start, end - 1)) for start, end in self.ranges
        ]

    def fresh(self, found: Sequence[Sequence[bytes]], now: Kept) -> list[bytes]:
        """Return whom we found, without those who have become stale since the last look."""
        return [
            one
            for (start, _), part in zip(self.ranges, found, strict=True)
            for one in part[max(0, now.first - start) :]
        ]
