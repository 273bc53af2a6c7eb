"""A replica takes over and has lost the last writes: it is seeded before anybody believes it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import valkey.asyncio as valkey_client
from libs.mirror.tests.stage import Stage
from typing_extensions import override

from common.clock import SystemClock
from common.runner import Runner
from common.testing.proxy import Proxy
from common.testing.still import Still
from common.testing.waiting import eventually
from mirror import Limits, MirrorKit, MirrorUnavailable, keys, open_mirror
from temani import binaries
from temani.process import Process
from temani.servers import Valkey


class Alone(Valkey):
    """A Valkey outside any cluster, where REPLICAOF says who follows whom."""

    @override
    def _program(self) -> Process:
        command = [str(binaries.valkey_server()), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self.folder), "--save", "", "--repl-diskless-sync-delay", "0"]
        return Process(self.name, command, log=self.log, cwd=self.folder)

    @override
    async def _answers(self) -> bool:
        return (await self._ask("PING")).startswith("+PONG")


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Alone, Alone]]:
    """A primary and a replica that follows it."""
    primary, replica = Alone(tmp_path / "primary"), Alone(tmp_path / "replica")
    await primary.start()
    await replica.start()
    yield primary, replica
    await replica.stop()
    await primary.stop()


async def follow(follower: valkey_client.Valkey, leader: Alone) -> None:
    """Make one server follow another; return when it holds what that holds."""
    await follower.replicaof("127.0.0.1", leader.port)

    async def follows() -> bool:
        return (await follower.info("replication"))["master_link_status"] == "up"

    await eventually(follows, timeout=60)


@pytest.mark.fault
@pytest.mark.req("AV-07", "AV-08", "AV-09")
async def test_a_promoted_replica_is_no_mirror_until_it_is_seeded(
    stage: Stage, pair: tuple[Alone, Alone]
) -> None:
    """It kept the sentinel and lost what came last: one mitra filled up, another came online."""
    primary, replica = pair
    filled = await stage.world.mitra()
    late = await stage.world.mitra(online=False)
    follower = valkey_client.Valkey.from_url(replica.url)
    runner = Runner()
    async with Proxy(primary.port) as proxy:
        url = f"valkey://127.0.0.1:{proxy.port}/0"
        kit = await open_mirror(url, stage.db, runner, SystemClock(), Limits())
        try:
            await kit.seeder.mend()
            await follow(follower, primary)
            assert await follower.get(keys.SEED) is not None
            await follower.replicaof("NO", "ONE")
            await stage.world.load(filled, 3)
            await stage.world.online(late)
            await kit.seeder.heal([filled, late])
            assert await kit.mirror.find_available(3) == [late]
            proxy._target = replica.port
            proxy.reset()

            assert await kit.presence.find_available(3) == [late]
            assert (await kit.presence.counts()).source == "postgres"
            assert await kit.seeder.trouble() == "it was seeded into another server process"
            seeded = await kit.seeder.mend()
            assert seeded is not None
            assert {(one.mitra_id, one.fact) for one in seeded.applied.mended} == {
                (filled, "load"),
                (late, "online"),
            }
            assert await kit.mirror.find_available(3) == [late]
            assert await kit.seeder.diff() == []
        finally:
            await runner.stop()
            await follower.aclose()


@contextlib.asynccontextmanager
async def switched(
    stage: Stage, pair: tuple[Alone, Alone]
) -> AsyncIterator[tuple[MirrorKit, Proxy]]:
    """A mirror whose primary has become the replica of its replica, and kept our connection."""
    primary, replica = pair
    async with contextlib.AsyncExitStack() as doors:
        proxy = await doors.enter_async_context(Proxy(primary.port))
        old = await doors.enter_async_context(valkey_client.Valkey.from_url(primary.url))
        new = await doors.enter_async_context(valkey_client.Valkey.from_url(replica.url))
        url = f"valkey://127.0.0.1:{proxy.port}/0"
        # The look of each second would notice before we are ready to see who notices.
        runner = Still()
        doors.push_async_callback(runner.stop)
        kit = await open_mirror(url, stage.db, runner, SystemClock(), Limits())
        await kit.seeder.mend()
        await follow(new, primary)
        await new.replicaof("NO", "ONE")
        await follow(old, replica)
        assert (proxy.connections, kit.mirror._link.connections) == (1, 1)
        yield kit, proxy


@pytest.mark.fault
@pytest.mark.req("AV-07", "AV-08", "AV-09")
async def test_a_primary_that_became_a_replica_is_believed_no_more(
    stage: Stage, pair: tuple[Alone, Alone]
) -> None:
    """It keeps process, sentinel and connections: the look of each second asks whom it follows."""
    mitra = await stage.world.mitra()
    async with switched(stage, pair) as (kit, proxy):
        await kit.watch.look()
        assert kit.state().state == "away"
        assert (await kit.presence.counts()).source == "postgres"

        # Now the address leads to the new primary.
        proxy._target = pair[1].port

        async def mended() -> bool:
            with contextlib.suppress(MirrorUnavailable):
                return await kit.seeder.mend() is not None
            return False

        await eventually(mended, timeout=60)
        assert await kit.mirror.find_available(3) == [mitra]


@pytest.mark.fault
@pytest.mark.req("AV-03", "AV-07")
async def test_the_first_write_that_a_replica_refuses_ends_the_connection(
    stage: Stage, pair: tuple[Alone, Alone]
) -> None:
    """Nobody waits for the next look: the beat is in Postgres, and so are the answers."""
    mitra = await stage.world.mitra(beat_age=10)
    async with switched(stage, pair) as (kit, _):
        assert await kit.beats.beat(mitra) == "recorded"
        assert await stage.world.beaten_ago(mitra) < 10
        assert (await kit.presence.counts()).source == "postgres"
