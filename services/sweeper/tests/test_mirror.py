"""Promises of the sweeps over a real mirror: what it cannot vouch for is not acted upon."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import cast

import asyncpg
import pytest
import valkey.asyncio as valkey_client
from services.sweeper.tests.fakes import FakeBrakes, FakeOwners, NoMeter, mine, turn
from tests.support import Databases

from common.clock import SystemClock
from common.db import Database
from common.ids import new_id
from common.runner import Runner
from mirror import (
    Limits,
    Mirror,
    MirrorKit,
    MirrorUnavailable,
    StaleMitra,
    StalePage,
    open_mirror,
)
from mirror.testing import World
from sweeper.domain import Swept
from sweeper.handlers.sweeps import AutoOffline, HeartbeatFlush, Reseed
from sweeper.providers.mirror import MirrorPresence, MirrorRebuild
from sweeper.store import TruthStore

# Short enough that a mitra's beat of a minute ago is stale, with no grace after a reseed.
LIMITS = Limits(heartbeat_seconds=0.0, fresh_seconds=0.0, auto_offline_seconds=30)
CAREFUL = Limits(heartbeat_seconds=20, fresh_seconds=45, auto_offline_seconds=75)


@dataclass
class Stage:
    """A world of mitras, its mirror, and the sweeper's own way to the database."""

    world: World
    kit: MirrorKit
    careful: MirrorKit
    db: Database
    raw: valkey_client.Valkey
    admin: asyncpg.Connection


@pytest.fixture
async def stage(databases: Databases, valkey_url: str) -> AsyncIterator[Stage]:
    """Lend an empty world with an empty mirror."""
    clone = await databases.fresh("availability", "sweeper")
    runner = Runner()
    raw = valkey_client.Valkey.from_url(valkey_url)
    await raw.flushall()
    async with clone.admin() as admin:
        world = await World.create(admin)
        db = await Database.connect(clone.url("sweeper"), name="test")
        availability = await Database.connect(clone.url("availability"), name="test")
        kit = await open_mirror(valkey_url, availability, runner, SystemClock(), LIMITS)
        careful = await open_mirror(valkey_url, availability, runner, SystemClock(), CAREFUL)
        yield Stage(world, kit, careful, db, raw, admin)
        await runner.stop()
        await db.close()
        await availability.close()
    await raw.aclose()
    await databases.drop(clone)


def auto_offline(kit: MirrorKit, owners: FakeOwners) -> AutoOffline:
    """Wire the sweep."""
    return AutoOffline(
        presence=MirrorPresence(kit.mirror),
        owners=owners,
        brakes=FakeBrakes(),
        meter=NoMeter(),
        batch=10,
    )


@pytest.mark.req("SW-01", "AV-08")
async def test_an_empty_valkey_takes_nobody_offline(stage: Stage) -> None:
    """A Valkey that is up but empty is no mirror: the pass is skipped."""
    await stage.world.mitra(beat_age=3600)
    owners = FakeOwners()
    swept = await auto_offline(stage.kit, owners)(turn(), mine)

    assert swept.skipped is not None
    assert owners.offline == []


@pytest.mark.req("SW-01")
async def test_a_fresh_reseed_takes_nobody_offline(stage: Stage) -> None:
    """Just after a reseed nobody's silence is believed."""
    await stage.world.mitra(beat_age=3600)
    await stage.careful.seeder.reseed("test")
    owners = FakeOwners()
    swept = await auto_offline(stage.careful, owners)(turn(), mine)

    assert swept.skipped is not None
    assert "grace" in swept.skipped
    assert owners.offline == []


class Seen:
    """A mirror whose stale ones are these."""

    def __init__(self, page: StalePage) -> None:
        self._page = page

    async def stale(self, _limit: int) -> StalePage:
        """Return them."""
        return self._page


@pytest.mark.req("SW-01")
async def test_in_grace_only_who_was_silent_through_several_is_shown() -> None:
    """Those alone are candidates; without any the pass is skipped."""
    gone, heard = [StaleMitra(new_id(), 1, seen_at) for seen_at in (1_000, 3_000)]
    page = StalePage(
        now_ms=10_000, grace_until_ms=20_000, gone_before_ms=2_000, online=9, fresh=7,
        mitras=(gone, heard),
    )  # fmt: skip

    seen = await MirrorPresence(cast("Mirror", Seen(page))).picture()

    assert [one.mitra_id for one in seen.stale] == [gone.mitra_id]
    assert seen.candidates == 1
    with pytest.raises(MirrorUnavailable, match="grace"):
        await MirrorPresence(cast("Mirror", Seen(replace(page, gone_before_ms=0)))).picture()


@pytest.mark.req("SW-02")
async def test_beats_are_written_down(stage: Stage) -> None:
    """A beat in the mirror reaches Postgres, dated by its age."""
    mitra = await stage.world.mitra(beat_age=20)
    await stage.kit.seeder.reseed("test")
    await stage.kit.mirror.record([(mitra, SystemClock().monotonic())])
    flush = HeartbeatFlush(
        heartbeats=stage.kit.mirror,
        truth=TruthStore(stage.db),
        clock=SystemClock(),
        shards=1,
        batch=100,
    )
    swept = await flush(turn(), mine)
    (row,) = await stage.careful.seeder._truth.rows_of([mitra])

    assert swept == Swept(count=1)
    assert row.online.beat_age_ms is not None
    assert row.online.beat_age_ms < 19_000


@pytest.mark.req("SW-03")
async def test_a_reseed_heals_and_counts(stage: Stage) -> None:
    """A reseed repairs what is wrong in the mirror and says how much that was."""
    await stage.world.mitra()
    sweep = Reseed(mirror=MirrorRebuild(stage.kit.seeder, stage.kit.drift))
    first = await sweep(turn(slot=1), mine)
    second = await sweep(turn(slot=2), mine)

    assert first.count > 0
    assert second == Swept(count=0)


@pytest.mark.req("AV-15", "SW-03")
async def test_what_a_reseed_mends_is_kept(stage: Stage, valkey_url: str) -> None:
    """By the sweeper's own rights: each thing with its cause, a stranger too, and the look."""
    kept, lost, stranger = await stage.world.mitra(), await stage.world.mitra(), new_id()
    runner = Runner()
    kit = await open_mirror(valkey_url, stage.db, runner, SystemClock(), CAREFUL)
    sweep = Reseed(mirror=MirrorRebuild(kit.seeder, kit.drift))
    await sweep(turn(slot=1), mine)
    assert await stage.admin.fetchval("SELECT count(*) FROM availability.mirror_drift") == 0

    await stage.raw.zrem("{mitras}:available", str(kept))
    await stage.raw.zrem("{mitras}:online", str(lost))
    await stage.raw.hset("{mitras}:versions", f"{stranger}:o", "1.1")
    await sweep(turn(slot=2), mine)

    rows = await stage.admin.fetch(
        "SELECT mitra_id, fact, cause, mirror_value, postgres_value, found_by,"
        " at_most_seconds < 60 AS young FROM availability.mirror_drift"
    )
    assert {tuple(row) for row in rows} == {
        (kept, "available", "kept_answer", "False", "True", "reseed", True),
        (lost, "online", "wrong", "False", "True", "reseed", True),
        (stranger, "all", "stranger", "known", None, "reseed", True),
    }
    look = await stage.admin.fetchrow("SELECT kind, mitras, found FROM availability.mirror_looks")
    assert tuple(look) == ("reseed", 2, 3)
    await runner.stop()
