"""Our own tables, and the functions that the owners publish."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from common.clock import Clock
from common.db import Database, Queries
from common.outbox import Outbox
from mirror import BeatOutcome, record_beats
from sweeper.domain import Asked, Brake, Due, Lease, Picture, Shard, Swept, Turn
from sweeper.events import SweepFinished

QUERIES = Queries.load(Path(__file__).with_name("queries.sql"))
PRUNE_BITE = 1000


class LeaseStore:
    """Leases; each method is one statement or a few that need no common transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def prepare(self, shards: Collection[Shard]) -> None:
        """Have a row for each shard; rows of other builds stay."""
        async with self._db.connection() as connection:
            await connection.execute(QUERIES["ensure_leases"], *_columns(shards))

    async def enlist(self, holder: str, *, seconds: float) -> int:
        """Say that this replica is alive; returns how many are."""
        async with self._db.connection() as connection:
            alive = await connection.fetchval(QUERIES["enlist"], holder, seconds)
        return int(alive)

    async def renew(self, holder: str, leases: Collection[Lease], *, seconds: float) -> set[Lease]:
        """Keep the leases that are still ours; returns those."""
        if not leases:
            return set()
        async with self._db.connection() as connection:
            rows = await connection.fetch(
                QUERIES["renew_leases"], holder, *_lease_columns(leases), seconds
            )
        return {_lease(row) for row in rows}

    async def take(
        self, holder: str, shards: Collection[Shard], *, seconds: float, wanted: int
    ) -> set[Lease]:
        """Take up to `wanted` free shards with a new fence."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(
                QUERIES["take_leases"], holder, *_columns(shards), seconds, wanted
            )
        return {_lease(row) for row in rows}

    async def release(self, holder: str, leases: Collection[Lease]) -> None:
        """Give leases back at once."""
        if not leases:
            return
        async with self._db.connection() as connection:
            await connection.execute(QUERIES["release_leases"], holder, *_lease_columns(leases))

    async def fire(self, holder: str, cadences: Mapping[Lease, float]) -> list[Asked]:
        """Claim the present slot of each lease; a slot is given to nobody twice."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(
                QUERIES["fire_slots"], holder, *_lease_columns(cadences), [*cadences.values()]
            )
        return [_asked(row) for row in rows]

    async def leave(self, holder: str) -> None:
        """Say that this replica stops."""
        async with self._db.connection() as connection:
            await connection.execute(QUERIES["leave"], holder)

    async def all(self) -> list[dict[str, Any]]:
        """Return every lease as it stands."""
        async with self._db.connection() as connection:
            return [dict(row) for row in await connection.fetch(QUERIES["list_leases"])]


class RunStore:
    """Notable passes, kept for a while and said as events."""

    def __init__(self, db: Database, *, outbox: Outbox, clock: Clock, keep_seconds: float) -> None:
        self._db = db
        self._outbox = outbox
        self._clock = clock
        self._keep_seconds = keep_seconds

    async def record(self, turn: Turn, swept: Swept, *, holder: str, took_ms: int) -> None:
        """Keep one row and say it as an event, in one transaction."""
        shard = turn.shard
        async with self._db.transaction() as tx:
            await tx.execute(
                QUERIES["add_run"],
                shard.sweep,
                shard.number,
                holder,
                turn.lease.fence,
                turn.slot,
                swept.count,
                swept.skipped,
                took_ms,
            )
            await self._outbox.append(
                tx,
                SweepFinished(
                    sweep=shard.sweep,
                    shard=shard.number,
                    count=swept.count,
                    skipped=swept.skipped,
                    at=self._clock.now(),
                ),
            )

    async def prune(self) -> int:
        """Delete what is past its keeping time, in bounded bites; returns how many rows."""
        pruned = 0
        async with self._db.connection() as connection:
            await connection.execute(QUERIES["forget_dead_replicas"])
            while True:
                answer = await connection.execute(
                    QUERIES["prune_runs"], self._keep_seconds, PRUNE_BITE
                )
                bite = int(answer.rpartition(" ")[2])
                pruned += bite
                if bite < PRUNE_BITE:
                    return pruned


class BrakeStore:
    """Stopped auto-offline passes; each is void after a while, on the database's clock."""

    def __init__(self, db: Database, *, valid_seconds: float) -> None:
        self._db = db
        self._valid_seconds = valid_seconds

    async def find(self, sweep: str) -> Brake | None:
        """Return the pass that was stopped and waits for a confirmation; None for a void one."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(QUERIES["find_brake"], sweep)
        if row is None:
            return None
        return Brake(mitra_ids=frozenset(row["mitra_ids"]), confirmed=row["confirmed"])

    async def put(self, sweep: str, picture: Picture) -> None:
        """Remember whom a stopped pass would have hit; what is confirmed stays as it is."""
        ids = [one.mitra_id for one in picture.stale]
        seen = (picture.online, picture.fresh)
        async with self._db.connection() as connection:
            await connection.execute(QUERIES["raise_brake"], sweep, ids, *seen, self._valid_seconds)

    async def release(self, sweep: str) -> None:
        """Forget it: the danger is over or was dealt with."""
        async with self._db.connection() as connection:
            await connection.execute(QUERIES["release_brake"], sweep)

    async def confirm(self, sweep: str, *, by: str) -> int | None:
        """Note that an operator says they are really gone; how many, None if nothing waits."""
        async with self._db.connection() as connection:
            found = await connection.fetchval(QUERIES["confirm_brake"], sweep, by)
        return None if found is None else int(found)


class TruthStore:
    """Published functions of the owners."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def due(self, owner: str, *, limit: int) -> Sequence[Due]:
        """Rows of an owner that are past their deadline, without locks."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(QUERIES[f"due_of_{owner}"], limit)
        return [Due(kind=row["kind"], id=row["id"], due_at=row["due_at"]) for row in rows]

    async def record_beats(self, ages: Sequence[tuple[UUID, float]]) -> int:
        """Write beats of these ages (ms) down; returns how many mitras were recorded."""
        outcomes = await record_beats(self._db, ages)
        return sum(1 for outcome in outcomes.values() if outcome is BeatOutcome.RECORDED)


def _columns(shards: Iterable[Shard]) -> tuple[list[str], list[int]]:
    listed = list(shards)
    return [one.sweep for one in listed], [one.number for one in listed]


def _lease_columns(leases: Iterable[Lease]) -> tuple[list[str], list[int], list[int]]:
    listed = list(leases)
    return (*_columns(one.shard for one in listed), [one.fence for one in listed])


def _lease(row: asyncpg.Record) -> Lease:
    return Lease(shard=Shard(row["sweep"], row["shard"]), fence=row["fence"])


def _asked(row: asyncpg.Record) -> Asked:
    lease = _lease(row)
    turn = None if row["slot"] is None else Turn(lease=lease, slot=row["slot"])
    return Asked(lease=lease, turn=turn, next_in=row["next_in"])
