"""What a fact must go through before it is believed: each rule, and that it is missed."""

from uuid import UUID

import pytest
from libs.mirror.tests.facts import active, load, online
from libs.mirror.tests.mutants import in_code, in_script, needs
from libs.mirror.tests.stage import Stage

from common.ids import new_id
from mirror import facts, keys


async def there(stage: Stage) -> UUID:
    """Tell the first facts of somebody who is there and free."""
    mitra = new_id()
    await stage.kit.mirror.apply([online(mitra, 2), active(mitra, 1), load(mitra, 1)])
    return mitra


async def is_online(stage: Stage, mitra: UUID) -> bool:
    """Look whether she is in the set of those who are online."""
    return await stage.raw.zscore(keys.ONLINE, str(mitra)) is not None


async def is_kept(stage: Stage, mitra: UUID) -> bool:
    """Look whether she is in the kept answer."""
    return await stage.raw.zscore(keys.AVAILABLE, str(mitra)) is not None


@pytest.mark.req("AV-02", "AV-10")
@needs(
    in_script("APPLY", "if order < 0 then", "if false then"),
    in_script(
        "LOAD", "elseif stored and is_newer(stored, ARGV[i + 1], stamp) then", "elseif false then"
    ),
)
async def test_an_older_version_never_wins(stage: Stage) -> None:
    """Compare-and-set, of all facts and of a load alone."""
    mitra, mirror = await there(stage), stage.kit.mirror
    await mirror.apply([online(mitra, 4, value=False), load(mitra, 4, 3)])
    await mirror.apply([online(mitra, 3), active(mitra, 1)])
    assert not await is_online(stage, mitra)
    await mirror.apply([load(mitra, 3)])
    assert await stage.raw.hget(keys.LOAD, str(mitra)) == b"3/3"


@pytest.mark.req("AV-10")
@needs(
    in_script(
        "APPLY",
        "return version > v and 1 or -1",
        "return tostring(version) > tostring(v) and 1 or -1",
    ),
    in_script(
        "LOAD",
        "return #stored > #stamp or #stored == #stamp and stored > stamp",
        "return stored > stamp",
    ),
)
async def test_versions_are_numbers(stage: Stage) -> None:
    """The tenth is newer than the ninth."""
    mitra, mirror = await there(stage), stage.kit.mirror
    await mirror.apply([online(mitra, 9), load(mitra, 9)])
    await mirror.apply([online(mitra, 10, value=False), active(mitra, 1)])
    assert not await is_online(stage, mitra)
    await mirror.apply([load(mitra, 10, 3)])
    assert await stage.raw.hget(keys.LOAD, str(mitra)) == b"3/3"


@pytest.mark.req("AV-09", "AV-10")
@needs(
    in_script("APPLY", "if epoch ~= e then return epoch > e and 1 or -1 end"),
    in_script(
        "LOAD",
        "return tonumber(string.match(stored, '^%d+')) > tonumber(epoch)",
        "return tonumber(string.match(stored, '%d+$')) > tonumber(string.match(stamp, '%d+$'))",
    ),
    in_script(
        "LOAD",
        "return tonumber(string.match(stored, '^%d+')) > tonumber(epoch)",
        "return string.match(stored, '^%d+') > epoch",
    ),
)
async def test_a_higher_history_of_postgres_wins(stage: Stage) -> None:
    """Whatever the versions are, and whichever is told first."""
    mitra, mirror = await there(stage), stage.kit.mirror
    await mirror.apply([online(mitra, 50, epoch=9), load(mitra, 50, epoch=9)])
    await mirror.apply([online(mitra, 3, value=False, epoch=10), active(mitra, 1)])
    await mirror.apply([load(mitra, 3, 3, epoch=10)])
    await mirror.apply([online(mitra, 60, epoch=9), active(mitra, 1)])
    await mirror.apply([load(mitra, 60, epoch=9)])
    assert not await is_online(stage, mitra)
    assert await stage.raw.hget(keys.LOAD, str(mitra)) == b"3/3"


@pytest.mark.req("AV-02")
@needs(
    in_script(
        "APPLY",
        "server.call('HSET', VERSIONS, id .. ':' .. fact, stamp)",
        "if value ~= '0' then server.call('HSET', VERSIONS, id .. ':' .. fact, stamp) else"
        " server.call('HDEL', VERSIONS, id .. ':' .. fact) end",
    ),
)
async def test_a_tombstone_stays(stage: Stage) -> None:
    """Gone offline she is remembered, or the online of before, told late, revives her."""
    mitra, mirror = await there(stage), stage.kit.mirror
    await mirror.apply([online(mitra, 4, value=False)])
    await mirror.apply([online(mitra, 3)])
    assert not await is_online(stage, mitra)


@pytest.mark.req("AV-03", "AV-05")
@needs(
    in_script("APPLY", "server.call('ZADD', ONLINE, BARRED, id)"),
    in_script("APPLY", "if score and known and not barred then", "if score and known then"),
    in_script("LOAD", " and score ~= '9007199254740991'"),
)
async def test_who_is_deactivated_is_barred(stage: Stage) -> None:
    """Online without life: her score is above every beat, and no slot makes her available."""
    mitra, mirror = await there(stage), stage.kit.mirror
    await mirror.apply([active(mitra, 2, value=False)])
    assert await stage.raw.zscore(keys.ONLINE, str(mitra)) == keys.BARRED
    assert not await is_kept(stage, mitra)
    await mirror.apply([load(mitra, 2)])
    assert not await is_kept(stage, mitra)


@pytest.mark.req("AV-05", "AV-10")
@needs(
    in_script(
        "APPLY",
        "< tonumber(string.sub(load, slash + 1))",
        "<= tonumber(string.sub(load, slash + 1))",
    ),
    in_script("LOAD", "ARGV[i + 4] == '1' and ", ""),
    in_code(facts, "load_arguments", "one.load < one.capacity", "one.load <= one.capacity"),
)
async def test_who_is_full_leaves_the_kept_answer(stage: Stage) -> None:
    """Told alone or with other facts."""
    alone, together, mirror = await there(stage), await there(stage), stage.kit.mirror
    await mirror.apply([load(alone, 2, 3)])
    await mirror.apply([active(together, 2), load(together, 2, 3)])
    assert not await is_kept(stage, alone)
    assert not await is_kept(stage, together)


@pytest.mark.req("AV-02", "AV-05")
@needs(
    in_script("LOAD", " and call('HEXISTS', VERSIONS, id .. ':a') == 1"),
    in_script("APPLY", "if score and known and not barred then", "if score and not barred then"),
)
async def test_who_is_not_known_to_be_active_is_not_available(stage: Stage) -> None:
    """A missing fact means no, however the load is told."""
    alone, together, mirror = new_id(), new_id(), stage.kit.mirror
    await mirror.apply([online(alone, 2)])
    await mirror.apply([load(alone, 1)])
    await mirror.apply([online(together, 2), load(together, 1)])
    assert not await is_kept(stage, alone)
    assert not await is_kept(stage, together)


@pytest.mark.req("AV-09")
@needs(
    in_script("APPLY", "if order < 0 then", "if order <= 0 then"),
    in_script("APPLY", "if wanted then return server.call('ZADD', AVAILABLE, wanted, id) end"),
)
async def test_an_equal_version_heals(stage: Stage) -> None:
    """What was damaged under it is written again."""
    mitra, mirror = await there(stage), stage.kit.mirror
    await stage.raw.hset(keys.LOAD, str(mitra), "9/3")
    await stage.raw.zrem(keys.AVAILABLE, str(mitra))
    await mirror.apply([online(mitra, 2), active(mitra, 1), load(mitra, 1)])
    assert await stage.raw.hget(keys.LOAD, str(mitra)) == b"0/3"
    assert await is_kept(stage, mitra)


@pytest.mark.req("AV-05", "AV-09")
@needs(in_script("APPLY", "'ZADD', ONLINE, 'GT', beat, id", "'ZADD', ONLINE, beat, id"))
async def test_a_fact_makes_no_beat_older(stage: Stage) -> None:
    """What Postgres knows of her beats may be of before the last flush."""
    mitra, mirror = await there(stage), stage.kit.mirror
    score = await stage.raw.zscore(keys.ONLINE, str(mitra))
    await mirror.apply([online(mitra, 3, age=30_000)])
    assert await stage.raw.zscore(keys.ONLINE, str(mitra)) == score
