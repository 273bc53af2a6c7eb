"""Promises of the oracle about the mirror: equal passes, and each planted drift is named."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import pytest
import valkey.asyncio as valkey_client
from tests.support import Databases

from common import baseline
from common.clock import SystemClock
from common.db import Database
from common.ids import new_id
from common.runner import Runner
from mirror import Limits, open_mirror
from temani.demo.oracle import check
from temani.demo.oracle.report import Report


@dataclass
class Mirrored:
    """A database with one mitra who is offline, and a mirror that was seeded from it."""

    admin: asyncpg.Connection
    dsn: str
    valkey_url: str
    valkey: valkey_client.Valkey
    mitra: UUID

    async def ask(self) -> Report:
        """Ask the oracle, without waiting for anything to settle."""
        return await check(self.dsn, [], settle_seconds=0, valkey_url=self.valkey_url)


@pytest.fixture
async def mirrored(
    databases: Databases, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Mirrored]:
    """Lend a small mirrored world, in which a busy machine is no Valkey that is away."""
    for name in ("VALKEY_CONNECT_TIMEOUT", "VALKEY_SOCKET_TIMEOUT", "PG_ACQUIRE_TIMEOUT"):
        monkeypatch.setattr(baseline, name, 20)
    lent = await databases.fresh()
    raw = valkey_client.Valkey.from_url(valkey_url)
    await raw.flushall()
    runner, mitra = Runner(), new_id()
    async with lent.admin() as admin:
        await admin.execute("INSERT INTO availability.mitra_status (mitra_id) VALUES ($1)", mitra)
        db = await Database.connect(lent.admin_url, name="oracle-test", min_size=1, max_size=2)
        kit = await open_mirror(valkey_url, db, runner, SystemClock(), Limits())
        assert await kit.seeder.reseed("test") is not None
        await runner.stop()
        await db.close()
        yield Mirrored(admin, lent.admin_url, valkey_url, raw, mitra)
    await raw.aclose()
    await databases.drop(lent)


@pytest.mark.req("AV-15")
async def test_a_mirror_that_equals_the_truth_passes(mirrored: Mirrored) -> None:
    """Nothing is found where nothing differs."""
    assert (await mirrored.ask()).violations["I3"] == []


@pytest.mark.req("AV-15")
async def test_a_planted_drift_is_named(mirrored: Mirrored) -> None:
    """Someone who is online in Postgres only, past every guard, is found by name and fact."""
    await mirrored.admin.execute(
        """UPDATE availability.mitra_status SET is_online = true,
               went_online_at = clock_timestamp(), last_heartbeat_at = clock_timestamp()
           WHERE mitra_id = $1""",
        mirrored.mitra,
    )

    found = (await mirrored.ask()).violations["I3"]

    assert any(str(mirrored.mitra) in one and "online is False" in one for one in found)


@pytest.mark.req("AV-08")
async def test_an_emptied_valkey_is_no_mirror_to_compare(mirrored: Mirrored) -> None:
    """The oracle does not take an empty Valkey for a world without mitras."""
    await mirrored.valkey.flushall()

    assert (await mirrored.ask()).violations["I3"]
