"""The clock of Postgres goes back by minutes: beats of its future are nobody's sign of life."""

import pytest
from libs.mirror.tests.stage import Stage

from mirror import record_beats
from mirror.truth import SqlPresence

pytestmark = pytest.mark.req("AV-05", "AV-07")

MINUTES = 7 * 60.0


async def test_nobody_is_fresh_for_the_minutes_that_come_twice(stage: Stage) -> None:
    """Who fell silent before the jump gets no offer; the next beat of the others counts at once."""
    living = await stage.world.mitra(beat_age=-MINUTES)
    gone = await stage.world.mitra(beat_age=-MINUTES)
    truth = SqlPresence(stage.db, fresh_ms=45_000)
    await record_beats(stage.db, [(living, 3_000.0)])

    assert await truth.find_available(3) == [living]
    assert {
        one: there.reachable for one, there in (await truth.is_reachable([living, gone])).items()
    } == {living: True, gone: False}
    counts = await truth.counts()
    assert (counts.online, counts.reachable, counts.available) == (2, 1, 1)


async def test_a_moment_ahead_is_a_beat_of_now(stage: Stage) -> None:
    """A correction by less than a few seconds, as they happen all the time, moves nobody."""
    mitra = await stage.world.mitra(beat_age=-3)

    assert await SqlPresence(stage.db, fresh_ms=45_000).find_available(3) == [mitra]
    await record_beats(stage.db, [(mitra, 30_000.0)])
    assert await stage.world.beaten_ago(mitra) < 29


async def test_no_seeding_makes_anybody_younger_by_it(stage: Stage) -> None:
    """Neither a reseed nor the reconcile: what the mirror heard itself stays."""
    mitra = await stage.world.mitra(beat_age=60)
    await stage.kit.seeder.reseed("test")
    heard = await stage.kit.mirror.last_beats([mitra])
    await stage.world.online(mitra, beat_age=-MINUTES)
    await stage.kit.seeder.heal([mitra])
    await stage.kit.seeder.reseed("test")
    await stage.kit.seeder.reconcile()

    assert await stage.kit.mirror.last_beats([mitra]) == heard
