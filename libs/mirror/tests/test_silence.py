"""A silence of everybody, whoever ends it, and the graces that follow it."""

from dataclasses import replace
from uuid import UUID

import pytest
from libs.mirror.tests.stage import Stage, age, now_ms

from mirror import MirrorUnavailable, keys
from mirror.sentinel import parse, write


async def seeded_long_ago(stage: Stage) -> None:
    """Let the last seeding of the mirror be no reason for a grace any more."""
    seed = parse(await stage.raw.get(keys.SEED))
    long_ago = await now_ms(stage) - 10_000_000
    await stage.raw.set(keys.SEED, write(replace(seed, since_ms=long_ago, seeded_ms=long_ago)))


async def fell_silent(stage: Stage, *mitras: UUID, seconds: float) -> None:
    """Let nobody have been heard for so long, here or in Postgres."""
    for mitra in mitras:
        await age(stage, mitra, seconds)
        await stage.world.online(mitra, beat_age=seconds)
    await seeded_long_ago(stage)


@pytest.mark.req("AV-05", "AV-07", "SW-01")
@pytest.mark.parametrize("came", ["again", "anew"])
async def test_going_online_ends_a_silence(stage: Stage, came: str) -> None:
    """The others had no time to be heard yet: Postgres answers, and nobody is taken offline."""
    others = [await stage.world.mitra() for _ in range(3)]
    first = await stage.world.mitra(online=came == "again")
    await stage.kit.seeder.reseed("test")
    everybody = [*others, first] if came == "again" else others
    await fell_silent(stage, *everybody, seconds=100)

    await stage.world.online(first)
    await stage.kit.seeder.heal([first])

    with pytest.raises(MirrorUnavailable, match="deaf until a moment ago"):
        await stage.kit.mirror.counts()
    page = await stage.kit.mirror.stale()
    assert page.in_grace
    assert page.gone == []


@pytest.mark.req("AV-05", "AV-07", "AV-09")
async def test_a_beat_that_comes_over_from_postgres_ends_a_silence(stage: Stage) -> None:
    """A reconcile brings one of many first: what it brought so far is not all."""
    mitras = [await stage.world.mitra() for _ in range(3)]
    await stage.kit.seeder.reseed("test")
    await fell_silent(stage, *mitras, seconds=100)
    for mitra in mitras:
        await stage.world.online(mitra)

    await stage.kit.seeder.heal(mitras[:1])
    with pytest.raises(MirrorUnavailable, match="deaf until a moment ago"):
        await stage.kit.mirror.counts()
    assert (await stage.kit.presence.counts()).reachable == 3

    assert await stage.kit.seeder.mend() is not None
    counts = await stage.kit.presence.counts()
    assert (counts.source, counts.reachable) == ("mirror", 3)


@pytest.mark.req("AV-08", "AV-09")
async def test_beats_that_a_seeding_brings_in_no_order_are_no_silence(stage: Stage) -> None:
    """Into an empty mirror the old ones may come first: it is believed once all are there."""
    for beat_age in (100, 60, 30, 0):
        await stage.world.mitra(beat_age=beat_age)
    await stage.raw.flushall()

    assert await stage.kit.seeder.mend() is not None

    counts = await stage.kit.presence.counts()
    assert (counts.source, counts.online, counts.reachable) == ("mirror", 4, 2)
    assert await stage.raw.get(keys.INTAKE) is None


@pytest.mark.req("SW-01")
async def test_grace_after_grace_protects_only_who_was_heard_in_one(stage: Stage) -> None:
    """A mitra who beats too rarely begins a grace each time; another who is gone goes all the same.

    Somebody who was heard since the first of them is as safe as ever.
    """
    rare, gone, new = [await stage.world.mitra() for _ in range(3)]
    await stage.kit.seeder.reseed("test")
    await fell_silent(stage, rare, gone, new, seconds=400)
    await stage.kit.beats.beat(rare)
    began = int(await stage.raw.get(keys.DOUBT))
    assert (await stage.kit.mirror.stale()).gone == []

    # Later: this silence ended 200 s ago, others since then, the last of them now.
    grace = stage.kit.mirror._limits.grace_ms
    began -= 3 * grace
    await stage.raw.set(keys.DOUBT, began)
    await age(stage, gone, 3 * grace / 1000 + 60)
    await age(stage, new, 100)
    await age(stage, rare, 30)
    stage.kit.mirror._heard = 0
    await stage.kit.beats.beat(rare)

    assert int(await stage.raw.get(keys.DOUBT)) == began
    page = await stage.kit.mirror.stale()
    assert page.in_grace
    assert [one.mitra_id for one in page.gone] == [gone]


@pytest.mark.req("SW-01")
async def test_a_silence_long_after_the_last_begins_a_doubt_of_its_own(stage: Stage) -> None:
    """Whoever fell silent before it has all of its grace to be heard."""
    mitra, other = [await stage.world.mitra() for _ in range(2)]
    await stage.kit.seeder.reseed("test")
    limits, now = stage.kit.mirror._limits, await now_ms(stage)
    await stage.raw.set(keys.DOUBT, now - 1_000_000)
    await stage.raw.set(keys.INTAKE, now - limits.deaf_ms - limits.grace_ms - 1_000)
    await fell_silent(stage, mitra, other, seconds=100)

    await stage.kit.beats.beat(mitra)

    assert int(await stage.raw.get(keys.DOUBT)) >= now
    page = await stage.kit.mirror.stale()
    assert page.in_grace
    assert page.gone == []


@pytest.mark.req("SW-01")
async def test_while_nobody_is_heard_no_doubt_is_old_enough(stage: Stage) -> None:
    """In the middle of a silence, and after a seeding, everybody may only be out of our hearing."""
    mitras = [await stage.world.mitra() for _ in range(2)]
    await stage.kit.seeder.reseed("test")
    await fell_silent(stage, *mitras, seconds=400)
    await stage.raw.set(keys.DOUBT, await now_ms(stage) - 300_000)
    assert (await stage.kit.mirror.stale()).gone_before_ms == 0

    await stage.kit.beats.beat(mitras[0])
    await stage.raw.set(keys.DOUBT, await now_ms(stage) - 300_000)
    assert [one.mitra_id for one in (await stage.kit.mirror.stale()).gone] == mitras[1:]

    seed = parse(await stage.raw.get(keys.SEED))
    await stage.raw.set(keys.SEED, write(replace(seed, since_ms=await now_ms(stage))))
    assert (await stage.kit.mirror.stale()).gone_before_ms == 0
