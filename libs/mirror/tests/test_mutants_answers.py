"""What an answer must prove and whom it may name: each rule, and that it is missed."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID

import pytest
from libs.mirror.tests.mutants import in_code, in_script, needs, said, sound
from libs.mirror.tests.stage import Stage, age, now_ms

from mirror import BeatCursor, Mirror, asking, keys
from mirror.asking import Asking
from mirror.sentinel import Sentinel, parse, write

Ask = Callable[[Mirror, UUID], Awaitable[object]]


@pytest.mark.req("AV-07", "AV-08")
@needs(
    in_code(
        Asking,
        "_is_seeded",
        'raise MirrorUnavailable("it was never seeded", code="unseeded")',
        "return",
    ),
    in_code(Asking, "_is_seeded", "self.sentinel.check(raw, run_id=server.run_id)", "pass"),
    in_code(Sentinel, "check", "seed.run_id != run_id", "False"),
    in_code(Sentinel, "check", "seed.pg_epoch < self._pg_epoch", "False"),
    in_code(Sentinel, "check", "seed.schema != SCHEMA", "False"),
)
async def test_what_was_not_seeded_here_and_now_is_no_mirror(stage: Stage) -> None:
    """The sentinel is missing, or names another process, history or layout."""
    await sound(stage)
    seed = parse(await stage.raw.get(keys.SEED))
    for other in (
        replace(seed, run_id="another"),
        replace(seed, pg_epoch=seed.pg_epoch - 1),
        replace(seed, schema=seed.schema + 1),
    ):
        await stage.raw.set(keys.SEED, write(other))
        assert await said(stage.kit.mirror.counts()) == "seeding"
    await stage.raw.delete(keys.SEED)
    assert await said(stage.kit.mirror.counts()) == "seeding"


_LOST: tuple[tuple[Ask, str], ...] = (
    (lambda m, _: m.find_available(3), keys.ONLINE),
    (lambda m, _: m.find_available(3), keys.AVAILABLE),
    (lambda m, _: m.counts(), keys.AVAILABLE),
    (lambda m, one: m.is_reachable([one]), keys.AVAILABLE),
    (lambda m, one: m.status(one), keys.LOAD),
    (lambda m, _: m.seed(), keys.VERSIONS),
    (lambda m, _: m.stale(), keys.VERSIONS),
    (lambda m, _: m.beats(BeatCursor()), keys.ONLINE),
    (lambda m, one: m.last_beats([one]), keys.ONLINE),
    (lambda m, _: m.loads(), keys.LOAD),
)
_RETURNS = "if not server.call('ZSCORE', KEYS[2], 'guard') then return {seed} end"


@pytest.mark.req("AV-07", "AV-08")
@needs(
    in_code(asking, "newest_of", "if len(last) < 2 or last[-2] != _GUARD:", "if len(last) < 2:"),
    in_code(Mirror, "_arc", "whole((guard,))", "pass"),
    in_code(Mirror, "counts", "whole((guard,))", "pass"),
    in_code(Mirror, "_reachable", "whole((online[0], available[0], barred[0]))", "pass"),
    in_code(Mirror, "status", "whole((bound, noted, filled, known[0]))", "pass"),
    in_code(Mirror, "seed", "whole(replies[: len(_GUARDS)])", "pass"),
    in_script("STALE", " or server.call('HEXISTS', KEYS[3], 'guard') == 0"),
    in_script("BEATS", _RETURNS),
    in_script("SCORES", _RETURNS),
    in_script("LOADS", " or server.call('HEXISTS', KEYS[3], 'guard') == 0"),
)
async def test_what_lost_a_key_is_no_mirror(stage: Stage) -> None:
    """Also where the next fact was written into the place of what was lost."""
    mitra = await stage.world.mitra()
    for ask, key in _LOST:
        await sound(stage)
        await stage.raw.delete(key)
        await stage.kit.seeder.heal([mitra])
        assert await said(ask(stage.kit.mirror, mitra)) == "seeding"


@pytest.mark.req("AV-05", "AV-07")
@needs(
    in_code(Asking, "_hears", "silent_ms > self._deaf_ms", "False"),
    in_code(Asking, "_hears", "silent_ms < -FUTURE_MS", "False"),
)
async def test_whoever_hears_nobody_is_not_believed(stage: Stage) -> None:
    """No beat for longer than the deaf limit, or one that nobody can have sent yet."""
    for before in await stage.kit.seeder._truth.rows_after(UUID(int=0), 10):
        await stage.world.offline(before.mitra_id)
    mitra = await stage.world.mitra()
    await sound(stage)
    await age(stage, mitra, 35)
    assert await said(stage.kit.mirror.counts()) == "deaf"
    await age(stage, mitra, -600)
    assert await said(stage.kit.mirror.counts()) == "seeding"


@pytest.mark.req("AV-05", "AV-07")
@needs(
    in_code(Asking, "_caught_up", "seeded <= silence_ended and", "False and"),
    in_code(Asking, "_caught_up", "seeded <= found <= now < found + _FOUND_AGAIN_MS", "False"),
    in_code(Asking, "_believe", "if silence_ended is not None or", "if"),
)
async def test_whoever_was_deaf_or_away_is_doubted_until_it_is_seeded(stage: Stage) -> None:
    """What was missed has not come over."""
    mirror = stage.kit.mirror
    await stage.world.mitra()
    await sound(stage)
    await stage.raw.set(keys.INTAKE, await now_ms(stage) + 1)
    assert await said(mirror.counts()) == "seeding"
    await sound(stage)
    assert await said(mirror.counts()) == "ok"
    server = mirror._link.server
    assert server is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "_FOUND_AGAIN_MS", 600_000)
        patch.setattr(mirror._link, "_server", replace(server, found_ms=await now_ms(stage)))
        assert await said(mirror.counts()) == "seeding"


@pytest.mark.req("AV-05", "AV-06")
@needs(
    in_code(Mirror, "counts", "_count(keys.ONLINE, floor,", "_count(keys.ONLINE, 0,"),
    in_code(Mirror, "counts", "_count(keys.AVAILABLE, floor)", "_count(keys.AVAILABLE, 0)"),
    in_code(Mirror, "counts", 'f"({keys.BARRED}"', '"(+inf"'),
    in_code(Mirror, "_arc", "_count(keys.AVAILABLE, floor)", "_count(keys.AVAILABLE, 0)"),
    in_code(Mirror, "_reachable", " and beat_of(score) > floor", ""),
    in_code(Mirror, "_reachable", "there and available[place] is not None", "there"),
)
async def test_nobody_who_is_stale_full_or_barred_is_named(stage: Stage) -> None:
    """By none of the three questions; ages are compared when it is asked."""
    world, mirror = stage.world, stage.kit.mirror
    await sound(stage)
    before = await mirror.counts()
    free, stale = await world.mitra(), await world.mitra(beat_age=600)
    full, _ = await world.mitra(load=3), await world.mitra(active=False)
    await sound(stage)
    there, after = await mirror.is_reachable([free, stale, full]), await mirror.counts()
    mine = [(there[one].reachable, there[one].available) for one in (free, stale, full)]
    assert mine == [(True, True), (False, False), (True, False)]
    assert after.reachable - before.reachable == 2
    assert after.available - before.available == 1
    assert stale not in await mirror.find_available(99)


@pytest.mark.req("AV-05", "AV-06")
@needs(
    in_code(
        Mirror, "_arc", "arc.still_fresh(found, fresh)", "[one for part in found for one in part]"
    ),
    in_code(
        Mirror, "_arc", "if len(mitras) == min(wanted, fresh) or (last and mitras):", "if True:"
    ),
)
async def test_a_find_is_judged_by_who_is_fresh_now(stage: Stage) -> None:
    """The places were chosen by an older look: it is looked again, or they are left out."""
    fresh = await stage.world.mitra()
    await sound(stage)
    mirror = stage.kit.mirror
    everybody = len(await mirror.find_available(99))
    mirror._fresh = 0
    assert len(await mirror.find_available(99)) == everybody
    stale = [await stage.world.mitra(beat_age=600) for _ in range(3)]
    await sound(stage)
    for _ in range(30):
        mirror._fresh = everybody + len(stale)
        (found,) = await mirror.find_available(1)
        assert found not in stale
    assert fresh in await mirror.find_available(99)


@pytest.mark.req("AV-05")
@needs(in_code(Asking, "_holds", "abs(now - self._fresh_ms - floor) <= _JUMP_MS", "True"))
async def test_a_clock_that_jumped_makes_nobody_fresh(stage: Stage) -> None:
    """What is fresh by the clock that we learned is compared with the time of the answer."""
    mirror = stage.kit.mirror
    await stage.world.mitra()
    stale = await stage.world.mitra(beat_age=60)
    await sound(stage)
    server = mirror._link.server
    assert server is not None
    slow = replace(server, latest_ms=server.latest_ms - 3_600_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mirror._link, "_server", slow)
        assert stale not in await mirror.find_available(99)
        patch.setattr(mirror._link, "_server", slow)
        counts = await mirror.counts()
    assert counts.reachable == counts.online // 2
