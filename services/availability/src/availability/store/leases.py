"""The right to do something alone, for a while."""

from uuid import UUID

from availability.store.queries import QUERIES
from common.db import Database


class Leases:
    """One holder at a time, by the clock of Postgres."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def hold(self, lease: str, *, holder: UUID, seconds: float) -> bool:
        """Take or keep a lease."""
        async with self._db.connection() as connection:
            return await connection.fetchval(QUERIES["hold"], lease, holder, seconds) is not None

    async def serve(self, *, gap_seconds: float) -> None:
        """Note that beats can be brought here; after a gap of all replicas it begins anew."""
        async with self._db.connection() as connection:
            await connection.execute(QUERIES["serve"], gap_seconds)
