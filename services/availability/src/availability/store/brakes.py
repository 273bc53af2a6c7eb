"""The sweeper's stopped pass, through what it publishes."""

from uuid import UUID

from availability.domain.brake import Brake
from availability.errors import BrakeChanged, NoBrake
from availability.store.queries import QUERIES
from common.db import Database


class Brakes:
    """Each raises Unavailable where the sweeper does not publish it yet."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def now(self) -> Brake | None:
        """Return the pass that is stopped now."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["brake"])
        if row is None:
            return None
        return Brake(**{**row, "mitra_ids": tuple(row["mitra_ids"])})

    async def confirm(self, brake_id: UUID, *, by: UUID) -> int:
        """Let this pass go on; returns how many it takes. Raises NoBrake, BrakeChanged."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["confirm_brake"], brake_id, by)
        if row is None:
            raise NoBrake
        if row["outcome"] != "confirmed":
            raise BrakeChanged
        return int(row["mitras"])
