"""Clocks that are off by minutes, and clocks that jump: nobody is stale, offline or silent by it.

Only Postgres, Valkey and each process's own monotonic clock decide; the wall clock of a replica
is for showing. What it must not do is shown here.
"""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson
import pytest
from services.availability.tests import site as sites
from services.availability.tests.site import Site, running, site_settings
from tests.support import TestDatabase

from availability.settings import Settings
from common import wiring
from common.clock import SystemClock
from common.testing.waiting import eventually

MINUTES = timedelta(minutes=5)


class Wrong(SystemClock):
    """A wall clock that is off, and may jump; its monotonic time goes on as it should."""

    def __init__(self, off: timedelta = timedelta()) -> None:
        self.off = off

    def now(self) -> datetime:
        """Return a wrong moment."""
        return super().now() + self.off


@pytest.fixture
def settings(stage: TestDatabase, valkey_url: str, nats_url: str) -> Settings:
    """Settings of a replica with everything there."""
    return site_settings(stage.url("availability"), valkey_url=valkey_url, nats_url=nats_url)


@contextlib.asynccontextmanager
async def by_clock(clock: Wrong, settings: Settings, admin_url: str) -> AsyncIterator[Site]:
    """Run a replica by this clock."""
    async with contextlib.AsyncExitStack() as doors:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wiring, "SystemClock", lambda: clock)
            site = await doors.enter_async_context(running(settings, admin_url))
        yield site


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Wrong:
    """A clock by which tokens are signed, too: only the leeway of a few seconds is allowed."""
    one = Wrong()
    monkeypatch.setattr(sites, "SystemClock", lambda: one)
    return one


async def beacon(site: Site) -> tuple[str, int]:
    """Ask as a customer does."""
    status, body = await site.call("GET", "/api/customer/availability", role="customer")
    assert status == 200
    return body["state"], body["count"]


async def _lit(site: Site, available: int) -> bool:
    return await beacon(site) == ("available", available)


@pytest.mark.req("AV-03", "AV-05", "AV-12", "SW-01")
@pytest.mark.parametrize("off", [MINUTES, -MINUTES])
async def test_a_wrong_clock_changes_nothing(
    settings: Settings, stage: TestDatabase, clock: Wrong, off: timedelta
) -> None:
    """Five minutes fast or slow: a beat is as old as it is, nobody is stale or offline by it."""
    clock.off = off
    async with by_clock(clock, settings, stage.admin_url) as site:
        mitra = await site.world.mitra(online=False)
        assert (await site.mitra("online", mitra))[1]["available"] is True
        quiet = await site.world.mitra(beat_age=60)
        await site.kit.seeder.heal([quiet])
        assert (await site.mitra("heartbeat", mitra))[1]["is_online"] is True
        await eventually(partial(_lit, site, 1))

        _, hers = await site.call("GET", "/api/mitra/status", user=quiet)
        age = datetime.now(UTC) + off - datetime.fromisoformat(hers["last_heartbeat_at"])
        assert (hers["reasons"], 59 < age.total_seconds() < 90) == (["stale"], True)
        assert await site.world.beaten_ago(mitra) < 30
        found = await site.kit.mirror.status(mitra)
        assert found is not None
        assert 0 <= (found.beat_age_ms or 0) < 30_000


@pytest.mark.req("AV-11", "AV-12")
@pytest.mark.parametrize("jump", [-MINUTES, MINUTES])
async def test_a_clock_that_jumps_stops_no_news(
    settings: Settings, stage: TestDatabase, clock: Wrong, jump: timedelta
) -> None:
    """The clock is set right by minutes: numbers go on being at most a moment old, and told."""
    async with by_clock(clock, settings, stage.admin_url) as site:
        told = await site.hears("rt.availability.beacon")
        await site.kit.seeder.heal([await site.world.mitra()])
        await eventually(lambda: told and orjson.loads(told[-1])["count"] == 1)
        clock.off = jump
        # By another replica, so that this one has to look by itself.
        await site.kit.seeder.heal([await site.world.mitra()])
        await eventually(partial(_lit, site, 2))
        await eventually(lambda: orjson.loads(told[-1])["count"] == 2)


@pytest.mark.req("AV-11")
async def test_a_slow_clock_takes_the_lead_from_a_fast_one(
    settings: Settings, stage: TestDatabase
) -> None:
    """Whoever tells next does not wait until its clock has caught up with what was told last."""
    slow = settings.model_copy(update={"replica": "slow"})
    async with contextlib.AsyncExitStack() as doors:
        async with by_clock(Wrong(MINUTES), settings, stage.admin_url) as fast:
            await eventually(partial(_leads, fast))
            site = await doors.enter_async_context(by_clock(Wrong(-MINUTES), slow, stage.admin_url))
            told = await site.hears("rt.availability.beacon")
            await fast.kit.seeder.heal([await fast.world.mitra()])
            await eventually(lambda: told and orjson.loads(told[-1])["count"] == 1)
            as_of = datetime.fromisoformat(orjson.loads(told[-1])["as_of"])
            assert as_of > datetime.now(UTC) + MINUTES / 2, "the fast one leads"
        await site.kit.seeder.heal([await site.world.mitra()])
        await eventually(lambda: orjson.loads(told[-1])["count"] == 2)


async def _leads(site: Site) -> bool:
    """Say whether the only replica holds the right to tell the beacon, for a while."""
    return bool(await site.rows("SELECT 1 FROM availability.leases WHERE name = 'beacon'"))
