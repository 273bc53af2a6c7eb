"""A Valkey that answers, and has heard of nobody's beats for too long: it must not be believed.

Mitras beat all the time; the limits are the shortest that settings allow (stale after 5.2 s).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from services.availability.tests.outages import raw
from services.availability.tests.site import Site, running, site_settings
from tests.support import TestDatabase

from common.testing.waiting import eventually
from temani.servers import Valkey

pytestmark = [pytest.mark.fault, pytest.mark.usefixtures("hasty")]

FRESH_SECONDS = 5.2
DEAF_SECONDS = FRESH_SECONDS + 0.6


@pytest.fixture(scope="session")
async def server(scratch: Path) -> AsyncIterator[Valkey]:
    """A Valkey of our own."""
    one = Valkey(scratch / "valkey-deaf", cluster=False)
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def replica(stage: TestDatabase, server: Valkey) -> AsyncIterator[Site]:
    """A replica with short limits over this Valkey, empty at first."""
    async with raw(server) as client:
        await client.flushall()
    settings = site_settings(
        stage.url("availability"),
        valkey_url=server.url,
        heartbeat_seconds=0.1,
        heartbeat_mirror_interval_seconds=0.1,
        fresh_limit_seconds=FRESH_SECONDS,
        auto_offline_seconds=5.4,
    )
    async with running(settings, stage.admin_url) as site:
        yield site


async def frozen(server: Valkey) -> None:
    """Frozen (SIGSTOP) until all beats are too old, then thawed."""
    server.freeze()
    await asyncio.sleep(DEAF_SECONDS)
    server.thaw()


async def full(server: Valkey) -> None:
    """Out of memory under `noeviction`: reads are answered, writes are refused."""
    async with raw(server) as client:
        await client.config_set("maxmemory", "1")
        await asyncio.sleep(DEAF_SECONDS)
        await client.config_set("maxmemory", "256mb")


async def stalled(server: Valkey) -> None:
    """Reads are answered at once, writes are held back and done at the end."""
    async with raw(server) as client:
        await client.execute_command("CLIENT", "PAUSE", int(DEAF_SECONDS * 1000), "WRITE")
        await asyncio.sleep(DEAF_SECONDS)


class Looking:
    """Asks everything all the time; notes what is wrong, and who answered."""

    def __init__(self, site: Site, mitras: list[UUID]) -> None:
        self._site = site
        self._mitras = mitras
        self.is_flushed = True
        self.wrong: list[Any] = []
        self.sources: list[tuple[float, str]] = []

    async def beat(self) -> None:
        """Beat as every mitra's app does."""
        while True:
            for mitra in self._mitras:
                status, body = await self._site.mitra("heartbeat", mitra)
                if (status, body.get("is_online")) != (200, True):
                    self.wrong.append((status, body))
            if self.is_flushed:
                await self._flush()
            await asyncio.sleep(0.1)

    async def _flush(self) -> None:
        """Bring the beats to Postgres, as the sweeper does while Valkey is well."""
        await self._site.admin.execute(
            "SELECT count(*) FROM unnest($1::uuid[]) AS m (id), LATERAL"
            " availability.record_beats_v1(ARRAY[m.id], ARRAY[clock_timestamp()])",
            self._mitras,
        )

    async def look(self) -> None:
        """Ask as a customer, a mitra and an operator do."""
        operator, everybody = "/api/control/availability", [True] * len(self._mitras)
        while True:
            beacon, hers, roster, numbers = await asyncio.gather(
                self._site.call("GET", "/api/customer/availability", role="customer"),
                self._site.call("GET", "/api/mitra/status", user=self._mitras[0]),
                self._site.call("GET", f"{operator}/mitras", role="operator"),
                self._site.call("GET", f"{operator}/summary", role="operator"),
            )
            if (beacon[1].get("state"), beacon[1].get("count")) != ("available", 3):
                self.wrong.append(beacon)
            if hers[1].get("reasons") != []:
                self.wrong.append(hers)
            if [row["available"] for row in roster[1].get("items", [])] != everybody:
                self.wrong.append(roster)
            self.sources.append((time.monotonic(), numbers[1]["source"]))
            # Slower than one mitra may ask.
            await asyncio.sleep(0.05)


@pytest.mark.req("AV-05", "AV-07", "AV-08", "AV-11")
@pytest.mark.parametrize("fault", [frozen, full, stalled])
async def test_who_hears_no_beats_is_not_believed(
    replica: Site, server: Valkey, fault: Callable[[Valkey], Awaitable[None]]
) -> None:
    """Living mitras stay available in every answer, until the mirror hears their beats again."""
    mitras = [await replica.world.mitra(online=False) for _ in range(3)]
    for mitra in mitras:
        await replica.mitra("online", mitra)
    looking = Looking(replica, mitras)
    tasks = [asyncio.ensure_future(looking.beat()), asyncio.ensure_future(looking.look())]
    try:
        await eventually(lambda: looking.sources and looking.sources[-1][1] == "mirror")
        looking.is_flushed = False
        await fault(server)
        ended, looking.is_flushed = time.monotonic(), True

        def mirrored() -> bool:
            at, source = looking.sources[-1]
            return at > ended + 0.5 and source == "mirror"

        await eventually(mirrored)
    finally:
        for task in tasks:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(one) for one in done] == [asyncio.CancelledError] * 2
    assert looking.wrong == []
    assert "postgres" in {source for _, source in looking.sources}
