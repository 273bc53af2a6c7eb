"""A mirror that hears no beats knows less each second: then Postgres, which hears them, answers."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from libs.mirror.tests.stage import Stage, age

from common.clock import SystemClock
from common.db import Database
from common.runner import Runner
from common.testing.waiting import eventually
from mirror import Limits, MirrorKit, MirrorUnavailable, asking, keys, open_mirror, record_beats
from mirror.sentinel import parse, write
from temani.servers import Valkey

# A beat is stale before the freeze of the test ends, and not for a busy machine's sake.
SHORT = Limits(heartbeat_seconds=3, fresh_seconds=9, auto_offline_seconds=30)
FROZEN_SECONDS = 10

Own = tuple[MirrorKit, Valkey]


@pytest.mark.req("AV-05", "AV-07")
async def test_a_mirror_that_hears_nobody_is_not_believed(stage: Stage) -> None:
    """After 25 s without a beat of anybody, all four questions go to Postgres."""
    mitra = await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    await age(stage, mitra, 12)
    assert (await stage.kit.presence.counts()).source == "mirror"
    await age(stage, mitra, 26)
    mirror = stage.kit.mirror
    for asked in (
        mirror.counts(),
        mirror.find_available(3),
        mirror.is_reachable([mitra]),
        mirror.status(mitra),
    ):
        with pytest.raises(MirrorUnavailable, match="no beat comes") as caught:
            await asked
        assert (caught.value.state, caught.value.code) == ("deaf", "deaf")

    assert (await stage.kit.presence.counts()).source == "postgres"
    assert await stage.kit.presence.find_available(3) == [mitra]
    await stage.kit.watch.look()
    assert (stage.kit.state().state, stage.kit.state().code) == ("deaf", "deaf")


@pytest.mark.req("SW-01")
async def test_the_sweep_still_sees_who_is_stale(stage: Stage) -> None:
    """Silence is no reason to hide the stale: the grace and the brake judge that."""
    mitra = await stage.world.mitra(beat_age=200)
    await stage.kit.seeder.reseed("test")

    assert [one.mitra_id for one in (await stage.kit.mirror.stale()).mitras] == [mitra]


async def test_nobody_online_is_no_silence(stage: Stage) -> None:
    """Nobody, or only somebody who may not beat: the mirror says so itself."""
    assert (await stage.kit.presence.counts()).source == "mirror"
    barred = await stage.world.mitra(active=False)
    await stage.world.mitra(online=False)
    await stage.kit.seeder.reseed("test")
    counts = await stage.kit.presence.counts()

    assert (counts.source, counts.online, counts.reachable) == ("mirror", 1, 0)
    assert [one.mitra_id for one in (await stage.kit.mirror.stale()).mitras] == [barred]


@pytest.mark.req("AV-05", "AV-07", "AV-09")
async def test_the_first_beat_after_a_silence_does_not_make_it_believed(stage: Stage) -> None:
    """The others beat into Postgres meanwhile: until that has come over, Postgres answers."""
    first = await stage.world.mitra(load=3)
    others = [await stage.world.mitra() for _ in range(3)]
    await stage.kit.seeder.reseed("test")
    for mitra in (first, *others):
        await age(stage, mitra, 50)
    assert await stage.kit.beats.beat(first) == "recorded"

    with pytest.raises(MirrorUnavailable, match="deaf until a moment ago"):
        await stage.kit.mirror.counts()
    assert (await stage.kit.presence.counts()).available == len(others)
    assert await stage.kit.seeder.mend() is not None
    counts = await stage.kit.presence.counts()
    assert (counts.source, counts.available) == ("mirror", len(others))


async def test_without_a_seeding_the_next_beats_end_the_doubt(stage: Stage) -> None:
    """Once everybody who is there must have beaten again, the mirror knows enough by itself."""
    mitra = await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    now = int((await stage.raw.time())[0]) * 1000
    seed = parse(await stage.raw.get(keys.SEED))
    await stage.raw.set(keys.SEED, write(replace(seed, seeded_ms=now - 60_000)))
    await stage.raw.set(keys.INTAKE, now - 5_000)
    with pytest.raises(MirrorUnavailable, match="deaf until a moment ago"):
        await stage.kit.mirror.counts()
    await stage.raw.set(keys.INTAKE, now - 26_000)

    assert await stage.kit.mirror.find_available(3) == [mitra]


@pytest.fixture
async def own(
    stage: Stage, tmp_path: Path, hasty: None, request: pytest.FixtureRequest
) -> AsyncIterator[Own]:
    """A Valkey of our own to be seeded, and a mirror with the given limits."""
    server = Valkey(tmp_path / "valkey", cluster=False)
    await server.start()
    runner = Runner()
    kit = await open_mirror(server.url, stage.db, runner, SystemClock(), request.param)
    yield kit, server
    await runner.stop()
    await server.stop()


class Life:
    """Two mitras who beat, somebody who asks all the time, and the upkeep."""

    def __init__(self, kit: MirrorKit, db: Database, mitras: set[UUID]) -> None:
        self.kit = kit
        self.db = db
        self.mitras = mitras
        self.flushing = True
        self.sources: list[str] = []
        self.ended = asyncio.Event()

    async def beat(self) -> None:
        """Let both beat, wherever it is written; but for the fault the flush writes it down."""
        while not self.ended.is_set():
            for mitra in self.mitras:
                assert await self.kit.beats.beat(mitra) == "recorded"
            if self.flushing:
                await record_beats(self.db, [(mitra, 0.0) for mitra in self.mitras])
            await asyncio.sleep(0.2)

    async def ask(self) -> None:
        """Each answer has both."""
        while not self.ended.is_set():
            counts = await self.kit.presence.counts()
            self.sources.append(counts.source)
            assert (counts.online, counts.reachable, counts.available) == (2, 2, 2)
            assert set(await self.kit.presence.find_available(3)) == self.mitras
            await asyncio.sleep(0.1)

    async def mend(self) -> None:
        """Look after the mirror."""
        while not self.ended.is_set():
            with contextlib.suppress(MirrorUnavailable):
                await self.kit.seeder.mend()
            await asyncio.sleep(0.3)

    async def answered_by(self, source: str) -> None:
        """Wait until somebody answers anew."""
        start = len(self.sources)
        await eventually(lambda: source in self.sources[start:], timeout=60)


async def mended(kit: MirrorKit) -> bool:
    """Look after it; False where a busy machine was taken for an outage."""
    with contextlib.suppress(MirrorUnavailable):
        await kit.seeder.mend()
        return await kit.seeder.trouble() is None
    return False


@pytest.mark.fault
@pytest.mark.req("AV-05", "AV-07", "AV-08", "AV-09")
@pytest.mark.parametrize("own", [SHORT], indirect=True)
async def test_frozen_and_thawed_it_never_says_nobody(stage: Stage, own: Own) -> None:
    """Beats go on while it is frozen for longer than they stay fresh; every answer has both."""
    kit, server = own
    life = Life(kit, stage.db, {await stage.world.mitra(), await stage.world.mitra()})
    await eventually(lambda: mended(kit), timeout=60)

    async def play() -> None:
        await life.answered_by("mirror")
        life.flushing = False
        os.kill(server.pid, signal.SIGSTOP)
        await life.answered_by("postgres")
        await asyncio.sleep(FROZEN_SECONDS)  # the fault is longer than beats stay fresh
        os.kill(server.pid, signal.SIGCONT)
        life.flushing = True
        await life.answered_by("mirror")
        life.ended.set()

    async with asyncio.TaskGroup() as group:
        for work in (life.beat, life.ask, life.mend, play):
            group.create_task(work())


@pytest.mark.fault
@pytest.mark.req("AV-07", "AV-08", "AV-09")
@pytest.mark.parametrize("own", [Limits()], indirect=True)
async def test_found_again_it_is_believed_once_it_was_seeded(
    stage: Stage, own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that missed it for longer than 2 s first lets what was missed come over."""
    # Nobody has to ask within a moment to be told.
    monkeypatch.setattr(asking, "_FOUND_AGAIN_MS", 600_000)
    kit, server = own
    await stage.world.mitra()
    await eventually(lambda: mended(kit), timeout=60)
    os.kill(server.pid, signal.SIGSTOP)
    with pytest.raises(MirrorUnavailable):
        await kit.mirror.counts()
    await asyncio.sleep(2.1)  # the length of the fault
    os.kill(server.pid, signal.SIGCONT)

    async def reason() -> str | None:
        try:
            await kit.mirror.counts()
        except MirrorUnavailable as error:
            return error.reason if error.state != "away" else None
        return "believed"

    assert await eventually(reason, timeout=60) == "it was away until a moment ago"
    await eventually(lambda: mended(kit), timeout=60)
    assert await eventually(reason, timeout=60) == "believed"
    assert (await kit.presence.counts()).available == 1
