"""The same promises for both who can answer: the mirror and Postgres."""

from collections import Counter
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from libs.mirror.tests.stage import Stage

from common.ids import new_id
from mirror import Presence, Reachability
from mirror.truth import SqlPresence

Asked = Callable[[], Awaitable[Presence]]


@pytest.fixture(params=["mirror", "postgres"])
def presence(stage: Stage, request: pytest.FixtureRequest) -> Asked:
    """Give one of the two who can answer, brought up to date when asked for."""

    async def ready() -> Presence:
        await stage.kit.seeder.reseed("test")
        if request.param == "postgres":
            return SqlPresence(stage.db, fresh_ms=45_000)
        return stage.kit.mirror

    return ready


@pytest.mark.req("AV-05", "AV-07")
async def test_only_who_is_online_fresh_active_and_free_is_found(
    stage: Stage, presence: Asked
) -> None:
    """Each single fact that is missing keeps a mitra out of the answer."""
    world = stage.world
    free = await world.mitra(load=2, beat_age=30)
    full = await world.mitra(load=3)
    stale = await world.mitra(beat_age=46)
    barred = await world.mitra(active=False)
    absent = await world.mitra(online=False)
    lowered = await world.mitra(load=2, capacity=1)
    asked = await presence()

    found = await asked.find_available(10)
    assert found == [free]
    everyone = [free, full, stale, barred, absent, lowered]
    there = Reachability(reachable=True, available=True)
    busy = Reachability(reachable=True, available=False)
    gone = Reachability(reachable=False, available=False)
    assert await asked.is_reachable(everyone) == {
        free: there,
        full: busy,
        stale: gone,
        barred: gone,
        absent: gone,
        lowered: busy,
    }
    counts = await asked.counts()
    assert (counts.online, counts.reachable, counts.available) == (5, 3, 1)


@pytest.mark.req("AV-07", "AV-12")
async def test_loads_are_the_same_whoever_answers(stage: Stage, presence: Asked) -> None:
    """Of all who are online, stale and deactivated ones too, by the slots they hold."""
    world = stage.world
    assert (await (await presence()).histogram()).loads == {}
    for load, age in ((0, 0), (0, 60), (2, 0), (3, 30)):
        await world.mitra(load=load, beat_age=age)
    await world.mitra(load=2, active=False)
    await world.mitra(load=1, online=False)

    assert (await (await presence()).histogram()).loads == {0: 2, 2: 2, 3: 1}


@pytest.mark.req("AV-07", "AV-13")
async def test_a_status_is_the_same_whoever_answers(stage: Stage, presence: Asked) -> None:
    """All facts of one mitra; a beat counts only while she may beat; a stranger has none."""
    world = stage.world
    busy = await world.mitra(load=2, beat_age=30)
    stale = await world.mitra(load=1, capacity=1, beat_age=60)
    barred = await world.mitra(active=False)
    absent = await world.mitra(online=False)
    # Somebody beats: where nobody does, the mirror counts as deaf.
    await world.mitra()
    asked = await presence()

    found = {one: await asked.status(one) for one in (busy, stale, barred, absent)}
    assert {
        one: status and (status.is_online, status.is_active, status.load, status.capacity)
        for one, status in found.items()
    } == {
        busy: (True, True, 2, 3),
        stale: (True, True, 1, 1),
        barred: (True, False, 0, 3),
        absent: (False, True, 0, 3),
    }
    ages = {one: status.beat_age_ms for one, status in found.items() if status}
    assert 30_000 <= (ages[busy] or 0) < 60_000 <= (ages[stale] or 0) < 120_000
    assert (ages[barred], ages[absent]) == (None, None)
    assert await asked.status(new_id()) is None


@pytest.mark.req("AV-07")
async def test_whom_the_mirror_lacks_postgres_knows(stage: Stage) -> None:
    """A mitra whose facts have yet to come over: her status is Postgres', and no fallback."""
    mitra = await stage.world.mitra(load=1)
    status = await stage.kit.presence.status(mitra)

    assert status is not None
    assert (status.is_online, status.load, status.source) == (True, 1, "postgres")


@pytest.mark.req("AV-06")
async def test_a_find_gives_as_many_as_there_are_up_to_the_limit(
    stage: Stage, presence: Asked
) -> None:
    """Exactly k distinct mitras while k are there, all of them when there are fewer."""
    mitras = {await stage.world.mitra() for _ in range(12)}
    asked = await presence()
    for _ in range(20):
        found = await asked.find_available(8)
        assert len(found) == len(set(found)) == 8
    assert set(await asked.find_available(50)) == mitras
    assert await asked.find_available(0) == []


@pytest.mark.req("AV-06")
async def test_whoever_is_excluded_is_never_found(stage: Stage, presence: Asked) -> None:
    """The excluded leave room for others: with 12 there and 9 excluded, the other 3 are found."""
    mitras = [await stage.world.mitra() for _ in range(12)]
    asked = await presence()
    for _ in range(10):
        found = set(await asked.find_available(8, exclude=mitras[:9]))
        assert found == set(mitras[9:])
    assert await asked.find_available(8, exclude=mitras) == []


@pytest.mark.req("AV-06")
async def test_offers_are_spread(stage: Stage, presence: Asked) -> None:
    """Nobody is favoured: sooner or later each of 20 mitras comes up, none far too often."""
    mitras = [await stage.world.mitra() for _ in range(20)]
    asked = await presence()
    seen: Counter[UUID] = Counter()
    questions = 0
    while questions < 60 or (len(seen) < 20 and questions < 1_000):
        seen.update(await asked.find_available(2))
        questions += 1

    assert set(seen) == set(mitras)
    assert max(seen.values()) < questions / 2


async def test_nobody_asked_is_nobody(stage: Stage, presence: Asked) -> None:
    """An empty question gets an empty answer."""
    assert await (await presence()).is_reachable([]) == {}
