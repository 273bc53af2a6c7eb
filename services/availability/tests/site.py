"""One replica of availability on real servers, and what a test does to it from outside."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import jwt
import nats
import valkey.asyncio as valkey_client
from aiohttp.test_utils import TestClient, TestServer

from availability.app import build
from availability.inbound import SettleDue
from availability.settings import Settings
from common.bus import Bus, BusUnavailable, Event
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
_AWAKE = b"awake"
_CONSUMERS = (("AUTH", "availability_auth"), ("CHAT", "availability_loads"))


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
    nats_url: str

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

    async def hears(self, subject: str) -> list[bytes]:
        """Listen to a subject; return the list of what is told from now on."""
        told: list[bytes] = []
        awake = asyncio.Event()

        async def hear(_subject: str, body: bytes) -> None:
            if body == _AWAKE:
                awake.set()
            else:
                told.append(body)

        def hears_itself() -> bool:
            # NATS takes what one connection says in order: whoever hears itself is subscribed.
            self.bus.tell(subject, _AWAKE)
            return awake.is_set()

        self.bus.listen(subject, hear)
        await eventually(hears_itself)
        return told

    async def reseed(self) -> None:
        """Bring what the test wrote into the mirror; the replica may be seeding: then after it."""

        async def ours() -> bool:
            return await self.kit.seeder.reseed("test") is not None

        await eventually(ours)

    async def reconcile_stops(self) -> None:
        """Let the mirror drift from here on: the loop that compares it ends, whatever it is at."""
        ours = {task for task in asyncio.all_tasks() if task.get_name() == "mirror_reconcile"}
        assert ours
        for task in ours:
            task.cancel()
        await asyncio.wait(ours)

    async def rows(self, query: str, *args: object) -> list[dict[str, Any]]:
        """Look into the database."""
        return [dict(row) for row in await self.admin.fetch(query, *args)]

    async def all_heard(self) -> None:
        """Wait until the replica has come to the end with every event that was published."""
        client = await nats.connect(self.nats_url)
        streams = client.jetstream()

        async def at_the_end() -> bool:
            found = [await streams.consumer_info(*one) for one in _CONSUMERS]
            return not any(one.num_pending or one.num_ack_pending for one in found)

        await eventually(at_the_end)
        await client.close()

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
    """Run a replica in this process; with NATS, once it hears."""
    runner, outside = Runner(), Runner()
    try:
        app = await build(settings, runner)
        app[HEALTH].ready = True
        admin = await asyncpg.connect(admin_url)
        outside.on_stop(admin.close)
        raw = valkey_client.Valkey.from_url(settings.valkey_url or "")
        outside.on_stop(raw.aclose)
        bus = await Bus.connect(settings.nats_url, name="test", runner=outside)
        db = await Database.connect(settings.database_url, name="test", max_size=2)
        outside.on_stop(db.close)
        kit = await open_mirror(settings.valkey_url, db, outside, SystemClock(), Limits())
        if AWAY not in settings.nats_url:
            await eventually(partial(_answers, bus))
        # As if it had been there all along: whoever tests the grace of a new one says so.
        await admin.execute("UPDATE availability.serving SET since = '-infinity', seen_at = now()")
        async with TestClient(TestServer(app)) as client:
            yield Site(client, World(admin), admin, raw, kit, runner, bus, settings.nats_url)
    finally:
        await runner.stop(budget=20)
        await outside.stop(budget=20)


async def _answers(bus: Bus) -> bool:
    """Say whether a replica answers the commands that are asked over this bus."""
    try:
        await bus.request("cmd.availability.settle_due.v1", SettleDue(items=[]), timeout=10)
    except BusUnavailable:
        return False
    return True
