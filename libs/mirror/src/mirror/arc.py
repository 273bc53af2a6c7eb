"""A random arc of those who are available: fair, of exactly so many, in one round trip.

The places are chosen by how many were fresh at the last look and judged by how many are now, so
that no answer has to wait for a look of its own.
"""

import random
from collections.abc import Sequence

from libvalkey import pack_command

from mirror import keys


class Arc:
    """One range of ranks, or two where it wraps round, counted from the end (the guard is -1)."""

    __slots__ = ("ranges",)

    def __init__(self, wanted: int, fresh: int) -> None:
        """Choose so many neighbours (or all there are) from a random one on, wrapping round.

        The stale have the lowest scores and the guard the highest: the fresh are the ranks from
        -1 - fresh to -2.
        """
        self.ranges: tuple[tuple[int, int], ...] = ()
        count = min(wanted, fresh)
        if count <= 0:
            return
        first = int(random.random() * fresh) - 1 - fresh
        last = first + count - 1
        if last <= -2:
            self.ranges = ((first, last),)
        else:
            self.ranges = ((first, -2), (-1 - fresh, last - fresh))

    def commands(self) -> list[bytes]:
        """Return the question for each range."""
        return [
            pack_command(("ZRANGE", keys.AVAILABLE, first, last)) for first, last in self.ranges
        ]

    def still_fresh(self, found: Sequence[list[bytes]], fresh: int) -> list[bytes]:
        """Return whom we found, without those who have become stale since the last look.

        Where others left instead, a few too many are left out: then the arc is chosen anew.
        """
        ranges, oldest = self.ranges, -1 - fresh
        if len(ranges) == 1 and oldest <= ranges[0][0]:
            return found[0]
        kept = (
            one
            for (first, _), part in zip(ranges, found, strict=False)
            for one in part[max(0, oldest - first) :]
        )
        # Whoever comes between two ranges moves the others: one may stand in both.
        return list(dict.fromkeys(kept))
