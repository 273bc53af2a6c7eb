"""A whole pairing replica in this process, and people who call it over HTTP and sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import jwt
from aiohttp import web
from services.pairing.tests.world import TIER, World, settings_for
from tests.hearing import NOWHERE, subscribed

from common.ids import new_id
from common.runner import Runner
from pairing.app import build

SECRET = "a-secret-that-only-tests-know-0123456789"


@dataclass
class Person:
    """Somebody signed in."""

    user_id: UUID
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """The header of an authenticated call."""
        return {"Authorization": f"Bearer {self.token}"}


class Ear:
    """One open socket: frames by type, as they arrive."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def next(self, kind: str, *, seconds: float = 20) -> dict[str, Any]:
        """Return the data of the next frame of this kind; others before it are dropped."""
        async with asyncio.timeout(seconds):
            while True:
                frame = await self.socket.receive_json()
                if frame["type"] == kind:
                    data: dict[str, Any] = frame["data"]
                    return data

    async def say(self, kind: str, **data: Any) -> None:
        """Send a frame."""
        await self.socket.send_json({"type": kind, "id": "1", "data": data})


class Site:
    """One replica and a client."""

    def __init__(self, world: World, url: str, client: aiohttp.ClientSession) -> None:
        self.world = world
        self.url = url
        self.client = client

    async def person(self, role: str, user_id: UUID | None = None) -> Person:
        """Sign somebody in, as auth would."""
        user, login, now = user_id or new_id(), new_id(), datetime.now(UTC)
        await self.world.admin.execute(
            "INSERT INTO auth.logins (login_id, user_id, role, rotated_at, device_key, network,"
            " user_agent, created_at, last_used_at, expires_at, absolute_expires_at)"
            " VALUES ($1, $2, $3, $4, $5, 'x', 'x', $4, $4, $6, $6)",
            login,
            user,
            role,
            now,
            b"0" * 32,
            now + timedelta(days=1),
        )
        claims = {
            "iss": "temani",
            "aud": "control" if role == "operator" else "app",
            "sub": str(user),
            "sid": str(login),
            "role": role,
            "gen": 1,
            "iat": int(now.timestamp()),
            "exp": int(now.timestamp()) + 600,
            "jti": new_id().hex,
        }
        token = jwt.encode(claims, SECRET, algorithm="HS256", headers={"typ": "at+jwt"})
        return Person(user, token)

    async def mitra(self, **options: Any) -> Person:
        """Make a mitra and sign her in."""
        return await self.person("mitra", await self.world.mitra(**options))

    async def call(
        self, who: Person, method: str, path: str, **options: Any
    ) -> tuple[int, dict[str, Any]]:
        """Call a route; return status and body."""
        headers = who.headers | options.pop("headers", {})
        async with self.client.request(
            method, self.url + path, headers=headers, **options
        ) as answer:
            body = await answer.json(content_type=None) if answer.status != 204 else {}
            return answer.status, body

    async def ask(self, customer: Person, **options: Any) -> tuple[int, dict[str, Any]]:
        """Ask to be paired."""
        body = {"tier_id": TIER, "topic": "work", "sensitivity": "normal"}
        return await self.call(customer, "POST", "/api/customer/pairing", json=body, **options)

    async def offers(self, mitra: Person) -> list[dict[str, Any]]:
        """Read a mitra's open offers."""
        _, body = await self.call(mitra, "GET", "/api/mitra/offers")
        offers: list[dict[str, Any]] = body["offers"]
        return offers

    async def accept(self, mitra: Person, offer_id: str) -> tuple[int, dict[str, Any]]:
        """Accept an offer."""
        return await self.call(mitra, "POST", f"/api/mitra/offers/{offer_id}/accept")

    @contextlib.asynccontextmanager
    async def listening(self, who: Person) -> AsyncIterator[tuple[Ear, dict[str, Any]]]:
        """Open a socket; yields it with its state frame."""
        async with self.client.ws_connect(self.url + "/api/shared/pairing/ws") as socket:
            await socket.send_json({"type": "auth", "token": who.token})
            ear = Ear(socket)
            yield ear, await ear.next("state")


@contextlib.asynccontextmanager
async def serving(
    world: World, *, valkey_url: str | None = None, nats_url: str = NOWHERE, **changes: Any
) -> AsyncIterator[Site]:
    """Serve pairing on a free port, with the given servers or without them."""
    settings = settings_for(
        database_url=world.database.url("pairing"),
        valkey_url=valkey_url,
        nats_url=nats_url,
        token_algorithm="HS256",
        token_secret=SECRET,
        replica=f"test-{new_id().hex[:8]}",
        **{"empty_ring_seconds": 0.2, **changes},
    )
    runner = Runner()
    app = await build(settings, runner)
    listener = web.AppRunner(app, shutdown_timeout=1)
    try:
        await listener.setup()
        site = web.TCPSite(listener, "127.0.0.1", 0)
        await site.start()
        if nats_url != NOWHERE:
            await subscribed(runner)
        (address,) = listener.addresses
        async with aiohttp.ClientSession() as client:
            yield Site(world, f"http://127.0.0.1:{address[1]}", client)
    finally:
        await listener.cleanup()
        await runner.stop(budget=20)
