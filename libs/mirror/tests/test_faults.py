"""Valkey frozen, killed, cut off, restarted: slower, never wrong, and soon well again."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from libs.mirror.tests.stage import Stage, Through, close_breaker, failures

from common import baseline
from common.clock import SystemClock
from common.runner import Runner
from common.testing.waiting import eventually
from mirror import Limits, MirrorUnavailable, asking, open_mirror
from mirror import link as link_module
from mirror.link import Link
from temani.servers import Valkey


async def scripts_run(stage: Stage) -> int:
    """Return how many scripts Valkey has run."""
    calls: int = (await stage.raw.info("commandstats"))["cmdstat_evalsha"]["calls"]
    return calls


@pytest.mark.fault
@pytest.mark.req("AV-07")
async def test_a_frozen_valkey_costs_a_moment_then_nothing(
    stage: Stage, hasty: None, breaker_stays: None, through: Through
) -> None:
    """Half-open: three answers come late by 0.15 s, then nobody waits; all are right."""
    kit, proxy = through
    mitra = await stage.world.mitra()
    await stage.kit.seeder.reseed("test")
    await close_breaker(kit.mirror._link)
    before = failures()
    proxy.blackhole()
    for _ in range(8):
        assert (await kit.presence.counts()).source == "postgres"
        assert await kit.presence.find_available(3) == [mitra]
    assert failures() - before == baseline.VALKEY_BREAKER_FAILURES
    proxy.heal()
    await close_breaker(kit.mirror._link)

    async def mirrored() -> bool:
        return (await kit.presence.counts()).source == "mirror"

    await eventually(mirrored, timeout=60)


@pytest.mark.fault
async def test_a_stale_write_after_a_freeze_changes_nothing(
    stage: Stage, hasty: None, through: Through
) -> None:
    """What was sent into a frozen Valkey is applied when it thaws, and loses to newer facts."""
    kit, proxy = through
    mitra = await stage.world.mitra(load=3)
    await stage.kit.seeder.reseed("test")
    await close_breaker(kit.mirror._link)
    await stage.world.load(mitra, 0)
    proxy.blackhole()
    with pytest.raises(MirrorUnavailable):
        await kit.seeder.heal([mitra])
    await stage.world.load(mitra, 3)
    await stage.kit.seeder.heal([mitra])
    before = await scripts_run(stage)
    proxy.heal()

    async def arrived() -> bool:
        return await scripts_run(stage) > before

    await eventually(arrived, timeout=60)
    assert await stage.raw.hget("{mitras}:load", str(mitra)) == b"3/3"


@pytest.mark.fault
async def test_a_cut_connection_is_made_anew_within_the_call(
    stage: Stage, through: Through, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reset between two questions costs no answer: the question is asked once more."""
    monkeypatch.setattr(link_module, "OUTAGE_SECONDS", 600.0)
    kit, proxy = through
    await stage.world.mitra()
    await kit.seeder.reseed("test")
    for _ in range(5):
        proxy.reset()
        await asyncio.sleep(0)
        assert (await kit.mirror.counts()).available == 1
    assert kit.mirror._link.connections > 1


@pytest.mark.fault
@pytest.mark.req("AV-08", "AV-09")
async def test_found_again_and_cut_off_at_once_it_is_still_behind(
    stage: Stage, through: Through, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came to pass during the outage has not come over, on whichever connection it is."""
    monkeypatch.setattr(asking, "_FOUND_AGAIN_MS", 600_000)
    kit, proxy = through
    await stage.world.mitra()
    await kit.seeder.reseed("test")
    assert (await kit.mirror.counts()).available == 1
    for outage in (0.0, 600.0):
        # The first is longer than that, the second is not.
        monkeypatch.setattr(link_module, "OUTAGE_SECONDS", outage)
        proxy.reset()
        with pytest.raises(MirrorUnavailable, match="away until a moment ago"):
            await kit.mirror.counts()
    assert await kit.seeder.mend() is not None

    assert (await kit.mirror.counts()).available == 1


@pytest.mark.fault
@pytest.mark.req("AV-08", "AV-09")
async def test_a_killed_valkey_comes_back_empty_and_is_seeded(stage: Stage, tmp_path: Path) -> None:
    """Killed: Postgres answers. Restarted, it is empty: still Postgres, until it is seeded."""
    server = Valkey(tmp_path / "valkey", cluster=False)
    await server.start()
    runner = Runner()
    kit = await open_mirror(server.url, stage.db, runner, SystemClock(), Limits())
    try:
        mitra = await stage.world.mitra(beat_age=10)
        await kit.seeder.mend()
        assert (await kit.presence.counts()).source == "mirror"
        await server.kill()
        assert (await kit.presence.counts()).source == "postgres"
        assert await kit.beats.beat(mitra) == "recorded"
        assert await stage.world.beaten_ago(mitra) < 10
        await server.start()

        async def mended() -> bool:
            try:
                await kit.seeder.mend()
            except MirrorUnavailable:
                return False
            counts = await kit.presence.counts()
            if counts.available != 1:
                pytest.fail("nobody is there")
            return counts.source == "mirror"

        await eventually(mended, timeout=40)
        status = await kit.mirror.status(mitra)
        assert status is not None
        assert status.beat_age_ms is not None
        kept = status.beat_age_ms - await stage.world.beaten_ago(mitra) * 1000
        assert kept < 9_000, "the beat of the outage was kept"
    finally:
        await runner.stop()
        await server.stop()


@pytest.mark.fault
async def test_a_stopped_server_process_is_noticed(
    stage: Stage, tmp_path: Path, hasty: None, breaker_stays: None
) -> None:
    """SIGSTOP: the kernel still accepts connections; calls end in time all the same."""
    server = Valkey(tmp_path / "valkey", cluster=False)
    await server.start()
    link = Link(server.url, clock=SystemClock())
    try:
        await close_breaker(link)
        before = failures()
        os.kill(server.pid, signal.SIGSTOP)
        for _ in range(60):
            with pytest.raises(MirrorUnavailable):
                await link.command(b"PING")
        assert failures() - before == baseline.VALKEY_BREAKER_FAILURES
        os.kill(server.pid, signal.SIGCONT)
        await close_breaker(link)
    finally:
        await link.close()
        await server.stop()


async def test_lost_scripts_are_sent_again(stage: Stage) -> None:
    """After SCRIPT FLUSH the next question still gets its answer."""
    await stage.raw.script_flush()

    assert (await stage.kit.mirror.stale()).online == 0


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
