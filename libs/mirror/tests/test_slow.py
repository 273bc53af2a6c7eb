"""A Valkey that is slow: it answers as long as it is in time, and is away where it is not."""

import asyncio
import contextlib
from dataclasses import dataclass
from uuid import UUID

import pytest
from libs.mirror.tests.stage import Stage, Through, close_breaker, failures

from common import baseline
from common.ids import new_id
from common.testing import eventually, in_time
from mirror import BeatOutcome, Counts, MirrorUnavailable, asking, keys
from mirror import link as link_module

pytestmark = [pytest.mark.fault, pytest.mark.usefixtures("hasty")]

# Each way: a reply takes 60 ms, and 90 ms where what was asked does not fit into one write.
SLOW_SECONDS = 0.03
# Each way, too: every reply comes after the time-out.
TOO_SLOW_SECONDS = baseline.VALKEY_SOCKET_TIMEOUT
QUESTIONS = 200
# How much younger a beat makes her, and how much of it is enough to tell that there was one.
SILENT_SECONDS, YOUNGER_SECONDS = 10.0, 5.0


@dataclass
class Crowd:
    """Five who are free and two who are full, and a way to ask after them."""

    stage: Stage
    through: Through
    free: list[UUID]
    full: list[UUID]

    @classmethod
    async def gathered(cls, stage: Stage, through: Through) -> "Crowd":
        """Let them be there."""
        world = stage.world
        free = [await world.mitra(beat_age=SILENT_SECONDS) for _ in range(5)]
        full = [await world.mitra(beat_age=SILENT_SECONDS, load=3) for _ in range(2)]
        return cls(stage, through, free, full)

    async def mirrored(self) -> None:
        """Be quick and seeded, whatever was before."""
        kit, proxy = self.through
        proxy.delay = 0.0
        await close_breaker(kit.mirror._link)
        await self.stage.kit.seeder.reseed("test")

    async def ask(self, number: int) -> str:
        """Ask one of the three questions as nobody else does; the answer must be the truth."""
        presence = self.through[0].presence
        if number % 3 == 0:
            assert set(await presence.find_available(5, [new_id()])) == set(self.free)
        elif number % 3 == 1:
            there = await presence.is_reachable([self.free[0], self.full[0], new_id()])
            assert [one.reachable for one in there.values()].count(True) == 2
            assert [one for one in there if there[one].available] == [self.free[0]]
        counts = await presence.counts()
        assert counts == Counts(online=7, reachable=7, available=5, source=counts.source)
        return counts.source

    async def younger(self, one: UUID, than: UUID) -> tuple[float, float]:
        """Return by how many seconds, in Valkey and in Postgres."""
        score, other = await self.stage.raw.zmscore(keys.ONLINE, [str(one), str(than)])
        beaten_ago = self.stage.world.beaten_ago
        return (score - other) / 1000, await beaten_ago(than) - await beaten_ago(one)


@pytest.mark.req("AV-03", "AV-06", "AV-07")
async def test_a_slow_valkey_answers_and_takes_beats(stage: Stage, through: Through) -> None:
    """Its replies take 60 ms and more: two hundred ask at once, and all are answered by it."""
    crowd, (kit, proxy) = await Crowd.gathered(stage, through), through
    # Of a try that was too slow, the beat may lie in Postgres.
    beating = iter(crowd.free)

    async def attempt() -> UUID:
        await crowd.mirrored()
        before, mitra = failures(), next(beating)
        proxy.delay = SLOW_SECONDS
        beat, *answered = await asyncio.gather(
            kit.beats.beat(mitra), *(crowd.ask(number) for number in range(QUESTIONS))
        )
        assert beat == BeatOutcome.RECORDED
        if failures() > before:
            raise TimeoutError("this machine was slower than the wire")
        assert answered == ["mirror"] * QUESTIONS
        return mitra

    mitra = await in_time(attempt)
    mirrored, written_down = await crowd.younger(mitra, crowd.full[0])
    assert mirrored > YOUNGER_SECONDS > written_down


@pytest.mark.req("AV-03", "AV-07", "AV-09")
@pytest.mark.usefixtures("breaker_stays")
async def test_a_valkey_that_answers_too_late_is_away(
    stage: Stage, through: Through, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres answers and takes the beats; quick again, it is believed once it was seeded."""
    monkeypatch.setattr(link_module, "OUTAGE_SECONDS", 0.0)
    monkeypatch.setattr(asking, "_FOUND_AGAIN_MS", 600_000)
    crowd, (kit, proxy) = await Crowd.gathered(stage, through), through
    await crowd.mirrored()
    assert await crowd.ask(0) == "mirror"
    before = failures()

    proxy.delay = TOO_SLOW_SECONDS
    answered = [await crowd.ask(number) for number in range(12)]
    assert answered == ["postgres"] * 12
    assert failures() - before == baseline.VALKEY_BREAKER_FAILURES, "then nobody waits"
    assert await kit.beats.beat(crowd.free[0]) == BeatOutcome.RECORDED
    _, written_down = await crowd.younger(crowd.free[0], crowd.free[1])
    assert written_down > YOUNGER_SECONDS
    await kit.watch.look()
    assert kit.state().state == "away"

    proxy.delay = 0.0
    await close_breaker(kit.mirror._link)
    assert await crowd.ask(0) == "postgres", "what it missed has not come over"

    async def mended() -> bool:
        with contextlib.suppress(MirrorUnavailable):
            await kit.seeder.mend()
            return await crowd.ask(0) == "mirror"
        return False

    await eventually(mended, timeout=60)
    mirrored, _ = await crowd.younger(crowd.free[0], crowd.free[1])
    assert mirrored > YOUNGER_SECONDS


@pytest.mark.req("AV-07")
async def test_nobody_waits_for_what_is_too_slow(stage: Stage, through: Through) -> None:
    """Twenty who ask one after the other have their answers while the breaker is open."""
    crowd, (_, proxy) = await Crowd.gathered(stage, through), through

    async def attempt() -> None:
        await crowd.mirrored()
        proxy.delay = TOO_SLOW_SECONDS
        async with asyncio.timeout(baseline.VALKEY_BREAKER_OPEN):
            for number in range(20):
                assert await crowd.ask(number) == "postgres"

    await in_time(attempt)
