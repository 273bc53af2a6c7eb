"""A replica takes over and has lost the last writes: it is seeded before anybody believes it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import valkey.asyncio as valkey_client
from libs.mirror.tests.stage import Stage
from typing_extensions import override

from common.clock import SystemClock
from common.runner import Runner
from common.testing.proxy import Proxy
from common.testing.waiting import eventually
from mirror import Limits, keys, open_mirror
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
            await follower.replicaof("127.0.0.1", primary.port)

            async def follows() -> bool:
                return (await follower.info("replication"))["master_link_status"] == "up"

            await eventually(follows, timeout=20)
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
