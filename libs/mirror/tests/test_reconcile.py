"""The rolling reconcile: all mitras within 30 s, what differs is healed and counted."""

import asyncio
from collections.abc import Collection
from uuid import UUID

import pytest
from libs.mirror.tests.stage import Stage, paused_seeder
from prometheus_client import REGISTRY

from common.clock import SystemClock
from common.db import Unavailable
from mirror import Mended, healing, seeding
from mirror.seeding import Seeder
from mirror.truth import Truth
from mirror.values import MirrorRow


@pytest.mark.req("AV-02", "AV-15")
async def test_the_reconcile_heals_and_counts_drift(stage: Stage) -> None:
    """A lost write and a damaged fact are found within one turn."""
    missed = await stage.world.mitra(online=False)
    damaged = await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    await stage.world.online(missed)
    await stage.raw.sadd("{mitras}:deactivated", str(damaged))
    found = {(drift.mitra_id, drift.fact) for drift in await stage.kit.seeder.diff()}
    assert found == {(missed, "online"), (missed, "available"), (damaged, "active")}
    step = await stage.kit.seeder.reconcile()

    assert (step.applied.newer, step.applied.healed) == (1, 1)
    assert set(step.applied.mended) == {
        Mended(missed, "online", "missed", "False", "True"),
        Mended(damaged, "active", "wrong", "False", "True"),
    }
    assert step.turned
    assert await stage.kit.seeder.diff() == []
    assert (await stage.kit.mirror.counts()).available == 2


@pytest.mark.req("AV-15")
async def test_a_change_on_its_way_is_no_drift(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Committed before the reconcile read it, written right after: told, not mended."""
    # Room for a busy machine: the second look must not overtake the change.
    monkeypatch.setattr(healing, "_ON_THE_WAY", 2.0)
    mitra = await stage.world.mitra(online=False)
    lost = await stage.world.mitra(online=False)
    await stage.kit.seeder.reseed("test")
    await stage.world.online(mitra)
    await stage.world.online(lost)
    seeder, truth = paused_seeder(stage)
    step = asyncio.create_task(seeder.reconcile())
    await truth.read.wait()
    truth.go_on.set()
    await stage.kit.seeder.heal([mitra])

    assert (await step).applied.mended == (Mended(lost, "online", "missed", "False", "True"),)


async def test_the_reconcile_names_who_is_online_though_deactivated(stage: Stage) -> None:
    """A deactivation whose event never came is seen here, and the owner can settle it."""
    mitra = await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    await stage.world.active(mitra, active=False)
    step = await stage.kit.seeder.reconcile()

    assert list(step.barred) == [mitra]
    assert not (await stage.kit.mirror.is_reachable([mitra]))[mitra].reachable


@pytest.mark.req("AV-09")
async def test_the_first_turn_ends_as_soon_as_any(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes the reconcile over is through with all mitras after 26 steps, however many."""
    for _ in range(60):
        await stage.world.mitra(online=False)
    await stage.kit.seeder.reseed("test")
    monkeypatch.setattr(seeding, "_CHUNK", 1)
    kit, steps = stage.kit, 1
    fresh = Seeder(
        mirror=kit.mirror, link=kit.mirror._link, truth=Truth(stage.db), clock=SystemClock()
    )
    while not (await fresh.reconcile()).turned:
        steps += 1

    assert steps <= 26


class Slow(SystemClock):
    """A clock by which the steps of a turn come further apart."""

    late = 0.0

    def monotonic(self) -> float:
        """Return the time with all the delays."""
        return super().monotonic() + self.late


@pytest.mark.req("AV-09")
async def test_a_turn_of_slow_steps_ends_in_time_all_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that heals takes longer than a second: the steps after it compare more."""
    for _ in range(60):
        await stage.world.mitra(online=False)
    await stage.kit.seeder.reseed("test")
    monkeypatch.setattr(seeding, "_CHUNK", 1)
    kit, clock = stage.kit, Slow()
    slow = Seeder(mirror=kit.mirror, link=kit.mirror._link, truth=Truth(stage.db), clock=clock)
    began = clock.monotonic()
    while not (await slow.reconcile()).turned:
        clock.late += 1.8

    assert clock.monotonic() - began < 30


class Failing(Truth):
    """Postgres, away for the second look."""

    fails = True

    async def rows_of(self, mitra_ids: Collection[UUID]) -> list[MirrorRow]:
        """Fail once."""
        if self.fails:
            self.fails = False
            raise Unavailable
        return await super().rows_of(mitra_ids)


@pytest.mark.req("AV-09")
async def test_a_step_that_failed_is_taken_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was seen astray in it does not wait for the next turn."""
    mitras = [await stage.world.mitra() for _ in range(4)]
    await stage.kit.seeder.reseed("test")
    first = min(mitras)
    await stage.raw.zrem("{mitras}:available", str(first))
    monkeypatch.setattr(seeding, "_CHUNK", 1)
    kit, truth = stage.kit, Failing(stage.db)
    seeder = Seeder(mirror=kit.mirror, link=kit.mirror._link, truth=truth, clock=SystemClock())
    with pytest.raises(Unavailable):
        await seeder.reconcile()
    step = await seeder.reconcile()

    assert [one.mitra_id for one in step.applied.mended] == [first]


@pytest.mark.req("AV-15")
async def test_who_lost_the_reconcile_shows_no_drift_of_before(stage: Stage) -> None:
    """The gauge is of the replica that compares; another turn begins with the first mitra."""
    await stage.raw.sadd("{mitras}:deactivated", str(await stage.world.mitra()))
    await stage.kit.seeder.reconcile()
    before = REGISTRY.get_sample_value("mirror_drift")
    stage.kit.seeder.rest()

    assert before
    assert REGISTRY.get_sample_value("mirror_drift") == 0
