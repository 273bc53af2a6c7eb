"""The sweeper's passes over a real mirror that dies: what it cannot see it does not touch."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from services.availability.tests.outages import KINDS, Outage
from services.sweeper.tests.fakes import FakeBrakes, FakeOwners, NoMeter, mine, turn
from tests.support import Databases

from common.clock import SystemClock
from common.db import Database
from common.runner import Runner
from common.testing.waiting import eventually
from mirror import Limits, MirrorKit, MirrorUnavailable, open_mirror
from mirror.testing import World
from sweeper.handlers.sweeps import AutoOffline, HeartbeatFlush, Reseed, Sweep
from sweeper.providers.mirror import MirrorPresence, MirrorRebuild
from sweeper.store import TruthStore
from temani.servers import Valkey

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

# Without grace: whoever has not beaten for half a minute is taken offline at once.
LIMITS = Limits(heartbeat_seconds=0, fresh_seconds=0, auto_offline_seconds=30)
# A Valkey that says nothing would be waited for without end.
PATIENCE_SECONDS = 20


@dataclass
class Stage:
    """A world of mitras, the sweeps over its mirror, and whom they would take offline."""

    world: World
    kit: MirrorKit
    sweeps: dict[str, Sweep]
    owners: FakeOwners
    valkey: Valkey
    admin_url: str


@pytest.fixture
async def stage(databases: Databases, scratch: Path) -> AsyncIterator[Stage]:
    """An empty world over a Valkey of its own."""
    clone = await databases.fresh("availability", "sweeper")
    valkey = Valkey(scratch / "valkey-sweep", cluster=False)
    await valkey.start()
    runner = Runner()
    async with clone.admin() as admin:
        world = await World.create(admin)
        db = await Database.connect(clone.url("sweeper"), name="test")
        clock = SystemClock()
        kit = await open_mirror(valkey.url, db, runner, clock, LIMITS)
        owners = FakeOwners()
        sweeps: dict[str, Sweep] = {
            "auto_offline": AutoOffline(
                presence=MirrorPresence(kit.mirror),
                owners=owners,
                brakes=FakeBrakes(),
                meter=NoMeter(),
                batch=10,
            ),
            "flush": HeartbeatFlush(
                heartbeats=kit.mirror, truth=TruthStore(db), clock=clock, shards=1, batch=100
            ),
            "reseed": Reseed(mirror=MirrorRebuild(kit.seeder, kit.drift)),
        }
        yield Stage(world, kit, sweeps, owners, valkey, clone.admin_url)
        await runner.stop()
        await db.close()
    valkey.thaw()
    await valkey.stop()
    await databases.drop(clone)


@pytest.mark.req("SW-01", "SW-02", "SW-03", "AV-08")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_pass_without_a_mirror_does_nothing(stage: Stage, kind: str) -> None:
    """Auto-offline, flush and reseed: skipped with a reason, in time, and at work afterwards."""
    silent = await stage.world.mitra(beat_age=600)
    await stage.kit.seeder.reseed("test")
    outage = Outage(kind, stage.valkey, stage.admin_url)
    await outage.strike()
    for number, (name, sweep) in enumerate(stage.sweeps.items()):
        async with asyncio.timeout(PATIENCE_SECONDS):
            swept = await sweep(turn(slot=number + 1), mine)
        assert swept.count == 0
        # An emptied Valkey that somebody else is seeding is no reason to skip a reseed.
        assert swept.skipped is not None or (name, kind) == ("reseed", "emptied")
    assert stage.owners.offline == []
    assert await stage.world.beaten_ago(silent) > 599

    await outage.end()

    async def swept_again() -> bool:
        try:
            await stage.kit.seeder.mend()
        except MirrorUnavailable:
            return False
        await stage.sweeps["auto_offline"](turn(slot=9), mine)
        return stage.owners.offline == [silent]

    await eventually(swept_again, timeout=30)
