"""Our own clocks are wrong by minutes, and what we know of Valkey's: slower, never wrong."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from libs.mirror.tests.stage import Stage

from common.clock import SystemClock
from mirror import Limits, Mirror, MirrorUnavailable, keys, open_mirror, scripts
from mirror.link import Link, Server

MINUTES = 7 * 60


class Wrong(SystemClock):
    """A machine whose clocks have nothing to do with Valkey's."""

    def now(self) -> datetime:
        """Return the time of some minutes ago."""
        return super().now() - timedelta(seconds=MINUTES)

    def monotonic(self) -> float:
        """Return seconds since some other beginning."""
        return super().monotonic() + 1_000_000


@pytest.mark.req("AV-05", "SW-02")
async def test_our_own_clocks_are_not_asked_what_time_it_is(stage: Stage) -> None:
    """A replica minutes off records beats, finds the fresh and sees the stale as any other."""
    fresh, old = await stage.world.mitra(beat_age=20), await stage.world.mitra(beat_age=50)
    kit = await open_mirror(stage.url, stage.db, stage.runner, Wrong(), Limits())
    await kit.seeder.reseed("test")
    assert await kit.beats.beat(fresh) == "recorded"

    assert await kit.mirror.find_available(3) == [fresh]
    assert (await stage.kit.mirror.counts()).reachable == 1
    assert await kit.beats.beat(old) == "recorded"
    assert await stage.kit.mirror.last_beats([old]) == await kit.mirror.last_beats([old])
    status = await stage.kit.mirror.status(old)
    assert status is not None
    assert status.beat_age_ms is not None
    assert 0 <= status.beat_age_ms < 30_000


@pytest.mark.parametrize("seconds", [MINUTES, -MINUTES])
async def test_what_we_learned_of_its_clock_is_checked_with_each_answer(
    stage: Stage, seconds: int
) -> None:
    """Between two lookings the clock jumped: the question is put again, with the right time."""
    mitra = await stage.world.mitra(beat_age=10)
    await stage.world.mitra(beat_age=60)
    await stage.kit.seeder.reseed("test")
    link = stage.kit.mirror._link
    for ask in (stage.kit.mirror.find_available(3), stage.kit.mirror.counts()):
        assert link.server is not None
        link._server = replace(link.server, latest_ms=link.server.latest_ms + seconds * 1000)
        answer = await ask
        assert answer == [mitra] or getattr(answer, "reachable", 0) == 1


@pytest.mark.req("AV-05", "AV-07")
async def test_a_clock_that_jumps_twice_is_never_taken_for_nobody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first question of a process, its arc chosen before anybody was counted: ask Postgres."""
    await stage.world.mitra(beat_age=10)
    await stage.kit.seeder.reseed("test")
    clock = SystemClock()
    link = Link(stage.url, clock=clock)
    mirror = Mirror(link, clock=clock, limits=Limits())
    right = await link.learn_clock()
    wrong = replace(right, latest_ms=right.latest_ms + MINUTES * 1000)
    learned = iter([wrong, right])

    async def learn() -> Server:
        link._server = next(learned)
        return link._server

    link._server = wrong
    monkeypatch.setattr(link, "learn_clock", learn)
    with pytest.raises(MirrorUnavailable):
        await mirror.find_available(3)
    assert len(await mirror.find_available(3)) == 1
    await link.close()


@pytest.mark.req("AV-11")
async def test_a_beacon_that_was_told_long_ago_is_asked_for_by_its_age(stage: Stage) -> None:
    """Whoever keeps what is found for a while longer asks for one that is younger than that."""
    mirror = stage.kit.mirror
    await mirror.tell_snapshot(b"told")
    assert await mirror.snapshot(max_age_seconds=4) == b"told"
    seconds, _ = await stage.raw.time()
    await stage.raw.set(keys.SNAPSHOT, f"{(seconds - 6) * 1000} told")

    assert await mirror.snapshot(max_age_seconds=4) is None
    assert await mirror.snapshot(max_age_seconds=60) == b"told"


@pytest.mark.req("AV-11")
async def test_when_valkeys_clock_goes_back_the_beacon_is_kept_anew(stage: Stage) -> None:
    """What was told before the jump would stand for minutes, and be shown as if it were new."""
    mirror = stage.kit.mirror
    seconds, _ = await stage.raw.time()
    await stage.raw.set(keys.SNAPSHOT, f"{(seconds + MINUTES) * 1000} old")
    await mirror.tell_snapshot(b"new")
    assert await mirror.snapshot() == b"new"

    await mirror._link.run(scripts.SNAPSHOT, (seconds * 1000 - 1, b"older", 10_000))
    assert await mirror.snapshot() == b"new"
