"""What a beat may do and what it may not: each rule, and that it is missed."""

from uuid import UUID

import pytest
from libs.mirror.tests.facts import active, load, online
from libs.mirror.tests.mutants import in_code, in_script, needs, said, sound
from libs.mirror.tests.stage import Stage

from common.ids import new_id
from mirror import BeatOutcome, Mirror, keys
from mirror.beating import Beats

_EVERY_WAY = (0, keys.BARRED)
"""The newest beat that was heard, as the next one thinks: long ago, or after this one.

The first goes by the script, the second by plain commands.
"""


async def beats(stage: Stage, heard: int, mitra: UUID, *, seconds_ago: float = 0) -> BeatOutcome:
    """Let her beat by one of the two ways."""
    mirror = stage.kit.mirror
    mirror._heard = heard
    (outcome,) = await mirror.record([(mitra, stage.now() - seconds_ago)])
    return outcome


async def scores(stage: Stage, mitra: UUID) -> tuple[float | None, float | None]:
    """Return when she beat last, by both indexes."""
    return (
        await stage.raw.zscore(keys.ONLINE, str(mitra)),
        await stage.raw.zscore(keys.AVAILABLE, str(mitra)),
    )


@pytest.mark.req("AV-05")
@needs(
    in_code(Mirror, "_record", 'keys.ONLINE, "XX", "GT"', 'keys.ONLINE, "GT"'),
    in_script("BEAT", "'ZADD', KEYS[2], 'XX', 'GT'", "'ZADD', KEYS[2], 'GT'"),
)
async def test_no_beat_brings_anybody_online(stage: Stage) -> None:
    """XX, for the index of who is online."""
    for heard in _EVERY_WAY:
        mitra = new_id()
        await stage.kit.mirror.apply([online(mitra, 3, value=False), active(mitra, 1)])
        assert await beats(stage, heard, mitra) == BeatOutcome.OFFLINE
        assert await scores(stage, mitra) == (None, None)


@pytest.mark.req("AV-05", "AV-10")
@needs(
    in_code(Mirror, "_record", 'keys.AVAILABLE, "XX", "GT"', 'keys.AVAILABLE, "GT"'),
    in_script("BEAT", "'ZADD', KEYS[3], 'XX', 'GT'", "'ZADD', KEYS[3], 'GT'"),
)
async def test_no_beat_makes_anybody_available(stage: Stage) -> None:
    """XX, for the kept answer."""
    for heard in _EVERY_WAY:
        mitra = new_id()
        await stage.kit.mirror.apply([online(mitra, 2), active(mitra, 1), load(mitra, 1, 3)])
        assert await beats(stage, heard, mitra) == BeatOutcome.RECORDED
        assert (await scores(stage, mitra))[1] is None


@pytest.mark.req("AV-05")
@needs(
    in_code(Mirror, "_record", 'keys.ONLINE, "XX", "GT"', 'keys.ONLINE, "XX"'),
    in_code(Mirror, "_record", 'keys.AVAILABLE, "XX", "GT"', 'keys.AVAILABLE, "XX"'),
    in_script("BEAT", "'ZADD', KEYS[2], 'XX', 'GT'", "'ZADD', KEYS[2], 'XX'"),
    in_script("BEAT", "'ZADD', KEYS[3], 'XX', 'GT'", "'ZADD', KEYS[3], 'XX'"),
)
async def test_no_beat_makes_anybody_older(stage: Stage) -> None:
    """GT, for both indexes: one that was received before comes late."""
    for heard in _EVERY_WAY:
        mitra = new_id()
        await stage.kit.mirror.apply([online(mitra, 2), active(mitra, 1), load(mitra, 1)])
        before = await scores(stage, mitra)
        await beats(stage, heard, mitra, seconds_ago=20)
        assert await scores(stage, mitra) == before


@pytest.mark.req("AV-03")
@needs(
    in_code(Mirror, "_record", "2 if out else int(score is not None)", "int(score is not None)"),
    in_script("BEAT", "barred[i] == 1 and 2 or ", ""),
)
async def test_who_is_deactivated_hears_it(stage: Stage) -> None:
    """Whatever her wish is."""
    for heard in _EVERY_WAY:
        mitra = new_id()
        await stage.kit.mirror.apply([online(mitra, 2), active(mitra, 1, value=False)])
        assert await beats(stage, heard, mitra) == BeatOutcome.DEACTIVATED


@pytest.mark.req("AV-03", "AV-08")
@needs(
    in_code(Mirror, "_record", "whole((guard, kept_guard))", "whole((guard,))"),
    in_code(Mirror, "_record", "whole((guard, kept_guard))", "whole((kept_guard,))"),
    in_code(Mirror, "_record", "self._is_seeded(server, raw)", "pass"),
    in_script("BEAT", "\n  or not server.call('ZSCORE', KEYS[3], 'guard')"),
    in_script("BEAT", " or not server.call('ZSCORE', KEYS[2], 'guard')"),
    in_script("BEAT", "barred[1] == 0 or "),
)
async def test_no_beat_is_given_to_what_is_no_mirror(stage: Stage) -> None:
    """A part of it was lost, and something was written into its place; or it was never seeded."""
    mitra = await stage.world.mitra()
    for heard in _EVERY_WAY:
        for key in (keys.ONLINE, keys.AVAILABLE, keys.DEACTIVATED, keys.SEED):
            await sound(stage)
            await stage.raw.delete(key)
            await stage.kit.seeder.heal([mitra])
            assert await said(beats(stage, heard, mitra)) == "seeding"


@pytest.mark.req("AV-05", "AV-07", "SW-03")
@needs(
    in_script("BEAT", "server.call('SET', intake, at)"),
    in_code(Mirror, "record", "newest - self._heard < self._deaf_ms // 2", "True"),
)
async def test_the_end_of_a_silence_is_noted(stage: Stage) -> None:
    """Nobody was heard for a minute: that stands in the mirror before her beat is believed."""
    await stage.kit.seeder.reseed("test")
    mitra = new_id()
    await stage.raw.delete(keys.INTAKE)
    await stage.kit.mirror.apply([online(mitra, 2, age=60_000), active(mitra, 1), load(mitra, 1)])
    assert await beats(stage, 0, mitra) == BeatOutcome.RECORDED
    assert await stage.raw.get(keys.INTAKE) is not None


@pytest.mark.req("AV-05", "SW-01")
@needs(in_script("APPLY", "    hear(beat)\n"))
async def test_going_online_ends_a_silence_too(stage: Stage) -> None:
    """Nobody was heard for a minute: whoever comes online first is not all there are."""
    await stage.kit.seeder.reseed("test")
    await stage.raw.delete(keys.INTAKE)
    await stage.kit.mirror.apply([online(new_id(), 2, age=60_000)])
    await stage.kit.mirror.apply([online(new_id(), 2, age=0)])
    assert await stage.raw.get(keys.INTAKE) is not None


@pytest.mark.req("AV-05")
@needs(
    in_code(
        Mirror,
        "record",
        "int(received * 1000 + server.offset_ms)",
        "int(self._clock.monotonic() * 1000 + server.offset_ms)",
    )
)
async def test_a_beat_is_as_old_as_its_receipt(stage: Stage) -> None:
    """However late it is written."""
    mitra = new_id()
    await stage.kit.mirror.apply([online(mitra, 2, age=40_000), active(mitra, 1), load(mitra, 1)])
    was, _ = await scores(stage, mitra)
    await beats(stage, keys.BARRED, mitra, seconds_ago=20)
    now, _ = await scores(stage, mitra)
    whole, _ = await stage.raw.time()
    assert was is not None
    assert now is not None
    assert was < now < (whole - 18) * 1000


@pytest.mark.req("AV-01", "AV-04")
@needs(
    in_code(Beats, "_answer", "outcome is _OFFLINE and not self._is_confirmed(one[0])", "False"),
)
async def test_nobody_is_told_that_she_is_offline_before_postgres_was_asked(stage: Stage) -> None:
    """She came while the mirror could not be written."""
    await sound(stage)
    mitra = await stage.world.mitra()
    assert await stage.kit.beats.beat(mitra) == BeatOutcome.RECORDED
