"""What a seeding must keep to: each rule, and that it is missed."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from libs.mirror.tests.mutants import in_code, in_script, needs, said, sound
from libs.mirror.tests.stage import Stage

from common.ids import new_id
from mirror import comparing, keys, record_beats, scripts, seeding
from mirror.seeding import Seeder
from mirror.sentinel import parse, write
from mirror.truth import Truth


async def disturbed(stage: Stage, meanwhile: Callable[[], Awaitable[object]]) -> str:
    """Return what became of a seeding during which something else happened."""

    async def told(_mitras: int) -> None:
        await meanwhile()

    return await said(stage.kit.seeder.reseed("test", told=told))


@pytest.mark.req("AV-09")
@needs(in_script("FORGET", "if same then", "if true then"))
async def test_whoever_came_since_is_not_forgotten(stage: Stage) -> None:
    """A stranger goes only as she was when Postgres was asked after her."""
    mitra = str(await stage.world.mitra())
    await sound(stage)
    digits, _ = await stage.kit.mirror._link.run(scripts.FORGET, (mitra, "1.1", "1.1", ""))
    assert digits == b"0"
    assert await stage.raw.zscore(keys.ONLINE, mitra) is not None


@pytest.mark.req("AV-08", "AV-09")
@needs(in_script("SEED_FINISH", "if server.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end"))
async def test_whoever_lost_its_mark_ends_no_seeding(stage: Stage) -> None:
    """All was erased, and another has begun anew: the guards are there, the facts are not."""
    await stage.world.mitra()
    await sound(stage)

    async def begun_by_another() -> None:
        await stage.raw.flushall()
        await stage.kit.mirror._link.run(scripts.SEED_BEGIN, ("another", 60_000, 5_000))

    assert await disturbed(stage, begun_by_another) == "seeding"


@pytest.mark.req("AV-08", "AV-09")
@needs(
    in_script("SEED_FINISH", "not server.call('ZSCORE', KEYS[3], 'guard') or "),
    in_script("SEED_FINISH", " or not server.call('ZSCORE', KEYS[4], 'guard')"),
    in_script("SEED_FINISH", "\n  or server.call('SISMEMBER', KEYS[5], 'guard') == 0"),
    in_script("SEED_FINISH", "\n  or server.call('HEXISTS', KEYS[6], 'guard') == 0"),
    in_script("SEED_FINISH", "\n  or server.call('HEXISTS', KEYS[7], 'guard') == 0"),
)
async def test_a_seeding_that_lost_a_key_does_not_end(stage: Stage) -> None:
    """Nobody says that all is there."""
    await stage.world.mitra()
    for key in (keys.ONLINE, keys.AVAILABLE, keys.DEACTIVATED, keys.LOAD, keys.VERSIONS):
        await sound(stage)
        assert await disturbed(stage, lambda key=key: stage.raw.delete(key)) == "seeding"


@pytest.mark.req("AV-08", "AV-09")
@needs(in_script("SEED_FINISH", "if epoch and epoch > tonumber(ARGV[3]) then return 0 end"))
async def test_a_seeding_replaces_none_of_a_later_history(stage: Stage) -> None:
    """It began before the promotion and ends after a seeding by the new history."""
    await stage.world.mitra()
    await sound(stage)
    seed = parse(await stage.raw.get(keys.SEED))
    later = write(replace(seed, pg_epoch=seed.pg_epoch + 1))
    assert await disturbed(stage, lambda: stage.raw.set(keys.SEED, later)) == "seeding"


@pytest.mark.req("AV-08", "AV-09")
@needs(
    in_script("SEED_BEGIN", "if not sound then", "if false then"),
    in_script("SEED_BEGIN", "sound = tonumber(", "sound = true or tonumber("),
)
async def test_a_seeding_erases_what_it_cannot_heal(stage: Stage) -> None:
    """A guard is missing, or a beat lies in the future: afterwards it is a mirror all the same."""
    mitra = await stage.world.mitra()
    whole, _ = await stage.raw.time()
    await stage.raw.delete(keys.VERSIONS)
    assert await said(stage.kit.seeder.reseed("test")) == "ok"
    await stage.raw.zadd(keys.ONLINE, {str(mitra): (whole + 600) * 1000})
    assert await said(stage.kit.seeder.reseed("test")) == "ok"
    assert await said(stage.kit.mirror.seed()) == "ok"


@pytest.mark.req("AV-09")
@needs(in_code(Seeder, "_alone", "if epoch is None:\n        return None", "epoch = epoch or 1"))
async def test_one_seeds_at_a_time(stage: Stage) -> None:
    """While another holds the right, nobody else begins."""
    truth, another = Truth(stage.db), new_id()
    assert await truth.take_seeding(another, 600_000) is not None
    seeded = await stage.kit.seeder.reseed("test")
    await truth.release_seeding(another)
    assert seeded is None


@pytest.mark.req("AV-09")
@needs(in_code(Seeder, "_alone", "if await unless():", "if False:"))
async def test_what_was_seeded_just_now_is_not_seeded_again(stage: Stage) -> None:
    """Whoever comes late to the right finds it done."""
    await sound(stage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeding, "_JUST_NOW_MS", 600_000)
        assert await stage.kit.seeder.renew("test") is None


@pytest.mark.req("AV-05", "AV-09")
@needs(
    in_code(comparing, "_is_younger", "return now - age > int(score) + _YOUNGER_MS", "return False")
)
async def test_a_seeding_of_a_good_mirror_brings_what_postgres_heard(stage: Stage) -> None:
    """Her beat went to Postgres while somebody could not reach Valkey."""
    mitra = await stage.world.mitra(beat_age=20)
    await sound(stage)
    before = await stage.raw.zscore(keys.ONLINE, str(mitra))
    await record_beats(stage.db, [(mitra, 0.0)])
    await sound(stage)
    after = await stage.raw.zscore(keys.ONLINE, str(mitra))
    assert after > before + 10_000


@pytest.mark.req("AV-11")
@needs(
    in_script("SNAPSHOT", "if at and at >= tonumber(ARGV[1]) and at <= now then return 0 end"),
)
async def test_an_older_beacon_replaces_no_newer_one(stage: Stage) -> None:
    """Two who tell it meet."""
    whole, _ = await stage.raw.time()
    await stage.raw.delete(keys.SNAPSHOT)
    for at, body in ((whole * 1000, "new"), (whole * 1000 - 500, "old")):
        await stage.kit.mirror._link.run(scripts.SNAPSHOT, (at, body, 600_000))
    assert await stage.kit.mirror.snapshot() == b"new"
