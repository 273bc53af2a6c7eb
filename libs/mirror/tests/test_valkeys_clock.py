"""Valkey's own clock is turned while it runs: nobody living is hidden, and nobody gone is shown.

The clock of the real server process jumps, as after a wrong correction or on a machine that slept.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from libs.mirror.tests.stage import Stage
from tests.clocked import ClockedValkey, libfaketime

from common.clock import SystemClock
from common.testing.waiting import eventually
from mirror import Limits, MirrorUnavailable, asking, open_mirror

pytestmark = pytest.mark.fault

MINUTES = 7 * 60


@pytest.fixture(scope="module")
async def server(scratch: Path) -> AsyncIterator[ClockedValkey]:
    """A Valkey of our own, whose clock may be turned."""
    library = await asyncio.to_thread(libfaketime)
    one = ClockedValkey(scratch / "valkey-clocked", library, cluster=False)
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def valkey_url(server: ClockedValkey) -> str:
    """The stage is set on our own Valkey, with the right time."""
    await server.turn(0)
    return server.url


@pytest.mark.req("AV-05", "AV-07", "SW-01")
async def test_forward_nobody_is_gone(stage: Stage, server: ClockedValkey) -> None:
    """All beats are old at once: the mirror counts as deaf until one was heard and it is seeded.

    For a second, until the jump is learned, a beat bears the old time: nobody is shown then who
    was not there before, nobody hidden, and whom the sweep would name Postgres knows better.
    """
    mitras = {await stage.world.mitra() for _ in range(3)}
    await stage.kit.seeder.reseed("test")
    await server.turn(MINUTES)

    async def heard() -> bool:
        assert await stage.kit.beats.beat(min(mitras)) == "recorded"
        found = await stage.kit.presence.find_available(3)
        counted = (await stage.kit.presence.counts()).available
        if (set(found), counted) != (mitras, 3):
            pytest.fail(f"{found} of {mitras}, counted {counted}")
        heard_anew = (await stage.kit.mirror.stale()).in_grace
        await stage.kit.watch.look()
        return heard_anew

    await eventually(heard, timeout=30)
    await stage.kit.seeder.mend()

    assert set(await stage.kit.mirror.find_available(3)) == mitras


@pytest.mark.req("AV-05", "AV-07")
async def test_a_short_step_forward_hides_nobody(stage: Stage, server: ClockedValkey) -> None:
    """Whoever beat within a heartbeat stays fresh through any step that is not noticed.

    All limits ten times as long: what the test itself takes must not count.
    """
    limits = Limits(heartbeat_seconds=200, fresh_seconds=450, auto_offline_seconds=750)
    kit = await open_mirror(stage.url, stage.db, stage.runner, SystemClock(), limits)
    mitras = {await stage.world.mitra(beat_age=age) for age in (0, 100, 190)}
    await kit.seeder.reseed("test")
    unnoticed = limits.deaf_ms // 1000
    for seconds in (60, 120, unnoticed - 30):
        await server.turn(seconds)
        assert set(await kit.mirror.find_available(3)) == mitras
    await server.turn(unnoticed + 30)
    with pytest.raises(MirrorUnavailable, match="no beat comes"):
        await kit.mirror.find_available(3)
    assert set(await kit.presence.find_available(3)) == mitras


@pytest.mark.req("AV-05", "AV-07", "SW-01")
async def test_back_beats_of_the_future_are_not_believed(
    stage: Stage, server: ClockedValkey
) -> None:
    """They would stay fresh for minutes after the last of them; a seeding clears them away."""
    mitra, gone = await stage.world.mitra(), await stage.world.mitra(beat_age=46)
    await stage.kit.seeder.reseed("test")
    await server.turn(-MINUTES)
    with pytest.raises(MirrorUnavailable, match="future"):
        await stage.kit.mirror.counts()
    assert await stage.kit.presence.find_available(3) == [mitra]
    assert await stage.kit.seeder.mend() is not None

    assert await stage.kit.mirror.find_available(3) == [mitra]
    assert not (await stage.kit.mirror.is_reachable([gone]))[gone].reachable
    assert (await stage.kit.mirror.stale()).in_grace


@pytest.mark.req("AV-05")
async def test_a_short_step_back_shows_the_gone_for_as_long_at_most(
    stage: Stage, server: ClockedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By up to 5 s the step is not noticed, and adds to the fresh limit; by more it is.

    Twelve times as long: what the test itself takes must not count.
    """
    monkeypatch.setattr(asking, "FUTURE_MS", 60_000)
    mitra, gone = await stage.world.mitra(), await stage.world.mitra(beat_age=46)
    await stage.kit.seeder.reseed("test")
    await stage.kit.beats.beat(mitra)
    assert await stage.kit.presence.find_available(3) == [mitra]

    await server.turn(-40)
    assert set(await stage.kit.presence.find_available(3)) == {mitra, gone}
    await server.turn(-0.5)
    assert await stage.kit.presence.find_available(3) == [mitra]
    await server.turn(-90)
    assert await stage.kit.presence.find_available(3) == [mitra]
    with pytest.raises(MirrorUnavailable, match="future"):
        await stage.kit.mirror.find_available(3)


@pytest.mark.req("AV-05", "SW-01", "SW-02")
@pytest.mark.parametrize("seconds", [MINUTES, -MINUTES])
async def test_beats_go_on_counting(stage: Stage, server: ClockedValkey, seconds: int) -> None:
    """After the jump each beat is taken and, once we know the new time, as young as it is."""
    mitra = await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    await server.turn(seconds)

    async def young() -> bool:
        assert await stage.kit.beats.beat(mitra) == "recorded"
        await stage.kit.seeder.mend()
        status = await stage.kit.mirror.status(mitra)
        return status is not None and status.beat_age_ms is not None and status.beat_age_ms < 5_000

    async def looked() -> bool:
        try:
            await stage.kit.watch.look()
            return await young()
        except MirrorUnavailable:
            return False

    await eventually(looked, timeout=60)
    assert (await stage.kit.mirror.stale()).mitras == ()
