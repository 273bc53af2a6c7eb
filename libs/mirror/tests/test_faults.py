"""Valkey frozen, killed, cut off, restarted: slower, never wrong, and soon well again."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest
from libs.mirror.tests.stage import Stage

from common.clock import SystemClock
from common.db import Unavailable
from common.ids import new_id
from common.runner import Runner
from common.testing.proxy import Proxy
from common.testing.waiting import eventually
from mirror import (
    Counts,
    Limits,
    MirrorKit,
    MirrorUnavailable,
    Presence,
    Reachability,
    open_mirror,
)
from mirror.fallback import Bulkhead, WithFallback
from mirror.link import Link
from temani.servers import Valkey

Through = tuple[MirrorKit, Proxy]


@pytest.fixture
async def through(stage: Stage, valkey: Valkey) -> AsyncIterator[Through]:
    """A mirror that reaches Valkey through a wire which the test can cut."""
    runner = Runner()
    async with Proxy(valkey.port) as proxy:
        url = f"valkey://127.0.0.1:{proxy.port}/0"
        kit = await open_mirror(url, stage.db, runner, SystemClock(), Limits())
        yield kit, proxy
        await runner.stop()


@pytest.mark.fault
@pytest.mark.req("AV-07")
async def test_a_frozen_valkey_costs_a_moment_then_nothing(stage: Stage, through: Through) -> None:
    """Half-open: the first answers come late by 0.15 s, then nobody waits; all are right."""
    kit, proxy = through
    mitra = await stage.world.mitra()
    await kit.seeder.reseed("test")
    proxy.blackhole()
    took = []
    for _ in range(8):
        started = time.monotonic()
        counts = await kit.presence.counts()
        found = await kit.presence.find_available(3)
        took.append(time.monotonic() - started)
        assert counts.source == "postgres"
        assert found == [mitra]
    assert max(took) < 1.5
    assert sorted(took)[len(took) // 2] < 0.1, "the breaker is open"
    proxy.heal()

    async def mirrored() -> bool:
        return (await kit.presence.counts()).source == "mirror"

    await eventually(mirrored, timeout=6)


@pytest.mark.fault
async def test_a_stale_write_after_a_freeze_changes_nothing(stage: Stage, through: Through) -> None:
    """What was sent into a frozen Valkey is applied when it thaws, and loses to newer facts."""
    kit, proxy = through
    mitra = await stage.world.mitra(load=3)
    await kit.seeder.reseed("test")
    await stage.world.load(mitra, 0)
    proxy.gate_replies()
    with pytest.raises(MirrorUnavailable):
        await kit.seeder.heal([mitra])
    await stage.world.load(mitra, 3)
    await stage.kit.seeder.heal([mitra])
    proxy.heal()

    assert await stage.raw.hget("{mitras}:load", str(mitra)) == b"3/3"


@pytest.mark.fault
async def test_a_cut_connection_is_made_anew_within_the_call(
    stage: Stage, through: Through
) -> None:
    """A reset between two questions costs no answer: the question is asked once more."""
    kit, proxy = through
    await stage.world.mitra()
    await kit.seeder.reseed("test")
    for _ in range(5):
        proxy.reset()
        await asyncio.sleep(0)
        assert (await kit.presence.counts()).available == 1


@pytest.mark.fault
@pytest.mark.req("AV-08", "AV-09")
async def test_a_killed_valkey_comes_back_empty_and_is_seeded(stage: Stage, tmp_path: Path) -> None:
    """Killed: Postgres answers. Restarted, it is empty: still Postgres, until it is seeded."""
    server = Valkey(tmp_path / "valkey")
    await server.start()
    runner = Runner()
    kit = await open_mirror(server.url, stage.db, runner, SystemClock(), Limits())
    try:
        mitra = await stage.world.mitra(beat_age=20)
        await kit.seeder.mend()
        assert (await kit.presence.counts()).source == "mirror"
        await server.kill()
        assert (await kit.presence.counts()).source == "postgres"
        assert await kit.beats.beat(mitra) == "recorded"
        assert await stage.world.beaten_ago(mitra) < 5
        await server.start()

        async def mended() -> bool:
            try:
                await kit.seeder.mend()
            except MirrorUnavailable:
                return False
            counts = await kit.presence.counts()
            assert counts.available == 1, "never nobody"
            return counts.source == "mirror"

        await eventually(mended, timeout=15)
        status = await kit.mirror.status(mitra)
        assert status is not None
        assert status.beat_age_ms is not None
        assert status.beat_age_ms < 20_000, "the beat of the outage was kept"
    finally:
        await runner.stop()
        await server.stop()


@pytest.mark.fault
async def test_a_stopped_server_process_is_noticed(stage: Stage, tmp_path: Path) -> None:
    """SIGSTOP: the kernel still accepts connections; calls end in time all the same."""
    server = Valkey(tmp_path / "valkey")
    await server.start()
    link = Link(server.url, clock=SystemClock())
    try:
        await link.learn_clock()
        pid = server.pid
        os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        for _ in range(60):
            with pytest.raises(MirrorUnavailable):
                await link.command(b"PING")
        assert time.monotonic() - started < 4
        os.kill(pid, signal.SIGCONT)

        async def answers() -> object:
            try:
                return await link.command(b"PING")
            except MirrorUnavailable:
                return None

        assert await eventually(answers, timeout=5) == b"PONG"
    finally:
        await link.close()
        await server.stop()


async def test_lost_scripts_are_sent_again(stage: Stage) -> None:
    """After SCRIPT FLUSH the next question still gets its answer."""
    await stage.raw.script_flush()

    assert (await stage.kit.mirror.counts()).online == 0


async def test_a_cancelled_question_leaves_the_answers_in_order(stage: Stage) -> None:
    """Replies belong to their questions, also when some who asked have gone away."""
    link = stage.kit.mirror._link

    async def echo(number: int) -> int:
        return int(await link.command(b"ECHO", str(number)))

    tasks = [asyncio.create_task(echo(number)) for number in range(200)]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert all(
        isinstance(answer, asyncio.CancelledError) or answer == number
        for number, answer in enumerate(answers)
    )
    assert await echo(7) == 7


class Broken:
    """A mirror that is away."""

    async def find_available(self, limit: int, exclude: Collection[UUID] = ()) -> list[UUID]:
        """Fail."""
        raise MirrorUnavailable("away")

    async def is_reachable(self, mitra_ids: Collection[UUID]) -> dict[UUID, Reachability]:
        """Fail."""
        raise MirrorUnavailable("away")

    async def counts(self) -> Counts:
        """Fail."""
        raise MirrorUnavailable("away")


class Slow:
    """A Postgres that counts who asks at once."""

    def __init__(self) -> None:
        self.now = self.most = self.asked = 0

    async def find_available(self, limit: int, exclude: Collection[UUID] = ()) -> list[UUID]:
        """Take a moment."""
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.02)
        self.now -= 1
        return []


class Gone:
    """A Postgres that is away."""

    async def counts(self) -> Counts:
        """Fail."""
        raise Unavailable


def joined(then: object) -> WithFallback:
    """Join a mirror that is away with this Postgres."""
    return WithFallback(
        first=Broken(), then=cast("Presence", then), bulkhead=Bulkhead(clock=SystemClock())
    )


@pytest.mark.req("AV-07")
async def test_the_fallback_cannot_take_postgres_down() -> None:
    """Sixty different questions at once: at most eight in Postgres; sixty equal ones: one."""
    slow = Slow()
    presence = joined(slow)
    await asyncio.gather(*(presence.find_available(3, [new_id()]) for _ in range(60)))
    assert slow.most == 8
    slow.asked = 0
    await asyncio.gather(*(presence.find_available(3) for _ in range(60)))

    assert slow.asked == 1


@pytest.mark.req("AV-07")
async def test_with_both_away_the_caller_is_told_to_come_back() -> None:
    """Neither mirror nor Postgres: Unavailable, not a wrong answer."""
    with pytest.raises(Unavailable):
        await joined(Gone()).counts()
