"""The rolling reconcile: all mitras within 30 s, what differs is healed and counted."""

from collections.abc import Awaitable, Callable, Collection
from uuid import UUID

import pytest
from libs.mirror.tests.stage import Stage
from prometheus_client import REGISTRY

from common.clock import SystemClock
from common.db import Database, Unavailable
from common.testing.clock import FakeClock
from mirror import Mended, healing, seeding
from mirror.seeding import Seeder
from mirror.truth import Truth
from mirror.turn import Turn
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


class Overtaken(Truth):
    """The truth; between the first look at it and the second something happens."""

    def __init__(self, db: Database, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(db)
        self._meanwhile = meanwhile

    async def rows_of(self, mitra_ids: Collection[UUID]) -> list[MirrorRow]:
        """Let it happen, then read."""
        await self._meanwhile()
        return await super().rows_of(mitra_ids)


def another_seeder(stage: Stage, *, truth: Truth | None = None) -> Seeder:
    """Make a replica whose turn has not begun, with a Postgres of its own to ask."""
    kit = stage.kit
    return Seeder(
        mirror=kit.mirror,
        link=kit.mirror._link,
        truth=truth or Truth(stage.db),
        clock=SystemClock(),
    )


@pytest.mark.req("AV-15")
async def test_a_change_on_its_way_is_no_drift(stage: Stage) -> None:
    """Committed before the reconcile read it, written right after: told, not mended.

    Whoever tells it has as long as such a writing may take.
    """
    mitra = await stage.world.mitra(online=False)
    lost = await stage.world.mitra(online=False)
    await stage.kit.seeder.reseed("test")
    await stage.world.online(mitra)
    await stage.world.online(lost)
    began, waited = stage.now(), 0.0

    async def tell() -> None:
        nonlocal waited
        waited = stage.now() - began
        await stage.kit.seeder.heal([mitra])

    seeder = another_seeder(stage, truth=Overtaken(stage.db, tell))
    step = await seeder.reconcile()

    assert step.applied.mended == (Mended(lost, "online", "missed", "False", "True"),)
    assert waited > 0.99 * healing._ON_THE_WAY


async def test_the_reconcile_names_who_is_online_though_deactivated(stage: Stage) -> None:
    """A deactivation whose event never came is seen here, and the owner can settle it."""
    mitra = await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    await stage.world.active(mitra, active=False)
    step = await stage.kit.seeder.reconcile()

    assert list(step.barred) == [mitra]
    assert not (await stage.kit.mirror.is_reachable([mitra]))[mitra].reachable


@pytest.mark.req("AV-09")
@pytest.mark.parametrize("apart", [1.0, 1.8])
async def test_a_turn_ends_in_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, apart: float
) -> None:
    """Whoever takes the reconcile over is soon through with all mitras, however many.

    Where a step that heals takes longer than a second, the steps after it compare more.
    """
    for _ in range(60):
        await stage.world.mitra(online=False)
    await stage.kit.seeder.reseed("test")
    monkeypatch.setattr(seeding, "_CHUNK", 1)
    # The turn's own clock: by that, nothing takes time but what lies between the steps.
    seeder, clock, steps = another_seeder(stage), FakeClock(), 1
    monkeypatch.setattr(seeder, "_turn", Turn(clock))
    while not (await seeder.reconcile()).turned:
        clock.advance(apart)
        steps += 1

    assert steps > 10
    assert steps * apart < 30


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
    seeder = another_seeder(stage, truth=Failing(stage.db))
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
