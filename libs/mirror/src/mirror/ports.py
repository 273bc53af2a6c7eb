"""The one port through which the services ask who can take work."""

from collections.abc import Collection
from typing import Protocol
from uuid import UUID

from mirror.values import Counts, Histogram, MitraStatus, Reachability


class Presence(Protocol):
    """Who is there, right now: age is compared at read time, so no answer waits for a sweep."""

    async def find_available(self, limit: int, exclude: Collection[UUID] = ()) -> list[UUID]:
        """Return up to `limit` available mitras, spread at random, none of `exclude`."""
        ...

    async def is_reachable(self, mitra_ids: Collection[UUID]) -> dict[UUID, Reachability]:
        """Return for each of these mitras whether she is reachable and available."""
        ...

    async def counts(self) -> Counts:
        """Return how many mitras are online, reachable and available."""
        ...

    async def histogram(self) -> Histogram:
        """Return how many of those online hold 0, 1, 2 … slots."""
        ...

    async def status(self, mitra_id: UUID) -> MitraStatus | None:
        """Return what is known of one mitra; None where not all of it is."""
        ...
