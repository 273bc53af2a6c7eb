"""Beats: one write for all of a tick, and Postgres while there is no mirror."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import UUID

import pytest
from libs.mirror.tests.stage import Stage
from prometheus_client import REGISTRY

from common.db import Database, Unavailable
from common.ids import new_id
from mirror import Applied, BeatCursor, BeatOutcome, beating, record_beats


async def evalsha_calls(stage: Stage) -> int:
    """Return how many scripts Valkey has run."""
    info = await stage.raw.info("commandstats")
    calls: int = info.get("cmdstat_evalsha", {"calls": 0})["calls"]
    return calls


def counted(outcome: BeatOutcome) -> float:
    """Return how many beats the mirror's metric has counted with this outcome."""
    labels = {"outcome": outcome, "source": "mirror"}
    return REGISTRY.get_sample_value("mirror_beats_total", labels) or 0.0


@pytest.mark.req("AV-03", "AV-04")
async def test_all_beats_of_a_tick_go_in_one_command(stage: Stage) -> None:
    """A hundred sockets that beat at once cost Valkey one script, and Postgres nothing."""
    mitras = [await stage.world.mitra(beat_age=30) for _ in range(100)]
    await stage.kit.seeder.reseed("test")
    before = await evalsha_calls(stage)
    outcomes = await asyncio.gather(*(stage.kit.beats.beat(mitra) for mitra in mitras))

    assert set(outcomes) == {BeatOutcome.RECORDED}
    assert await evalsha_calls(stage) - before == 1
    scores = [
        score for _, score in await stage.raw.zrange("{mitras}:online", 0, -2, withscores=True)
    ]
    now = int((await stage.raw.time())[0]) * 1000
    assert min(scores) > now - 25_000
    assert await stage.world.beaten_ago(mitras[0]) > 29


@pytest.mark.req("AV-03")
async def test_an_app_learns_that_it_is_offline(stage: Stage) -> None:
    """Offline, deactivated and unknown mitras are told so, and nothing is stored for them."""
    offline = await stage.world.mitra(online=False)
    barred = await stage.world.mitra(active=False)
    await stage.kit.seeder.reseed("test")

    assert await stage.kit.beats.beat(offline) == BeatOutcome.OFFLINE
    assert await stage.kit.beats.beat(barred) == BeatOutcome.DEACTIVATED
    assert await stage.kit.beats.beat(new_id()) == BeatOutcome.UNKNOWN
    assert await stage.raw.zscore("{mitras}:online", str(offline)) is None


@pytest.mark.req("AV-03", "AV-04")
async def test_nobody_waits_for_ever_where_a_heal_fails(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing in the mirror, and to mend that is a bug of ours: her beat is answered all the same.

    So are the beats of those who come after her.
    """
    first, second = await stage.world.mitra(), await stage.world.mitra()
    beats = stage.kit.beats

    async def broken(_mitras: object) -> Applied:
        raise RuntimeError("a test")

    monkeypatch.setattr(beats, "_heal", broken)
    monkeypatch.setattr(beating, "BEAT_BATCH", 1)
    async with asyncio.timeout(60):
        found = await asyncio.gather(beats.beat(first), beats.beat(second))

    assert found == [BeatOutcome.RECORDED] * 2


@pytest.mark.req("AV-03")
async def test_an_answer_that_fails_keeps_nobody_else_waiting(stage: Stage) -> None:
    """Whoever is told first may be gone in a way of its own: the others of its tick are told."""
    first, second = await stage.world.mitra(), await stage.world.mitra()
    await stage.kit.seeder.reseed("test")

    def broken(_written: object) -> None:
        raise RuntimeError("a test")

    stage.kit.beats.take(first, broken)
    async with asyncio.timeout(60):
        assert await stage.kit.beats.beat(second) == BeatOutcome.RECORDED


async def test_each_beat_of_a_tick_is_counted(stage: Stage) -> None:
    """The metric tells how many there were, by what became of them."""
    here = [await stage.world.mitra() for _ in range(3)]
    barred = [await stage.world.mitra(active=False) for _ in range(2)]
    await stage.kit.seeder.reseed("test")
    before = {outcome: counted(outcome) for outcome in BeatOutcome}
    await asyncio.gather(*(stage.kit.beats.beat(mitra) for mitra in here + barred))

    assert counted(BeatOutcome.RECORDED) - before[BeatOutcome.RECORDED] == 3
    assert counted(BeatOutcome.DEACTIVATED) - before[BeatOutcome.DEACTIVATED] == 2
    assert counted(BeatOutcome.OFFLINE) == before[BeatOutcome.OFFLINE]


@pytest.mark.req("AV-03")
async def test_too_many_beats_are_refused_not_kept(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits hears it as an error, whoever is told hears it at once: nobody knows."""
    told: list[bool | None] = []
    monkeypatch.setattr(beating, "_MAX_WAITING", 0)
    stage.kit.beats.beat_soon(new_id(), told.append)
    assert told == [None]
    with pytest.raises(Unavailable):
        await stage.kit.beats.beat(new_id())


@pytest.mark.req("AV-03", "AV-07")
async def test_without_a_mirror_postgres_takes_beats_and_refuses_the_deactivated(
    stage: Stage,
) -> None:
    """An emptied Valkey is an outage: the full check is made in Postgres, for all of a tick."""
    here = await stage.world.mitra(beat_age=30)
    barred = await stage.world.mitra(active=False, beat_age=30)
    gone = await stage.world.mitra(online=False)
    await stage.raw.flushall()
    outcomes = await asyncio.gather(*(stage.kit.beats.beat(one) for one in (here, barred, gone)))

    assert outcomes == [BeatOutcome.RECORDED, BeatOutcome.DEACTIVATED, BeatOutcome.OFFLINE]
    assert await stage.world.beaten_ago(here) < 20
    assert await stage.world.beaten_ago(barred) > 29


@pytest.mark.req("AV-07", "SW-02")
async def test_no_beat_in_postgres_moves_backwards_or_into_the_future(stage: Stage) -> None:
    """An old beat changes nothing; one from the future counts as now; repeats are harmless."""
    mitra = await stage.world.mitra(beat_age=100)
    assert await record_beats(stage.db, [(mitra, 600_000.0)]) == {mitra: BeatOutcome.RECORDED}
    assert 99 < await stage.world.beaten_ago(mitra) < 500
    await record_beats(stage.db, [(mitra, -600_000.0), (mitra, 50_000.0)])
    assert 0 <= await stage.world.beaten_ago(mitra) < 40


class Locked:
    """A database where the first try of a batch meets a lock, and the second comes later."""

    def __init__(self) -> None:
        self.ages: list[float] = []

    async def run(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        """Try, wait, try again."""
        await work(self)
        await asyncio.sleep(0.2)
        return await work(self)

    async def fetch(self, _query: str, _mitras: list[UUID], ages: list[float]) -> list[Any]:
        """Note how old the beat is said to be."""
        self.ages += ages
        return []


@pytest.mark.req("AV-05", "AV-07")
async def test_a_beat_grows_older_while_it_waits_for_postgres() -> None:
    """Another batch held her row: dated by the last try, she would look younger than she is."""
    db = Locked()
    await record_beats(cast("Database", db), [(new_id(), 1_000.0)])
    first, second = db.ages

    assert first >= 1_000
    assert second - first >= 199


@pytest.mark.req("AV-01", "AV-04")
async def test_a_mitra_whom_the_mirror_missed_is_healed_by_her_beat(stage: Stage) -> None:
    """She went online while the mirror could not be written: her app is not told otherwise."""
    mitra = await stage.world.mitra(online=False)
    await stage.kit.seeder.reseed("test")
    await stage.world.online(mitra)

    assert await stage.kit.beats.beat(mitra) == BeatOutcome.RECORDED
    assert (await stage.kit.mirror.is_reachable([mitra]))[mitra].available


async def test_someone_offline_is_looked_up_once_in_a_while(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app that beats on though it is offline costs Postgres one statement in a while."""
    monkeypatch.setattr(beating, "_CONFIRMED_SECONDS", 600.0)
    mitra = await stage.world.mitra(online=False)
    await stage.kit.seeder.reseed("test")
    await stage.kit.beats.beat(mitra)
    await stage.world.online(mitra)

    assert await stage.kit.beats.beat(mitra) == BeatOutcome.OFFLINE


async def test_the_moment_of_receipt_counts(stage: Stage) -> None:
    """A beat that is written late is as old as it is, not as young as its writing."""
    mitra = await stage.world.mitra(beat_age=40)
    await stage.kit.seeder.reseed("test")
    received = stage.now() - 20
    await stage.kit.mirror.record([(mitra, received)])
    status = await stage.kit.mirror.status(mitra)

    assert status is not None
    assert status.beat_age_ms is not None
    assert 19_900 < status.beat_age_ms < 39_000


@pytest.mark.req("SW-02")
async def test_a_walk_over_the_beats_meets_each_once(stage: Stage) -> None:
    """Pages follow each other in the order of time, also where many beats share a millisecond."""
    mitras = {await stage.world.mitra(beat_age=30) for _ in range(25)}
    await stage.kit.seeder.reseed("test")
    now = stage.now()
    await stage.kit.mirror.record([(mitra, now) for mitra in mitras])
    seen: list[UUID] = []
    cursor, last = BeatCursor(), False
    while not last:
        page = await stage.kit.mirror.beats(cursor, limit=10)
        seen += [mitra for mitra, _ in page.beats]
        cursor, last = page.next, page.is_last

    assert len(seen) == len(set(seen)) == 25
    assert set(seen) == mitras
    await record_beats(stage.db, page.ages())
    assert await stage.world.beaten_ago(page.ages()[0][0]) < 25
