"""A Valkey that answers questions and takes no writes: what it says is soon untrue."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from libs.mirror.tests.stage import Stage, configured

from common import baseline
from mirror import Counts, MirrorUnavailable

pytestmark = pytest.mark.fault


@pytest.fixture
def open_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question finds out anew."""
    monkeypatch.setattr(baseline, "VALKEY_BREAKER_OPEN", 0.0)


@asynccontextmanager
async def full(stage: Stage) -> AsyncIterator[str]:
    """Out of memory under `noeviction`."""
    async with configured(stage, "maxmemory", 1):
        yield "it takes no writes: OOM"


@asynccontextmanager
async def without_replicas(stage: Stage) -> AsyncIterator[str]:
    """Told to take writes only while replicas follow, and none does."""
    async with configured(stage, "min-replicas-to-write", 1):
        yield "it takes no writes: NOREPLICAS"


Fault = Callable[[Stage], AbstractAsyncContextManager[str]]
"""Keeps it from taking writes; yields how the reason begins."""
FAULTS = pytest.mark.parametrize("fault", [full, without_replicas])


async def well_again(stage: Stage) -> None:
    """Seed it, as whoever finds it again does, and look."""
    await stage.kit.seeder.reseed("test")
    await stage.kit.watch.look()
    assert stage.kit.state().state == "ok"


@pytest.mark.usefixtures("open_door")
@FAULTS
@pytest.mark.req("AV-06", "AV-07", "AV-11")
async def test_a_look_finds_it_out(stage: Stage, fault: Fault) -> None:
    """What changes meanwhile is told by Postgres, though this replica wrote nothing itself."""
    filled, gone, free = [await stage.world.mitra() for _ in range(3)]
    await stage.kit.seeder.reseed("test")
    assert (await stage.kit.presence.counts()).source == "mirror"
    async with fault(stage) as reason:
        await stage.world.load(filled, 3)
        await stage.world.offline(gone)
        await stage.kit.watch.look()

        state = stage.kit.state()
        assert state.state == "away"
        assert (state.reason or "").startswith(reason)
        assert state.code == "no_writes"
        assert await stage.kit.presence.counts() == Counts(2, 2, 1, source="postgres")
        assert await stage.kit.presence.find_available(3) == [free]

    await well_again(stage)
    assert await stage.kit.presence.counts() == Counts(2, 2, 1, source="mirror")


@pytest.mark.usefixtures("open_door")
@FAULTS
@pytest.mark.req("AV-01", "AV-07")
async def test_a_refused_write_is_enough(stage: Stage, fault: Fault) -> None:
    """Whoever could not write a fact asks the mirror no more, from that moment on."""
    mitra = await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    async with fault(stage) as reason:
        await stage.world.load(mitra, 3)
        with pytest.raises(MirrorUnavailable, match=reason):
            await stage.kit.seeder.heal([mitra])

        assert await stage.kit.presence.counts() == Counts(1, 1, 0, source="postgres")
        with pytest.raises(MirrorUnavailable, match=reason):
            await stage.kit.seeder.reseed("test")

    await well_again(stage)
    assert (await stage.kit.presence.counts()).source == "mirror"


@pytest.mark.usefixtures("open_door")
@FAULTS
@pytest.mark.req("AV-03", "AV-07")
async def test_beats_go_to_postgres(stage: Stage, fault: Fault) -> None:
    """A beat that the mirror refuses counts all the same, and comes over with the next seeding."""
    mitra = await stage.world.mitra(beat_age=20)
    await stage.kit.seeder.reseed("test")
    async with fault(stage):
        assert await stage.kit.beats.beat(mitra) == "recorded"
        assert await stage.world.beaten_ago(mitra) < 20

    await well_again(stage)
    await stage.kit.seeder.heal([mitra])
    status = await stage.kit.mirror.status(mitra)
    assert status is not None
    assert status.beat_age_ms is not None
    assert status.beat_age_ms < 20_000


@FAULTS
@pytest.mark.req("AV-07", "AV-15")
async def test_operators_learn_why_also_while_nobody_is_let_through(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """Many asked before the look, so that the door is closed: what they found is told."""
    monkeypatch.setattr(baseline, "VALKEY_BREAKER_OPEN", 600.0)
    mitra = await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    async with fault(stage) as reason:
        await stage.world.load(mitra, 3)
        with pytest.raises(MirrorUnavailable, match=reason):
            await stage.kit.seeder.heal([mitra])
        for _ in range(baseline.VALKEY_BREAKER_FAILURES):
            assert (await stage.kit.presence.counts()).source == "postgres"
        await stage.kit.watch.look()

    state = stage.kit.state()
    assert (state.state, state.code) == ("away", "no_writes")
    assert (state.reason or "").startswith(reason)
