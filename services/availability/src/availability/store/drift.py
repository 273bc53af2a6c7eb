"""What the mirror had otherwise, the last looks at it, and the reseeds that operators ordered."""

from typing import Final
from uuid import UUID

from availability.domain.drift import KEEP_DAYS, Drifted, Look, Looks, Reseed
from availability.errors import ReseedUnknown
from availability.store.ages import age_of
from availability.store.queries import QUERIES
from common.db import Database

# A mirror that is astray all day must not fill the disk.
_KEEP_ROWS: Final = 50_000
_PRUNE_AT_ONCE: Final = 15_000


class Drift:
    """Bounded: kept for some days, and pruned by our own ticker."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(self, *, before: UUID | None, limit: int) -> list[Drifted]:
        """Return what was mended, the newest first, with the names of the mitras."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(QUERIES["drift_page"], before, limit)
            whom = list({row["mitra_id"] for row in rows})
            named = await connection.fetch(QUERIES["names_of"], whom)
        names = {row["mitra_id"]: row["display_name"] for row in named}
        return [
            Drifted(
                drift_id=row["drift_id"],
                mitra_id=row["mitra_id"],
                display_name=names.get(row["mitra_id"]),
                fact=row["fact"],
                cause=row["cause"],
                mirror=row["mirror_value"],
                postgres=row["postgres_value"],
                found_at=row["found_at"],
                at_most_seconds=row["at_most_seconds"],
                found_by=row["found_by"],
            )
            for row in rows
        ]

    async def looks(self) -> Looks:
        """Return the last full looks at the mirror."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(QUERIES["looks"])
        found = {
            row["kind"]: Look(
                mitras=row["mitras"],
                found=row["found"],
                healed=row["healed"],
                started_at=row["started_at"],
                ended_at=row["ended_at"],
            )
            for row in rows
        }
        return Looks(reconcile=found.get("reconcile"), reseed=found.get("reseed"))

    async def prune(self) -> int:
        """Delete what is past its keeping time, a bounded bite; return how many rows."""
        async with self._db.connection() as connection:
            drift = await connection.execute(
                QUERIES["prune_drift"], float(KEEP_DAYS), _KEEP_ROWS, _PRUNE_AT_ONCE
            )
            reseeds = await connection.execute(
                QUERIES["prune_reseeds"], float(KEEP_DAYS), _PRUNE_AT_ONCE
            )
        return sum(int(tag.rpartition(" ")[2]) for tag in (drift, reseeds))


class Reseeds:
    """The reseeds that operators ordered; whichever replica is asked can tell of each."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, reseed_id: UUID, *, asked_by: UUID) -> None:
        """Note that one was ordered."""
        await self._write("add_reseed", reseed_id, asked_by)

    async def waits(self, reseed_id: UUID) -> None:
        """Note that it waits for another one to end."""
        await self._write("wait_reseed", reseed_id)

    async def moved(self, reseed_id: UUID, mitras: int) -> None:
        """Note how many mitras were read."""
        await self._write("move_reseed", reseed_id, mitras)

    async def done(self, reseed_id: UUID, *, mitras: int, healed: int, strangers: int) -> None:
        """Note what it did."""
        await self._write("finish_reseed", reseed_id, mitras, healed, strangers)

    async def failed(self, reseed_id: UUID, reason: str) -> None:
        """Note why it could not be done."""
        await self._write("fail_reseed", reseed_id, reason)

    async def get(self, reseed_id: UUID) -> Reseed:
        """Return what became of one; raises ReseedUnknown."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["reseed"], reseed_id)
        if row is None:
            raise ReseedUnknown
        values = dict(row)
        age = age_of(values.pop("silent_seconds"))
        assert age is not None
        return Reseed(**values, age=age)

    async def _write(self, name: str, *args: object) -> None:
        async with self._db.connection() as connection:
            await connection.execute(QUERIES[name], *args)
