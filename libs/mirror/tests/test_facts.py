"""Facts are compared and set by version, in any order; the kept answer follows from them."""

import itertools
from uuid import UUID

import pytest
from libs.mirror.tests.facts import active, load, online
from libs.mirror.tests.stage import Stage

from common.ids import new_id
from mirror import BeatOutcome, Mirror, Stamp, keys
from mirror.values import LoadFact


async def is_available(mirror: Mirror, mitra: UUID) -> bool:
    """Ask the mirror."""
    return (await mirror.is_reachable([mitra]))[mitra].available


@pytest.mark.req("AV-02", "AV-10")
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_facts_may_come_in_any_order(stage: Stage, order: tuple[int, ...]) -> None:
    """Whoever is online, active and has a free slot is available, whatever was told first."""
    mitra, mirror = new_id(), stage.kit.mirror
    facts = [online(mitra, 2), active(mitra, 1), load(mitra, 5, 2)]
    for place in order[:-1]:
        await mirror.apply([facts[place]])
        assert not await is_available(mirror, mitra), "a missing fact means not available"
    await mirror.apply([facts[order[-1]]])

    assert await is_available(mirror, mitra)


@pytest.mark.req("AV-10")
async def test_an_older_load_never_wins(stage: Stage) -> None:
    """A recompute that was overtaken changes nothing, however often it is told."""
    mitra, mirror = new_id(), stage.kit.mirror
    await mirror.apply([online(mitra, 2), active(mitra, 1), load(mitra, 7, 3)])
    for _ in range(2):
        applied = await mirror.apply([load(mitra, 6, 0)])

    assert applied.refused == 1
    assert not await is_available(mirror, mitra)
    assert await stage.raw.hget("{mitras}:load", str(mitra)) == b"3/3"


@pytest.mark.req("AV-02")
async def test_a_tombstone_outlives_a_late_online(stage: Stage) -> None:
    """Offline is remembered with its version: the online of before, told late, revives nobody."""
    mitra, mirror = new_id(), stage.kit.mirror
    await mirror.apply([active(mitra, 1), load(mitra, 1), online(mitra, 3, value=False)])
    await mirror.apply([online(mitra, 2)])

    assert (await mirror.counts()).online == 0


async def test_versions_are_compared_as_numbers(stage: Stage) -> None:
    """Version 10 is newer than version 9, and epoch 10 than epoch 9."""
    mitra, mirror = new_id(), stage.kit.mirror
    await mirror.apply([load(mitra, 9, 1)])
    assert (await mirror.apply([load(mitra, 10, 2)])).newer == 1
    await mirror.apply([load(mitra, 1, 0, epoch=9)])
    assert (await mirror.apply([load(mitra, 1, 1, epoch=10)])).newer == 1


@pytest.mark.req("AV-10")
async def test_loads_told_alone_are_compared_as_all_facts_are(stage: Stage) -> None:
    """The short way of a load and the way of all facts agree on every order of two stamps."""
    stamps = [Stamp(epoch, version) for epoch in (1, 2, 9, 10, 19) for version in (1, 9, 10, 99)]
    for old, new in itertools.product(stamps, stamps):
        alone, together = new_id(), new_id()
        for stamp, held in ((old, 1), (new, 2)):
            await stage.kit.mirror.apply([LoadFact(alone, stamp, held, 3)])
            await stage.kit.mirror.apply([LoadFact(together, stamp, held, 3), active(together, 1)])
        stored = await stage.raw.hmget("{mitras}:load", str(alone), str(together))
        assert stored[0] == stored[1] == (b"2/3" if new >= old else b"1/3")


@pytest.mark.req("AV-05", "AV-10")
async def test_a_load_told_alone_opens_no_door(stage: Stage) -> None:
    """Offline, deactivated, or not known yet: a free slot makes nobody available."""
    mirror = stage.kit.mirror
    offline, barred, unknown = new_id(), new_id(), new_id()
    await mirror.apply([online(offline, 2, value=False), active(offline, 1)])
    await mirror.apply([online(barred, 2), active(barred, 1, value=False)])
    await mirror.apply([online(unknown, 2)])
    for mitra in (offline, barred, unknown):
        await mirror.apply([load(mitra, 3)])
        assert not await is_available(mirror, mitra)
    await mirror.apply([active(unknown, 1)])
    assert await is_available(mirror, unknown)


async def test_a_new_history_of_postgres_wins_with_lower_versions(stage: Stage) -> None:
    """After a failover that lost commits, versions start lower, and win all the same."""
    mitra, mirror = new_id(), stage.kit.mirror
    await mirror.apply([online(mitra, 2), active(mitra, 1), load(mitra, 40, 3)])
    await mirror.apply([load(mitra, 30, 1, epoch=2)])
    assert await is_available(mirror, mitra)

    assert (await mirror.apply([load(mitra, 41, 3)])).refused == 1


async def test_an_equal_version_heals(stage: Stage) -> None:
    """What was damaged under an unchanged version is put right, and counted."""
    mitra, mirror = new_id(), stage.kit.mirror
    facts = [online(mitra, 2), active(mitra, 1), load(mitra, 1)]
    await mirror.apply(facts)
    assert (await mirror.apply(facts)).same == 3
    await stage.raw.zrem("{mitras}:available", str(mitra))
    await stage.raw.hset("{mitras}:load", str(mitra), "9/3")

    assert (await mirror.apply(facts)).healed == 1
    assert await is_available(mirror, mitra)
    await stage.raw.zrem("{mitras}:available", str(mitra))
    assert (await mirror.apply(facts)).healed == 1
    assert await is_available(mirror, mitra)


@pytest.mark.req("AV-03", "AV-05")
async def test_a_deactivated_mitra_leaves_no_beat(stage: Stage) -> None:
    """She is refused, nothing is stored, and she is not reachable though her wish is online."""
    mitra, mirror = new_id(), stage.kit.mirror
    await mirror.apply([online(mitra, 2), active(mitra, 1), load(mitra, 1)])
    await mirror.apply([active(mitra, 2, value=False)])
    loop_now = stage.now()

    assert await mirror.record([(mitra, loop_now)]) == [BeatOutcome.DEACTIVATED]
    assert await stage.raw.zscore("{mitras}:online", str(mitra)) == keys.BARRED
    counts = await mirror.counts()
    assert (counts.online, counts.reachable, counts.available) == (1, 0, 0)
    assert [one.mitra_id for one in (await mirror.stale()).mitras] == [mitra]

    await mirror.apply([active(mitra, 3)])
    assert await mirror.record([(mitra, loop_now)]) == [BeatOutcome.RECORDED]
    assert await is_available(mirror, mitra)


@pytest.mark.req("AV-05")
async def test_a_late_beat_makes_nobody_younger(stage: Stage) -> None:
    """The newest beat counts, in both indexes; an older one that arrives later changes nothing."""
    mitra, mirror = new_id(), stage.kit.mirror
    await mirror.apply([online(mitra, 2, age=30_000), active(mitra, 1), load(mitra, 1)])
    now = stage.now()
    await mirror.record([(mitra, now - 5)])
    score = await stage.raw.zscore("{mitras}:online", str(mitra))
    await mirror.record([(mitra, now - 20)])

    assert await stage.raw.zscore("{mitras}:online", str(mitra)) == score
    assert await stage.raw.zscore("{mitras}:available", str(mitra)) == score


@pytest.mark.req("AV-05")
async def test_a_beat_brings_nobody_online(stage: Stage) -> None:
    """Whoever is offline stays so, however much her app beats."""
    mitra, mirror = new_id(), stage.kit.mirror
    await mirror.apply([online(mitra, 3, value=False), active(mitra, 1), load(mitra, 1)])

    assert await mirror.record([(mitra, stage.now())]) == [BeatOutcome.OFFLINE]
    assert (await mirror.counts()).online == 0


@pytest.mark.req("AV-05", "AV-10")
async def test_a_beat_makes_nobody_available_who_is_full(stage: Stage) -> None:
    """The kept answer is touched by a beat, never entered by one."""
    mitra, mirror = new_id(), stage.kit.mirror
    await mirror.apply([online(mitra, 2), active(mitra, 1), load(mitra, 1, 3)])
    await mirror.record([(mitra, stage.now())])

    assert await stage.raw.zscore("{mitras}:available", str(mitra)) is None
    assert (await mirror.counts()).available == 0
