"""A mirror that answers and yet is none: somebody is online, and nobody's beats reach it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import valkey.asyncio as valkey_client
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient
from tests.support import TestDatabase

from common.clock import SystemClock
from common.db import Database
from common.runner import Runner
from mirror import Limits, open_mirror

Client = ClientSession | TestClient[Any, Any]

SAYS = "deaf: somebody is online, but no beat comes"
# Younger than the auto-offline limit: nobody takes her offline meanwhile.
_SILENT = timedelta(seconds=40)


async def seed_deaf(database: TestDatabase, valkey_url: str, mitra_id: UUID) -> None:
    """Set her online with a beat of long ago, and seed an empty Valkey from that."""
    async with database.admin() as admin:
        await admin.execute(
            "INSERT INTO availability.mitra_status AS s"
            " (mitra_id, is_online, version, went_online_at, last_heartbeat_at)"
            " VALUES ($1, true, 2, clock_timestamp() - $2::interval, clock_timestamp() - $2)"
            " ON CONFLICT (mitra_id) DO UPDATE"
            " SET is_online = true, version = s.version + 1,"
            "     last_heartbeat_at = excluded.last_heartbeat_at",
            mitra_id,
            _SILENT,
        )
    raw, runner = valkey_client.Valkey.from_url(valkey_url), Runner()
    await raw.flushall()
    await raw.aclose()
    db = await Database.connect(database.url("availability"), name="test", max_size=2)
    kit = await open_mirror(valkey_url, db, runner, SystemClock(), Limits())
    await kit.seeder.reseed("test")
    await runner.stop()
    await db.close()


async def seen(client: Client, url: str = "") -> dict[str, Any]:
    """Return what operators see of Valkey in /statusz."""
    async with client.get(f"{url}/statusz") as answer:
        dependencies: dict[str, dict[str, Any]] = (await answer.json())["dependencies"]
    return dependencies["valkey"]
