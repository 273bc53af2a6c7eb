"""A key that was evicted, deleted or lost is noticed by whoever needs it, before it is believed."""

import itertools
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from libs.mirror.tests.stage import Stage

from common import baseline
from common.testing.waiting import eventually
from mirror import BeatCursor, MirrorUnavailable, keys

NOBODY = UUID(int=7)
KEYS = (keys.ONLINE, keys.AVAILABLE, keys.DEACTIVATED, keys.LOAD, keys.VERSIONS)

Question = Callable[[Stage], Awaitable[object]]

QUESTIONS: dict[str, tuple[Question, set[str]]] = {
    "find": (lambda s: s.kit.mirror.find_available(3), {keys.ONLINE, keys.AVAILABLE}),
    "counts": (lambda s: s.kit.mirror.counts(), {keys.ONLINE, keys.AVAILABLE}),
    "reach": (
        lambda s: s.kit.mirror.is_reachable([NOBODY]),
        {keys.ONLINE, keys.AVAILABLE, keys.DEACTIVATED},
    ),
    "status": (
        lambda s: s.kit.mirror.status(NOBODY),
        {keys.ONLINE, keys.DEACTIVATED, keys.LOAD, keys.VERSIONS},
    ),
    "seed": (lambda s: s.kit.mirror.seed(), set(KEYS)),
    "stale": (lambda s: s.kit.mirror.stale(), {keys.ONLINE, keys.VERSIONS}),
    "beats": (lambda s: s.kit.mirror.beats(BeatCursor()), {keys.ONLINE}),
    "loads": (lambda s: s.kit.mirror.loads(), {keys.ONLINE, keys.LOAD}),
    "last_beats": (lambda s: s.kit.mirror.last_beats([NOBODY]), {keys.ONLINE}),
    "beat": (
        lambda s: s.kit.mirror.record([(NOBODY, s.now())]),
        {keys.ONLINE, keys.AVAILABLE, keys.DEACTIVATED},
    ),
}


@pytest.mark.req("AV-07", "AV-08")
@pytest.mark.parametrize("question", QUESTIONS)
async def test_whoever_needs_a_lost_key_says_so(stage: Stage, question: str) -> None:
    """Each question and the beat: no answer from what is left, and one where none is missed.

    Also when the next change was written into the place of what was lost.
    """
    ask, needs = QUESTIONS[question]
    mitra = await stage.world.mitra()
    for key, is_asked_before, is_written_anew in itertools.product(KEYS, *[(True, False)] * 2):
        await stage.kit.seeder.reseed("test")
        if is_asked_before:
            await ask(stage)
        await stage.raw.delete(key)
        if is_written_anew:
            await stage.kit.seeder.heal([mitra])
        if key not in needs:
            await ask(stage)
            continue
        with pytest.raises(MirrorUnavailable, match="a part of it is lost") as caught:
            await ask(stage)
        assert caught.value.state == "seeding"


@pytest.mark.req("AV-07", "AV-08", "AV-15")
@pytest.mark.parametrize("key", KEYS)
async def test_a_lost_key_is_an_outage_until_the_next_seeding(stage: Stage, key: str) -> None:
    """Postgres answers, rightly; the watch sees why; one look later all is mended."""
    mitra = await stage.world.mitra(load=1)
    barred = await stage.world.mitra(active=False)
    full = await stage.world.mitra(load=3)
    await stage.kit.seeder.reseed("test")
    await stage.raw.delete(key)
    assert await stage.kit.presence.find_available(3) == [mitra]
    there = await stage.kit.presence.is_reachable([mitra, barred, full])
    assert [one.available for one in there.values()].count(True) == 1
    await stage.kit.watch.look()
    assert stage.kit.state().state == "seeding"
    assert await stage.kit.seeder.mend() is not None

    counts = await stage.kit.mirror.counts()
    assert (counts.online, counts.reachable, counts.available) == (3, 2, 1)
    assert await stage.kit.seeder.diff() == []


async def test_a_key_of_another_kind_is_mended(stage: Stage) -> None:
    """Somebody else wrote to a key of ours: it is an outage, and the seeding clears it away."""
    mitra = await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    await stage.raw.set(keys.AVAILABLE, "what is this")
    assert await stage.kit.presence.find_available(3) == [mitra]
    assert await stage.kit.seeder.mend() is not None

    assert await stage.kit.mirror.find_available(3) == [mitra]


@pytest.mark.req("AV-08", "AV-09")
@pytest.mark.parametrize("key", KEYS)
async def test_a_key_lost_during_a_seeding_keeps_it_from_ending(stage: Stage, key: str) -> None:
    """What was written before is gone, so nobody says that all is there."""
    await stage.world.mitra()
    await stage.raw.flushall()

    async def lose_it(_seen: int) -> None:
        await stage.raw.delete(key)

    with pytest.raises(MirrorUnavailable, match="emptied while it was seeded"):
        await stage.kit.seeder.reseed("test", told=lose_it)


@pytest.mark.fault
@pytest.mark.req("AV-07", "AV-08")
async def test_an_evicting_valkey_is_slower_and_never_wrong(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever key it throws away, whenever: who is available stays so for every asker.

    With nothing left to throw away it takes no writes, which is seen as well.
    """
    monkeypatch.setattr(baseline, "VALKEY_BREAKER_OPEN", 0.0)
    mitra = await stage.world.mitra()
    rounds = seen = 0

    async def evicted() -> bool:
        """Leave it less room than it uses; return whether it has thrown anything away."""
        used = (await stage.raw.info("memory"))["used_memory"]
        await stage.raw.config_set("maxmemory", used - 200)
        return await stage.raw.dbsize() < keys_before

    try:
        # Each round throws away other keys; some may be missed by nobody.
        while rounds < 12 or (not seen and rounds < 60):
            rounds += 1
            await stage.raw.config_set("maxmemory", 0)
            await stage.raw.config_set("maxmemory-policy", "allkeys-random")
            await stage.kit.seeder.reseed("test")
            keys_before = await stage.raw.dbsize()
            await eventually(evicted)
            counts = await stage.kit.presence.counts()
            assert counts.available == 1
            assert await stage.kit.presence.find_available(3) == [mitra]
            assert (await stage.kit.presence.is_reachable([mitra]))[mitra].available
            seen += counts.source == "postgres"
            await stage.kit.watch.look()
    finally:
        await stage.raw.config_set("maxmemory", 256 * 1024 * 1024)
        await stage.raw.config_set("maxmemory-policy", "noeviction")
    assert seen > 0, "keys of ours were among them"
