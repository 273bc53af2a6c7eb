"""A random arc of those who are available: fair, of exactly so many, in one round trip.

The places are chosen by how many were fresh at the last look and judged by how many are now, so
that no answer has to wait for a look of its own.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from libvalkey import pack_command

from mirror import keys


@dataclass(frozen=True, slots=True)
class Arc:
    """One range of ranks, or two where it wraps round, counted from the end (the guard is -1)."""

    ranges: tuple[tuple[int, int], ...]

    def commands(self) -> list[bytes]:
        """Return the question for each range."""
        return [
            pack_command(("ZRANGE", keys.AVAILABLE, first, last)) for first, last in self.ranges
        ]

    def still_fresh(self, found: Sequence[Sequence[bytes]], fresh: int) -> Sequence[bytes]:
        """Return whom we found, without those who have become stale since the last look."""
        oldest = -1 - fresh
        parts = [
            part[max(0, oldest - first) :]
            for (first, _), part in zip(self.ranges, found, strict=False)
        ]
        return parts[0] if len(parts) == 1 else [one for part in parts for one in part]


def choose(wanted: int, fresh: int) -> Arc:
    """Choose so many neighbours (or all there are) from a random one on, wrapping round.

    The stale have the lowest scores and the guard the highest: the fresh are the ranks from
    -1 - fresh to -2.
    """
    count = min(wanted, fresh)
    if count <= 0:
        return Arc(())
    first = random.randrange(fresh) - 1 - fresh
    last = first + count - 1
    if last <= -2:
        return Arc(((first, last),))
    return Arc(((first, -2), (-1 - fresh, last - fresh)))
