"""The arc of a find: exactly so many, each once, each as often as any other, none who is stale."""

import re
from collections import Counter
from typing import Any

import pytest
from libs.mirror.tests.stage import Stage

from common.ids import new_id
from mirror import keys
from mirror.arc import Arc
from mirror.link import Server

STALE = ["stale 1", "stale 2"]


def take(fresh: int, wanted: int, *, now: int | None = None) -> list[str]:
    """Choose by `fresh` and look into a kept answer where `now` are fresh."""
    now = fresh if now is None else now
    kept = [*STALE, *(f"fresh {place}" for place in range(now)), "guard"]
    arc = Arc(wanted, fresh)
    found = [kept[first:][: last - first + 1] for first, last in arc.ranges]
    return [*arc.still_fresh(found, now)]  # type: ignore[arg-type, list-item] # names for bytes


@pytest.mark.req("AV-06")
@pytest.mark.parametrize("fresh", range(12))
@pytest.mark.parametrize("wanted", [1, 2, 5, 11, 12, 50])
def test_exactly_so_many_each_once(fresh: int, wanted: int) -> None:
    """Wherever it starts: as many as wanted or as there are, no stale one, no guard."""
    for _ in range(40):
        found = take(fresh, wanted)
        assert len(found) == len(set(found)) == min(wanted, fresh)
        assert all(one.startswith("fresh") for one in found)


@pytest.mark.req("AV-06")
def test_each_comes_up_as_often_as_any_other() -> None:
    """The arc starts anywhere with the same chance, so nobody's place is better."""
    seen = Counter(one for _ in range(4_000) for one in take(10, 3))

    assert len(seen) == 10
    assert all(1_000 < times < 1_400 for times in seen.values())


@pytest.mark.parametrize(("fresh", "now"), [(10, 4), (4, 10), (3, 0), (0, 3)])
def test_an_arc_by_an_old_look_holds_nobody_who_is_stale_now(fresh: int, now: int) -> None:
    """Others became stale or came since: fewer may be found, never a wrong one."""
    for _ in range(200):
        found = take(fresh, 3, now=now)
        assert len(found) == len(set(found)) <= 3
        assert all(one.startswith("fresh") for one in found)


@pytest.mark.req("AV-05", "AV-06")
async def test_whoever_came_or_went_since_the_last_question_is_counted(stage: Stage) -> None:
    """The last look may be old: still exactly k, all when there are fewer, nobody who is gone."""
    mirror = stage.kit.mirror
    assert await mirror.find_available(3) == []
    mitras = [await stage.world.mitra() for _ in range(6)]
    await stage.kit.seeder.heal(mitras)
    assert len(set(await mirror.find_available(4))) == 4
    for mitra in mitras[:4]:
        await stage.world.offline(mitra)
    await stage.kit.seeder.heal(mitras)
    assert set(await mirror.find_available(4)) == set(mitras[4:])
    for mitra in mitras[:4]:
        await stage.world.online(mitra)
    await stage.kit.seeder.heal(mitras)
    assert len(set(await mirror.find_available(4))) == 4


@pytest.mark.req("AV-05", "AV-06")
@pytest.mark.parametrize("change", ["zrem", "zadd"])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
async def test_a_find_may_be_torn_between_any_two_of_its_commands(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, at: int, change: str
) -> None:
    """Valkey reads 16 KB at a time; who comes or goes in between brings in nobody stale or twice.

    Answers to other questions of the same tick may stand before it on the wire.
    """
    fresh = [await stage.world.mitra() for _ in range(3)]
    stale = await stage.world.mitra(beat_age=60)
    await stage.kit.seeder.reseed("test")
    mirror, newcomer = stage.kit.mirror, new_id()
    score = await stage.raw.zscore(keys.AVAILABLE, str(fresh[0]))
    whole = mirror._link.ask

    async def torn(commands: bytes, replies: int) -> tuple[Any, Server]:
        parts = re.findall(rb"\*\d+\r\n(?:\$\d+\r\n[^\r]*\r\n)+", commands)
        first, _ = await whole(b"".join(parts[:at]), at)
        if change == "zrem":
            await stage.raw.zrem(keys.AVAILABLE, str(fresh[0]))
        else:
            await stage.raw.zadd(keys.AVAILABLE, {str(newcomer): score + 10_000})
        rest, server = await whole(b"".join(parts[at:]), replies - at)
        return first + rest, server

    for _ in range(8):
        await stage.raw.zrem(keys.AVAILABLE, str(newcomer))
        await stage.raw.zadd(keys.AVAILABLE, {str(fresh[0]): score})
        await mirror.find_available(3)
        with monkeypatch.context() as patched:
            patched.setattr(mirror._link, "ask", torn)
            found = await mirror.find_available(3)

        assert stale not in found
        assert len(found) == len(set(found))
        assert found
