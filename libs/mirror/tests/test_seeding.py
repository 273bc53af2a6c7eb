"""Reseed, reconcile, heal: a newer write survives, it never runs twice at once, drift is found."""

import asyncio
from collections.abc import Collection
from uuid import UUID

import pytest
from libs.mirror.tests.stage import Stage, paused_seeder

from common.clock import SystemClock
from common.db import Database
from mirror import (
    Drift,
    Limits,
    MirrorUnavailable,
    healing,
    keys,
    open_mirror,
    record_beats,
    seeding,
)
from mirror.seeding import Seeder
from mirror.truth import Truth
from mirror.values import MirrorRow


@pytest.mark.req("AV-09")
async def test_a_reseed_never_erases_a_newer_write(stage: Stage) -> None:
    """Whoever goes online, and whose load changes, between its read and its write, stays so."""
    late = await stage.world.mitra(online=False)
    busy = await stage.world.mitra(load=0)
    seeder, truth = paused_seeder(stage)
    reseed = asyncio.create_task(seeder.reseed("test"))
    await truth.read.wait()
    await stage.world.online(late)
    await stage.world.load(busy, 3)
    await stage.kit.seeder.heal([late, busy])
    truth.go_on.set()
    await reseed

    answer = await stage.kit.mirror.is_reachable([late, busy])
    assert answer[late].available
    assert answer[busy].reachable
    assert not answer[busy].available


@pytest.mark.req("AV-09")
async def test_a_reseed_never_runs_twice_at_once(stage: Stage) -> None:
    """While one replica rebuilds, every other does not; afterwards any may again."""
    await stage.world.mitra()
    seeder, truth = paused_seeder(stage)
    reseed = asyncio.create_task(seeder.reseed("test"))
    await truth.read.wait()
    assert await stage.kit.seeder.reseed("test") is None
    truth.go_on.set()

    assert await reseed is not None
    assert await stage.kit.seeder.reseed("test") is not None


class Slow(Truth):
    """A Postgres that takes two thirds of a right's life to tell of single mitras."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.db)
        self._stage = stage
        self.others: list[object] = []

    async def rows_of(self, mitra_ids: Collection[UUID]) -> list[MirrorRow]:
        """Let so much of the right and of its mark go by, let another try, and read."""
        async with self._stage.db.connection() as connection:
            await connection.execute(
                "UPDATE availability.leases SET expires_at = expires_at - interval '40 s'"
            )
        life = await self._stage.raw.pttl(keys.SEEDING)
        await self._stage.raw.pexpire(keys.SEEDING, life - 40_000)
        self.others.append(await self._stage.kit.seeder.reseed("test"))
        return await super().rows_of(mitra_ids)


@pytest.mark.req("AV-09")
async def test_a_long_reseed_keeps_its_right(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Healing takes longer than the right to seed lives: nobody else begins, and it is finished."""
    mitras = [await stage.world.mitra() for _ in range(12)]
    await stage.kit.seeder.reseed("test")
    await stage.raw.hdel(keys.LOAD, *map(str, mitras))
    monkeypatch.setattr(seeding, "_LEASE_MS", 60_000)
    monkeypatch.setattr(seeding, "_SEEDING_LIFE_MS", 60_000)
    monkeypatch.setattr(seeding, "_KEEP_SECONDS", 0.0)
    monkeypatch.setattr(healing, "_CHUNK", 1)
    kit, truth = stage.kit, Slow(stage)
    slow = Seeder(mirror=kit.mirror, link=kit.mirror._link, truth=truth, clock=SystemClock())

    assert await slow.reseed("test") is not None
    assert truth.others == [None] * 12
    assert await kit.seeder.diff() == []


@pytest.mark.req("AV-08")
async def test_an_emptied_valkey_is_not_declared_a_mirror(stage: Stage) -> None:
    """Erased in the middle of a reseed: half of the facts are gone, so no sentinel is written."""
    for _ in range(3):
        await stage.world.mitra()
    seeder, truth = paused_seeder(stage)
    reseed = asyncio.create_task(seeder.reseed("test"))
    await truth.read.wait()
    await stage.raw.flushall()
    truth.go_on.set()
    with pytest.raises(MirrorUnavailable):
        await reseed

    with pytest.raises(MirrorUnavailable):
        await stage.kit.mirror.counts()


@pytest.mark.req("AV-09")
async def test_many_who_notice_at_once_scan_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five replicas see the same empty Valkey: one of them rebuilds, the others find it done."""
    monkeypatch.setattr(seeding, "_JUST_NOW_MS", 60_000)
    await stage.world.mitra()
    await stage.raw.flushall()
    kits = [
        await open_mirror(stage.url, stage.db, stage.runner, SystemClock(), Limits())
        for _ in range(5)
    ]
    done = await asyncio.gather(*(kit.seeder.mend() for kit in kits))
    for kit in kits:
        await kit.seeder.mend()

    assert sum(one is not None for one in done) == 1
    assert (await stage.kit.mirror.counts()).available == 1


@pytest.mark.req("AV-09")
async def test_a_reseed_of_a_good_mirror_brings_younger_beats(stage: Stage) -> None:
    """What Postgres heard while somebody could not reach Valkey comes over; no fact was wrong."""
    mitra = await stage.world.mitra(beat_age=20)
    await stage.kit.seeder.reseed("test")
    await record_beats(stage.db, [(mitra, 1_000.0)])
    seeded = await stage.kit.seeder.reseed("test")
    status = await stage.kit.mirror.status(mitra)

    assert seeded is not None
    assert seeded.applied.mended == ()
    assert status is not None
    assert status.beat_age_ms is not None
    assert status.beat_age_ms < 19_000


@pytest.mark.req("AV-09")
async def test_a_mitra_whom_postgres_lost_is_forgotten(stage: Stage) -> None:
    """After a failover that lost her row she is a stranger: found, and gone with the reseed."""
    mitra = await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    await stage.world.forget(mitra)
    assert await stage.kit.seeder.diff() == [Drift(mitra, "stranger", "held", None)]
    seeded = await stage.kit.seeder.reseed("test")

    assert seeded is not None
    assert seeded.ghosts == 1
    assert (await stage.kit.mirror.counts()).online == 0
    assert await stage.raw.hkeys("{mitras}:versions") == [b"guard"]


async def test_a_walk_of_several_chunks_meets_everybody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reseed, reconcile and diff go in chunks; none is skipped between two."""
    monkeypatch.setattr("mirror.seeding._CHUNK", 4)
    mitras = [await stage.world.mitra() for _ in range(10)]
    await stage.raw.flushall()
    seeded = await stage.kit.seeder.mend()

    assert seeded is not None
    assert seeded.mitras == 10
    assert (await stage.kit.mirror.counts()).available == len(mitras)
    assert await stage.kit.seeder.diff() == []


@pytest.mark.req("SW-02")
async def test_a_reseed_makes_no_beat_younger_than_postgres_knows(stage: Stage) -> None:
    """Ages travel, not times: the two servers' clocks need not agree."""
    mitra = await stage.world.mitra(beat_age=40)
    await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    status = await stage.kit.mirror.status(mitra)

    assert status is not None
    assert status.beat_age_ms is not None
    assert 40_000 <= status.beat_age_ms < 70_000


class Late(Truth):
    """A replica that comes late to the right to seed."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def take_seeding(self, holder: UUID, life_ms: int) -> int | None:
        """Wait, then ask."""
        self.asked.set()
        await self.go_on.wait()
        return await super().take_seeding(holder, life_ms)


@pytest.mark.req("AV-09")
async def test_who_comes_late_to_an_empty_valkey_finds_it_mended(stage: Stage) -> None:
    """It was empty when this replica looked; by the time of its turn another has seeded it."""
    await stage.world.mitra()
    await stage.raw.flushall()
    truth = Late(stage.db)
    kit = stage.kit
    late = Seeder(mirror=kit.mirror, link=kit.mirror._link, truth=truth, clock=SystemClock())
    mending = asyncio.create_task(late.mend())
    await truth.asked.wait()
    assert await kit.seeder.mend() is not None
    truth.go_on.set()

    assert await mending is None
