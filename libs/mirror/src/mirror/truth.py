"""The same questions to Postgres: only the functions that availability publishes."""

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg

from common.db import Database, Queries, Transaction
from mirror.values import (
    ActiveFact,
    BeatOutcome,
    Counts,
    Histogram,
    LoadFact,
    MirrorRow,
    MitraStatus,
    OnlineFact,
    Reachability,
    Stamp,
)

_QUERIES: Final = Queries.load(Path(__file__).with_name("queries.sql"))


class SqlPresence:
    """Who is there, as Postgres knows it: right up to the last flush of the heartbeats."""

    def __init__(self, db: Database, *, fresh_ms: int) -> None:
        self._db = db
        self._fresh_ms = fresh_ms

    async def find_available(self, limit: int, exclude: Collection[UUID] = ()) -> list[UUID]:
        """Return up to `limit` available mitras, spread at random, none of `exclude`."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(
                _QUERIES["find_available"], limit, list(exclude), self._fresh_ms
            )
        return [row["mitra_id"] for row in rows]

    async def is_reachable(self, mitra_ids: Collection[UUID]) -> dict[UUID, Reachability]:
        """Return for each of these mitras whether she is reachable and available."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(_QUERIES["is_reachable"], list(mitra_ids), self._fresh_ms)
        found = {row["mitra_id"]: Reachability(row["reachable"], row["available"]) for row in rows}
        nobody = Reachability(reachable=False, available=False)
        return {mitra_id: found.get(mitra_id, nobody) for mitra_id in mitra_ids}

    async def counts(self) -> Counts:
        """Return how many mitras are online, reachable and available."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(_QUERIES["counts"], self._fresh_ms)
        assert row is not None
        return Counts(row["online"], row["reachable"], row["available"], source="postgres")

    async def histogram(self) -> Histogram:
        """Return how many of those online hold 0, 1, 2 … slots."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(_QUERIES["loads"])
        return Histogram({row["load"]: row["mitras"] for row in rows}, source="postgres")

    async def status(self, mitra_id: UUID) -> MitraStatus | None:
        """Return what is known of one mitra; None for whom was never here."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(_QUERIES["rows_of"], [mitra_id])
        if row is None:
            return None
        facts = row_of(row)
        may_beat = facts.online.is_online and facts.active.is_active
        return MitraStatus(
            mitra_id=mitra_id,
            is_online=facts.online.is_online,
            is_active=facts.active.is_active,
            beat_age_ms=facts.online.beat_age_ms if may_beat else None,
            load=facts.load.load,
            capacity=facts.load.capacity,
            source="postgres",
        )


class Truth:
    """What the mirror is built from, and who may build it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def rows_after(self, after: UUID, limit: int) -> list[MirrorRow]:
        """Return the facts of the next mitras in the order of their ids."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(_QUERIES["rows_after"], after, limit)
        return [row_of(row) for row in rows]

    async def rows_of(self, mitra_ids: Collection[UUID]) -> list[MirrorRow]:
        """Return the facts of these mitras; unknown ones are left out."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(_QUERIES["rows_of"], list(mitra_ids))
        return [row_of(row) for row in rows]

    async def take_seeding(self, holder: UUID, life_ms: int) -> int | None:
        """Take or keep the right to seed; return the pg_epoch, None while another holds it."""
        async with self._db.connection() as connection:
            epoch: int | None = await connection.fetchval(_QUERIES["take_seeding"], holder, life_ms)
        return epoch

    async def release_seeding(self, holder: UUID) -> None:
        """Give the right to seed back."""
        async with self._db.connection() as connection:
            await connection.execute(_QUERIES["release_seeding"], holder)


async def record_beats(db: Database, ages: Sequence[tuple[UUID, float]]) -> dict[UUID, BeatOutcome]:
    """Write beats down, given as (mitra, age in ms at this call); no time ever moves backwards.

    Tries again when another batch stood in the way; raises Unavailable.
    """
    newest: dict[UUID, float] = {}
    for mitra_id, age in ages:
        newest[mitra_id] = min(age, newest.get(mitra_id, age))
    # Sorted: two batches that touch the same rows lock them in the same order.
    batch = sorted(newest.items())
    mitras = [mitra_id for mitra_id, _ in batch]
    now = asyncio.get_running_loop().time
    called_at = now()

    async def work(tx: Transaction) -> list[asyncpg.Record]:
        # A beat grows older while it waits for a connection, or for another try.
        waited_ms = (now() - called_at) * 1000
        ms = [float(age) + waited_ms for _, age in batch]
        return await tx.fetch(_QUERIES["record_beats"], mitras, ms)

    found = {row["mitra_id"]: BeatOutcome(row["outcome"]) for row in await db.run(work)}
    return {mitra_id: found.get(mitra_id, BeatOutcome.UNKNOWN) for mitra_id in mitras}


def row_of(row: asyncpg.Record) -> MirrorRow:
    """Read a row of `mirror_rows_v1` with the age of the last beat."""
    mitra_id, epoch, age = row["mitra_id"], row["pg_epoch"], row["beat_age_ms"]
    return MirrorRow(
        OnlineFact(
            mitra_id,
            Stamp(epoch, row["online_version"]),
            row["is_online"],
            None if age is None else max(0, int(age)),
        ),
        ActiveFact(mitra_id, Stamp(epoch, row["active_version"]), row["is_active"]),
        LoadFact(mitra_id, Stamp(epoch, row["load_version"]), row["load"], row["capacity"]),
    )
