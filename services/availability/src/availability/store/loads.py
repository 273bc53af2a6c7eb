"""How many slots a mitra's sessions hold: chat's count, with the history it belongs to."""

from collections.abc import Sequence
from uuid import UUID

from availability.store.queries import QUERIES
from common.db import Database
from mirror import LoadFact, Stamp


class Loads:
    """What chat publishes of loads."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def loads(self, mitra_ids: Sequence[UUID]) -> list[LoadFact]:
        """Return the loads of these mitras, value and version from one statement."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(QUERIES["loads"], list(mitra_ids))
        return [
            LoadFact(
                row["mitra_id"], Stamp(row["epoch"], row["version"]), row["load"], row["capacity"]
            )
            for row in rows
        ]
