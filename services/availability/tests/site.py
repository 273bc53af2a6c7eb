"""One replica of availability on real servers, and what a test does to it from outside."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import jwt
import valkey.asyncio as valkey_client
from aiohttp.test_utils import TestClient, TestServer

from availability.app import build
from availability.settings import Settings
from common.bus import Bus, Event
from common.clock import SystemClock
from common.db import Database
from common.ids import new_id
from common.runner import Runner
from common.testing.tokens import Mint
from common.testing.waiting import eventually
from common.web import HEALTH
from mirror import Limits, MirrorKit, open_mirror
from mirror.testing import World

SECRET = "only-for-tests-and-longer-than-32-bytes"
AWAY = "127.0.0.1:1"


@dataclass(frozen=True)
class Site:
    """A replica, its neighbours' tables, and the raw servers beneath."""

    client: TestClient[Any, Any]
    world: World
    admin: "asyncpg.Connection[asyncpg.Record]"
    raw: valkey_client.Valkey
    kit: MirrorKit
    runner: Runner
    bus: Bus

    async def call(
        self,
        method: str,
        path: str,
        *,
        role: str = "mitra",
        user: UUID | None = None,
        login: UUID | None = None,
        body: object = None,
    ) -> tuple[int, Any]:
        """Call a route as somebody; return status and JSON."""
        headers = {"Authorization": f"Bearer {token(role, user=user, login=login)}"}
        async with self.client.request(method, path, headers=headers, json=body) as response:
            text = await response.text()
            return response.status, await response.json(content_type=None) if text else None

    async def mitra(self, verb: str, mitra: UUID, **more: Any) -> tuple[int, Any]:
        """Call one of a mitra's own routes."""
        return await self.call("POST", f"/api/mitra/status/{verb}", user=mitra, **more)

    async def reseed(self) -> None:
        """Bring what the test wrote into the mirror; the replica may be seeding: then after it."""

        async def ours() -> bool:
            return await self.kit.seeder.reseed("test") is not None

        await eventually(ours)

    async def rows(self, query: str, *args: object) -> list[dict[str, Any]]:
        """Look into the database."""
        return [dict(row) for row in await self.admin.fetch(query, *args)]

    async def publish(self, event: Event, event_id: UUID | None = None) -> None:
        """Tell an event as a neighbour would."""
        identity = event_id or new_id()
        await self.bus.publish_event(
            id=identity,
            subject=event.subject,
            body=event.model_dump_json().encode(),
            headers={"Temani-Id": str(identity), "Temani-Time": event.at.isoformat()},
        )


def token(role: str, *, user: UUID | None = None, login: UUID | None = None) -> str:
    """Sign a token as auth would."""
    mint = Mint(SystemClock())
    claims = mint.claims(role=role, sub=str(user or new_id()), sid=str(login or new_id()))
    return jwt.encode(claims, SECRET, algorithm="HS256", headers={"typ": "at+jwt", "kid": "one"})


def site_settings(database_url: str, **changes: Any) -> Settings:
    """Return the settings of a test's replica; both NATS and Valkey away unless given."""
    wanted = {
        "database_url": database_url,
        "valkey_url": f"valkey://{AWAY}/0",
        "nats_url": f"nats://{AWAY}",
        "token_algorithm": "HS256",
        "token_secret": SECRET,
        "environment": "test",
        "replica": f"test-{new_id().hex[-6:]}",
        **changes,
    }
    return Settings(**wanted)


@contextlib.asynccontextmanager
async def running(settings: Settings, admin_url: str) -> AsyncIterator[Site]:
    """Run a replica in this process."""
    runner = Runner()
    app = await build(settings, runner)
    app[HEALTH].ready = True
    admin = await asyncpg.connect(admin_url)
    raw = valkey_client.Valkey.from_url(settings.valkey_url or "")
    outside = Runner()
    bus = await Bus.connect(settings.nats_url, name="test", runner=outside)
    db = await Database.connect(settings.database_url, name="test", max_size=2)
    kit = await open_mirror(settings.valkey_url, db, outside, SystemClock(), Limits())
    # As if it had been there all along: whoever tests the grace of a new one says so.
    await admin.execute("UPDATE availability.serving SET since = '-infinity', seen_at = now()")
    try:
        async with TestClient(TestServer(app)) as client:
            yield Site(client, World(admin), admin, raw, kit, runner, bus)
    finally:
        await runner.stop(budget=4)
        await outside.stop(budget=4)
        await db.close()
        await raw.aclose()
        await admin.close()
